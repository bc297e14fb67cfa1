"""From a path to files and their format."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from pathlib import Path

from market_data_pipeline.errors import InvalidRequest
from market_data_replay.formats import FORMATS


def find_files(path: Path, name: str | None) -> tuple[str, list[Path]]:
    """Return the format's name and its files, sorted, below a folder, behind a glob, or the file itself.

    Args:
        path: A file, a folder or a glob; a leading ~ is the home folder.
        name: The format; None is the one whose files are there.

    Raises:
        InvalidRequest: Nothing is there, nothing of the format, or files of several formats.
    """
    path = path.expanduser()
    places = [path] if path.exists() else [Path(one) for one in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if not places:
        raise InvalidRequest(f"{path} does not exist: path names a file, a folder or a glob", source="replay")
    if name and path.is_file():
        return name, [path]
    found = {one: _files(places, FORMATS[one].suffixes) for one in ([name] if name else FORMATS)}
    there = {one: files for one, files in found.items() if files}
    if len(there) == 1:
        return next(iter(there.items()))
    if not there:
        raise InvalidRequest(f"{path} has no file of {_list(found)}: check path and format", source="replay")
    raise InvalidRequest(f"{path} has files of {_list(there)}: say which with format", source="replay")


def _files(places: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    files: set[Path] = set()
    for place in places:
        if place.is_dir():
            files.update(file for suffix in suffixes for file in place.rglob(f"*{suffix}"))
        elif place.name.endswith(suffixes):
            files.add(place)
    return sorted(files)


def _list(names: Mapping[str, object]) -> str:
    return " or ".join(
        f"format {name} ({', '.join(f'*{suffix}' for suffix in FORMATS[name].suffixes)})" for name in names
    )
