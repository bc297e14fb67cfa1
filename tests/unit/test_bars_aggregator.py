"""SecondBarAggregator, case by case."""

from datetime import timedelta

import numpy as np
import pytest
from msgspec.structs import replace

from market_data_pipeline.contracts import Operator
from market_data_pipeline.errors import ConfigurationError, OperatorError
from market_data_pipeline.model import (
    END_OF_TIME,
    BarBatch,
    Batch,
    Flag,
    Gap,
    Origin,
    Quote,
    QuoteBatch,
    SourceState,
    Switched,
    Trade,
    TradeBatch,
    Watermark,
)
from market_data_pipeline.model.columns import Columns
from market_data_pipeline.operator import EventTimePolicy, SecondBarAggregator

S = 1_000_000_000
LIVE = Origin("acme", "acme", 1, "live")
BACK = Origin("acme", "acme", 2, "live")


def trade(ts, px, size=1.0, *, symbol="A", ordinal=0, flags=0, origin=LIVE):
    return Trade(symbol, ts, ts + 5, ordinal, flags, origin, px, size)


def quote(ts, bid, ask, *, symbol="A", flags=0):
    return Quote(symbol, ts, ts + 5, 0, flags, LIVE, bid, ask, 1.0, 1.0)


def watermark(ts):
    return Watermark(source="acme", ts=0, ts_event=ts)


def gap(start, end, symbols=None, *, filled=False):
    return Gap(source="acme", ts=0, symbols=symbols, start=start, end=end, reason="drop", filled=filled)


@pytest.fixture(params=["rows", "columns"])
def born(request):
    """A function that gives a batch the face it is born with."""

    def turn(batch):
        return batch if request.param == "rows" else batch.from_columns(batch.columns, batch.origin)

    return turn


def bars(*outcomes):
    return [row for outcome in outcomes for item in outcome.items if isinstance(item, BarBatch) for row in item.rows]


def fold(aggregator, batch, until=END_OF_TIME):
    """Fold one batch, and return the bars that a watermark closes."""
    aggregator.on_batch(batch)
    return bars(aggregator.on_control(watermark(until)))


def ohlc(bar):
    return bar.open_px, bar.high_px, bar.low_px, bar.close_px


def test_it_is_an_operator():
    assert isinstance(SecondBarAggregator(), Operator)


def test_a_bar_has_first_highest_lowest_and_last_price_of_its_second(born):
    batch = TradeBatch(
        [
            trade(10 * S, 30, 2.0, ordinal=1),
            trade(10 * S + 1, 50, 3.0, ordinal=2),
            trade(10 * S + 2, 10, 1.0, ordinal=3),
            trade(11 * S - 1, 20, 4.0, ordinal=4, flags=Flag.SNAPSHOT | Flag.TS_RECV_IS_EVENT),
        ]
    )
    (bar,) = fold(SecondBarAggregator(), born(batch))
    assert ohlc(bar) == (30, 50, 10, 20)
    assert (bar.start, bar.end, bar.ts_event, bar.ts_recv) == (10 * S, 11 * S, 11 * S, 11 * S + 4)
    assert (bar.symbol, bar.ordinal, bar.origin, bar.trades) == ("A", 4, LIVE, 4)
    assert (bar.volume, bar.vwap) == (10.0, (30 * 2.0 + 50 * 3.0 + 10 * 1.0 + 20 * 4.0) / 10.0 / S)
    assert bar.flags == Flag.TS_RECV_IS_EVENT
    assert (bar.basis, bar.revision, bar.is_final, bar.complete) == ("trade", 0, True, True)


def test_a_row_at_the_end_of_an_interval_belongs_to_the_next(born):
    found = fold(SecondBarAggregator(), born(TradeBatch([trade(0, 1), trade(S - 1, 2), trade(S, 3)])))
    assert [(bar.start, ohlc(bar)) for bar in found] == [(0, (1, 2, 1, 2)), (S, (3, 3, 3, 3))]


def test_intervals_before_1970_are_aligned_too(born):
    assert [bar.start for bar in fold(SecondBarAggregator(), born(TradeBatch([trade(-1, 1)])))] == [-S]


def test_an_interval_without_a_row_has_no_bar(born):
    found = fold(SecondBarAggregator(), born(TradeBatch([trade(0, 1), trade(7 * S, 2)])))
    assert [bar.start for bar in found] == [0, 7 * S]


def test_the_oldest_row_opens_and_the_newest_closes_whatever_came_first(born):
    batch = TradeBatch([trade(5, 50), trade(9, 90, ordinal=7), trade(1, 10), trade(1, 11), trade(9, 91, ordinal=8)])
    (bar,) = fold(SecondBarAggregator(), born(batch))
    assert (bar.open_px, bar.close_px, bar.ordinal) == (10, 91, 8)


def test_a_watermark_closes_the_bars_that_it_reached_and_goes_behind_them(born):
    """SP-7: quiet symbols are closed by the rows of others."""
    aggregator = SecondBarAggregator()
    rows = [trade(0, 1, symbol="QUIET"), trade(1, 1, symbol="B"), trade(S, 1, symbol="B")]
    outcome = aggregator.on_batch(born(TradeBatch(rows)))
    assert (outcome.items, outcome.folded, outcome.filtered) == ((), 3, 0)
    assert aggregator.on_control(watermark(S - 1)).items == (watermark(S - 1),)
    outcome = aggregator.on_control(watermark(S))
    assert [bar.symbol for bar in bars(outcome)] == ["B", "QUIET"]
    assert outcome.created == 2
    assert outcome.items[-1] == watermark(S)


def test_bars_are_born_with_the_face_of_their_rows(born):
    batch = born(TradeBatch([trade(0, 1)]))
    aggregator = SecondBarAggregator()
    aggregator.on_batch(batch)
    made, _ = aggregator.on_control(watermark(S)).items
    assert made.born == batch.born


def test_columns_stay_columns(monkeypatch):
    batch = TradeBatch([trade(0, 1), trade(1, 5, symbol="B"), trade(0, 2)])
    quotes = QuoteBatch([quote(0, 1, 2), quote(1, None, 5)])
    columns = [each.from_columns(each.columns, each.origin) for each in (batch, quotes)]

    def rows(_):
        pytest.fail("the columns face was turned into rows")

    monkeypatch.setattr(Batch, "rows", property(rows))
    minutes = SecondBarAggregator(interval="1m")
    for basis, each in zip(("trade", "bid"), columns, strict=True):
        aggregator = SecondBarAggregator(basis=basis)
        aggregator.on_batch(each)
        made, _ = aggregator.on_control(watermark(END_OF_TIME)).items
        if basis == "trade":
            minutes.on_batch(made)
            assert minutes.finish().created == 2


def test_a_stream_of_two_origins_gives_one_batch_for_each_run_of_an_origin(born):
    aggregator = SecondBarAggregator()
    for origin, symbols in ((LIVE, "AC"), (BACK, "B")):
        aggregator.on_batch(born(TradeBatch([trade(0, 1, symbol=symbol, origin=origin) for symbol in symbols])))
    *made, _ = aggregator.on_control(watermark(S)).items
    assert [(batch.origin, [bar.symbol for bar in batch.rows]) for batch in made] == [
        (LIVE, ["A"]),
        (BACK, ["B"]),
        (LIVE, ["C"]),
    ]


def test_a_symbol_with_two_codes_has_one_bar():
    columns = TradeBatch([trade(0, 1, symbol="A"), trade(1, 2, symbol="B"), trade(2, 3, symbol="A")]).columns
    twice = Columns({**columns, "symbol": np.array([0, 1, 2])}, columns.words | {"symbol": ("A", "B", "A")})
    found = fold(SecondBarAggregator(), TradeBatch.from_columns(twice, LIVE))
    assert [(bar.symbol, bar.trades) for bar in found] == [("A", 2), ("B", 1)]


def test_a_bar_has_the_origin_of_the_row_that_closed_it(born):
    aggregator = SecondBarAggregator()
    aggregator.on_batch(born(TradeBatch([trade(5, 1)])))
    aggregator.on_batch(born(TradeBatch([trade(7, 1, origin=BACK), trade(S, 1, origin=BACK)])))
    aggregator.on_batch(born(TradeBatch([trade(6, 1)])))
    assert [bar.origin for bar in bars(aggregator.on_control(watermark(END_OF_TIME)))] == [BACK, BACK]


def test_a_trade_without_a_size_adds_no_volume(born):
    (bar,) = fold(SecondBarAggregator(), born(TradeBatch([trade(0, 10, None), trade(1, 30, 2.0)])))
    assert (bar.volume, bar.vwap, bar.trades) == (2.0, 30 / S, 2)
    (bar,) = fold(SecondBarAggregator(), born(TradeBatch([trade(0, 10, None), trade(1, 30, 0.0)])))
    assert (bar.volume, bar.vwap, bar.trades) == (0.0, None, 2)


@pytest.mark.parametrize(("basis", "expected"), [("bid", (10, 14, 10, 14)), ("ask", (20, 26, 20, 26))])
def test_a_side_of_quotes_has_no_volume(born, basis, expected):
    (bar,) = fold(SecondBarAggregator(basis=basis), born(QuoteBatch([quote(0, 10, 20), quote(1, 14, 26)])))
    assert ohlc(bar) == expected
    assert (bar.basis, bar.volume, bar.vwap, bar.trades) == (basis, 0.0, None, 2)


@pytest.mark.parametrize(("basis", "trades"), [("bid", 2), ("ask", 2), ("mid", 1)])
def test_a_quote_without_the_side_is_filtered(born, basis, trades):
    aggregator = SecondBarAggregator(basis=basis)
    outcome = aggregator.on_batch(born(QuoteBatch([quote(0, 10, 20), quote(1, None, 30), quote(2, 5, None)])))
    assert (outcome.folded, outcome.filtered) == (trades, 3 - trades)
    (bar,) = bars(aggregator.finish())
    assert bar.trades == trades


def test_a_batch_without_a_usable_row_is_filtered(born):
    outcome = SecondBarAggregator(basis="bid").on_batch(born(QuoteBatch([quote(0, None, 20)])))
    assert (outcome.folded, outcome.filtered) == (0, 1)


@pytest.mark.parametrize(
    ("bid", "ask", "mid", "flags"),
    [(10, 20, 15, 0), (10, 11, 10, 4), (11, 12, 12, 4), (-11, -10, -10, 4), (-12, -11, -12, 4), (-10, 10, 0, 0)],
)
def test_half_a_billionth_of_a_mid_is_rounded_to_even_and_said(born, bid, ask, mid, flags):
    (bar,) = fold(SecondBarAggregator(basis="mid"), born(QuoteBatch([quote(0, bid, ask)])))
    assert (bar.close_px, bar.flags) == (mid, flags)


def test_prices_at_the_bound_stay_exact(born):
    top = 999_999_999_999_999_999
    rows = [quote(0, top - 1, top), quote(1, -top, -top)]
    (bar,) = fold(SecondBarAggregator(basis="mid"), born(QuoteBatch(rows)))
    assert ohlc(bar) == (top - 1, top - 1, -top, -top)


def test_without_a_last_watermark_open_bars_are_provisional(born):
    aggregator = SecondBarAggregator()
    aggregator.on_batch(born(TradeBatch([trade(0, 1)])))
    outcome = aggregator.finish()
    assert [(bar.is_final, bar.complete) for bar in bars(outcome)] == [(False, True)]
    assert (outcome.created, aggregator.finish().created) == (1, 0)


@pytest.mark.parametrize("basis", ["trade", "bid"])
def test_a_row_whose_bar_was_given_out_is_filtered(born, basis):
    """SP-7: a bar is given out once, even to who feeds it late rows."""

    def batch(*times):
        if basis == "trade":
            return born(TradeBatch([trade(ts, 1) for ts in times]))
        return born(QuoteBatch([quote(ts, 1, 2) for ts in times]))

    aggregator = SecondBarAggregator(basis=basis)
    assert len(fold(aggregator, batch(0), until=S)) == 1
    outcome = aggregator.on_batch(batch(S - 1, S))
    assert (outcome.folded, outcome.filtered) == (1, 1)
    assert [bar.start for bar in bars(aggregator.finish())] == [S]


def test_a_watermark_that_goes_back_opens_nothing_again(born):
    aggregator = SecondBarAggregator()
    fold(aggregator, born(TradeBatch([trade(0, 1)])), until=2 * S)
    aggregator.on_control(watermark(0))
    assert aggregator.on_batch(born(TradeBatch([trade(S, 9)]))).filtered == 1


def test_lateness_of_its_own_holds_back_bars_and_watermark(born):
    aggregator = SecondBarAggregator(allowed_lateness_sec=2)
    aggregator.on_batch(born(TradeBatch([trade(0, 1)])))
    assert aggregator.on_control(watermark(3 * S - 1)).items == (watermark(S - 1),)
    assert aggregator.on_batch(born(TradeBatch([trade(1, 5)]))).folded == 1
    made, event = aggregator.on_control(watermark(3 * S)).items
    assert [ohlc(bar) for bar in made.rows] == [(1, 5, 1, 5)]
    assert event == watermark(S)
    assert aggregator.on_control(watermark(END_OF_TIME)).items == (watermark(END_OF_TIME),)


@pytest.mark.parametrize(
    ("event", "complete"),
    [
        (gap(S - 1, S), [True, True]),
        (gap(S - 1, S + 1), [False, False]),
        (gap(2 * S - 1, 2 * S), [False, False]),
        (gap(2 * S, 9 * S), [True, True]),
        (gap(S, S), [False, False]),
        (gap(S, 2 * S, frozenset({"B"})), [True, False]),
        (gap(S, 2 * S, filled=True), [True, True]),
        (Switched(source="acme", ts=S + 3, old="a", new="b", reason="r"), [False, False]),
        (Switched(source="acme", ts=2 * S, old="a", new="b", reason="r"), [True, True]),
        (SourceState(source="acme", ts=S, state="stalled"), [True, True]),
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["before its rows", "behind its rows"])
def test_a_bar_is_complete_if_nothing_of_its_interval_is_missing(born, event, complete, before):
    aggregator = SecondBarAggregator()
    aggregator.on_control(watermark(S))
    if before:
        assert aggregator.on_control(event).items == (event,)
    aggregator.on_batch(born(TradeBatch([trade(S, 1), trade(S, 1, symbol="B")])))
    if not before:
        aggregator.on_control(event)
    assert [bar.complete for bar in bars(aggregator.on_control(watermark(2 * S)))] == complete


def test_gaps_that_overlap_mark_what_each_of_them_marks():
    aggregator = SecondBarAggregator()
    for event in (gap(3 * S, 4 * S), gap(S, 2 * S), gap(2 * S, 3 * S), gap(0, 1, frozenset({"B"}))):
        aggregator.on_control(event)
    found = fold(aggregator, TradeBatch([trade(second * S, 1) for second in range(6)]))
    assert [bar.complete for bar in found] == [True, False, False, False, True, True]


def seconds(*prices, size=1.0, basis="trade", start=0):
    """One-second bars, of one row each, closed by a watermark."""
    if basis == "trade":
        batch = TradeBatch([trade((start + i) * S, px, size) for i, px in enumerate(prices)])
    else:
        batch = QuoteBatch([quote((start + i) * S, px, px) for i, px in enumerate(prices)])
    aggregator = SecondBarAggregator(basis=basis)
    aggregator.on_batch(batch)
    return aggregator.on_control(watermark(END_OF_TIME)).items[0]


def test_bars_become_longer_bars(born):
    batch = born(seconds(3, 9, 1, 4, size=2.0))
    found = fold(SecondBarAggregator(interval="2s"), batch)
    assert [(bar.start, bar.end, ohlc(bar)) for bar in found] == [
        (0, 2 * S, (3, 9, 3, 9)),
        (2 * S, 4 * S, (1, 4, 1, 4)),
    ]
    assert [(bar.volume, bar.vwap, bar.trades) for bar in found] == [(4.0, 6 / S, 2), (4.0, 2.5 / S, 2)]


def test_shorter_bars_may_come_in_any_order_until_theirs_is_given_out(born):
    rows = seconds(3, 9, 1, 4).rows
    aggregator = SecondBarAggregator(interval="3s")
    outcome = aggregator.on_batch(born(BarBatch([rows[1], rows[2], rows[0]])))
    assert (outcome.folded, outcome.filtered) == (3, 0)
    assert [ohlc(bar) for bar in bars(aggregator.on_control(watermark(3 * S + 1)))] == [(3, 9, 1, 1)]
    outcome = aggregator.on_batch(born(BarBatch([rows[0], rows[3]])))
    assert (outcome.folded, outcome.filtered) == (1, 1)


def test_a_volume_without_a_price_has_no_vwap(born):
    made = seconds(3, 9)
    rows = [made.rows[0], replace(made.rows[1], vwap=None)]
    (bar,) = fold(SecondBarAggregator(interval="2s"), born(BarBatch(rows)))
    assert (bar.volume, bar.vwap) == (2.0, None)


def test_a_bar_that_ends_at_the_watermark_may_still_come(born):
    """A bar's `ts_event` is its end, so a watermark equal to it does not exclude it."""
    aggregator = SecondBarAggregator(interval="2s")
    batch = seconds(1, 2, 3)
    aggregator.on_batch(born(batch[:1]))
    assert bars(aggregator.on_control(watermark(2 * S))) == []
    assert aggregator.on_batch(born(batch[1:2])).folded == 1
    assert [ohlc(bar) for bar in bars(aggregator.on_control(watermark(2 * S + 1)))] == [(1, 2, 1, 2)]


def test_a_longer_bar_is_as_final_and_complete_as_what_it_is_made_of(born):
    aggregator = SecondBarAggregator()
    aggregator.on_control(gap(0, S))
    aggregator.on_batch(born(TradeBatch([trade(0, 1), trade(2 * S, 1)])))
    provisional, *_ = aggregator.finish().items
    found = fold(SecondBarAggregator(interval="2s"), born(provisional))
    assert [(bar.is_final, bar.complete) for bar in found] == [(False, False), (False, True)]


def test_bars_of_another_basis_are_filtered(born):
    aggregator = SecondBarAggregator(interval="2s", basis="bid")
    assert aggregator.on_batch(born(seconds(1, 2))).filtered == 2
    assert aggregator.on_batch(born(seconds(1, 2, basis="bid"))).folded == 2


@pytest.mark.parametrize("interval", ["1s", "3s"])
def test_a_bar_that_does_not_fit_is_an_error_that_names_both(born, interval):
    made = fold(SecondBarAggregator(interval="2s"), seconds(1, 2))
    with pytest.raises(OperatorError, match=rf"a bar of 2s .* bars of {interval}"):
        SecondBarAggregator(interval=interval).on_batch(born(BarBatch(made)))


def test_a_bar_across_two_intervals_is_an_error(born):
    (row,) = fold(SecondBarAggregator(interval="2s"), seconds(1, 2))
    with pytest.raises(OperatorError, match="does not fit into bars of 2s"):
        SecondBarAggregator(interval="2s").on_batch(born(BarBatch([replace(row, start=S, end=3 * S)])))


def test_ticks_and_bars_are_not_added_up(born):
    aggregator = SecondBarAggregator(interval="2s")
    aggregator.on_batch(born(seconds(1, 2)))
    with pytest.raises(OperatorError, match="from bar rows or from trade rows, and both came"):
        aggregator.on_batch(born(TradeBatch([trade(0, 1)])))


def test_rows_of_a_kind_that_it_does_not_take_are_an_error(born):
    assert SecondBarAggregator().accepts == {"trade", "bar"}
    assert SecondBarAggregator(basis="mid").accepts == {"quote", "bar"}
    with pytest.raises(OperatorError, match="made from trade or bar rows, not from quote rows"):
        SecondBarAggregator().on_batch(born(QuoteBatch([quote(0, 1, 2)])))


@pytest.mark.parametrize(
    ("aggregator", "interval"),
    [
        (SecondBarAggregator(), S),
        (SecondBarAggregator(5), 5 * S),
        (SecondBarAggregator(window_sec=60, allowed_lateness_sec=1), 60 * S),
        (SecondBarAggregator(interval="5m"), 300 * S),
        (SecondBarAggregator(interval=timedelta(milliseconds=1500)), 1_500_000_000),
        (SecondBarAggregator(interval=86_400 * S), 86_400 * S),
    ],
)
def test_an_interval_is_given_in_many_ways(aggregator, interval):
    assert aggregator.interval_ns == interval


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "500ms"}, "interval: a bar lasts one second or longer, not 500ms"),
        ({"window_sec": 0}, "no interval"),
        ({"interval": "1x"}, "'1x' is n"),
        ({"basis": "bids"}, "basis: 'bids' is no basis of a bar; did you mean 'bid'"),
        ({"allowed_lateness_sec": -1}, "allowed_lateness_sec"),
    ],
)
def test_a_wrong_argument_is_said_at_once(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        SecondBarAggregator(**arguments)


def test_a_state_of_other_settings_is_refused():
    state = SecondBarAggregator().snapshot()
    for other in (SecondBarAggregator(interval="2s"), SecondBarAggregator(basis="bid")):
        with pytest.raises(OperatorError, match="the state is of 1s bars from trade prices"):
            other.restore(state)
    with pytest.raises(OperatorError, match="no state of bars"):
        SecondBarAggregator().restore(b"\x00")


def test_columns_may_come_in_pieces(born):
    batch = born(TradeBatch([trade(0, 3, symbol="B"), trade(1, 9, symbol="B"), trade(1, 4), trade(2, 1, symbol="B")]))
    aggregator = SecondBarAggregator()
    for index in range(len(batch)):
        aggregator.on_batch(batch[index : index + 1])
    assert [(bar.symbol, ohlc(bar)) for bar in bars(aggregator.finish())] == [("A", (4, 4, 4, 4)), ("B", (3, 9, 1, 1))]


def test_many_symbols_in_few_rows_are_kept_apart():
    """Slots are then far more than rows, and are renumbered."""
    rows = [trade(second * 7919 * S, second, symbol=f"S{second % 50}") for second in range(200)]
    batch = TradeBatch(rows)
    found = fold(SecondBarAggregator(), batch.from_columns(batch.columns, LIVE))
    assert found == fold(SecondBarAggregator(), batch)
    assert len(found) == 200


def test_a_policy_stands_for_window_and_lateness():
    made = SecondBarAggregator(EventTimePolicy(60, 2, True))
    assert (made.interval_ns, made.allowed_lateness_ns) == (60 * S, 2 * S)
    assert EventTimePolicy() == EventTimePolicy(window_sec=1, allowed_lateness_sec=0, drop_late_beyond_watermark=True)


def test_a_policy_cannot_keep_what_is_later_than_allowed():
    with pytest.raises(ConfigurationError, match="drop_late_beyond_watermark: has to be true: a bar is given out once"):
        EventTimePolicy(drop_late_beyond_watermark=False)
