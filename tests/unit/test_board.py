"""The board between an operator and a running process, with time and files under control: CB-1, RC-10."""

import json
import logging
import os
import re

import anyio
import pytest

from market_data_pipeline.cli import main
from market_data_pipeline.contracts import Concurrency, MinGap, Window
from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.errors import BudgetUnavailable, CircuitBreakerOpen
from market_data_pipeline.orchestration.board import ORDERS, PROCESSES, Board
from market_data_pipeline.orchestration.coordinator import RateCoordinator
from market_data_pipeline.orchestration.orders import Order, Orders
from market_data_pipeline.orchestration.presence import LOCKS, Presence, ShownAccount, ShownProcess, ShownRule, present
from market_data_pipeline.pacing import SqliteStore
from market_data_pipeline.testing import simulate

RULES = [
    Window(name="history", limit=60, period_ns=600 * SECOND_NS, operations="history"),
    Concurrency(name="lines", limit=3, operations=()),
    MinGap(name="same", gap_ns=SECOND_NS, per="contract", operations="bars"),
]


class Office:
    """A process with an account, and an operator beside it."""

    def __init__(self, loop, home):
        self.loop, self.home = loop, home
        self.coordinator = RateCoordinator(clock=loop, seed=1)
        self.board = Board(self.coordinator, home, clock=loop)

    @property
    def account(self):
        return self.coordinator.account("acme", credential="3f2a", rules=RULES)

    @property
    def breaker(self):
        return self.account.breaker("history")

    def order(self, action, target="acme/history", *, lasting=None, reason="the vendor is down"):
        provider, _, operation = target.partition("/")
        now = self.loop.time_ns()
        until = None if lasting is None else now + lasting * SECOND_NS
        order = Order(action=action, provider=provider, operation=operation, reason=reason, at=now, until=until)
        return Orders(self.home / ORDERS).write(order)

    def shown(self):
        return present(self.home / PROCESSES)[0]


@pytest.fixture
def office(tmp_path):
    """Run a test beside a running board."""

    def run(test, *, before=lambda _: None):
        async def program(loop):
            office = Office(loop, tmp_path)
            before(office)
            async with anyio.create_task_group() as tasks:
                await office.board.open()
                tasks.start_soon(office.board.run)
                await anyio.sleep(0.5)
                await test(office)
                office.board.end()

        simulate(program)

    return run


def test_an_order_is_done_within_a_second_once_and_with_its_reason(office, caplog):
    async def test(office):
        assert office.breaker.state == "closed"
        office.order("open")
        await anyio.sleep(1)
        with pytest.raises(CircuitBreakerOpen, match="an operator: the vendor is down"):
            office.breaker.acquire()
        office.breaker.clear("the program knows better")
        await anyio.sleep(5)
        assert office.breaker.state == "closed"

    office(test)
    assert caplog.text.count("an operator's order to open the breaker of acme/3f2a/history is done") == 1
    assert "the vendor is down" in caplog.text


def test_the_log_says_for_how_many_seconds_an_order_holds(office, caplog):
    async def test(office):
        assert office.breaker.state == "closed"
        office.order("open", lasting=7200)
        await anyio.sleep(1)

    office(test)
    assert re.search(r"is done, for (7200|7199) s: the vendor is down", caplog.text)


def test_a_breaker_that_is_made_later_comes_up_as_ordered(office):
    async def test(office):
        office.order("open", "acme")
        await anyio.sleep(1)
        assert office.breaker.state == "forced_open"

    office(test)


def test_a_process_that_starts_later_comes_up_as_ordered_before_its_first_call(office):
    async def test(office):
        assert office.breaker.state == "disabled"

    office(test, before=lambda office: office.order("disable"))


def test_an_expiry_holds_by_the_monotonic_clock_from_when_it_was_taken(office):
    async def test(office):
        office.order("open", lasting=10)
        await anyio.sleep(1)
        await anyio.sleep(8.9)
        assert office.breaker.state == "forced_open"
        await anyio.sleep(0.1)
        assert office.breaker.state == "half_open"

    async def later(office):
        assert office.breaker.state == "closed"

    office(test, before=lambda office: office.breaker)
    office(later, before=lambda office: office.order("open", lasting=0))


def test_a_wider_order_comes_back_when_a_narrower_one_has_ended(office):
    async def test(office):
        office.order("open", "acme")
        await anyio.sleep(1)
        office.order("disable", lasting=5)
        await anyio.sleep(1)
        assert office.breaker.state == "disabled"
        await anyio.sleep(5)
        assert office.breaker.state == "forced_open"

    office(test, before=lambda office: office.breaker)


def test_a_reset_closes_and_concerns_neither_new_breakers_nor_what_came_before_it(office, caplog):
    async def test(office):
        office.breaker.force_open("bad credentials")
        office.order("reset")
        await anyio.sleep(1)
        assert (office.breaker.state, office.breaker.status().reason) == ("closed", "an operator: the vendor is down")
        assert office.account.breaker("chain").status().generation == 0

    async def later(office):
        assert office.breaker.status().generation == 0

    office(test)
    office(later)
    assert caplog.text.count("is done") == 1


def test_a_reset_is_done_though_the_wall_clock_was_set_back(office):
    """G-1, CB-1, RC-10: an order is later than those before it, whatever the clock says."""

    async def test(office):
        office.breaker.force_open("bad credentials")
        office.account.limiter.cool(60 * SECOND_NS)
        office.loop.jump(-3_600 * SECOND_NS)
        office.order("reset")
        office.order("warm", "acme")
        await anyio.sleep(1)
        assert office.breaker.state == "closed"
        assert office.account.limiter.cooldown_ns() == 0

    office(test)


@pytest.mark.parametrize(("target", "left"), [("acme/history", (0, 60)), ("acme", (0, 0)), ("other", (60, 60))])
def test_a_reset_of_a_budget_ends_the_cooldowns_that_it_names(office, target, left):
    async def test(office):
        async with office.account.call("history"), office.account.call("bars", keys={"contract": "A"}):
            pass
        for scope in ("history", "bars"):
            office.account.limiter.cool(60 * SECOND_NS, scope=scope)
        office.order("warm", target)
        await anyio.sleep(1)
        rests = {rest.operation: rest.left_ns for rest in (await office.account.limiter.usage()).rests}
        assert tuple(-(-rests.get(scope, 0) // SECOND_NS // 60) * 60 for scope in ("history", "bars")) == left

    office(test)


def test_a_reset_of_a_budget_ends_no_cooldown_that_begins_afterwards(office):
    async def test(office):
        office.order("warm", "acme")
        await anyio.sleep(1)
        office.account.limiter.cool(60 * SECOND_NS)
        await anyio.sleep(2)
        assert office.account.limiter.cooldown_ns() == 58 * SECOND_NS

    office(test)


def test_what_is_taken_who_waits_and_what_rests_is_shown(office):
    async def test(office):
        account = office.account
        async with account.lease("lines", 2), account.call("history", cost=7), anyio.create_task_group() as tasks:
            account.limiter.cool(60 * SECOND_NS, scope="history")

            async def wait():
                async with account.call("history", priority=7):
                    pass

            tasks.start_soon(wait)
            await anyio.sleep(1)
            process = office.shown()
            tasks.cancel_scope.cancel()
        (shown,) = process.accounts
        assert (shown.name, shown.provider, shown.waiting, shown.in_flight) == ("acme/3f2a", "acme", 1, 2)
        assert {rule.name: rule.usage and rule.usage.used for rule in shown.rules} == {
            "history": 7,
            "lines": 2,
            "same": 0,
        }
        (rest,) = shown.rests
        start = office.loop.time_ns() - office.loop.monotonic_ns()
        assert (rest.operation, rest.until) == ("history", start + 60_500_000_000)
        (wait,) = shown.waits
        assert (wait.waits.rule, wait.waits.priority, wait.until) == ("cooldown", 7, rest.until)
        assert wait.since == start + 500_000_000
        (breaker,) = shown.breakers
        assert (breaker.status.operation, breaker.status.state, breaker.refuses) == ("history", "closed", False)

    office(test)


def test_the_command_line_shows_budgets_and_who_waits(office, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))

    def lines(*arguments):
        assert main(arguments) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    async def test(office):
        account, pid = office.account, os.getpid()
        async with account.call("history", cost=7), anyio.create_task_group() as tasks:
            account.limiter.cool(60 * SECOND_NS, scope="history")

            async def wait():
                async with account.call("history", keys={"contract": "A"}):
                    pass

            tasks.start_soon(wait)
            await anyio.sleep(1)
            assert lines("budgets")[1:] == [
                f"{pid} acme/3f2a history 7 60 window 600 s 1 2",
                f"{pid} acme/3f2a lines 0 3 concurrency 1 2",
                f"{pid} acme/3f2a same no keys min_gap 1 s per contract 1 2",
                f"{pid} acme/3f2a cooldown history 2026-01-01T00:01:00Z 1 2",
            ]
            shown = f"{pid} acme/3f2a history contract=A 1 5 2026-01-01T00:00:00Z cooldown 2026-01-01T00:01:00Z"
            assert lines("budgets", "explain")[1:] == lines("budgets", "explain", "acme")[1:] == [shown]
            assert lines("budgets", "explain", "other") == []
            tasks.cancel_scope.cancel()

    office(test)


def test_the_command_line_shows_of_a_rule_that_counts_by_keys_how_many_there_are_and_the_fullest(
    office, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))

    async def test(office):
        rules = [Window(name="each", limit=60, period_ns=600 * SECOND_NS, per=("contract", "what"))]
        account = office.coordinator.account("acme", credential="keyed", rules=rules)

        async def cell(contract, cost):
            async with account.call("history", keys={"contract": contract, "what": "bid"}, cost=cost):
                pass
            await anyio.sleep(1)
            assert main(["budgets"]) == 0
            (line,) = [line for line in capsys.readouterr().out.splitlines() if "each" in line]
            return " ".join(line.split()).removeprefix(f"{os.getpid()} acme/keyed each ")

        rest = "60 window 600 s per contract, what 0 0"
        assert await cell("AAPL", 58) == f"1 key, most AAPL,bid 58 {rest}"
        assert await cell("MSFT", 1) == f"2 keys, most AAPL,bid 58 {rest}"
        assert await cell("X" * 90, 60) == f"3 keys, most {'X' * 37}... 60 {rest}"
        assert main(["budgets", "--json"]) == 0
        (shown,) = json.loads(capsys.readouterr().out)
        assert [(key["keys"]["contract"], key["used"]) for key in shown["rules"][0]["usage"]["keys"]] == [
            ("X" * 90, 60),
            ("AAPL", 58),
            ("MSFT", 1),
        ]

    office(test)


def test_a_process_of_a_version_that_did_not_tell_of_keys_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    rule = ShownRule(name="same", kind="min_gap", limit=None, period_ns=SECOND_NS, per=("contract",), usage=None)
    account = ShownAccount(
        name="acme", provider="acme", in_flight=0, waiting=0, rules=(rule,), rests=(), trouble="", breakers=(), waits=()
    )
    one = Presence(tmp_path / PROCESSES)
    one.show(ShownProcess(pid=1, since=0, taken=0, accounts=(account,)))
    assert main(["budgets"]) == 0
    assert "by key" in capsys.readouterr().out
    one.leave()


def test_nothing_is_written_while_nothing_changes(office, tmp_path):
    async def test(office):
        file = next(tmp_path.joinpath(PROCESSES).glob("*.json"))
        before = file.stat().st_ino, file.stat().st_mtime_ns
        await anyio.sleep(30)
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == before
        office.breaker.force_open("x")
        await anyio.sleep(1)
        assert file.stat().st_ino != before[0]

    office(test, before=lambda office: office.account.limiter.cool(60 * SECOND_NS))


def test_a_file_that_somebody_deletes_is_there_again_within_a_second(office, tmp_path):
    async def test(office):
        file = next(tmp_path.joinpath(PROCESSES).glob("*.json"))
        file.write_text("{")
        strange = {}
        assert present(tmp_path / PROCESSES, strange) == ()
        assert list(strange) == [file]
        file.unlink()
        await anyio.sleep(1)
        assert office.shown().pid == os.getpid()

    office(test)


def test_a_message_or_a_key_with_half_a_character_is_shown(office):
    """CB-13: what a vendor says stops nobody."""

    async def test(office):
        office.breaker.force_open("they said \ud83d")
        keys = {"contract": "\ud83d"}
        await office.account.limiter.acquire("bars", keys=keys)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: office.account.limiter.acquire("bars", keys=keys))
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        (shown,) = office.shown().accounts
        assert shown.breakers[0].status.reason == r"they said \ud83d"

    office(test)


def test_a_coordinator_without_a_board_is_not_seen_but_what_it_takes_of_a_shared_file_is(tmp_path):
    async def program(loop):
        stores = [SqliteStore(tmp_path / "budgets.sqlite", clock=loop) for _ in range(2)]
        seen, alone = (RateCoordinator(store=store, clock=loop) for store in stores)
        board = Board(seen, tmp_path, clock=loop)
        async with anyio.create_task_group() as tasks:
            await board.open()
            tasks.start_soon(board.run)
            account, other = (each.account("acme", rules=RULES) for each in (seen, alone))
            async with other.lease("lines", 2), other.call("history", cost=7):
                Orders(tmp_path / ORDERS).write(Order(action="open", provider="acme", reason="x", at=loop.time_ns()))
                await anyio.sleep(2)
                assert account.breaker("history").state == "forced_open"
                assert other.breaker("history").state == "closed"
                (process,) = present(tmp_path / PROCESSES)
            board.end()
        (shown,) = process.accounts
        assert {rule.name: rule.usage.used for rule in shown.rules} == {"history": 7, "lines": 2, "same": 0}
        assert (shown.in_flight, shown.breakers) == (0, ())
        for store in stores:
            store.close()

    simulate(program)


def test_a_process_that_has_ended_shows_nothing(office, tmp_path):
    async def test(office):
        assert office.shown().pid == os.getpid()

    office(test)
    assert [path.name for path in tmp_path.joinpath(PROCESSES).iterdir()] == [LOCKS]


def test_a_folder_that_cannot_be_used_is_told_once_and_all_goes_on(office, tmp_path, caplog):
    tmp_path.joinpath("state").write_text("in the way")

    async def test(office):
        await anyio.sleep(5)
        assert office.breaker.state == "closed"

    with caplog.at_level(logging.WARNING):
        office(test)
    assert caplog.text.count("operators cannot see or override this process") == 1


def test_a_budget_that_cannot_be_read_is_shown_as_such(office, monkeypatch):
    async def unknown():
        raise BudgetUnavailable("the file is damaged")

    async def test(office):
        monkeypatch.setattr(office.account.limiter, "usage", unknown)
        await anyio.sleep(1)
        assert office.shown().accounts[0].trouble == "the file is damaged"

    office(test)


def test_a_file_without_a_living_owner_is_removed(tmp_path):
    living = Presence(tmp_path)
    living.show(ShownProcess(pid=1, since=0, taken=0, accounts=()))
    for name in ("4000000.json", "4000000.new"):
        tmp_path.joinpath(name).write_text("{}")
    assert [process.pid for process in present(tmp_path)] == [1]
    assert not list(tmp_path.glob("4000000.*"))
    living.leave()
    living.leave()
    assert present(tmp_path) == ()


@pytest.mark.parametrize("name", ["1.2.json", "7a.json"])
def test_a_strange_file_is_left_alone(tmp_path, name):
    one = Presence(tmp_path)
    one.show(ShownProcess(pid=1, since=0, taken=0, accounts=()))
    tmp_path.joinpath(name).touch()
    assert len(present(tmp_path)) == 1
    assert tmp_path.joinpath(name).exists()
    one.leave()


def test_a_file_of_another_version_is_left_alone(tmp_path):
    living = Presence(tmp_path)
    living.show(ShownProcess(pid=1, since=0, taken=0, accounts=()))
    file = next(tmp_path.glob("*.json"))
    file.write_text("{}")
    assert present(tmp_path) == ()
    assert file.exists()
    living.leave()
