"""Bars as candles of text. Imported on first use: it needs rich."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
from rich.text import Text

from market_data_pipeline.cli.bar_table import decimals, fixed, title
from market_data_pipeline.dataset import Found
from market_data_pipeline.model import SCALE, Bar, to_text

_DAY_NS = 86_400_000_000_000
_MINUTE_NS = 60_000_000_000
_LEAST_HEIGHT = 8
_AROUND = 3
"""Lines around the candles: title, volume, axis of time."""
_STEPS = (1, 2, 5)

_NONE, _WICK, _BODY = 0, 1, 2
_BLOCKS = {"00": " ", "11": "│", "10": "╵", "01": "╷", "22": "█", "20": "▀", "02": "▄", "21": "▀", "12": "▄"}
_HOLLOW = _BLOCKS | {"22": "┃", "20": "╹", "02": "╻", "21": "╿", "12": "╽"}
"""A rising bar where there is no colour."""
_ASCII = {"00": " ", "11": "|", "10": "'", "01": ".", "22": "#", "20": "#", "02": "#", "21": "#", "12": "#"}
_ASCII_HOLLOW = _ASCII | {"22": "O", "20": "O", "02": "O", "21": "O", "12": "O"}
_LETTERS = {
    (False, False): _BLOCKS,
    (False, True): _HOLLOW,
    (True, False): _ASCII,
    (True, True): _ASCII_HOLLOW,
}
"""By whether only ASCII may be used, and whether the body is hollow."""
_VOLUMES = " ▁▂▃▄▅▆▇█"
_ASCII_VOLUMES = " .:-=+*#"


@attrs.frozen
class _Scale:
    """Which half line a price lies on, counted from the bottom."""

    low: int
    high: int
    halves: int

    def at(self, px: int) -> int:
        """Return the half line of a price, rounded to the nearest."""
        return ((px - self.low) * (self.halves - 1) * 2 + (self.high - self.low)) // (2 * (self.high - self.low))


def draw(found: Found, width: int, height: int, *, colour: bool = True, ascii_only: bool = False) -> list[Text]:
    """Return the newest bars that fit as candles, with an axis of prices, one of times, and the volumes.

    Without colour a rising bar has a thin body, a falling one a full one.

    Args:
        found: The bars, at least one, oldest first.
        width: Columns; lines are no longer.
        height: Lines.
        colour: Whether rising bars are green and falling ones red.
        ascii_only: Whether nothing but ASCII may be used.
    """
    lines = max(_LEAST_HEIGHT, height) - _AROUND
    margin = max(len(to_text(px)) for bar in found.bars for px in (bar.high_px, bar.low_px)) + 2
    room = max(1, width - margin)
    bars = found.bars[-room:]
    step = 2 if len(bars) * 2 <= room else 1
    low, high = min(bar.low_px for bar in bars), max(bar.high_px for bar in bars)
    scale = _Scale(low, max(high, low + 1), 2 * lines)
    labels = _labels(scale, lines)
    columns = [_candle(bar, scale, colour=colour, ascii_only=ascii_only) for bar in bars]
    made = [Text(_clipped(title(attrs.evolve(found, bars=bars)), width), style="bold" if colour else "")]
    for line in reversed(range(lines)):
        text = Text()
        for column in columns:
            text.append_text(column[line]).append(" " * (step - 1))
        made.append(text.append(" " * (room - len(columns) * step) + " " + labels.get(line, "")))
    made.append(Text(_volumes(bars, step, ascii_only=ascii_only), style="dim" if colour else ""))
    made.append(Text(_times(bars, step, room)))
    for text in made:
        text.truncate(max(1, width))
    return made


def _candle(bar: Bar, scale: _Scale, *, colour: bool, ascii_only: bool) -> list[Text]:
    """Return the characters of one bar, from the bottom up."""
    rising = bar.close_px >= bar.open_px
    style = "" if not colour else "green" if rising else "red"
    hollow = rising and not colour
    letters = _LETTERS[ascii_only, hollow]
    low, high = scale.at(bar.low_px), scale.at(bar.high_px)
    bottom, top = scale.at(min(bar.open_px, bar.close_px)), scale.at(max(bar.open_px, bar.close_px))
    halves = [_BODY if bottom <= half <= top else _WICK * (low <= half <= high) for half in range(scale.halves)]
    return [Text(letters[f"{halves[at + 1]}{halves[at]}"], style=style) for at in range(0, scale.halves, 2)]


def _labels(scale: _Scale, lines: int) -> dict[int, str]:
    """Return round prices by the line that they lie on, at most one for three lines."""
    span = scale.high - scale.low
    step = next(
        nice * 10**power for power in range(19) for nice in _STEPS if nice * 10**power * max(1, lines // 3) >= span
    )
    first = -(-scale.low // step) * step
    prices = range(first, scale.high + 1, step) or (scale.low,)
    return {scale.at(px) // 2: fixed(px, decimals(step)) for px in prices}


def _volumes(bars: Sequence[Bar], step: int, *, ascii_only: bool) -> str:
    letters = _ASCII_VOLUMES if ascii_only else _VOLUMES
    most = max(bar.volume for bar in bars)
    sizes = [-(-bar.volume * (len(letters) - 1) // most) if most > 0 else 0 for bar in bars]
    return (" " * (step - 1)).join(letters[int(max(0, size))] for size in sizes)


def _times(bars: Sequence[Bar], step: int, room: int) -> str:
    """Return the starts of some bars, each below its own, the first with its date."""
    interval = bars[0].end - bars[0].start
    form = "%Y-%m-%d" if interval >= _DAY_NS else "%H:%M" if interval >= _MINUTE_NS else "%H:%M:%S"
    line, day = "", -1
    for number, bar in enumerate(bars):
        at = number * step
        if line and at < len(line) + 3:
            continue
        new = bar.start // _DAY_NS != day and interval < _DAY_NS
        word = datetime.fromtimestamp(bar.start // SCALE, UTC).strftime(f"%Y-%m-%d {form}" if new else form)
        if at + len(word) > room + 1:
            break
        day = bar.start // _DAY_NS
        line = line.ljust(at) + word
    return line


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "~"
