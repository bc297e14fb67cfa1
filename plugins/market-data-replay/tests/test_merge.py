"""Many files into one stream: the order, the cuts, and what is in memory."""

import heapq
import logging
from collections import Counter
from itertools import groupby, pairwise
from weakref import finalize

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.model import BATCHES, Origin, QuoteBatch, TradeBatch
from market_data_pipeline.model.columns import Columns
from market_data_replay.batches import SHORT_ROWS, BatchMaker
from market_data_replay.formats.contract import BEGINNING, UNSTAMPED, Chunk, Tally
from market_data_replay.merge import merge

ORIGINS = [Origin("acme", "replay", 1, "live"), Origin("acme", "replay", 2, "live")]
TALLY = Tally(logging.getLogger("test"))


class FakeRun:
    """A file in memory, which counts how many of its chunks live and whether it is open."""

    size = 1

    def __init__(self, times, *, kind="quote", origin=ORIGINS[0], lower=BEGINNING, chunk=3, name=0):
        self.times, self.kind, self.origin, self.lower, self.chunk, self.name = times, kind, origin, lower, chunk, name
        self.rows = list(range(len(times)))
        self.alive = self.opened = self.closed = self.most = 0

    def chunks(self, _tally, _rows):
        self.opened += 1
        try:
            for start in range(0, len(self.times), self.chunk):
                yield self._chunk(slice(start, start + self.chunk))
        finally:
            self.closed += 1

    def _chunk(self, part):
        times = np.array(self.times[part], "i8")
        batch = BATCHES[self.kind]
        columns = {name: np.zeros(len(times), "i8") for name in batch.row_type.__struct_fields__ if name != "origin"}
        columns |= {"ts_event": times, "ts_recv": np.array(self.rows[part], "i8")}
        if self.origin.epoch == UNSTAMPED:
            del columns["ordinal"]
        words = dict.fromkeys(("symbol", "trade_id", "side", "conditions", "basis"), (str(self.name),))
        chunk = Chunk(self.kind, self.origin, Columns(columns, {n: w for n, w in words.items() if n in columns}))
        self.alive += 1
        self.most = max(self.most, self.alive)
        finalize(chunk, self._gone)
        return chunk

    def _gone(self):
        self.alive -= 1


def play(runs, maker=None):
    maker = maker or BatchMaker()
    return [batch for parts in merge(runs, TALLY) for batch in maker.make(parts)]


def expected(runs):
    """The order that heapq gives: file by name and row in it."""
    keyed = [[(time, place, row) for row, time in enumerate(run.times)] for place, run in enumerate(runs)]
    return [(str(place), row) for _, place, row in heapq.merge(*keyed, key=lambda one: one[0])]


def found(batches):
    return [(row.symbol, row.ts_recv) for batch in batches for row in batch.rows]


RUNS = st.lists(
    st.builds(
        FakeRun,
        st.lists(st.integers(0, 12), max_size=12),
        kind=st.sampled_from(["quote", "trade"]),
        origin=st.sampled_from([*ORIGINS, Origin("other", "replay", UNSTAMPED, "live")]),
        chunk=st.integers(1, 5),
    ),
    max_size=5,
)


def named(runs, *, lower=True):
    for name, run in enumerate(runs):
        run.name = name
        run.lower = min(run.times) if lower and run.times else BEGINNING
    return runs


@given(RUNS, st.booleans())
def test_the_order_is_that_of_heapq_whatever_the_chunks(runs, lower):
    assert found(play(named(runs, lower=lower))) == expected(runs)
    assert all(run.opened == run.closed == 1 for run in runs)


@given(RUNS)
def test_a_batch_ends_only_where_kind_or_origin_change(runs):
    batches = play(named(runs))
    stretches = [(kind, origin) for (kind, origin), _ in groupby(batches, key=lambda batch: (batch.kind, batch.origin))]
    assert len(stretches) == len(
        [key for key, _ in groupby(key for one in batches for key in [(one.kind, one.origin)])]
    )
    for batch in batches:
        assert {row.origin for row in batch.rows} == {batch.origin}
        assert {row.kind for row in batch.rows} == {batch.kind}


@given(RUNS)
def test_rows_without_identity_get_one_that_grows_and_is_unique(runs):
    rows = [row for batch in play(named(runs)) for row in batch.rows if row.origin.provider == "other"]
    assert all(before.ordinal < after.ordinal for before, after in pairwise(rows))
    assert {row.origin.epoch for row in rows} == {row.ts_event for row in rows[:1]}


def test_sorted_files_are_held_two_chunks_at_a_time_each():
    rng = np.random.default_rng(1)
    runs = [FakeRun(np.sort(rng.integers(0, 10**6, 5000)).tolist(), chunk=50) for _ in range(20)]
    rows = 0
    for parts in merge(named(runs, lower=False), TALLY):
        rows += sum(len(keys) for _, keys in parts)
        del parts
    assert rows == 100_000
    # The two that the merge holds, and what was taken of the one before.
    assert max(run.most for run in runs) <= 4


def test_files_that_follow_each_other_are_opened_one_by_one():
    runs = named([FakeRun(list(range(day * 100, day * 100 + 100)), chunk=7) for day in range(50)])
    for _parts in merge(runs, TALLY):
        assert sum(run.opened - run.closed for run in runs) <= 1


def test_all_files_are_closed_when_the_merge_stops_early():
    runs = named([FakeRun(list(range(100))) for _ in range(5)])
    stretches = merge(runs, TALLY)
    next(stretches)
    stretches.close()
    assert all(run.opened == run.closed for run in runs)


def test_kinds_that_alternate_are_born_as_rows_and_long_stretches_as_columns():
    alternating = [
        FakeRun(list(range(0, 2000, 2)), chunk=1000),
        FakeRun(list(range(1, 2000, 2)), kind="trade", chunk=1000),
    ]
    batches = play(named(alternating, lower=False))
    assert Counter(type(batch) for batch in batches) == {QuoteBatch: 1000, TradeBatch: 1000}
    assert {batch.born for batch in batches} == {"rows"}
    long = [
        FakeRun(list(range(SHORT_ROWS * 2)), chunk=1000),
        FakeRun(list(range(SHORT_ROWS * 2, SHORT_ROWS * 4)), kind="trade", chunk=1000),
    ]
    assert {batch.born for batch in play(named(long, lower=False))} == {"columns"}
