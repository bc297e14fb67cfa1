"""One file of what was used for all processes of a host (RC-2, RC-4, RC-5, RC-6)."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from functools import partial
from itertools import count

import msgspec
import pytest

from market_data_pipeline.contracts.budget import MOST, SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.contracts.budget_check import SHORTEST_NS
from market_data_pipeline.errors import BudgetUnavailable
from market_data_pipeline.pacing import Limiter, MemoryStore, SqliteStore, owners
from market_data_pipeline.pacing.budget_file import VERSION, BudgetFile
from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.sqlite_store import SWEEP
from market_data_pipeline.pacing.store import Ask
from market_data_pipeline.testing import simulate

WINDOW = Window(name="ten.minutes", limit=2, period_ns=600 * SECOND_NS)
LINES = Concurrency(name="lines", limit=3, operations=())
DAY = 86_400 * SECOND_NS


class Machine:
    """The clock of a machine, which all its processes read."""

    def __init__(self, now=DAY):
        self.now = now

    def monotonic_ns(self):
        return self.now


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def store_of(tmp_path, machine):
    """Make a store on the same file as the others, as another process would."""
    stores = []

    def make(name="budgets.sqlite", **options):
        stores.append(SqliteStore(tmp_path / name, **{"slack_ns": 0, "lock_timeout": 0, "clock": machine} | options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def slots_of(*rules, keys=None):
    """The slots of a call under some rules, without those of cooldowns."""
    return Routes("acme", rules).call("bars", 1, keys or {})[: len(rules)]


def lines(many=1):
    return Routes("acme", [LINES]).lease("lines", many)


def take(store, slots, now=0):
    return store.decide(now, [Ask(slots)])[0]


def release(meter, slot, _now):
    meter.release(slot.cost)


def values(path):
    with sqlite3.connect(path) as database:
        found = dict(database.execute("SELECT name, value FROM kept WHERE name != ''"))
    database.close()
    return found


@pytest.mark.parametrize(
    "rule",
    [
        WINDOW,
        Gcra(name="rate", limit=1, period_ns=600 * SECOND_NS, burst=2),
        MinGap(name="gap", gap_ns=600 * SECOND_NS),
    ],
)
def test_a_restart_forgets_nothing(store_of, machine, rule):
    first = store_of()
    while take(first, slots_of(rule)).at is not None:
        pass
    until = take(first, slots_of(rule)).until
    first.close()
    assert take(store_of(), slots_of(rule)).until == until
    machine.now = until - 1
    assert take(store_of(), slots_of(rule)).at is None
    machine.now = until
    assert take(store_of(), slots_of(rule)).at is not None


def test_what_one_takes_the_other_has_not(store_of):
    """RC-4."""
    one, other = store_of(), store_of()
    granted = [take(store, slots_of(WINDOW)).at is not None for store in (one, other, one, other)]
    assert granted == [True, True, False, False]


def test_a_key_with_half_a_character_has_a_meter_too(store_of):
    """RC-4: and the calls that are decided with it get their answers."""
    per = Window(name="contract", limit=1, period_ns=DAY, per="contract")
    asks = [Ask(slots_of(per, keys={"contract": contract})) for contract in ("\ud83d", "\ude00", "\ud83d")]
    assert [verdict.at is not None for verdict in store_of().decide(0, asks)] == [True, True, False]


@pytest.mark.parametrize(
    "rule",
    [
        Window(name="most", limit=MOST, period_ns=MOST),
        Gcra(name="most", limit=1, period_ns=MOST),
        Gcra(name="most", limit=MOST, period_ns=SHORTEST_NS, burst=MOST),
        MinGap(name="most", gap_ns=MOST),
        Concurrency(name="most", limit=MOST),
    ],
    ids=str,
)
def test_the_greatest_numbers_of_a_rule_fit_the_file(store_of, rule):
    """RC-6: else nobody could take what is decided in one transaction with it."""
    assert take(store_of(), slots_of(rule)).at is not None
    again = take(store_of(), slots_of(rule))
    assert again.at is not None or again.until > DAY


def test_a_reboot_forgets_nothing_and_the_time_since_it_counts(store_of, machine):
    store = store_of()
    assert [take(store, slots_of(WINDOW)).at is None for _ in range(3)] == [False, False, True]
    store.close()
    machine.now = 20 * SECOND_NS  # since the boot
    store = store_of()
    assert take(store, slots_of(WINDOW)).until == 600 * SECOND_NS  # on the caller's clock
    machine.now = 600 * SECOND_NS - 1
    assert take(store, slots_of(WINDOW)).at is None
    machine.now += 1
    assert take(store, slots_of(WINDOW)).at is not None


def test_a_time_that_was_read_long_before_the_file_was_locked_is_not_used(store_of, machine):
    """Such as that of a process which was stopped in between: it is no reboot, and nothing goes out as of then."""
    store = store_of()
    before = machine.now
    machine.now += DAY
    take(store_of(), slots_of(WINDOW))
    assert take(store, slots_of(WINDOW), before).at == machine.now
    assert take(store, slots_of(WINDOW), before).until == machine.now + WINDOW.period_ns


def test_processes_that_read_the_clock_in_another_order_than_they_take_grant_no_more(store_of, machine):
    one, other = store_of(), store_of()
    take(one, slots_of(WINDOW), machine.now + 5)
    assert take(other, slots_of(WINDOW), machine.now).at == machine.now + 5
    assert take(other, slots_of(WINDOW), machine.now + 1).until == machine.now + 5 + WINDOW.period_ns


def test_who_holds_something_keeps_it_until_it_gives_it_back_or_leaves(store_of):
    one, other = store_of(), store_of()
    assert take(one, lines(2)).at is not None
    assert take(other, lines(1)).at is not None
    assert take(other, lines(1)).until == NEVER
    one.settle(0, release, lines(2))
    assert take(other, lines(2)).at is not None
    assert take(one, lines(1)).until == NEVER
    other.close()
    assert take(one, lines(3)).at is not None


def test_one_cannot_give_back_what_another_one_holds(store_of):
    one, other = store_of(), store_of()
    take(one, lines(3))
    other.settle(0, release, lines(3))
    assert take(other, lines(1)).until == NEVER


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_another_owner_and_the_parent_keeps_what_it_holds(store_of):
    store = store_of()
    take(store, lines(2))
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            store.settle(0, release, lines(2))  # as a copy of the parent's grant would
            os.write(writing, bytes([take(store, lines(2)).at is None, take(store, lines(1)).at is not None]))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 9) == bytes([True, True])
    assert take(store, lines(2)).at is None
    assert take(store, lines(1)).at is not None  # the child's, which has ended
    for end in (reading, writing):
        os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_none_of_the_locks_of_its_parents_threads(store_of):
    """RC-5: not even if the fork comes while another thread has them."""
    store, closed = store_of(), store_of()
    take(store, lines())
    closed.close()
    reading, writing = os.pipe()
    with store._gate, store._closed._cond, owners._guard:
        if (child := os.fork()) == 0:
            try:
                locks = store._gate, store._closed._cond._lock, owners._guard
                os.write(writing, bytes([*(lock.locked() for lock in locks), closed._closed.is_set()]))
            finally:
                os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 9) == bytes([False, False, False, True])
    for end in (reading, writing):
        os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no such system")
def test_the_death_of_a_parent_is_seen_while_its_child_lives(store_of, tmp_path):
    code = """
import os, sys
from market_data_pipeline.contracts.budget import Concurrency
from market_data_pipeline.pacing import SqliteStore
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.store import Ask
slots = Routes("acme", [Concurrency(name="lines", limit=3, operations=())]).lease("lines", 3)
assert SqliteStore(sys.argv[1]).decide(0, [Ask(slots)])[0].at is not None
print("held", flush=True)
os.read(0, 1)
if os.fork():
    print("left", flush=True)
    os._exit(0)
os.read(0, 1)
"""
    store, command = store_of(), [sys.executable, "-c", code, tmp_path / "budgets.sqlite"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "held\n"
        assert take(store, lines(1)).until == NEVER
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "left\n"
        parent.wait()
        verdict = take(store, lines(3))
        parent.stdin.close()
        assert parent.stdout.read() == ""  # now the child has ended too
    assert verdict.at is not None


def test_meters_that_are_as_good_as_new_leave_the_file(store_of, machine, tmp_path):
    store, rule = store_of(), Window(name="each", limit=1, period_ns=SECOND_NS, per="contract")
    held = lines(1)
    take(store, held)
    for number in range(3 * SWEEP):
        machine.now += SECOND_NS // 100
        take(store, slots_of(rule, keys={"contract": str(number)}))
    left = values(tmp_path / "budgets.sqlite")
    assert held[0].key in left
    assert SWEEP > len(left) > 100
    assert len(store._meters) < 2 * SWEEP


def test_other_numbers_of_a_rule_take_over_what_was_taken(store_of, machine):
    """RC-14, over a restart."""
    store = store_of()
    take(store, slots_of(WINDOW))
    store.close()
    stricter = Window(name=WINDOW.name, limit=1, period_ns=DAY)
    assert take(store_of(), slots_of(stricter)).until == machine.now + DAY


def test_another_rate_takes_over_what_was_taken_as_in_memory(store_of, machine):
    """RC-14: what is not refilled yet is refilled at the other rate, over a restart too."""
    before = Gcra(name="rate", limit=1, period_ns=600 * SECOND_NS, burst=2)
    after = Gcra(name="rate", limit=3, period_ns=60 * SECOND_NS, burst=2)
    store, memory = store_of(), MemoryStore(slack_ns=0)
    for _ in range(2):
        assert take(store, slots_of(before)).at == take(memory, slots_of(before), machine.now).at == machine.now
    assert take(store_of(), slots_of(after)).until == take(memory, slots_of(after), machine.now).until


def test_processes_with_other_numbers_for_one_rule_are_told_so_once(store_of, caplog):
    """RC-4: one budget has one set of rules."""
    strict, loose = store_of(), store_of()
    for _ in range(3):
        take(strict, slots_of(Window(name="w", limit=60, period_ns=600 * SECOND_NS)))
        take(loose, slots_of(Window(name="w", limit=10, period_ns=SECOND_NS)))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "another process has 60 in 600 s for acme|window|w, and this one 10 in 1 s",
        "another process has 10 in 1 s for acme|window|w, and this one 60 in 600 s",
    ]


def test_a_process_that_changes_its_own_rules_agrees_with_itself(store_of, caplog):
    """RC-14: what was granted under the old rule may be given back meanwhile."""
    store = store_of()
    for limit in (2, 3, 2, 3):
        slots = slots_of(Concurrency(name="c", limit=limit), Gcra(name="g", limit=limit))
        take(store, slots)
        store.settle(0, lambda meter, slot, _now: meter.release(slot.cost), slots)
    take(store, slots_of(MinGap(name="gap", gap_ns=SECOND_NS, per="k"), keys={"k": "1"}))
    assert not caplog.records


def test_a_rule_of_another_kind_under_the_same_name_begins_anew(store_of):
    take(store_of(), slots_of(WINDOW))
    assert take(store_of(), slots_of(Gcra(name=WINDOW.name, limit=1))).at is not None


def test_a_file_that_another_process_has_locked_allows_nothing(store_of, tmp_path):
    """RC-6."""
    store = store_of(lock_timeout=0.001)
    take(store, slots_of(WINDOW))
    with sqlite3.connect(tmp_path / "budgets.sqlite") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite: another process has locked it for 0\.001 s"):
            take(store, slots_of(WINDOW))
    other.close()
    assert take(store, slots_of(WINDOW)).at is not None


def test_a_file_that_is_locked_while_it_is_made_allows_nothing(store_of, tmp_path):
    """RC-6."""
    other = sqlite3.connect(tmp_path / "budgets.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BudgetUnavailable, match="another process has locked it"):
        take(store_of(), slots_of(WINDOW))
    other.close()


def test_what_is_no_database_allows_nothing(store_of, tmp_path):
    """RC-6."""
    tmp_path.joinpath("budgets.sqlite").write_bytes(b"no database" * 1_000)
    with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite: file is not a database: .+; move it away"):
        take(store_of(), slots_of(WINDOW))


def test_a_damaged_page_allows_nothing(store_of, tmp_path):
    """RC-6."""
    store = store_of()
    for number in range(200):
        take(store, slots_of(WINDOW, MinGap(name=f"gap.{number}", gap_ns=DAY)))
    store.close()
    path = tmp_path / "budgets.sqlite"
    content = bytearray(path.read_bytes())
    assert len(content) > 4_096
    content[4_096:] = b"\xff" * (len(content) - 4_096)
    path.write_bytes(content)
    with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite: database disk image is malformed: .+; move it away"):
        take(store_of(), slots_of(WINDOW))


@pytest.mark.parametrize("value", [b"\xc1", b"\x93\xa6window\x80\xc0", b"\x93\xa6window\x81\xa5limit\x00\x90"])
def test_a_damaged_value_allows_nothing(store_of, tmp_path, value):
    """RC-6."""
    one = store_of()
    take(one, slots_of(WINDOW))
    with sqlite3.connect(tmp_path / "budgets.sqlite") as database:
        database.execute("UPDATE kept SET value = ? WHERE name != ''", (value,))
    database.close()
    for store in (one, store_of()):
        with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite: .+; move it away"):
            take(store, slots_of(WINDOW))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (f"PRAGMA user_version = {VERSION + 1}", "has format 2, and this version knows 1: .+upgrade"),
        ("CREATE TABLE jobs (name TEXT)", "is a database of something else: .+name another file"),
    ],
)
def test_what_another_program_or_a_newer_version_wrote_is_left_alone(store_of, tmp_path, make, message):
    """RC-6."""
    path = tmp_path / "budgets.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(make)
    database.close()
    before = path.read_bytes()
    with pytest.raises(BudgetUnavailable, match=message):
        take(store_of(), slots_of(WINDOW))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_made(store_of, tmp_path):
    take(store_of("state/budgets"), slots_of(WINDOW))
    assert (tmp_path / "state/budgets").is_file()


def test_a_folder_that_cannot_be_made_allows_nothing(store_of, tmp_path):
    """RC-6."""
    (tmp_path / "nowhere").touch()
    with pytest.raises(BudgetUnavailable, match=r"nowhere.budgets: .+: nothing goes out; its folder must"):
        take(store_of("nowhere/budgets"), slots_of(WINDOW))


def test_what_is_no_file_at_all_allows_nothing(store_of, tmp_path, monkeypatch):
    """RC-6: SQLite would keep it in the memory of each process, where nobody else sees what is taken."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(":memory:")
    with pytest.raises(BudgetUnavailable, match=r":memory: is where processes share no memory; put it on a local"):
        take(store, slots_of(WINDOW))
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pragma", "message"),
    [
        ("max_page_count = 2", r"budgets\.sqlite: database or disk is full: nothing goes out; make room on its disk"),
        ("query_only = 1", r"budgets\.sqlite: attempt to write a readonly database: nothing goes out; let this user"),
    ],
)
def test_what_cannot_be_written_is_not_granted_and_goes_on_when_it_can(store_of, pragma, message):
    """RC-6."""
    store = store_of()
    take(store, slots_of(WINDOW))
    store._file._connection.execute(f"PRAGMA {pragma}")
    many = [MinGap(name=f"gap.{number:060}", gap_ns=DAY) for number in range(200)]
    with pytest.raises(BudgetUnavailable, match=message):
        take(store, slots_of(WINDOW, *many))
    assert [take(store, slots_of(WINDOW, *many)).at is not None, take(store, slots_of(*many)).at] == [True, None]


def test_what_could_not_be_given_back_is_given_back_with_the_next_that_can(store_of):
    store = store_of()
    take(store, lines(3))
    store._file._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(BudgetUnavailable):
        store.settle(0, release, lines(3))
    assert take(store, lines(3)).at is not None
    assert take(store, lines(1)).at is None


def test_a_file_that_is_replaced_while_it_is_open_is_shared_by_all_again(store_of, tmp_path):
    one = store_of()
    take(one, lines(2))
    for path in tmp_path.iterdir():
        path.unlink()
    other = store_of()
    assert take(other, lines(2)).at is not None
    assert take(one, lines(2)).until == NEVER
    assert take(one, lines(1)).at is not None
    assert take(other, lines(1)).until == NEVER


def test_a_file_that_is_deleted_alone_is_made_anew_and_nobody_gets_the_number_of_one_who_lives(store_of, tmp_path):
    one = store_of()
    assert take(one, lines(2)).at is not None
    for name in ("budgets.sqlite", "budgets.sqlite-wal", "budgets.sqlite-shm"):
        tmp_path.joinpath(name).unlink()
    assert take(one, lines(3)).at is not None  # what was used is forgotten
    tmp_path.joinpath("budgets.sqlite").unlink()
    other = store_of()
    assert take(other, lines(2)).at is not None
    one.settle(0, release, lines(2))
    assert take(one, lines(2)).until == NEVER  # it gave nothing back that the other one holds


def test_a_rule_that_only_a_newer_version_knows_stays_in_the_file(store_of, tmp_path):
    """Both versions may share a budget; what this one asks for under that name begins anew."""
    take(store_of(), lines(1))
    value = msgspec.msgpack.encode(("lottery", {"limit": 1}, [7]))
    with sqlite3.connect(tmp_path / "budgets.sqlite") as database:
        database.executemany("INSERT INTO kept VALUES (?, ?)", [("new", value), (slots_of(WINDOW)[0].key, value)])
    database.close()
    store = store_of()  # the first thing it does is to sweep
    assert [take(store, slots_of(WINDOW)).at is None for _ in range(3)] == [False, False, True]
    assert values(tmp_path / "budgets.sqlite")["new"] == value


def test_who_cancels_while_the_file_is_asked_is_not_told(store_of):
    """RC-9: what was done is done, and the others of the same transaction get their answers."""

    async def program():
        store = store_of()
        first, second = (store.submit(lambda: take(store, slots_of(WINDOW))) for _ in range(2))
        first.cancel()
        return (await second).at, first.cancelled()

    at, cancelled = asyncio.run(program())
    assert cancelled
    assert at is not None
    assert take(store_of(), slots_of(WINDOW)).at is None


def test_two_that_make_the_file_at_once_both_use_it(tmp_path, monkeypatch):
    """RC-4: before whichever statement of the one the other one opens it, before, in or after the one that makes it."""
    left = 0

    class Connection(sqlite3.Connection):
        def execute(self, *statement):
            nonlocal left
            left -= 1
            if left == 0 and other.begin():
                other.commit()
            return super().execute(*statement)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Connection))
    for turn in count(1):
        one, other = BudgetFile(tmp_path / str(turn)), BudgetFile(tmp_path / str(turn))
        left = turn
        began = one.begin() or one.begin()  # the second time it is made by the other one
        was_met = left <= 0
        left = 0
        assert began
        one.commit()
        assert other.begin()
        assert one.owner != other.owner
        for file in (one, other):
            file.close()
            file.leave()
        if not was_met:
            break
    assert turn > 9


def test_a_settlement_that_raises_changes_nothing(store_of):
    """Nobody but a programmer can make it raise."""
    store = store_of()

    def wrong(meter, slot, now):
        meter.take(now, slot.cost)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.settle(0, wrong, slots_of(WINDOW))
    assert [take(store, slots_of(WINDOW)).at is None for _ in range(3)] == [False, False, True]


def test_a_closed_store_allows_nothing(store_of):
    store = store_of()
    store.close()
    store.close()
    with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite is closed here"):
        take(store, slots_of(WINDOW))

    async def submit():
        await store.submit(lambda: None)

    for run in (asyncio.run, lambda program: simulate(lambda _: program)):
        with pytest.raises(BudgetUnavailable, match=r"budgets\.sqlite is closed here"):
            run(submit())


def test_a_call_is_refused_while_the_file_cannot_be_used_and_goes_out_afterwards(tmp_path):
    """RC-6."""

    async def program():
        in_the_way = tmp_path / "sub"
        in_the_way.touch()
        store = SqliteStore(in_the_way / "budgets.sqlite")
        limiter = Limiter("acme", [WINDOW], store=store)
        with pytest.raises(BudgetUnavailable, match="its folder must be there"):
            await limiter.acquire("bars")
        assert limiter.waiting == 0
        in_the_way.unlink()
        grant = await limiter.acquire("bars")
        grant.release()
        store.close()
        return grant.slots[0].rule

    assert asyncio.run(program()) == WINDOW
