"""What goes to Arrow comes back, whatever the rows, faces and cuts."""

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.model import MAX_PX, Bar, BarBatch, Origin, Quote, QuoteBatch, Trade, TradeBatch
from market_data_pipeline.model.arrow import RowGroup, from_arrow, from_floats, to_arrow, to_floats

ORIGIN = Origin("test", "test", 1, "live")

symbols = st.sampled_from(["A", "B", "EURUSD", "O:SPY251219C00650000", "Ω"])
nanos = st.integers(-(2**62), 2**62)
prices = st.integers(-MAX_PX, MAX_PX)
sizes = st.floats(allow_nan=False, allow_infinity=False)
texts = st.none() | st.text(max_size=5)
leading = (symbols, nanos, nanos, st.integers(0, 2**62), st.integers(0, 31), st.just(ORIGIN))
quotes = st.builds(Quote, *leading, st.none() | prices, st.none() | prices, st.none() | sizes, st.none() | sizes)
trades = st.builds(Trade, *leading, prices, st.none() | sizes, texts, st.sampled_from(["buy", "sell", None]), texts)
bars = st.builds(
    Bar,
    *leading,
    *(nanos, nanos, prices, prices, prices, prices, sizes, st.none() | sizes, st.integers(0, 2**62)),
    *(st.sampled_from(["trade", "mid", "bid", "ask"]), st.integers(0, 9), st.booleans(), st.booleans()),
)
batches = (
    st.lists(quotes, min_size=1, max_size=20).map(QuoteBatch)
    | st.lists(trades, min_size=1, max_size=20).map(TradeBatch)
    | st.lists(bars, min_size=1, max_size=20).map(BarBatch)
)


@given(batch=batches)
def test_rows_come_back(batch):
    (back,) = from_arrow(to_arrow(batch), source="test")
    assert back.rows == batch.rows
    assert to_arrow(back).equals(to_arrow(batch))


@given(batch=batches, data=st.data())
def test_a_record_batch_does_not_tell_how_rows_were_cut_nor_their_face(batch, data):
    group = RowGroup(batch.kind, len(batch))
    whole = batch.from_columns(batch.columns, ORIGIN)
    start = 0
    while start < len(batch):
        stop = data.draw(st.integers(start + 1, len(batch)))
        group.append((whole if data.draw(st.booleans()) else batch)[start:stop])
        start = stop
    cut, same = group.to_arrow(), to_arrow(batch)
    assert cut.equals(same)
    for column in ("symbol", "provider", "mode"):
        assert cut[column].dictionary.equals(same[column].dictionary)


@given(px=st.lists(prices, min_size=1))
def test_floats_are_the_nearest(px):
    group = TradeBatch(Trade("A", 1, 1, 1, 0, ORIGIN, value, None) for value in px).columns
    assert to_floats(group["px"]).tolist() == [value / 10**9 for value in px]


@given(px=st.lists(st.integers(-(2**52), 2**52), min_size=1))
def test_a_float_of_a_price_is_that_price(px):
    """A float has nine exact decimals up to 2**52 billionths."""
    columns = TradeBatch(Trade("A", 1, 1, 1, 0, ORIGIN, value, None) for value in px).columns
    back, inexact = from_floats(to_floats(columns["px"]))
    assert back.tolist() == px
    assert not inexact.any()
