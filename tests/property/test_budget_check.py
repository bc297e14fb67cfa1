"""What is said about a budget against a simulation of it: idle rules hold nothing up, contradictions grant nothing."""

import asyncio
from contextlib import suppress

import anyio
import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from market_data_pipeline.contracts import Capabilities, Concurrency, Gcra, MinGap, PlannedCall, Window, check_budget
from market_data_pipeline.contracts.bounds import STRETCHES
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pacing import Limiter, MemoryStore
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.plugins.budget import budget_of
from market_data_pipeline.testing import simulate

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


planned = st.builds(
    PlannedCall,
    operation=st.sampled_from(OPERATIONS),
    cost=st.integers(1, 8),
    keys=st.frozensets(st.sampled_from(KEYS)),
)


async def is_granted(asked):
    """Tell whether a call or lease goes out, however long it waits, and give it back; else it is refused for good."""
    try:
        grant = await asked
    except ConfigurationError:
        return False
    await anyio.sleep(0.01)
    grant.release()
    return True


@given(budget=budgets, calls=st.lists(planned, min_size=1, max_size=2, unique_by=lambda call: call.operation))
def test_a_call_goes_out_unless_there_is_a_contradiction(budget, calls):
    """RC-8: all of several that are made at once, or none."""
    errors = [finding.what for finding in check_budget(budget, calls=calls) if finding.is_error]

    async def program(loop):
        limiter = Limiter("acme", budget, clock=loop)
        for call in calls:
            fails = any(repr(call.operation) in what for what in errors)
            event("contradiction" if fails else "fits")
            keys = dict.fromkeys(call.keys, "a")
            many = [is_granted(limiter.acquire(call.operation, cost=call.cost, keys=keys)) for _ in range(4)]
            assert await asyncio.gather(*many) == [not fails] * 4

    simulate(program)


@given(budget=budgets, held=st.dictionaries(st.sampled_from(["r0", "r1", "lines"]), limits, min_size=1))
def test_all_that_is_held_is_leased_and_no_more_unless_there_is_a_contradiction(budget, held):
    """RC-8."""
    errors = {finding.rule for finding in check_budget(budget, held=held) if finding.is_error}
    spec = ProviderSpec(name="acme", factory="math:sqrt", capabilities=Capabilities(held=held), budget=budget)
    alone = {rule.name: rule.limit for rule in budget if rule.kind == "concurrency" and rule.operations == frozenset()}

    async def program(loop):
        limiter = Limiter("acme", budget_of(spec), clock=loop)
        for name, limit in {**alone, **held}.items():
            event("contradiction" if name in errors else "fits")
            all_and_no_more = [await is_granted(limiter.lease(name, many)) for many in (limit, limit + 1)]
            assert (all_and_no_more == [True, False]) is (name not in errors)

    simulate(program)


@given(budget=budgets, names=st.lists(st.sampled_from(["r0", "r1", "r2", "R", "cooldown"]), min_size=4, max_size=4))
def test_an_account_is_made_unless_a_name_is_no_good(budget, names):
    """RC-8."""
    budget = [attrs.evolve(rule, name=name) for rule, name in zip(budget, names, strict=False)]
    if any(finding.code == "name" for finding in check_budget(budget)):
        event("no good")
        with pytest.raises(ConfigurationError, match="its name is no good"):
            Limiter("acme", budget)
    else:
        Limiter("acme", budget)
