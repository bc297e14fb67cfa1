"""Questions to a provider: what is undeclared is not asked, and an answer is checked before it is handed on."""

from functools import partial

import anyio
import pytest

from market_data_pipeline.contracts import BarsRequest, Capabilities, ChainRequest, MarketDataProvider
from market_data_pipeline.errors import (
    CapabilityNotSupported,
    InvalidRequest,
    RateLimited,
    SourceBug,
    SourceTimeout,
    UnknownSymbol,
)
from market_data_pipeline.model import (
    Bar,
    BarBatch,
    Gap,
    Instrument,
    OptionQuote,
    Origin,
    Quote,
    QuoteBatch,
    to_px,
)
from market_data_pipeline.orchestration.queries import Queries
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source import ProviderPool, ServiceFactory
from market_data_pipeline.testing import simulate

ORIGIN = Origin("acme", "acme", 1, "backfill")
SECOND = 1_000_000_000
EVERYTHING = Capabilities(history=frozenset({"bar"}), option_chain=True, resolve=True)
REQUEST = BarsRequest(symbol="A", start=0, end=10 * SECOND, interval_ns=SECOND)
CHAIN = ChainRequest(underlying="A", expiries=("2026-01-01", "2026-12-31"), strikes=(to_px(50), to_px(150)))


def bar(second, *, symbol="A", basis="trade", length=SECOND):
    start = second * SECOND
    return Bar(symbol, start + length, 0, second, 0, ORIGIN, start, start + length, 1, 1, 1, 1, 1.0, None, 1, basis)


def option(underlying="A", strike=100, *, expiry="2026-01-16", right="call"):
    return OptionQuote(f"{underlying}{strike}", underlying, expiry, to_px(strike), right, 0, 0, ORIGIN)


class Provider(MarketDataProvider):
    """Answers what a test wants."""

    capabilities = EVERYTHING

    def __init__(self, answer):
        self.answer = answer
        self.started = self.closed = 0

    async def start(self):
        self.started += 1

    async def get_historical_bars(self, request):
        for item in self.answer:
            if isinstance(item, Exception):
                raise item
            if item is anyio.sleep_forever:
                await item()
            yield item

    async def get_options_chain(self, request):
        if self.answer is anyio.sleep_forever:
            await anyio.sleep_forever()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    resolve = get_options_chain

    async def close(self):
        self.closed += 1


def ask(answer, question, capabilities=EVERYTHING):
    """Return what a question comes to, and the provider that was asked."""
    provider = Provider(answer)
    spec = ProviderSpec(name="acme", factory=lambda *_: provider, capabilities=capabilities)

    async def main(loop):
        pool = ProviderPool(ServiceFactory(loop))
        try:
            return await question(Queries(spec, None, pool))
        finally:
            assert (provider.started, provider.closed, pool.status()) == (1, 1, ()) or not provider.started

    return simulate(main), provider


def history(answer, *, limit=100):
    return ask(answer, lambda queries: queries.historical_bars(REQUEST, limit=limit))[0]


def chain(answer):
    return ask(answer, lambda queries: queries.option_chain(CHAIN))[0]


def columns(*rows):
    batch = BarBatch(rows)
    return BarBatch.from_columns(batch.columns, ORIGIN)


@pytest.mark.parametrize("make", [lambda *rows: BarBatch(rows), columns], ids=["rows", "columns"])
def test_bars_come_as_they_are_with_what_was_said_of_them(make):
    gap = Gap(source="acme", ts=0, start=2 * SECOND, end=3 * SECOND, reason="vendor")
    found = history([make(bar(0), bar(1)), gap, make(bar(3))])
    assert found.rows == (bar(0), bar(1), bar(3))
    assert (len(found), found.events, found.symbol, found.interval_ns) == (3, (gap,), "A", SECOND)


def test_nothing_is_an_answer_too():
    assert len(history([])) == len(chain([])) == 0


@pytest.mark.parametrize("make", [lambda *rows: BarBatch(rows), columns], ids=["rows", "columns"])
@pytest.mark.parametrize(
    "rows",
    [
        [bar(0, symbol="B")],
        [bar(0, basis="mid")],
        [bar(0, length=2 * SECOND)],
        [bar(1), bar(0)],
        [bar(1), bar(1)],
        [bar(10)],
        [bar(-1)],
    ],
    ids=["symbol", "basis", "interval", "order", "twice", "behind", "before"],
)
def test_bars_that_were_not_asked_for_are_a_bug_of_the_plugin(make, rows):
    """RT-4."""
    with pytest.raises(SourceBug, match=r"acme gave a .*bar .*: report this to the plugin's author"):
        history([make(*rows)])


@pytest.mark.parametrize("item", [QuoteBatch([Quote("A", 0, 0, 0, 0, ORIGIN, 1, 2, 1.0, 1.0)]), "bars"])
def test_other_things_than_bars_are_a_bug_of_the_plugin(item):
    """RT-4."""
    with pytest.raises(SourceBug, match=r"acme gave a (QuoteBatch|str) among historical bars"):
        history([item])


def test_an_error_of_the_vendors_own_clock_is_not_our_30_seconds():
    with pytest.raises(SourceBug, match="acme raised TimeoutError: no answer"):
        history([TimeoutError("no answer")])


def test_a_history_that_does_not_close_is_left_after_30_seconds():
    """RT-4."""

    class Clinging(Provider):
        async def get_historical_bars(self, request):
            try:
                yield "bars"
            finally:
                await anyio.sleep_forever()

    async def main(loop):
        spec = ProviderSpec(name="acme", factory=lambda *_: Clinging(()), capabilities=EVERYTHING)
        with pytest.raises(SourceTimeout, match="acme did not answer within 30 s"):
            await Queries(spec, None, ProviderPool(ServiceFactory(loop))).historical_bars(REQUEST, limit=1)

    simulate(main)


def test_more_bars_than_the_limit_are_refused():
    with pytest.raises(InvalidRequest, match="more than 2 such bars"):
        history([BarBatch([bar(0), bar(1)]), BarBatch([bar(2)])], limit=2)


@pytest.mark.parametrize("question", ["bars", "chain", "resolve"])
def test_a_provider_that_does_not_answer_is_left_after_30_seconds(question):
    """RT-4."""
    asked = {
        "bars": partial(history, [BarBatch([bar(0)]), anyio.sleep_forever]),
        "chain": partial(chain, anyio.sleep_forever),
        "resolve": partial(ask, anyio.sleep_forever, lambda queries: queries.instruments("A")),
    }
    with pytest.raises(SourceTimeout, match="acme did not answer within 30 s"):
        asked[question]()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (UnknownSymbol("no A"), UnknownSymbol),
        (RateLimited("slow down", retry_after=3), RateLimited),
        (KeyError("x"), SourceBug),
    ],
)
def test_errors_of_the_contract_get_through_and_others_are_a_bug(raised, expected):
    """G-4."""
    with pytest.raises(expected):
        history([BarBatch([bar(0)]), raised])
    with pytest.raises(expected):
        chain(raised)


def test_a_chain_is_what_was_answered():
    found = chain([option(strike=100), option(strike=110)])
    assert [row.strike for row in found] == [100.0, 110.0]


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (["x"], "a str where only OptionQuote"),
        (None, "raised TypeError"),
        ([option("B")], "a contract of 'B'"),
        ([option(expiry="16JAN26")], "a contract of 'A' and '16JAN26'"),
        ([option(expiry="20260116")], "a contract of 'A' and '20260116'"),
        ([option(right="put"), option(right="call")], "out of order"),
        ([option(strike=110), option(strike=100)], "out of order"),
        ([option(strike=1)], "out of range"),
        ([option(expiry="2027-01-15")], "out of range"),
    ],
)
def test_a_chain_of_something_else_is_a_bug_of_the_plugin(rows, what):
    """RT-4."""
    with pytest.raises(SourceBug, match=what):
        chain(rows)


def test_instruments_are_what_was_answered():
    found, _ = ask([Instrument(symbol="A")], lambda queries: queries.instruments("A"))
    assert found == (Instrument(symbol="A"),)


@pytest.mark.parametrize(
    ("question", "lacks"),
    [
        (lambda queries: queries.historical_bars(REQUEST, limit=1), "historical bars"),
        (lambda queries: queries.option_chain(CHAIN), "option chains"),
        (lambda queries: queries.instruments("A"), "instruments"),
    ],
    ids=["bars", "chain", "instruments"],
)
def test_what_is_not_declared_is_not_asked(question, lacks):
    with pytest.raises(
        CapabilityNotSupported, match=f"acme has no {lacks}: it has streams of quotes, a history of trades"
    ):
        ask([], question, Capabilities(kinds=frozenset({"quote"}), history=frozenset({"trade"})))
    with pytest.raises(CapabilityNotSupported, match=f"acme has no {lacks}: it has nothing"):
        ask([], question, Capabilities())


def test_a_source_without_a_provider_cannot_be_asked():
    spec = SourceSpec(name="file", factory=Provider, capabilities=EVERYTHING)

    async def main(loop):
        with pytest.raises(CapabilityNotSupported, match="file has no provider"):
            await Queries(spec, None, ProviderPool(ServiceFactory(loop))).instruments("A")

    simulate(main)
