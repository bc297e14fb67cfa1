"""What a run is: rows in an order, with an identity."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import Flag
from market_data_pipeline.testing.simloop import START_NS
from market_data_synthetic.settings import DEFAULT_START

BOTH = ("quote", "trade")
ALL = tuple(f"S{number}" for number in range(100))


def said(row):
    """What a row says, without how it came here."""
    return [
        getattr(row, name) for name in row.__struct_fields__ if name not in {"ts_recv", "ordinal", "flags", "origin"}
    ]


def test_the_same_run_gives_the_same_bytes_on_every_machine(run):
    digest = sha256()
    for batch in run(ALL, BOTH, seed=7, speed="max", count=20_000).batches:
        digest.update(f"{batch.kind} {batch.origin} {batch.position}".encode())
        for name, column in sorted(batch.columns.items()):
            digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
            digest.update(repr(batch.columns.words.get(name)).encode())
    assert digest.hexdigest() == "0827b89e3f3219b51d79a2984a1d9789421e171aa118ac4213847790d9a1538c"


def test_two_runs_give_the_same_rows(run):
    assert run(kinds=BOTH, speed="max", count=3000).rows == run(kinds=BOTH, speed="max", count=3000).rows


def test_speed_changes_neither_rows_nor_their_order(run):
    fast, slow = (run(kinds=BOTH, start=DEFAULT_START, speed=speed, count=900) for speed in ("max", 3))
    assert slow.rows == fast.rows


@pytest.mark.parametrize("kinds", [["quote"], ["trade"], BOTH])
def test_history_agrees_with_live_ticks(run, kinds):
    live = run(kinds=kinds, count=900)
    history = run(kinds=kinds, start=START_NS, speed="max", count=5000)
    for kind in kinds:
        rows = [said(row) for row in live.of(kind)]
        assert rows == [said(row) for row in history.of(kind)][: len(rows)]
        assert rows


@given(st.data(), st.sampled_from([0.3, 10.0, 250.0]))
def test_a_later_start_gives_the_rest_of_the_same_ticks(run, known, data, rate):
    whole = known(kinds=BOTH, rate=rate, start=DEFAULT_START, speed="max", count=2000)
    start = data.draw(st.integers(DEFAULT_START, whole.rows[1500].ts_event))
    late = run(kinds=BOTH, rate=rate, start=start, speed="max", count=100)
    for kind in BOTH:
        rows = [said(row) for row in late.of(kind)]
        assert rows == [said(row) for row in whole.of(kind) if row.ts_event >= start][: len(rows)]


@given(st.integers(1, 20_000), st.sampled_from([["quote"], ["trade"], BOTH]))
def test_count_is_exact(run, count, kinds):
    assert sum(map(len, run(ALL[:20], kinds, rate=100, speed="max", count=count).batches)) == count


@pytest.mark.parametrize("speed", ["max", 1.0])
def test_ordinals_count_the_rows_of_both_kinds(run, speed):
    assert [row.ordinal for row in run(kinds=BOTH, speed=speed, count=2000).rows] == list(range(2000))


@pytest.mark.parametrize("rate", [0.5, 10, 1000])
def test_rows_of_two_kinds_are_in_order_to_half_a_second(run, rate):
    newest = 0
    for row in run(kinds=BOTH, rate=rate, speed="max", count=5000).rows:
        assert row.ts_event > newest - 500_000_000
        newest = max(newest, row.ts_event)


@given(
    st.data(),
    st.sampled_from([("quote",), BOTH]),
    st.fixed_dictionaries({"rate": st.sampled_from([0.7, 100.0]), "speed": st.sampled_from(["max", 50.0])}),
)
def test_a_run_goes_on_behind_any_position(run, known, data, kinds, settings):
    settings |= {"start": DEFAULT_START, "count": 300}
    whole = known(ALL[:3], kinds, **settings)
    number = data.draw(st.integers(0, len(whole.batches) - 1))
    rest = run(ALL[:3], kinds, whole.batches[number].position, **settings)
    assert rest.rows == [row for batch in whole.batches[number + 1 :] for row in batch.rows]


def test_a_run_that_goes_on_does_not_wait_for_the_time_before_its_position(run, known):
    settings = {"rate": 1, "speed": 1, "start": DEFAULT_START, "count": 300}
    rest = run(after=known(**settings).batches[-50].position, **settings)
    assert rest.times[0] - rest.began < 1_000_000


@pytest.mark.parametrize("position", ["", "1", "1:2:3:4:5", "a:b:c:d:e"])
def test_a_position_of_another_run_is_refused(run, position):
    with pytest.raises(InvalidRequest, match="is no position of this synthetic run"):
        run(after=position, speed="max", count=1)


def test_a_run_from_now_on_cannot_be_resumed(run):
    assert run(count=1).batches[0].position is None
    with pytest.raises(InvalidRequest, match="set start"):
        run(after="1:2:3:4:5", count=1)


def test_epochs_differ_where_rows_may(run):
    changes = [{}, {"seed": 1}, {"rate": 11}, {"trades_per_quote": 0.5}, {"tick_size": "0.1"}, {"start": 5}]
    requests = [(("A",), ["quote"]), (("A", "B"), ["quote"]), (("A",), ["trade"]), (("A",), BOTH)]
    runs = [run(*request, speed="max", count=1, **change) for request in requests for change in changes]
    epochs = {found.batches[0].origin.epoch for found in runs}
    assert len(epochs) == len(requests) * len(changes)
    assert max(epochs) < 2**48


def test_the_epoch_stands_for_the_rows_alone(run):
    one = run(speed="max", count=10, tick_size="0.010").batches[0].origin
    assert (
        one
        == run(speed=7, count=1).batches[0].origin
        == run(speed="max", count=9, start=DEFAULT_START).batches[0].origin
    )


def test_a_run_that_can_be_repeated_has_no_time_of_receipt(run):
    for row in run(kinds=BOTH, speed="max", count=500).rows:
        assert row.ts_recv == row.ts_event
        assert row.flags == Flag.TS_RECV_IS_EVENT


@pytest.mark.parametrize(
    ("settings", "start"), [({"speed": "max"}, DEFAULT_START), ({}, START_NS), ({"start": 10**9}, 10**9)]
)
def test_the_first_tick_is_at_the_start(run, settings, start):
    first = run(rate=1000, count=1, **settings).rows[0].ts_event
    assert start <= first < start + 2_000_000


def test_the_columns_are_made_without_rows(run):
    batch = run(kinds=["trade"], speed="max", count=1).batches[0]
    assert batch.born == "columns"
    assert batch.rows[0].side in {"buy", "sell"}
    assert (batch.rows[0].trade_id, batch.rows[0].conditions) == (None, None)
