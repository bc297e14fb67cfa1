"""YAML text to plain data in which every value knows its line and column.

YAML 1.2 with the core schema and no more: ON, NO and 2026-11-23 are text. Anchors, aliases, tags and duplicate keys are
refused, since each of them hides from the reader of a file what the file says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from ruamel.yaml.error import StreamMark
    from ruamel.yaml.events import Event

MAX_DEPTH: Final = 32

_CORE: Final[tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...]] = (
    (re.compile(r"null|Null|NULL|~|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,4000}"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
"""What a plain scalar is (YAML 1.2, 10.3.2); everything else is text."""


@attrs.frozen
class Node:
    """A value, its place and its parts."""

    value: Any
    line: int
    """Counted from 1, as editors do; of a value in a mapping, that of its key."""
    column: int
    parts: Mapping[str | int, Node] = attrs.field(factory=dict)
    """Of a mapping by key, of a sequence by index."""


def parse_yaml(text: str, *, name: str) -> Node:
    """Return the only document in a text; `name` is the file's, for messages.

    Raises:
        ConfigurationError: It is no YAML, or uses what is refused here; says where.
    """
    root, refused = scan_yaml(text, name=name)
    if refused:
        raise ConfigurationError("; ".join(refused))
    return root


def scan_yaml(text: str, *, name: str) -> tuple[Node, list[str]]:
    """Return the only document in a text without what is refused in it, and what that is, each with its place.

    Raises:
        ConfigurationError: It is no YAML; says where.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        parser = _Parser(YAML(typ="safe", pure=True).parse(text), name)
        return parser.document(), parser.refused
    except ConfigurationError:
        raise
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(
            f"the character {chr(error.character)!r} must not be in YAML: save the file as plain UTF-8 text",
            where=f"{name}:{line}",
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = "a tab, where only spaces may stand" if "'\\t'" in str(error.problem) else error.problem
        raise ConfigurationError(f"this is not YAML: {problem}", where=where) from None
    except (YAMLError, ValueError, OverflowError) as error:  # ruamel lets those of a wild escape through
        raise ConfigurationError(f"this is not YAML: {error}", where=name) from None


class _Parser:
    """Builds nodes out of ruamel's events: its own constructors resolve more than the core schema."""

    def __init__(self, events: Iterator[Event], name: str) -> None:
        self._events = events
        self._name = name
        self.refused: list[str] = []

    def document(self) -> Node:
        from ruamel.yaml.events import DocumentStartEvent

        root: Node | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    self._refuse("a second document: write one a file", event.start_mark)
                    break
                root = self._node(next(self._events), event.start_mark, 0)
        return root or Node(None, 1, 1)

    def _node(self, event: Event, mark: StreamMark, depth: int) -> Node | None:
        """Return the node that an event begins; none where it cannot be one."""
        from ruamel.yaml.events import CollectionStartEvent, MappingStartEvent, ScalarEvent

        if not isinstance(event, ScalarEvent | CollectionStartEvent):
            self._refuse("an alias: write the value out", event.start_mark)
            return None
        if event.anchor is not None:
            self._refuse(f"the anchor &{event.anchor}: write each value where it belongs", event.start_mark)
        if event.tag is not None:
            self._refuse(f"the tag {event.tag}: write a plain value", event.start_mark)
        place = mark.line + 1, mark.column + 1
        if isinstance(event, ScalarEvent):
            plain = event.implicit[0]  # neither quotes nor a block
            return Node(_resolve(event.value) if plain else event.value, *place)
        if depth == MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} levels", event.start_mark)
            raise ConfigurationError("; ".join(self.refused))  # reading on could take for ever
        if isinstance(event, MappingStartEvent):
            parts: dict[Any, Node] = dict(self._mapping(depth))
            return Node({key: part.value for key, part in parts.items()}, *place, parts)
        parts = dict(enumerate(self._sequence(depth)))
        return Node([part.value for part in parts.values()], *place, parts)

    def _sequence(self, depth: int) -> Iterator[Node]:
        from ruamel.yaml.events import SequenceEndEvent

        while not isinstance(event := next(self._events), SequenceEndEvent):
            if (node := self._node(event, event.start_mark, depth + 1)) is not None:
                yield node

    def _mapping(self, depth: int) -> Iterator[tuple[str, Node]]:
        from ruamel.yaml.events import MappingEndEvent

        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            mark = event.start_mark
            key = self._node(event, mark, depth + 1)
            node = self._node(next(self._events), mark, depth + 1)
            if key is None or node is None:
                continue
            if not isinstance(key.value, str):
                self._refuse(f"the key {key.value!r} is no text: write it in quotes", mark)
            elif key.value in lines:
                self._refuse(f"the key {key.value!r} stands in line {lines[key.value]} already", mark)
            else:
                lines[key.value] = mark.line + 1
                yield key.value, node

    def _refuse(self, what: str, mark: StreamMark) -> None:
        self.refused.append(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {what}")


def _resolve(text: str) -> Any:
    return next((make(text) for form, make in _CORE if form.fullmatch(text)), text)
