"""Meters in a file, used by several processes, decide as those in one process do (RC-1, RC-2, RC-4)."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from market_data_pipeline.contracts.budget import Concurrency, Gcra, MinGap, Window
from market_data_pipeline.pacing import MemoryStore, SqliteStore
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.store import Ask

STORES = 3
MS = 1_000_000
PERIODS = st.sampled_from([7 * MS, 50 * MS, 1_000 * MS, 60_000 * MS])
LIMITS = st.integers(1, 5)
RULES = st.one_of(
    st.builds(Window, name=st.just("window"), limit=LIMITS, period_ns=PERIODS, per=st.sampled_from([(), ("key",)])),
    st.builds(Window, name=st.just("large"), limit=st.just(2_000), period_ns=PERIODS),
    st.builds(Gcra, name=st.just("rate"), limit=LIMITS, period_ns=PERIODS, burst=LIMITS, counts=st.just("calls")),
    st.builds(MinGap, name=st.just("gap"), gap_ns=PERIODS, operations=st.just({"bars"})),
    st.builds(Concurrency, name=st.just("open"), limit=LIMITS),
)
BUDGETS = st.lists(RULES, max_size=4, unique_by=lambda rule: rule.name)
CALLS = st.lists(
    st.tuples(st.sampled_from(["bars", "quotes"]), st.sampled_from("ab")), min_size=1, max_size=4
)  # operation, key
SETTLE = st.tuples(st.sampled_from(["release", "refund", "shrink", "cool", "warm"]), st.integers(0, 9), PERIODS)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 30).map(MS.__mul__),
        st.integers(0, STORES - 1),
        st.one_of(CALLS, SETTLE, st.just("reopen"), BUDGETS),
    ),
    max_size=40,
)


class Side:
    """A store under test with the routes of its own limiter."""

    def __init__(self, store):
        self.store = store
        self.grants = []

    def change(self, rules):
        self.routes = Routes("acme", rules)

    def call(self, now, calls):
        asks = [Ask(self.routes.call(operation, 1, {"key": key})) for operation, key in calls]
        verdicts = self.store.decide(now, asks)
        self.grants += [
            (ask.slots, verdict.at) for ask, verdict in zip(asks, verdicts, strict=True) if verdict.at is not None
        ]
        return [
            (verdict.at, verdict.until, verdict.slot and verdict.slot.key, ask.claims)
            for ask, verdict in zip(asks, verdicts, strict=True)
        ]

    def settle(self, now, what, index, length):
        if not self.grants:
            return
        slots, at = self.grants.pop(index % len(self.grants))
        if what == "release":
            held = [slot for slot in slots if slot.rule.kind == "concurrency"]
            self.store.settle(now, lambda meter, slot, _now: meter.release(slot.cost), held)
        elif what == "refund":
            self.store.settle(now, lambda meter, slot, _now: meter.refund(at, slot.cost), slots)
        elif what == "shrink":
            self.store.settle(now, lambda meter, _slot, now: meter.shrink(now, at), slots[-1:])
        elif what == "cool":
            self.store.settle(now, lambda meter, _slot, now: meter.cool(now + length), slots[-2:-1])
        else:
            self.store.settle(now, lambda meter, _slot, _now: meter.warm(), slots[-2:])


class Fixed:
    """A clock that shows the time of the step."""

    now = 10**15

    def monotonic_ns(self):
        return self.now


@settings(max_examples=150)
@given(BUDGETS, STEPS)
def test_three_processes_over_a_file_decide_as_one_over_its_memory(rules, steps):
    """Each step is of one process; the other side has one store, and a limiter for each process."""
    clock, memory = Fixed(), MemoryStore(slack_ns=3)
    with tempfile.TemporaryDirectory() as folder:
        stores = [SqliteStore(Path(folder, "budgets"), slack_ns=3, clock=clock) for _ in range(STORES)]
        pairs = [(Side(store), Side(memory)) for store in stores]
        for side in (side for pair in pairs for side in pair):
            side.change(rules)
        for length, which, step in steps:
            clock.now += length
            ours, model = pairs[which]
            if step == "reopen":
                ours.store._file.close()
            elif isinstance(step, tuple):
                ours.settle(clock.now, *step)
                model.settle(clock.now, *step)
            elif step and isinstance(step[0], tuple):
                assert ours.call(clock.now, step) == model.call(clock.now, step)
            else:
                for side in (side for pair in pairs for side in pair):
                    side.change(step)
        for store in stores:
            store.close()
