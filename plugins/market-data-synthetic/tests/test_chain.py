"""Option chains, and what their symbols stand for."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.contracts import ChainRequest, StreamRequest
from market_data_pipeline.errors import InvalidRequest, SourceClosed, UnknownSymbol
from market_data_pipeline.model import Instrument, to_px
from market_data_pipeline.testing.simloop import START_NS
from market_data_synthetic.chain import YEAR_NS, quotes
from market_data_synthetic.listing import expiries, expiry_time, strikes
from market_data_synthetic.osi import Contract
from market_data_synthetic.pricing import DIVIDEND_YIELD, RATE
from market_data_synthetic.settings import DEFAULT_START, SyntheticSettings

SEEDS = st.integers(0, 2**64 - 1)
SYMBOLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=6)
TIMES = st.integers(10**18, 2**61)
TICKS = st.sampled_from(["0.01", "0.05", "0.00001", "1"])
CHAINS = st.builds(
    lambda seed, symbol, time, tick_size: quotes(
        ChainRequest(underlying=symbol), SyntheticSettings(seed=seed, tick_size=Decimal(tick_size)), time
    ),
    SEEDS,
    SYMBOLS,
    TIMES,
    TICKS,
)


def nanos(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9


def expiry_of(quote):
    return expiry_time(date.fromisoformat(quote.expiry))


@given(CHAINS)
def test_put_call_parity_holds_within_the_spread(chain):
    assert len(chain) > 400
    for call, put in zip(chain[::2], chain[1::2], strict=True):
        years = (expiry_of(call) - call.ts_event) / YEAR_NS
        forward = call.underlying_px * math.exp(-DIVIDEND_YIELD * years) - call.strike_px * math.exp(-RATE * years)
        assert (call.bid_px or 0) - put.ask_px <= forward <= call.ask_px - (put.bid_px or 0)


@given(CHAINS)
def test_a_chain_is_ordered_by_expiry_strike_and_right(chain):
    terms = [(quote.expiry, quote.strike_px, quote.right) for quote in chain]
    assert terms == sorted(set(terms))
    assert {right for *_, right in terms} == {"call", "put"}


@given(CHAINS)
def test_no_two_strikes_can_be_traded_against_each_other(chain):
    """A call of a higher strike costs no more, nor a put of a lower one; two of the middle no more than both around."""
    for right, higher in (("call", 1), ("put", -1)):
        side = [quote for quote in chain if quote.right == right]
        for low, high in pairwise(side):
            if low.expiry == high.expiry:
                cheap, dear = (high, low)[::higher]
                assert (cheap.bid_px or 0) <= dear.ask_px
        for low, middle, high in zip(side, side[1:], side[2:], strict=False):
            if low.expiry == high.expiry:
                assert high.strike_px - middle.strike_px == middle.strike_px - low.strike_px
                assert 2 * (middle.bid_px or 0) <= low.ask_px + high.ask_px


@given(SEEDS, TIMES, TICKS)
@settings(max_examples=15)
def test_every_value_of_a_quote_is_possible(seed, time, tick_size):
    of = SyntheticSettings(seed=seed, tick_size=Decimal(tick_size))
    for quote in quotes(ChainRequest(underlying="AAPL"), of, time):
        assert quote.ask_px % to_px(tick_size) == (quote.bid_px or 0) % to_px(tick_size) == 0
        assert quote.bid_px is None or 0 < quote.bid_px < quote.ask_px
        assert (quote.bid_px is None) == (quote.bid_size is None)
        assert quote.last_px is None or quote.last_px > 0
        assert 1 <= quote.ask_size <= 100
        assert quote.open_interest >= 0
        assert quote.volume >= 0
        assert quote.implied_volatility > 0.1
        assert -1 <= quote.delta <= 1
        assert (quote.delta >= 0) == (quote.right == "call") or quote.delta == 0
        assert quote.gamma >= 0
        assert quote.vega >= 0
        assert (quote.ts_event, quote.ts_recv, quote.multiplier) == (time, time, 100.0)
        assert expiry_of(quote) > time
        assert Contract.parse(quote.symbol) == Contract(
            "AAPL", date.fromisoformat(quote.expiry), quote.strike_px, quote.right
        )


def test_the_spot_is_that_of_the_stream(run, ask):
    row = run(["AAPL"], start=DEFAULT_START, rate=1000, count=1).rows[0]
    chain = ask(lambda provider: provider.get_options_chain(ChainRequest(underlying="AAPL")), start=row.ts_event)
    assert row.bid_px <= chain[0].underlying_px <= row.ask_px
    strikes = sorted({quote.strike_px for quote in chain})
    assert strikes[10] < row.bid_px < strikes[-10]


def test_volume_grows_through_the_day_and_open_interest_does_not_change():
    day = DEFAULT_START - DEFAULT_START % (86_400 * 10**9)
    looks = [
        quotes(ChainRequest(underlying="A"), SyntheticSettings(), day + hours * 3_600 * 10**9 - 1) for hours in (1, 24)
    ]
    early, late = ({quote.symbol: quote for quote in look} for look in looks)
    both = early.keys() & late.keys()
    assert sum(late[symbol].volume for symbol in both) > 10 * sum(early[symbol].volume for symbol in both) > 0
    for symbol in both:
        assert late[symbol].volume >= early[symbol].volume
        assert late[symbol].open_interest == early[symbol].open_interest


def test_a_run_that_can_be_repeated_has_one_chain_and_one_from_now_on_another_at_each_time(ask):
    async def twice(provider):
        first = await provider.get_options_chain(ChainRequest(underlying="A"))
        await provider._services.clock.sleep_until(10**9)
        return first, await provider.get_options_chain(ChainRequest(underlying="A"))

    first, second = ask(twice, speed="max")
    assert first == second
    assert first[0].ts_event == DEFAULT_START
    first, second = ask(twice)
    assert first[0].ts_event == START_NS
    assert second[0].ts_event == START_NS + 10**9
    assert first[0].origin != second[0].origin


def test_filters_leave_the_rest_as_it_is(ask):
    def get(**filters):
        return ask(lambda p: p.get_options_chain(ChainRequest(underlying="AAPL", **filters)), start=DEFAULT_START)

    everything = get()
    expiry, strike = everything[400].expiry, everything[400].strike_px
    assert get(expiries=(expiry, expiry)) == [quote for quote in everything if quote.expiry == expiry]
    assert get(strikes=(strike, 2 * strike)) == [
        quote for quote in everything if strike <= quote.strike_px <= 2 * strike
    ]
    assert len(get(expiries=(expiry, "9999-12-31"), strikes=(strike, strike))) > 2
    assert get(strikes=(1, 2)) == ()


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"expiries": ("2024-01-19", "2024-01-12")}, "the first is the least"),
        ({"expiries": ("2024-01-19", "20240120")}, "YYYY-MM-DD"),
        ({"expiries": ("soon", "2024-01-20")}, "'soon' is no expiry"),
        ({"strikes": (2, 1)}, "strikes from 2 to 1"),
    ],
)
def test_a_wrong_filter_is_refused(ask, filters, text):
    with pytest.raises(InvalidRequest, match=text):
        ask(lambda provider: provider.get_options_chain(ChainRequest(underlying="A", **filters)))


def test_a_symbol_that_stands_for_nothing_has_no_chain_and_a_long_one_has_no_options(ask):
    assert ask(lambda provider: provider.get_options_chain(ChainRequest(underlying="ALPHABET"))) == ()
    with pytest.raises(UnknownSymbol):
        ask(lambda provider: provider.get_options_chain(ChainRequest(underlying="")))


@pytest.mark.parametrize("tick_size", ["1000", "0.000000001"])
def test_strikes_that_no_symbol_can_hold_are_not_listed(ask, tick_size):
    assert ask(lambda p: p.get_options_chain(ChainRequest(underlying="A")), tick_size=tick_size) == ()


def test_a_closed_provider_has_no_chain(ask):
    async def question(provider):
        await provider.close()
        with pytest.raises(SourceClosed):
            await provider.get_options_chain(ChainRequest(underlying="A"))

    ask(question)


def test_expiries_are_fridays_and_the_third_ones_of_a_year():
    days = expiries(nanos(2024, 1, 2, 14, 30))
    assert [day.isoformat() for day in days] == [
        *("2024-01-05", "2024-01-12", "2024-01-19", "2024-01-26", "2024-02-02", "2024-02-09", "2024-02-16"),
        *("2024-02-23", "2024-03-15", "2024-04-19", "2024-05-17", "2024-06-21", "2024-07-19", "2024-08-16"),
        *("2024-09-20", "2024-10-18", "2024-11-15", "2024-12-20"),
    ]


@pytest.mark.parametrize(("time", "first"), [((2024, 1, 5, 20, 59), "2024-01-05"), ((2024, 1, 5, 21), "2024-01-12")])
def test_an_expiry_is_listed_until_the_close(time, first):
    assert expiries(nanos(*time))[0].isoformat() == first


def test_no_expiry_is_listed_in_a_year_without_a_symbol():
    assert expiries(nanos(1998, 6, 1)) == []
    assert {day.year for day in expiries(nanos(1999, 12, 1))} == {2000}
    assert {day.year for day in expiries(nanos(2099, 12, 1))} == {2099}


@pytest.mark.parametrize(
    ("spot", "step", "count"),
    [("100", "2.5", 41), ("33", "0.5", 41), ("850", "10", 41), ("0.15", "0.001", 41), ("0.01", "0.001", 30)],
)
def test_strikes_are_round_numbers_around_the_spot(spot, step, count):
    found = strikes(to_px(spot))
    assert len(found) == count
    assert {high - low for low, high in pairwise(found)} == {to_px(step)}
    assert found[0] < to_px(spot) < found[-1]
    assert not any(strike % to_px(step) for strike in found)


def test_a_contract_is_written_in_21_characters():
    contract = Contract("AAPL", date(2024, 1, 19), to_px(190), "call")
    assert contract.symbol == "AAPL  240119C00190000"
    assert Contract.parse("AAPL  240119C00190000") == contract
    assert Contract.parse("BRK.B 240119P00347500") == Contract("BRK.B", date(2024, 1, 19), to_px("347.5"), "put")


@pytest.mark.parametrize(
    "symbol",
    ["AAPL  240119C0019000", "AAPL  240230C00190000", "AAPL  240119X00190000", "AAPL  240119C00000000", "A" * 21],
)
def test_what_is_not_quite_a_contract_is_none(symbol):
    assert Contract.parse(symbol) is None


def test_a_symbol_is_resolved_to_an_equity_or_an_option(ask):
    def resolve(symbol):
        return ask(lambda provider: provider.resolve(symbol), tick_size="0.05")

    tick_px = to_px("0.05")
    assert resolve("AAPL") == (
        Instrument(symbol="AAPL", vendor_symbol="AAPL", asset_class="equity", currency="USD", tick_px=tick_px),
    )
    (option,) = resolve("AAPL  240119C00190000")
    assert option == Instrument(
        symbol="AAPL  240119C00190000",
        vendor_symbol="AAPL  240119C00190000",
        asset_class="option",
        currency="USD",
        tick_px=tick_px,
        multiplier=100.0,
        underlying="AAPL",
        expiry="2024-01-19",
        strike_px=to_px(190),
        right="call",
    )
    assert [resolve(symbol) for symbol in ("", " ", "A B", "A\t", "A" * 33)] == [()] * 5
    assert resolve("A" * 32)


def test_a_contract_of_the_chain_can_be_streamed_and_has_a_history(ask, history):
    async def question(provider):
        contract = (await provider.get_options_chain(ChainRequest(underlying="AAPL")))[0].symbol
        source = provider.stream(StreamRequest(symbols=(contract,)))
        return contract, (await anext(source.batches())).rows[0].symbol

    contract, streamed = ask(question, speed="max")
    assert streamed == contract
    assert history(contract, DEFAULT_START, DEFAULT_START + 10**10)[0].rows[0].symbol == contract
