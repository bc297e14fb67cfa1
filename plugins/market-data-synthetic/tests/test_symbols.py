"""Symbols that change while a run goes on."""

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.contracts import Dynamic, StreamRequest
from market_data_pipeline.errors import InvalidRequest, SourceClosed
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_pipeline.testing.simloop import START_NS
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import SyntheticSettings

BOTH = ("quote", "trade")
SECOND = 10**9
SETS = st.lists(
    st.tuples(st.integers(0, SECOND // 4), st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True)),
    max_size=4,
)


def identity(row):
    return (row.kind, row.symbol, row.ts_event)


def changing(changes, *, seed=0, slow=0, rate=10.0):
    """Stream A and B in real time for a second, and set the symbols at times.

    Returns:
        The rows with the time at which each came, and the times at which symbols were set, all from the start on.
    """

    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(rate=rate), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A", "B"), kinds=frozenset(BOTH)))
        rows, sets = [], [(0, ("A", "B"))]

        async def change():
            for after, symbols in changes:
                await loop.sleep_until(loop.monotonic_ns() + after)
                await source.set_symbols(symbols)
                assert list(source.symbols) == symbols
                sets.append((loop.time_ns() - START_NS, tuple(symbols)))
            await loop.sleep_until(SECOND)
            await source.close()

        task = loop.create_task(change())
        async for batch in source.batches():
            rows += [(row, loop.time_ns() - START_NS) for row in batch.rows]
            await loop.sleep_until(loop.monotonic_ns() + slow)
        await task
        return rows, sets

    return simulate(program, seed=seed)


@given(SETS, st.sampled_from([3.0, 100.0]), st.integers(0, 100), st.sampled_from([0, 40_000_000]))
@settings(max_examples=30)
def test_symbols_that_stay_lose_nothing_and_no_row_comes_twice(changes, rate, seed, slow):
    rows, sets = changing(changes, seed=seed, slow=slow, rate=rate)
    found = [identity(row) for row, _ in rows]
    assert len(set(found)) == len(found)
    assert [row.ordinal for row, _ in rows] == list(range(len(rows)))
    every, _ = changing([(0, list("ABCD"))], rate=rate)
    stayed = [symbol for symbol in "AB" if all(symbol in symbols for _, symbols in sets)]
    for kind in BOTH:
        wanted, mine = (
            [
                identity(row)
                for row, _ in of
                if row.symbol in stayed and row.kind == kind and row.ts_event < START_NS + SECOND - 20_000_000
            ]
            for of in (every, rows)
        )
        assert mine == (wanted[: len(mine)] if slow else wanted)


@given(SETS, st.sampled_from([20.0, 100.0]), st.integers(0, 100))
@settings(max_examples=30)
def test_only_the_symbols_of_the_time_come_and_new_ones_at_once(changes, rate, seed):
    rows, sets = changing(changes, seed=seed, rate=rate)
    for (begin, symbols), (end, _) in zip(sets, [*sets[1:], (SECOND, ())], strict=True):
        came = [row for row, time in rows if begin < time < end]
        assert {row.symbol for row in came} <= set(symbols)
        assert all(row.ts_event - START_NS >= begin - 5_000_000 for row in came if row.symbol in "CD")
        if end - begin > SECOND // 2:
            assert {row.symbol for row in came} == set(symbols)


def test_new_symbols_do_not_wait_for_the_next_row_of_those_before():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(rate=0.001, seed=1), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))
        batches = source.batches()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.set_symbols, [f"S{number}" for number in range(1000)])
            row = (await anext(batches)).rows[0]
        return row, loop.time_ns() - START_NS

    row, time = simulate(program)
    assert row.symbol != "A"
    assert time < 10 * SECOND


def test_symbols_can_be_set_before_the_first_row():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))
        assert isinstance(source, Dynamic)
        await source.set_symbols(["B", "B"])
        assert source.symbols == ("B",)
        return (await anext(source.batches())).rows[0].symbol

    assert simulate(program) == "B"


def test_a_run_that_cannot_change_says_so(ask):
    async def question(provider):
        source = provider.stream(StreamRequest(symbols=("A",)))
        with pytest.raises(InvalidRequest, match="leave out start and speed"):
            await source.set_symbols(["B"])
        with pytest.raises(InvalidRequest, match="at least one symbol"):
            await source.set_symbols([])
        assert source.symbols == ("A",)
        await source.close()
        with pytest.raises(SourceClosed):
            await source.set_symbols(["B"])

    ask(question, speed="max")


async def rows_until(batches, kind):
    """Take items up to the first batch of a kind."""
    rows = []
    async for batch in batches:
        rows += batch.rows
        if batch.kind == kind:
            return rows
    raise AssertionError


def test_no_row_of_another_symbol_follows_within_what_is_due(ask):
    async def question(provider):
        source = provider.stream(StreamRequest(symbols=("A", "B"), kinds=frozenset(BOTH)))
        batches = source.batches()
        before = await rows_until(batches, "quote")
        await source.set_symbols(["B", "C"])
        after = await rows_until(batches, "trade") + await rows_until(batches, "quote")
        await source.set_symbols(["D"])
        last = await rows_until(batches, "trade")
        return before, after, last

    before, after, last = ask(question, rate=2000, trades_per_quote=1)
    assert {row.symbol for row in before} == {"A", "B"}
    assert {row.symbol for row in after} == {"B", "C"}
    assert {row.symbol for row in last} == {"D"}
    ordinals = [row.ordinal for row in before + after + last]
    assert ordinals == sorted(set(ordinals))


def test_late_rows_of_symbols_that_stay_come_before_those_of_new_ones(ask):
    async def question(provider):
        source = provider.stream(StreamRequest(symbols=("A", "B")))
        batches = source.batches()
        before = await rows_until(batches, "quote")
        await source.set_symbols(["C", "A"])
        return before, [await rows_until(batches, "quote") for _ in range(3)]

    before, (held, *rest) = ask(question, rate=2000, fault_late="10s/2")
    assert {row.symbol for row in held} == {"A"}
    assert all(row.ordinal % 2 for row in held)
    assert not any(row.ordinal % 2 for row in before)
    assert max(row.ts_event for row in held) <= max(row.ts_event for row in before) + 5_000_000
    assert {row.symbol for rows in rest for row in rows} == {"A", "C"}
