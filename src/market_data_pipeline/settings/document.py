"""A file that a person wrote: bounded, YAML, and every value with its place."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import attrs

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.settings.shape import Location
from market_data_pipeline.settings.yaml_document import Node, scan_yaml

MAX_BYTES: Final = 2**20


@attrs.frozen
class Document:
    """What a file says, and where."""

    name: str
    root: Node
    refused: Collection[str] = ()
    """What must not be in such a file, each with its place; it is not in `root`."""

    def find(self, location: Location) -> str:
        """Return file, line and column of what is at a location, or of what it would have to be in.

        A list may be left out where it has one item, and a mapping where it has nothing but a name.
        """
        node = self.root
        for key in location:
            node = node.parts.get(key, node)
        return f"{self.name}:{node.line}:{node.column}"


def read_document(path: str | Path, *, form: str) -> Document:
    """Return what a YAML file says.

    Args:
        path: The file.
        form: What it should be, for the message where it holds no mapping.

    Raises:
        ConfigurationError: It is not there, is too large or is no YAML.
    """
    name = str(path)
    root, refused = scan_yaml(_read(Path(path)), name=name)
    if not isinstance(root.value, dict):
        raise ConfigurationError("; ".join([*refused, f"{name}: {form}"]))
    return Document(name, root, refused)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        close = get_close_matches(path.name, (other.name for other in path.parent.glob("*.y*ml")))
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ConfigurationError(f"cannot be read: {error.strerror}{hint}", where=str(path)) from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError("is larger than 1 MiB: nobody wrote this", where=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("this is not UTF-8: save the file as UTF-8", where=f"{path}:{line}") from None
