"""The order in which who waits comes next (RC-7)."""

from collections import Counter
from itertools import count, islice

import attrs
import pytest

from market_data_pipeline.pacing.queue import FairQueue


@attrs.define(eq=False)
class Someone:
    seq: int
    tenant: str = "a"
    priority: int = 5
    cost: int = 1
    lane: str = "x"
    cell: list | None = None
    place: tuple = ()
    back: tuple = ()


NUMBERS = count()


def someone(tenant="a", **more):
    return Someone(next(NUMBERS), tenant, **more)


def serve(queue, depth=1):
    """Let who comes next go out, and return it."""
    waiter = next(queue.order(depth))
    queue.serve(waiter)
    return waiter


def fill(queue, many, *args, **more):
    return [queue.push(someone(*args, **more)) for _ in range(many)]


def test_equals_come_in_the_order_of_their_arrival():
    """RC-7."""
    queue = FairQueue()
    waiters = [someone() for _ in range(5)]
    for waiter in reversed(waiters):
        queue.push(waiter)
    assert [serve(queue) for _ in waiters] == waiters
    assert queue.live == 0


def test_pushing_returns_the_first_of_the_line():
    queue = FairQueue()
    first, second, other = someone(), someone(), someone(lane="y")
    assert [queue.push(waiter) for waiter in (first, second, other)] == [first, first, other]


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2.5, "c": 4}])
def test_tenants_share_by_their_weights(weights):
    """RC-7: within 5 %."""
    queue = FairQueue(weights.__getitem__)
    for tenant in weights:
        fill(queue, 2_000, tenant)
    served = Counter(serve(queue).tenant for _ in range(1_500))
    total = sum(weights.values())
    assert {name: served[name] / 1_500 for name in weights} == pytest.approx(
        {name: weight / total for name, weight in weights.items()}, rel=0.05
    )


def test_a_tenant_with_91_percent_of_the_waiters_gets_its_share():
    """RC-7."""
    queue = FairQueue()
    fill(queue, 910, "hog")
    for number in range(9):
        fill(queue, 10, f"t{number}")
    served = Counter(serve(queue).tenant for _ in range(100))
    assert served == dict.fromkeys(served, 10)


def test_costs_count_for_the_share():
    """RC-7."""
    queue = FairQueue()
    fill(queue, 300, "big", cost=10)
    fill(queue, 300, "small")
    served = Counter(serve(queue).tenant for _ in range(110))
    assert served == {"big": 10, "small": 100}


def test_each_step_of_priority_doubles_the_share_among_the_tenants_own_and_the_lowest_is_served():
    """RC-7."""
    queue = FairQueue()
    for priority in (0, 8, 9):
        fill(queue, 2_000, priority=priority)
    fill(queue, 2_000, "b", priority=0)
    served = Counter((waiter.tenant, waiter.priority) for waiter in (serve(queue) for _ in range(2_000)))
    assert served["b", 0] == pytest.approx(1_000, rel=0.05)
    assert served["a", 9] / served["a", 8] == pytest.approx(2, rel=0.05)
    assert served["a", 0] >= 1


def test_who_was_away_does_not_save_up():
    """RC-7."""
    queue = FairQueue()
    fill(queue, 1, "b")
    serve(queue)
    fill(queue, 200, "a")
    for _ in range(100):
        serve(queue)
    fill(queue, 100, "b")
    fill(queue, 100, "c")
    served = Counter(serve(queue).tenant for _ in range(90))
    assert served == pytest.approx({"a": 30, "b": 30, "c": 30}, abs=1)


def test_a_priority_that_was_away_does_not_save_up():
    """RC-7."""
    queue = FairQueue()
    fill(queue, 1, priority=6)
    serve(queue)
    fill(queue, 300, priority=5)
    for _ in range(100):
        serve(queue)
    fill(queue, 300, priority=6)
    served = Counter(serve(queue).priority for _ in range(90))
    assert served[6] == pytest.approx(60, abs=2)


def test_who_leaves_has_cost_its_tenant_nothing():
    """RC-9."""
    queue = FairQueue()
    fill(queue, 20, "b")
    for waiter in [someone() for _ in range(1_000)]:
        queue.push(waiter)
        queue.leave(waiter)
        queue.leave(waiter)
    fill(queue, 20, "a")
    assert Counter(serve(queue).tenant for _ in range(20)) == {"a": 10, "b": 10}


def test_waiters_that_leave_from_the_middle_take_no_room():
    queue = FairQueue()
    first = queue.push(someone())
    for waiter in [someone() for _ in range(1_005)]:
        queue.push(waiter)
        queue.leave(waiter)
    assert len(queue._lines["a", 5, "x"].cells) < 20
    assert list(queue) == [first]
    last = someone()
    queue.push(last)
    assert [serve(queue), serve(queue)] == [first, last]


def test_tenants_that_are_gone_are_forgotten():
    queue = FairQueue()
    for number in range(1_000):
        fill(queue, 1, f"t{number}")
        serve(queue)
    assert len(queue._tenants) < 20
    assert len(queue._priorities) < 20


def test_a_tenant_that_waits_is_not_forgotten_with_those_that_are_gone():
    """RC-7: else its next lane would have a share of its own."""
    queue = FairQueue()
    fill(queue, 100, "a", lane="x")
    for number in range(40):
        queue.leave(queue.push(someone(f"t{number}")))
    fill(queue, 100, "a", lane="y")
    fill(queue, 100, "b")
    assert Counter(serve(queue).tenant for _ in range(100)) == {"a": 50, "b": 50}


def test_each_lane_is_a_line_of_its_own_with_one_share():
    """RC-7."""
    queue = FairQueue()
    for lane in ("x", "y"):
        fill(queue, 100, "a", lane=lane)
    fill(queue, 100, "b", lane="x")
    assert [waiter.lane for waiter in queue.order(1)].count("y") == 1
    assert Counter(serve(queue).tenant for _ in range(100)) == {"a": 50, "b": 50}


def test_a_priority_that_waits_in_one_lane_keeps_its_claim_in_another():
    """RC-7: it was not away."""
    queue = FairQueue()
    held = queue.push(someone(lane="x"))  # nobody lets it out
    fill(queue, 128, priority=6, lane="y")
    for _ in range(64):
        queue.serve(next(waiter for waiter in queue.order(1) if waiter is not held))
    fill(queue, 32, lane="y")
    assert {waiter.priority for waiter in islice(queue.order(40), 32)} == {5}


def test_lanes_come_in_the_order_of_their_arrivals():
    """RC-7: several of each at once, too."""
    queue = FairQueue()
    waiters = [someone(lane=lane) for lane in "xyyxxyx"]
    for waiter in waiters:
        queue.push(waiter)
    assert list(queue.order(4)) == waiters


def test_the_order_is_that_in_which_they_would_go_out():
    """RC-7: several of each line at once come as they would one by one."""

    def filled():
        queue, seqs = FairQueue({"a": 1, "b": 3}.__getitem__), count()
        for tenant in "ab":
            for priority in (4, 5):
                for lane in "xy":
                    for cost in (1, 2, 1):
                        queue.push(Someone(next(seqs), tenant, priority, cost, lane))
        return queue

    queue = filled()
    one_by_one = [serve(queue).seq for _ in range(24)]
    assert [waiter.seq for waiter in filled().order(3)] == one_by_one
    assert list(queue.order(3)) == []


def test_who_leaves_behind_others_and_comes_back_keeps_the_place():
    """RC-7, RC-9: the place that was left is not taken for the new one."""
    queue = FairQueue()
    first, second, third = fill(queue, 3)[0], *list(queue)[1:]
    queue.leave(second)
    queue.push(second)
    assert [serve(queue) for _ in range(3)] == [first, second, third]
