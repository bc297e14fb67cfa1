"""From the texts of a file to a record batch with our columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.errors import MalformedMessage
from market_data_pipeline.model import Kind
from market_data_pipeline.model.arrow import schema
from market_data_pipeline.model.columns import TEXT, dtype
from market_data_replay.formats.text.times import to_nanos
from market_data_replay.settings import ReplaySettings

TIMES = frozenset({"ts_event", "ts_recv", "start", "end"})
_WORDS = TEXT | {"provider", "mode"}
_PRICE = pa.decimal128(18, 9)
_SIDES = {"buy": "buy", "sell": "sell"}
_MODES = frozenset({"live", "delayed", "frozen", "backfill", "synthetic"})
_BASES = frozenset({"trade", "mid", "bid", "ask"})
_ALLOWED = {"mode": _MODES, "basis": _BASES}
_ABSENT: dict[str, Any] = {
    "volume": 0.0,
    "trades": 0,
    "revision": pa.scalar(0, pa.int32()),
    "is_final": True,
    "complete": True,
}
"""What a bar has where its file has no such column."""

Texts = Mapping[str, "pa.Array[Any]"]


def names_of(kind: Kind) -> tuple[str, ...]:
    """Return the names that columns of a kind can have in files."""
    return tuple(name for name in schema(kind).names if name != "time")


@attrs.frozen(kw_only=True)
class Table:
    """Rows of one kind as texts, one array per column that the file has."""

    kind: Kind
    texts: Texts
    settings: ReplaySettings
    own: bool = False
    """Whether the pipeline wrote it: then times are int ns, whatever their size."""

    @property
    def stamped(self) -> bool:
        """Whether its rows have identities."""
        return {"epoch", "ordinal"} <= set(self.texts)

    def __len__(self) -> int:
        return len(next(iter(self.texts.values())))

    def read(self, start: int, stop: int) -> pa.RecordBatch:
        """Return rows with our columns.

        Raises:
            MalformedMessage: A text is not what its column holds, or is missing.
        """
        arrays = {name: self._column(name, texts.slice(start, stop - start)) for name, texts in self.texts.items()}
        try:
            self._complete(arrays, stop - start)
        except pa.ArrowInvalid as error:
            raise MalformedMessage(f"start or end: {error}") from error
        return pa.RecordBatch.from_pydict(arrays)

    def _column(self, name: str, texts: Any) -> Any:
        try:
            return self._typed(name, texts)
        except (pa.ArrowInvalid, MalformedMessage) as error:
            value = f" {texts[0].as_py()!r:.40}" if len(texts) == 1 else ""
            raise MalformedMessage(f"{name}{value}: {error}") from error

    def _typed(self, name: str, texts: Any) -> Any:
        if name in TIMES:
            return to_nanos(texts, self.settings, unit="ns" if self.own else self._unit(name))
        if name == "side":
            return self._sides(texts)
        if name in _WORDS:
            words = texts.dictionary_encode()
            if name in _ALLOWED and (wrong := {*words.dictionary.to_pylist()} - _ALLOWED[name]):
                raise MalformedMessage(f"{min(wrong)!r} is none of {', '.join(sorted(_ALLOWED[name]))}")
            return words
        if name in {"price", "bid", "ask", "open", "high", "low", "close"}:
            return texts.cast(_PRICE)
        return texts.cast(pa.from_numpy_dtype(dtype(name)))

    def _unit(self, name: str) -> str | None:
        recv = self.settings.recv_unit if name == "ts_recv" else None
        return recv or self.settings.time_unit

    def _sides(self, texts: Any) -> Any:
        codes = texts.dictionary_encode()
        words = {word: self._side(word) for word in codes.dictionary.to_pylist()}
        return pa.DictionaryArray.from_arrays(codes.indices, pa.array(list(words.values()), pa.string())).cast(
            pa.string()
        )

    def _side(self, word: str) -> str:
        side = self.settings.sides.get(word) or _SIDES.get(word.lower())
        if side is None:
            raise MalformedMessage(f"{word!r} is no side: say with sides which words mean buy and sell")
        return side

    def _complete(self, arrays: dict[str, Any], count: int) -> None:
        """Add the columns that the file does not have, where there is something to put there."""
        settings = self.settings
        constants: dict[str, Any] = {"provider": settings.provider, "mode": "live"}
        if settings.symbol:
            constants["symbol"] = settings.symbol
        if self.kind == "bar":
            self._complete_bar(arrays)
            constants |= {"basis": settings.basis, **_ABSENT}
        for name, value in constants.items():
            if name not in arrays:
                arrays[name] = pa.repeat(value, count)
        for name in names_of(self.kind):
            if name not in arrays and name not in {"ts_event", "ts_recv", "epoch", "ordinal", "flags"}:
                arrays[name] = pa.nulls(count, schema(self.kind).field(name).type)

    def _complete_bar(self, arrays: dict[str, Any]) -> None:
        """A bar has a start, an end and its end as `ts_event`; from one of them and the interval the others follow."""
        interval: Any = pa.scalar(self.settings.interval, pa.int64())
        end = arrays.get("end", arrays.get("ts_event"))
        if end is None:
            end = pc.add_checked(arrays["start"], interval)
        arrays.setdefault("start", None)
        if arrays["start"] is None:
            arrays["start"] = pc.subtract_checked(end, interval)
        arrays["end"] = end
        arrays["ts_event"] = arrays.get("ts_event", end)
