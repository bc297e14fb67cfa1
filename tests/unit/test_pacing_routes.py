"""Which meters a call takes from."""

import re

import pytest

from market_data_pipeline.contracts import check_budget
from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pacing import Limiter
from market_data_pipeline.pacing.routes import KEPT, Routes

ALL = Window(name="all", limit=10, period_ns=SECOND_NS)
CALLS = Gcra(name="calls", limit=50, burst=5, counts="calls")
CONTRACT = Window(name="contract", limit=6, period_ns=2 * SECOND_NS, per="contract", operations="history")
OPEN = Concurrency(name="open", limit=3, operations={"history"})
SAME = MinGap(name="same", gap_ns=15 * SECOND_NS, per=("contract", "request"), operations="history")
LINES = Concurrency(name="lines", limit=100, operations=())
ROUTES = Routes("ibkr", [ALL, CALLS, CONTRACT, OPEN, SAME, LINES])
KEYS = {"contract": "AAPL", "request": "1"}


def test_a_call_takes_of_each_rule_that_counts_it_and_of_what_refusals_have_taught():
    """RC-1."""
    slots = ROUTES.call("history", 2, KEYS)
    assert [(slot.rule.name, slot.cost, slot.apart) for slot in slots] == [
        ("all", 2, False),
        ("calls", 1, False),
        ("contract", 2, True),
        ("open", 1, False),
        ("same", 1, True),
        ("cooldown", 1, False),
        ("cooldown", 1, False),
    ]
    assert [slot.rule.name for slot in ROUTES.call("chain", 1, {})] == ["all", "calls", "cooldown", "cooldown"]


def test_calls_with_the_same_keys_share_a_meter_and_others_do_not():
    """RC-4."""
    keys = [slot.key for slot in ROUTES.call("history", 1, KEYS)]
    other = [slot.key for slot in ROUTES.call("history", 1, {"contract": "MSFT", "request": "1"})]
    assert keys == [slot.key for slot in ROUTES.call("history", 2, dict(KEYS))]
    assert [a == b for a, b in zip(keys, other, strict=True)] == [True, True, False, True, False, True, True]


@pytest.mark.parametrize(
    "others",
    [
        ({"contract": "a|", "request": "b"}, {"contract": "a", "request": "|b"}),
        ({"contract": "a\\", "request": "b"}, {"contract": "a", "request": "\\b"}),
        ({"contract": "a\\|b", "request": ""}, {"contract": "a\\", "request": "b|"}),
        ({"contract": "\ud83d", "request": ""}, {"contract": "\\ud83d", "request": ""}),
        ({"contract": "\ud83d", "request": "é"}, {"contract": "\ude00", "request": "é"}),
    ],
)
def test_no_two_meters_have_one_name(others):
    """RC-4."""
    one, two = (ROUTES.call("history", 1, keys)[4].key for keys in others)
    assert one != two


def test_a_rule_that_becomes_another_kind_has_another_meter():
    """RC-14."""
    one = Routes("a", [Window(name="r", limit=1, period_ns=SECOND_NS)]).call("x", 1, {})[0]
    two = Routes("a", [MinGap(name="r", gap_ns=SECOND_NS)]).call("x", 1, {})[0]
    assert one.key != two.key


def test_routes_without_keys_are_remembered_and_their_number_is_bounded():
    routes = Routes("a", [Window(name="w", limit=10 * KEPT, period_ns=SECOND_NS)])
    assert routes.call("x", 1, {}) is routes.call("x", 1, {})
    for cost in range(1, 3 * KEPT):
        routes.call("x", cost, {})
    assert len(routes._routes) <= KEPT


def test_what_refusals_teach_ends_at_the_least_rate_that_the_shared_rules_allow_in_the_long_run():
    """RC-10."""
    assert ROUTES.scope("history").rule.declared == 10.0
    assert Routes("a", [CONTRACT, OPEN]).scope("history").rule.declared == 0.0
    assert Routes("a", [CALLS, LINES]).scope("").rule.declared == 50.0
    assert Routes("a", [MinGap(name="apart", gap_ns=SECOND_NS // 4)]).scope("bars").rule.declared == 4.0
    assert [ROUTES.scope(name).rule.adaptive for name in ("history", "")] == [True, False]


@pytest.mark.parametrize("name", ["a|b", "cooldown", "retries", "Lines", "", "all"])
def test_a_rule_has_a_name_that_nothing_else_can_have_and_the_check_says_the_same(name):
    """RC-4: names are parts of meters, and of what `mdp budgets` shows beside the core's own."""
    rules = [ALL, MinGap(name=name, gap_ns=SECOND_NS)]
    (finding,) = {finding for finding in check_budget(rules) if finding.code == "name"}
    with pytest.raises(ConfigurationError) as raised:
        Routes("ibkr", rules)
    assert str(raised.value) == f"budget of ibkr: {finding}"
    with pytest.raises(ConfigurationError, match="its name is no good"):
        Limiter("ibkr", [ALL]).change(rules)


@pytest.mark.parametrize(
    ("cost", "keys", "why"),
    [
        (0, KEYS, "costs a whole number above 0, not 0"),
        (1.5, KEYS, "costs a whole number above 0, not 1.5"),
        (float("nan"), KEYS, "costs a whole number above 0, not nan"),
        (11, KEYS, r"11 at once is more than it ever allows \(10\)"),
        (7, KEYS, r"7 at once is more than it ever allows \(6\)"),
        (1, {"contract": "AAPL"}, "must say its request in keys"),
        (1, {"contract": 265598}, "must say its contract in keys, as text"),
    ],
)
def test_a_call_that_never_fits_is_a_mistake_whatever_the_time(cost, keys, why):
    """RC-8."""
    with pytest.raises(ConfigurationError, match=why):
        ROUTES.call("history", cost, keys)


def test_a_lease_takes_of_its_rule_alone():
    (slot,) = ROUTES.lease("lines", 7)
    assert (slot.rule, slot.cost) == (LINES, 7)


@pytest.mark.parametrize(
    ("resource", "many", "why"),
    [("line", 1, "no rule limits 'line': .*lines"), ("all", 1, "no rule limits 'all'"), ("lines", 101, "101 at once")],
)
def test_a_lease_that_never_fits_is_a_mistake(resource, many, why):
    """RC-8."""
    with pytest.raises(ConfigurationError, match=why):
        ROUTES.lease(resource, many)


def test_a_call_or_lease_is_routed_again_under_other_rules():
    """RC-14."""
    other = Routes("ibkr", [CALLS, LINES])
    assert other.again(ROUTES.call("history", 2, KEYS), "history", 2, KEYS) == other.call("history", 2, KEYS)
    assert [slot.key for slot in other.again(ROUTES.lease("lines", 7), "lines", 7, {})] == ["ibkr|concurrency|lines"]


@pytest.mark.parametrize(
    "rule",
    [Window(name="w", limit=5, period_ns=60), Gcra(name="g", limit=5, period_ns=60), MinGap(name="m", gap_ns=60)],
)
def test_a_time_that_was_meant_in_seconds_is_refused_and_the_check_says_the_same(rule):
    """RC-1: a rule of 60 nanoseconds would let everything out."""
    (finding,) = check_budget([rule])
    assert (finding.code, finding.is_error, finding.cure) == ("time", True, "write 60 * SECOND_NS for seconds")
    with pytest.raises(ConfigurationError, match=re.escape(str(finding))):
        Limiter("ibkr", [rule])
