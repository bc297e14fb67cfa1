"""Bars of the past."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.contracts import BarsRequest
from market_data_pipeline.errors import InvalidRequest, SourceClosed, UnknownSymbol
from market_data_pipeline.model import END_OF_TIME, Watermark
from market_data_pipeline.operator import SecondBarAggregator
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_pipeline.testing.simloop import START_NS
from market_data_synthetic import history as module
from market_data_synthetic.provider import MAX_BARS, SyntheticProvider
from market_data_synthetic.settings import DEFAULT_START, END_OF_TICKS, SyntheticSettings

SECOND = 10**9
BASES = ("trade", "bid", "ask", "mid")


def values(row, without=("origin",)):
    return {name: getattr(row, name) for name in row.__struct_fields__ if name not in without}


def folded(batches, seconds, basis):
    """The final bars that the operator makes of what streamed."""
    operator = SecondBarAggregator(seconds, basis=basis)
    for batch in batches:
        if batch.kind in operator.accepts:
            operator.on_batch(batch)
    *bars, _ = operator.on_control(Watermark(source="synthetic", ts=0, ts_event=END_OF_TIME)).items
    return [row for batch in bars for row in batch.rows]


def rows(batches):
    return [row for batch in batches for row in batch.rows]


@given(
    st.tuples(st.sampled_from(BASES), st.sampled_from([1, 2, 7, 60, 3600])),
    st.integers(0, 2**61),
    st.fixed_dictionaries({"rate": st.sampled_from([0.05, 3.0, 400.0]), "seed": st.integers(0, 2**64 - 1)}),
)
@settings(max_examples=60)
def test_bars_are_those_that_the_operator_makes_of_the_stream(run, history, bars, start, ticks):
    basis, seconds = bars
    start -= start % (seconds * SECOND)
    kind = "trade" if basis == "trade" else "quote"
    streamed = run(["A"], [kind], **ticks, start=start, speed="max", count=1500)
    expected = folded(streamed.batches, seconds, basis)[:-1]  # the count cut the last one short
    if expected:
        found = rows(history("A", start, expected[-1].end, seconds, basis, speed="max", **ticks))
        assert [values(bar) for bar in found] == [values(bar) for bar in expected]


def test_bars_of_one_symbol_are_those_of_a_stream_of_many_but_for_the_place_of_its_rows(run, history):
    streamed = run(["B", "A"], ["quote", "trade"], start=DEFAULT_START, speed="max", count=4000)
    expected = [bar for bar in folded(streamed.batches, 5, "trade") if bar.symbol == "A"][:-1]
    found = rows(history("A", DEFAULT_START, expected[-1].end, 5))
    other = ("origin", "ordinal")
    assert [values(bar, other) for bar in found] == [values(bar, other) for bar in expected]
    assert len(found) > 10


def test_history_agrees_with_what_streams_in_real_time(run, history):
    streamed = run(["A"], ["quote"], count=900)
    expected = folded(streamed.batches, 1, "mid")[1:-1]  # the stream began within the first
    found = rows(history("A", START_NS, expected[-1].end, 1, "mid", speed="max"))[1:]
    other = ("origin", "ordinal", "ts_recv", "flags")
    assert [values(bar, other) for bar in found] == [values(bar, other) for bar in expected]
    assert len(found) > 80


def test_a_request_within_an_interval_gives_the_bars_that_start_in_it(history):
    start = DEFAULT_START + 1
    found = rows(history("A", start, start + 10 * SECOND, 5, "bid"))
    assert [bar.start - DEFAULT_START for bar in found] == [5 * SECOND, 10 * SECOND]
    assert rows(history("A", start, start + 4 * SECOND, 5, "bid")) == []


def test_an_interval_without_a_tick_has_no_bar(history):
    found = rows(history("A", DEFAULT_START, DEFAULT_START + 100_000 * SECOND, rate=0.01))
    starts = [bar.start for bar in found]
    assert starts == sorted(set(starts))
    assert 150 < len(starts) < 350


def test_parts_of_a_range_are_the_whole(history):
    start, middle, end = (DEFAULT_START + minutes * 60 * SECOND for minutes in (0, 7, 20))
    whole = rows(history("A", start, end))
    parts = rows(history("A", start, middle)) + rows(history("A", middle, end))
    other = ("origin", "ordinal")
    assert [values(bar, other) for bar in parts] == [values(bar, other) for bar in whole]


def test_equal_requests_have_equal_identities_and_different_ones_have_others(history):
    start, end = DEFAULT_START, DEFAULT_START + 10 * SECOND
    one, same = history("A", start, end, 1, "mid"), history("A", start, end, 1, "mid")
    assert rows(one) == rows(same)
    assert one[0].origin.mode == "synthetic"
    changes = [
        history("B", start, end, 1, "mid"),
        history("A", start + SECOND, end, 1, "mid"),
        history("A", start, end, 2, "mid"),
        history("A", start, end, 1, "bid"),
        history("A", start, end, 1, "mid", seed=1),
    ]
    assert len({found[0].origin.epoch for found in [one, *changes]}) == 6


def test_long_ranges_come_in_batches_born_as_columns(history):
    found = history("A", DEFAULT_START, DEFAULT_START + 20_000 * SECOND, 1, "ask")
    assert {batch.born for batch in found} == {"columns"}
    assert min(map(len, found[:-1])) >= MAX_BARS
    assert max(map(len, found)) <= MAX_BARS + module.SLOTS
    assert sum(map(len, found)) == 20_000
    ordinals = [row.ordinal for row in rows(found)]
    assert ordinals == sorted(set(ordinals))


def test_a_range_of_a_century_costs_only_what_is_taken_and_lets_others_run():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(start=5), ServiceFactory(loop).of("synthetic"))
        request = BarsRequest(symbol="A", start=0, end=END_OF_TICKS, interval_ns=60 * SECOND)
        bars = provider.get_historical_bars(request)
        first = await anext(bars)
        await bars.aclose()
        long = BarsRequest(symbol="A", start=0, end=END_OF_TICKS, interval_ns=module.YEAR)
        with anyio.move_on_after(0) as scope:
            await anext(provider.get_historical_bars(long))
        return first, scope.cancelled_caught

    first, cancelled = simulate(program)
    assert first.rows[0].start == 0
    assert cancelled


def test_in_real_time_no_bar_of_the_future_is_known(history):
    now = START_NS
    found = rows(history("A", now - 10 * SECOND, now + 100 * SECOND, 2, "mid"))
    assert [bar.end for bar in found] == [now - left * SECOND for left in (8, 6, 4, 2, 0)]
    assert rows(history("A", now - 10 * SECOND, now + 100 * SECOND, 3600, "mid")) == []


@pytest.mark.parametrize(
    ("asked", "given", "text"),
    [
        ((5, 5), {}, "start is first"),
        ((6 * SECOND, SECOND), {}, "start is first"),
        ((-1, SECOND), {}, "start is first"),
        ((0, END_OF_TICKS + 1), {}, "no range"),
        ((0, END_OF_TICKS, 367 * 86_400), {}, "and a year"),
        ((0, SECOND, 0.5), {}, "between a second"),
        ((0, SECOND), {"trades_per_quote": 0}, "trades_per_quote is 0"),
    ],
)
def test_bars_that_there_cannot_be_are_refused(history, asked, given, text):
    with pytest.raises(InvalidRequest, match=text):
        history("A", *asked, **given)


def test_without_trades_there_are_bars_of_quotes(history):
    assert rows(history("A", 0, 10 * SECOND, 1, "mid", trades_per_quote=0))


@pytest.mark.parametrize("symbol", ["", "A B", "\n", "A" * 33])
def test_a_symbol_that_stands_for_nothing_has_no_history(history, symbol):
    with pytest.raises(UnknownSymbol, match="a symbol is 1 to 32 characters"):
        history(symbol, 0, SECOND)


def test_history_ends_with_its_provider(ask):
    request = BarsRequest(symbol="A", start=0, end=END_OF_TICKS, interval_ns=60 * SECOND)

    async def question(provider):
        bars = provider.get_historical_bars(request)
        await anext(bars)
        await provider.close()
        with pytest.raises(SourceClosed):
            await anext(bars)
        with pytest.raises(SourceClosed):
            provider.get_historical_bars(request)

    ask(question)


def test_a_time_without_trades_has_no_bars(history):
    assert history("A", DEFAULT_START, DEFAULT_START + 1000 * SECOND, trades_per_quote=1e-9, rate=0.001) == []
