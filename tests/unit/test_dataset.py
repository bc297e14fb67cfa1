"""The bars of a dataset: what is found, of what it is made, and what a mistake says."""

import asyncio

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from market_data_pipeline.dataset import BarQuery, find_folders, find_series
from market_data_pipeline.dataset.reader import BarReader
from market_data_pipeline.dataset.search import Search
from market_data_pipeline.errors import ConfigurationError, MalformedMessage
from market_data_pipeline.model import Bar, BarBatch, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.sink import ParquetSink

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
MIDNIGHT = 20_000 * DAY


def bar(start, *, symbol="A", length=SECOND, px=100, epoch=1, provider="test", **fields):
    origin = Origin(provider, provider, epoch, "live")
    prices = (px * SECOND, (px + 2) * SECOND, (px - 1) * SECOND, (px + 1) * SECOND)
    end = start + length
    return Bar(symbol, end, end, start // SECOND, 0, origin, start, end, *prices, 10.0, float(px), 3, **fields)


def write(root, *batches, name="p", **layout):
    async def run():
        sink = ParquetSink(root, **layout)
        await sink.open(name)
        for rows in batches:
            kind = {Bar: BarBatch, Quote: QuoteBatch, Trade: TradeBatch}[type(rows[0])]
            await sink.write(kind(rows))
        await sink.commit(None, b"")
        await sink.close()

    asyncio.run(run())


def ask(root, **question):
    return BarQuery(**question).run(find_folders(root))


def starts(found):
    return [one.start for one in found.bars]


@pytest.fixture
def seconds(tmp_path):
    """Five minutes around midnight of bars of one second, some left out, in small row groups."""
    all_of_them = [
        bar(MIDNIGHT + number * SECOND, px=100 + number % 7)
        for number in range(-150, 150)
        if not (0 <= number < 60 and number % 2)
    ]
    write(tmp_path, all_of_them, rows_per_group=16, rows_per_file=64)
    return tmp_path, all_of_them


def test_the_newest_come_from_several_files_and_days_oldest_first(seconds):
    root, all_of_them = seconds
    (found,) = ask(root, last=200)
    assert list(found.bars) == read_back(all_of_them)[-200:]
    assert found.made_from is None


def read_back(bars):
    """Return bars as they come out of a file."""
    return [replace(one, origin=replace(one.origin, source="dataset")) for one in bars]


@pytest.mark.parametrize("last", [1, 2, 7, 1000])
@pytest.mark.parametrize("begin", [None, MIDNIGHT - 10 * SECOND, MIDNIGHT + 20 * SECOND - 1])
@pytest.mark.parametrize("end", [None, MIDNIGHT, MIDNIGHT + 40 * SECOND + 1, MIDNIGHT - DAY])
def test_a_query_is_a_filter_over_all_bars(seconds, last, begin, end):
    root, all_of_them = seconds
    expected = [
        one.start for one in all_of_them if (begin is None or one.start >= begin) and (end is None or one.start < end)
    ][-last:]
    question = {"start": begin, "end": end, "last": last}
    if expected:
        assert starts(ask(root, **question)[0]) == expected
    else:
        with pytest.raises(ConfigurationError, match="A has no such bars in that time"):
            ask(root, **question)


def test_only_row_groups_that_can_have_them_are_read(seconds, monkeypatch):
    root, _ = seconds
    read = []
    real = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *args, **kw: read.append(args[1]) or real(*args, **kw))
    BarQuery(symbols=("A",), last=16).run(find_folders(root))
    assert len(read) <= 2


def test_longer_bars_are_made_as_the_operator_makes_them(seconds):
    """The last one is provisional: the dataset ends within it."""
    root, all_of_them = seconds
    (found,) = ask(root, symbols=("A",), interval=MINUTE, last=3)
    operator = SecondBarAggregator(interval="1m")
    operator.on_batch(BarBatch(read_back(all_of_them)))
    expected = [one for batch in operator.finish().items for one in batch.rows][-3:]
    assert [(one.start, one.open_px, one.volume, one.trades) for one in found.bars] == [
        (one.start, one.open_px, one.volume, one.trades) for one in expected
    ]
    assert [one.is_final for one in found.bars] == [True, True, False]
    assert found.made_from == SECOND


def test_a_long_bar_is_final_when_the_dataset_reaches_its_end(tmp_path):
    write(tmp_path, [bar(MIDNIGHT + number * SECOND) for number in range(60)])
    assert [one.is_final for one in ask(tmp_path, interval=MINUTE)[0].bars] == [True]


def test_long_bars_are_made_a_day_at_a_time(tmp_path, monkeypatch):
    write(tmp_path, [bar(MIDNIGHT + hour * 3600 * SECOND, length=3600 * SECOND) for hour in range(24 * 21)])
    spans = []
    real = BarReader.read
    monkeypatch.setattr(
        BarReader,
        "read",
        lambda self, start, end, *rest: spans.append(end - start) or real(self, start, end, *rest),
    )
    (found,) = ask(tmp_path, interval=7 * DAY, last=2)
    assert max(spans) == DAY
    assert len(found.bars) == 2


def test_a_hole_of_years_is_jumped_over(tmp_path, monkeypatch):
    write(tmp_path, [bar(MIDNIGHT - 3_000 * DAY)], [bar(MIDNIGHT)])
    windows = []
    real = Search._window
    monkeypatch.setattr(Search, "_window", lambda *args, **kw: windows.append(args) or real(*args, **kw))
    assert starts(ask(tmp_path, last=2)[0]) == [MIDNIGHT - 3_000 * DAY, MIDNIGHT]
    assert len(windows) < 60


def test_of_two_bars_for_one_interval_the_better_one_is_shown(tmp_path):
    write(tmp_path, [bar(MIDNIGHT, is_final=False, px=1)], name="one")
    write(tmp_path, [bar(MIDNIGHT, px=2), bar(MIDNIGHT, px=3, revision=1)], name="two")
    write(tmp_path, [bar(MIDNIGHT, px=4, epoch=2)], name="three")
    assert [one.open for one in ask(tmp_path)[0].bars] == [3.0]


def test_providers_and_bases_are_kept_apart(tmp_path):
    write(tmp_path, [bar(MIDNIGHT)], [bar(MIDNIGHT, provider="b/c")], [bar(MIDNIGHT, basis="mid")])
    everything = [(found.bars[0].origin.provider, found.bars[0].basis) for found in ask(tmp_path)]
    assert everything == [("b/c", "trade"), ("test", "mid"), ("test", "trade")]
    assert len(ask(tmp_path, provider="b/c")) == 1
    assert len(ask(tmp_path, basis="mid")) == 1


def test_what_there_is_is_listed(tmp_path):
    write(tmp_path, [bar(MIDNIGHT), bar(MIDNIGHT + SECOND, symbol="B", basis="mid"), bar(MIDNIGHT + 2 * SECOND)])
    write(tmp_path, [bar(MIDNIGHT, length=MINUTE, basis="bid")])
    found = [
        (one.symbol, one.interval, one.basis, one.first, one.last, one.rows)
        for one in find_series(find_folders(tmp_path))
    ]
    assert found == [
        ("A", SECOND, "trade", MIDNIGHT, MIDNIGHT + 3 * SECOND, 2),
        ("A", MINUTE, "bid", MIDNIGHT, MIDNIGHT + MINUTE, 1),
        ("B", SECOND, "mid", MIDNIGHT + SECOND, MIDNIGHT + 2 * SECOND, 1),
    ]


@pytest.mark.parametrize(
    "part", ["", "kind=bar", "kind=bar/interval=1s", "kind=bar/interval=1s/provider=test/date=2024-10-04"]
)
def test_a_part_of_a_dataset_is_a_dataset(tmp_path, part):
    write(tmp_path, [bar(MIDNIGHT)])
    assert starts(ask(tmp_path / part)[0]) == [MIDNIGHT]


def test_a_file_without_statistics_is_read_too(tmp_path):
    write(tmp_path, [bar(MIDNIGHT + number * SECOND) for number in range(5)])
    (path,) = tmp_path.rglob("*.parquet")
    pq.write_table(pq.ParquetFile(path).read(), path, write_statistics=False)
    assert starts(ask(tmp_path, symbols=("A",), last=2)[0]) == [MIDNIGHT + 3 * SECOND, MIDNIGHT + 4 * SECOND]


def test_prices_may_be_floats_in_some_files(tmp_path):
    write(tmp_path, [bar(MIDNIGHT)], name="one")
    write(tmp_path, [bar(MIDNIGHT + SECOND)], name="two", prices="float64")
    assert [one.open for one in ask(tmp_path)[0].bars] == [100.0, 100.0]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"symbols": ("AB",), "interval": SECOND}, "symbol: there are no bars of 'AB'; did you mean 'B' or 'AA'?"),
        ({"symbols": ("AA",), "interval": SECOND}, "symbol: AA has no such bars; it has 1m of bid prices from test"),
        ({"symbols": ("B",), "interval": SECOND, "end": 5}, "in that time; it has 1s of trade prices from test"),
        ({"symbols": ("B",), "interval": SECOND * 3 // 2}, "no bars of 1500ms, nor such as make them up: 1s, 1m"),
        ({"symbols": ("B",)}, "interval: there are bars of 1s, 1m: name one of them"),
        ({"interval": SECOND}, "symbol: there are bars of 9 symbols, B, S0, S1, S2, S3, S4, S5, S6, …: name some"),
        ({"provider": "tset"}, "provider: no bars are from 'tset'; did you mean 'test'?"),
    ],
)
def test_a_question_without_one_answer_says_what_there_is(tmp_path, question, message):
    write(tmp_path, [bar(MIDNIGHT, symbol="B")], [bar(MIDNIGHT, symbol=f"S{number}") for number in range(8)])
    write(tmp_path, [bar(MIDNIGHT, symbol="AA", length=MINUTE, basis="bid")])
    with pytest.raises(ConfigurationError) as failure:
        ask(tmp_path, **question)
    assert message in str(failure.value)


ORIGIN = Origin("test", "test", 1, "live")


@pytest.mark.parametrize(
    ("row", "command"),
    [
        (Trade("A", 1, 1, 1, 0, ORIGIN, 1, 1.0), "kind=trade -> bars:1m -> parquet:"),
        (Quote("A", 1, 1, 1, 0, ORIGIN, 1, 2, 1.0, 1.0), "kind=quote -> bars:1m?basis=mid -> parquet:"),
    ],
)
def test_where_there_are_ticks_alone_it_says_how_to_make_bars(tmp_path, row, command):
    write(tmp_path, [row])
    with pytest.raises(ConfigurationError, match="no bars; make some") as failure:
        find_folders(tmp_path)
    assert command in str(failure.value)


def test_no_dataset_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        find_folders(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="there are no bars: they lie in kind=bar/interval="):
        find_folders(tmp_path)
    (tmp_path / "kind=bar/interval=1s/provider=x/date=today").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="is no folder of a dataset of bars"):
        find_folders(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_damaged_file_is_named(tmp_path, content):
    write(tmp_path, [bar(MIDNIGHT)])
    (path,) = tmp_path.rglob("*.parquet")
    path.write_bytes(content)
    for look in (lambda: ask(tmp_path, symbols=("A",)), lambda: find_series(find_folders(tmp_path))):
        with pytest.raises(MalformedMessage, match="cannot be read as a file of bars") as failure:
            look()
        assert str(path) in str(failure.value)
