"""The folders of a dataset that hold bars, by the names that `sink.dataset` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import attrs

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import parse_interval

DAY_NS = 86_400_000_000_000
_EPOCH = date(1970, 1, 1)
_LEVELS = ("kind=bar", "interval=*", "provider=*", "date=*")


@attrs.frozen(order=True)
class Folder:
    """One `kind=bar/interval=…/provider=…/date=…`."""

    interval: int
    """How long its bars are, int ns."""
    provider: str
    day: int
    """Days since the epoch, UTC, of the bars' ends."""
    path: Path

    @property
    def files(self) -> list[Path]:
        """Its Parquet files, in order of their names."""
        return sorted(self.path.glob("*.parquet"))


def find_folders(root: Path) -> list[Folder]:
    """Return the folders of bars in a dataset, or in a part of one such as `…/kind=bar/interval=1s`, oldest first.

    Raises:
        ConfigurationError: There are none; the message says what there is instead.
    """
    if root.is_file():
        raise ConfigurationError("this is a file: name the folder of the dataset that it is in", where=str(root))
    if not root.is_dir():
        raise ConfigurationError(
            f'there is no such folder; `mdp run "… -> bars:1m -> parquet:{root}"` would make it', where=str(root)
        )
    for depth in range(len(_LEVELS)):
        found = sorted(_folder(path) for path in root.glob("/".join(_LEVELS[depth:])) if path.is_dir())
        if found:
            return found
    if "date" in _keys(root):
        return [_folder(root)]
    raise ConfigurationError(_what_else(root), where=str(root))


def _folder(path: Path) -> Folder:
    keys = _keys(path)
    try:
        day = (date.fromisoformat(keys["date"]) - _EPOCH).days
        return Folder(parse_interval(keys["interval"]), unquote(keys["provider"]), day, path)
    except (KeyError, ValueError) as error:
        raise ConfigurationError(
            "is no folder of a dataset of bars: their paths end in interval=…/provider=…/date=YYYY-MM-DD",
            where=str(path),
        ) from error


def _keys(path: Path) -> dict[str, str]:
    return dict(part.split("=", 1) for part in path.absolute().parts if "=" in part)


def _what_else(root: Path) -> str:
    ticks = [kind for kind in ("trade", "quote") if (root / f"kind={kind}").is_dir()]
    if ticks:
        bars = "bars:1m" if "trade" in ticks else "bars:1m?basis=mid"
        return (
            f"there are {' and '.join(f'{kind}s' for kind in ticks)}, and no bars; make some: "
            f'mdp run "replay?path={root}/kind={ticks[0]} -> {bars} -> parquet:{root}"'
        )
    return "there are no bars: they lie in kind=bar/interval=…/provider=…/date=…, as the sink parquet writes them"


def intervals(folders: Sequence[Folder]) -> list[int]:
    """Return the intervals that there are, the shortest first."""
    return sorted({folder.interval for folder in folders})
