"""What is said about budgets: where, why with numbers, and what to do (RC-1)."""

import pytest

from market_data_pipeline.contracts import (
    SECOND_NS,
    Concurrency,
    Gcra,
    MinGap,
    PlannedCall,
    Window,
    check_budget,
    long_run,
)
from market_data_pipeline.contracts.budget_check import described
from market_data_pipeline.errors import BudgetExhausted, ConfigurationError
from market_data_pipeline.pacing import Limiter
from market_data_pipeline.testing import simulate

IBKR = (
    Window(name="messages", limit=45, period_ns=SECOND_NS, counts="calls"),
    Window(name="history", limit=60, period_ns=600 * SECOND_NS, operations="history"),
    Window(name="history.contract", limit=5, period_ns=2 * SECOND_NS, operations="history", per="contract"),
    MinGap(name="history.same", gap_ns=15 * SECOND_NS, operations="history", per="request"),
    Concurrency(name="history.open", limit=50, operations="history"),
    Concurrency(name="lines", limit=100, operations=()),
)
HISTORY = PlannedCall(operation="history", cost=2, keys={"contract", "request"})


def minute(limit, **more):
    return Window(**{"name": "minute", "limit": limit, "period_ns": 60 * SECOND_NS, **more})


def found(*rules, **more):
    return [(each.rule, each.code) for each in check_budget(rules, **more)]


def test_the_rules_of_a_real_vendor_are_consistent():
    assert check_budget(IBKR, held={"lines": 100}, calls=[HISTORY, PlannedCall(operation="chain")]) == ()


def test_what_rules_of_one_operation_count_by_may_differ_as_long_as_the_call_says_all_of_it():
    (finding,) = check_budget(IBKR, calls=[PlannedCall(operation="history", keys={"contract"})])
    assert str(finding) == (
        "rule 'history.same': no call of 'history' ever goes out: the rule counts by request, and the call does not say"
        " request; say all of them in keys of services.call('history'), or narrow the rule's operations"
    )
    assert finding.is_error


def test_a_finding_says_where_why_and_what_to_do():
    (finding,) = check_budget([minute(60), Window(name="hour", limit=4_000, period_ns=3_600 * SECOND_NS)])
    assert str(finding) == (
        "rule 'hour': no call ever waits for it, because of 'minute': 60 in 60 s is 3600 in 3600 s at most, and it"
        " allows 4000; leave it out, or correct 'minute'"
    )
    assert not finding.is_error


@pytest.mark.parametrize(
    ("rules", "idle"),
    [
        ([minute(61), Gcra(name="even", limit=1)], "minute"),  # 1 + 60 in a minute that is stretched by 50 ms
        ([minute(60), Gcra(name="even", limit=1)], None),
        ([minute(4), MinGap(name="gap", gap_ns=15 * SECOND_NS)], None),
        ([minute(4, counts="calls"), MinGap(name="gap", gap_ns=15 * SECOND_NS)], "minute"),
        ([minute(3, counts="calls"), MinGap(name="gap", gap_ns=15 * SECOND_NS)], None),
        ([minute(10), minute(10, name="again")], "again"),
        ([minute(10, name="less"), minute(12)], "minute"),
        ([minute(60), Gcra(name="even", limit=1, burst=60)], "even"),
        ([Gcra(name="slow", limit=1, burst=2), Gcra(name="fast", limit=2, burst=2)], "fast"),
        ([Gcra(name="slow", limit=1, burst=3), Gcra(name="fast", limit=2, burst=2)], None),
        ([Gcra(name="even", limit=1), MinGap(name="gap", gap_ns=2 * SECOND_NS)], None),  # a call may cost more than one
        ([Gcra(name="even", limit=1, counts="calls"), MinGap(name="gap", gap_ns=2 * SECOND_NS)], "even"),
        ([Concurrency(name="all", limit=5), Concurrency(name="some", limit=8, operations="chain")], "some"),
        ([Concurrency(name="all", limit=5), minute(1)], None),
        ([minute(10), minute(10, name="each", per="contract")], "each"),
        ([minute(20), minute(10, name="each", per="contract")], None),  # three contracts are 30
        ([minute(10), minute(20, name="history", operations="history")], "history"),
        ([minute(10, operations="chain"), minute(20, name="history", operations="history")], None),
        ([minute(10, operations="chain"), minute(20, name="rest")], None),
    ],
)
def test_a_rule_that_another_one_makes_idle(rules, idle):
    assert [each.rule for each in check_budget(rules) if each.code == "never_binds"] == ([idle] if idle else [])


def test_a_burst_above_what_another_rule_allows_at_once_is_used_up_all_the_same():
    """It grows back more slowly than the window lets calls out, so that each minute leaves less of it."""
    rules = [minute(10), Gcra(name="even", limit=1, burst=20, period_ns=10 * SECOND_NS)]

    async def program(loop):
        limiter = Limiter("acme", rules, clock=loop)
        for _ in range(40):
            try:
                await limiter.acquire("history", patient=False)
            except BudgetExhausted as error:
                if error.rule == "even":
                    return True
                await limiter.acquire("history")
        return False

    assert check_budget(rules) == ()
    assert simulate(program)


@pytest.mark.parametrize(
    ("rule", "more", "code"),
    [
        (minute(1, name="Minute"), {}, "name"),
        (minute(1, name="a|b"), {}, "name"),
        (minute(1, name="cooldown"), {}, "name"),
        (minute(1, operations=()), {}, "unused"),
        (Gcra(name="even", limit=1, operations=()), {}, "unused"),
        (minute(1, operations="hist"), {"calls": [HISTORY]}, "unused"),
        (Concurrency(name="open", limit=1, operations="hist"), {"calls": [HISTORY]}, "unused"),
        (minute(1), {"calls": [HISTORY]}, "contradiction"),
        (minute(1, counts="calls"), {"calls": [HISTORY]}, None),
        (Gcra(name="even", limit=1), {"calls": [HISTORY]}, "contradiction"),
        (Concurrency(name="open", limit=1), {"calls": [HISTORY]}, None),
        (minute(1, name="lines"), {"held": {"lines": 5}}, "contradiction"),
        (Concurrency(name="lines", limit=4), {"held": {"lines": 5}}, "contradiction"),
        (Concurrency(name="lines", limit=5), {"held": {"lines": 5}}, None),
        (Concurrency(name="lines", limit=5, operations=(), per="account"), {}, "contradiction"),
    ],
)
def test_a_rule_that_cannot_be_meant(rule, more, code):
    assert found(rule, **more) == ([(rule.name, code)] if code else [])


def test_two_rules_of_one_name():
    assert found(minute(1), MinGap(name="minute", gap_ns=90 * SECOND_NS, per="contract")) == [("minute", "name")] * 2


def test_the_long_run_rate_of_each_operation_and_the_rule_that_sets_it():
    assert [(rate.operation, rate.per_sec, rate.rule) for rate in long_run(IBKR)] == [
        ("history", 0.1, "history"),
        ("", 45, "messages"),
    ]
    (gap, rest) = long_run(IBKR[3:])
    assert (gap.rule, gap.per, round(gap.per_sec, 4)) == ("history.same", ("request",), 0.0667)
    assert (rest.per_sec, rest.rule) == (None, "")


def test_rules_in_words():
    assert [described(rule) for rule in (Gcra(name="even", limit=45, burst=5), *IBKR)] == [
        "45 in 1 s, 5 at once",
        "45 in 1 s, each call as one",
        "60 in 600 s, of history",
        "5 in 2 s, of history, per contract",
        "15 s apart, of history, per request",
        "50 at a time, of history",
        "100 at a time, of leases alone",
    ]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: minute(0), "rule 'minute': limit must be a whole number above 0, not 0"),
        (lambda: MinGap(name="gap", gap_ns=1.5), "rule 'gap': gap_ns must be a whole number above 0, not 1.5"),
        (lambda: minute(1, counts="bytes"), "rule 'minute': counts must be 'cost' or 'calls', not 'bytes'"),
        (lambda: minute(2**62 + 1), "rule 'minute': limit must be at most 4611686018427387904"),
        (
            lambda: Gcra(name="even", limit=1, period_ns=60 * SECOND_NS, burst=10**9),
            "rule 'even': a burst must be there again within 146 years: lower it, or raise the rate",
        ),
        (lambda: minute(1, per=[""]), "rule 'minute': per must be names"),
        (lambda: minute(1, operations=[7]), "rule 'minute': operations must be names"),
    ],
)
def test_what_is_no_number_or_name_is_an_error(make, text):
    with pytest.raises(ConfigurationError, match=text):
        make()
