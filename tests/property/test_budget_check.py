"""What is said about a budget against a simulation of it: idle rules hold nothing up, contradictions grant nothing."""

import asyncio
from contextlib import suppress

from hypothesis import event, given
from hypothesis import strategies as st

from market_data_pipeline.contracts import Concurrency, Gcra, MinGap, PlannedCall, Window, check_budget
from market_data_pipeline.contracts.bounds import STRETCHES
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pacing import Limiter, MemoryStore
from market_data_pipeline.pacing.routes import Routes

OPERATIONS = ("history", "chain")
KEYS = ("contract", "request")
UNIT = 10_000_000

times = st.integers(1, 12).map(lambda n: n * UNIT)
limits = st.integers(1, 6)
scopes = {
    "operations": st.none() | st.frozensets(st.sampled_from(OPERATIONS)),
    "per": st.lists(st.sampled_from(KEYS), unique=True).map(tuple),
}
measures = st.sampled_from(["cost", "calls"])
rules = st.one_of(
    st.builds(dict, kind=st.just(Window), limit=limits, period_ns=times, counts=measures, **scopes),
    st.builds(dict, kind=st.just(Gcra), limit=limits, period_ns=times, burst=limits, counts=measures, **scopes),
    st.builds(dict, kind=st.just(MinGap), gap_ns=times, **scopes),
    st.builds(dict, kind=st.just(Concurrency), limit=limits, **scopes),
)
budgets = st.lists(rules, min_size=2, max_size=4).map(
    lambda many: [
        one["kind"](name=f"r{n}", **{k: v for k, v in one.items() if k != "kind"}) for n, one in enumerate(many)
    ]
)
calls = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.integers(1, 6),
        st.fixed_dictionaries({key: st.sampled_from("ab") for key in KEYS}),
        st.integers(0, 3 * UNIT),  # how long after the one before it is wanted
        st.integers(0, 6 * UNIT),  # how long it takes
    ),
    min_size=1,
    max_size=40,
)


@given(budget=budgets, calls=calls, slack=st.sampled_from(STRETCHES))
def test_what_never_binds_never_holds_a_call_up(budget, calls, slack):
    """RC-1: of each call the other rules alone give the same time."""
    idle = {finding.rule for finding in check_budget(budget) if finding.code in {"never_binds", "unused"}}
    event(f"{len(idle)} idle")
    store, routes, now = MemoryStore(slack_ns=slack), Routes("acme", budget), 0
    open_calls = []
    for operation, cost, keys, after, length in calls:
        now += after
        with suppress(ConfigurationError):  # it costs more than a rule ever allows
            slots = [slot for slot in routes.call(operation, cost, keys) if slot.rule.kind != "feedback"]
            while True:
                for end, meter, much in [each for each in open_calls if each[0] <= now]:
                    meter.release(much)
                    open_calls.remove((end, meter, much))
                when = {slot.rule.name: store.meter(slot, now).earliest(now, slot.cost) for slot in slots}
                late = max(when.values(), default=now)
                for name in idle & set(when):
                    assert when[name] <= max([now, *(at for other, at in when.items() if other not in idle)])
                if late <= now:
                    break
                now = min([late, *(end for end, _, _ in open_calls)])
            for slot in slots:
                store.meter(slot, now).take(now, slot.cost)
                if slot.rule.kind == "concurrency":
                    open_calls.append((now + length, store.meter(slot, now), slot.cost))


@given(
    budget=budgets,
    call=st.builds(
        PlannedCall,
        operation=st.sampled_from(OPERATIONS),
        cost=st.integers(1, 8),
        keys=st.frozensets(st.sampled_from(KEYS)),
    ),
)
def test_a_call_goes_out_unless_there_is_a_contradiction(budget, call):
    """RC-8."""
    contradictions = [finding for finding in check_budget(budget, calls=[call]) if call.operation in finding.what]
    event("contradiction" if contradictions else "fits")

    async def granted():
        limiter = Limiter("acme", budget)
        with suppress(ConfigurationError):
            return limiter.try_acquire(call.operation, cost=call.cost, keys=dict.fromkeys(call.keys, "a")) is not None
        return False

    assert asyncio.run(granted()) is not bool(contradictions)
