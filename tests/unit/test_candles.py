"""Bars as text: candles and tables."""

import pytest
from rich.console import Console

from market_data_pipeline.cli.bar_table import bar_table, list_table
from market_data_pipeline.cli.candles import draw
from market_data_pipeline.dataset import Found, Series
from market_data_pipeline.model import Bar, Origin, to_px

SECOND = 1_000_000_000
START = 1_704_205_800 * SECOND
ORIGIN = Origin("test", "dataset", 1, "live")


def bar(number, prices, *, length=60, volume=100.0, **fields):
    start = START + number * length * SECOND
    end = start + length * SECOND
    return Bar("AAPL", end, end, number, 0, ORIGIN, start, end, *map(to_px, prices), volume, 1.5, 7, **fields)


FOUR = Found(
    (
        bar(0, ("10", "14", "9", "13"), volume=10.0),
        bar(1, ("13", "13.5", "10", "11"), volume=80.0),
        bar(2, ("11", "11", "11", "11"), volume=0.0),
        bar(3, ("11", "16", "11", "16"), volume=40.0),
    ),
    None,
)


def picture(found, width=24, height=12, **options):
    return [line.plain.rstrip() for line in draw(found, width, height, **options)]


def test_four_candles():
    assert picture(FOUR) == [
        "AAPL  1m  test, trade p~",
        "      █",
        "      █            15",
        "╷     █",
        "▄ ▄   █",
        "█ █   █",
        "█ █   █",
        "█ ▀ ▀ ▀",
        "█ │                10",
        "│",
        "▁ █   ▄",
        "2024-01-02 14:30",
    ]


def test_four_candles_in_ascii_tell_rising_from_falling():
    lines = picture(FOUR, colour=False, ascii_only=True)
    assert all(line.isascii() for line in lines)
    assert {line[0] for line in lines[1:-3] if line} >= {"O", "."}
    assert {line[2] for line in lines[1:-3] if len(line) > 2} >= {"#"}


def test_without_colour_a_rising_body_is_thin():
    lines = picture(FOUR, colour=False)
    assert "┃" in {line[0] for line in lines[1:-3] if line}
    assert "█" in {line[2] for line in lines[1:-3] if len(line) > 2}


def test_with_colour_rising_is_green_and_falling_red():
    styles = {str(span.style) for line in draw(FOUR, 24, 12) for span in line.spans}
    assert {"green", "red"} <= styles


@pytest.mark.parametrize("height", [1, 8, 24, 100])
@pytest.mark.parametrize("width", [1, 10, 79, 80, 300])
@pytest.mark.parametrize("count", [1, 2, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits_and_the_newest_bar_is_there(width, height, count, ascii_only):
    bars = tuple(
        bar(number, (str(90 + number), str(99 + number), str(80 + number), "95.125")) for number in range(count)
    )
    bars = (*bars[:-1], bar(count - 1, ("95", "500", "95", "500")))
    lines = draw(Found(bars, SECOND), width, height, ascii_only=ascii_only)
    assert len(lines) == max(8, height)
    room = max(1, width - len("500") - 2)
    assert max(len(line.plain) for line in lines) <= width
    shown = min(room, count)
    column = (shown - 1) * (2 if 2 * shown <= room else 1)
    assert lines[1].plain[column] in "█#┃O"  # it is the highest


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (1, ["2024-01-02 14:30:00"]),
        (3600, ["2024-01-02 14:30", "2024-01-03 00:30"]),
        (86_400, ["2024-01-02", "2024-01-16"]),
    ],
)
def test_the_axis_says_when(length, words):
    found = Found(tuple(bar(number, ("1", "1", "1", "1"), length=length) for number in range(30)), None)
    line = picture(found, 78, 12)[-1]
    assert line.startswith(words[0])
    assert all(word in line for word in words)


def test_prices_on_the_axis_are_round_and_on_their_line():
    lines = picture(Found((bar(0, ("1.00", "1.90", "1.00", "1.90")),), None), 20, 22)
    labels = [line.split()[-1] for line in lines[1:-2] if line.split() and line.split()[-1][0].isdigit()]
    assert labels == ["1.8", "1.6", "1.4", "1.2", "1.0"]


def text(renderable, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(renderable)
    return console.export_text()


def test_the_table_has_every_digit_and_marks_what_is_special():
    bars = (
        bar(0, ("1.123456789", "2", "1", "1.5")),
        bar(1, ("1", "2", "1", "1.5"), is_final=False, complete=False),
    )
    shown = text(bar_table(Found(bars, SECOND)), 120)
    assert "AAPL  1m  test, trade prices, made from 1s bars" in shown
    assert "1.123456789" in shown
    assert "2.000000000" in shown
    assert "?!" in shown
    assert "provisional" in shown
    assert "incomplete" in shown


def test_nothing_special_needs_no_note():
    shown = text(bar_table(FOUR))
    assert "provisional" not in shown
    assert len(shown.splitlines()) == 7


def test_a_volume_without_a_price_has_no_vwap():
    assert " - " in text(
        bar_table(
            Found(
                (Bar(*(getattr(FOUR.bars[0], name) if name != "vwap" else None for name in Bar.__struct_fields__)),),
                None,
            )
        )
    )


def test_what_there_is():
    shown = text(list_table([Series("AAPL", SECOND, "test", "mid", START, START + SECOND // 2, 1_234)]), 120)
    assert shown.split("\n")[1].split() == [
        *("AAPL", "1s", "test", "mid", "2024-01-02", "14:30:00", "2024-01-02", "14:30:00.5", "1,234")
    ]
