"""The provider and its sources as the contract wants them."""

import anyio
import pytest

from market_data_pipeline.contracts import MarketDataProvider, StreamRequest, TickSource
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceBusy, SourceClosed
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import SyntheticSettings


@pytest.fixture
def make():
    """A provider of these settings."""

    def provider(**settings):
        return SyntheticProvider(SyntheticSettings(**settings), ServiceFactory().of("synthetic"))

    return provider


def request(*symbols, kinds=("quote",), after=None):
    return StreamRequest(symbols=symbols, kinds=frozenset(kinds), after=after)


def test_provider_and_source_are_what_the_contract_says(make):
    provider = make()
    source = provider.stream(request("A", "B", "A"))
    assert isinstance(provider, MarketDataProvider)
    assert isinstance(source, TickSource)
    assert source.symbols == ("A", "B")


def test_a_source_is_resumable_where_its_batches_have_positions(make):
    assert make(speed="max").stream(request("A")).capabilities == SyntheticProvider.capabilities
    assert not make().stream(request("A")).capabilities.resumable


def test_two_consumers_share_a_provider_and_nothing_else(run):
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(count=500), ServiceFactory(loop).of("synthetic"))
        found = {}

        async def consume(*symbols):
            source = provider.stream(request(*symbols, kinds=("quote", "trade")))
            await source.start()
            found[symbols] = [row async for batch in source.batches() for row in batch.rows]
            await source.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consume, "AAPL", "MSFT")
            tasks.start_soon(consume, "IBM")
        await provider.close()
        return found

    found = simulate(program)
    for symbols, rows in found.items():
        assert {row.symbol for row in rows} == set(symbols)
        alone = run(symbols, ("quote", "trade"), count=500).rows
        assert [(row.kind, row.ts_event) for row in rows] == [(row.kind, row.ts_event) for row in alone]
    assert len({rows[0].origin.epoch for rows in found.values()}) == 2


def test_a_source_is_iterated_once(make):
    source = make().stream(request("A"))
    source.batches()
    with pytest.raises(SourceBusy):
        source.batches()


def test_nothing_comes_after_close(make):
    async def program():
        provider = make(speed="max")
        source, other = provider.stream(request("A")), provider.stream(request("B"))
        await source.start()
        await provider.start()
        batches = source.batches()
        await anext(batches)
        await source.close()
        await source.close()
        assert [item async for item in batches] == []
        assert not (await source.status()).connected
        with pytest.raises(SourceClosed):
            source.batches()
        await provider.close()
        await provider.close()
        with pytest.raises(SourceClosed):
            other.batches()
        with pytest.raises(SourceClosed):
            provider.stream(request("A"))

    anyio.run(program)


def test_status_says_which_part_is_done(make):
    async def program():
        source = make(speed="max", count=10_000).stream(request("A"))
        before = await source.status()
        batches = source.batches()
        size = len(await anext(batches))
        after = await source.status()
        await batches.aclose()
        assert (before.connected, before.progress) == (False, 0.0)
        assert (after.connected, after.progress, after.detail) == (True, size / 10_000, f"{size} rows")
        assert (await make().stream(request("A")).status()).progress is None

    anyio.run(program)


@pytest.mark.parametrize(
    ("wanted", "error", "text"),
    [
        (request("A", kinds=("quote", "bar")), CapabilityNotSupported, "no bar"),
        (request(), InvalidRequest, "at least one symbol"),
        (request("A", kinds=()), InvalidRequest, "at least one kind"),
    ],
)
def test_a_request_that_cannot_be_served_says_what_to_do(make, wanted, error, text):
    with pytest.raises(error, match=text):
        make().stream(wanted)


def test_trades_alone_need_a_share_of_trades(make):
    with pytest.raises(InvalidRequest, match="trades_per_quote is 0"):
        make(trades_per_quote=0).stream(request("A", kinds=("trade",)))
    make(trades_per_quote=0).stream(request("A", kinds=("quote", "trade")))
