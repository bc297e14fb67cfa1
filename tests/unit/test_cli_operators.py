"""What `mdp breakers` and `mdp budgets` say to mistakes and damage: what, where, and what to do: CB-1, RC-10."""

import os

import msgspec
import pytest

from market_data_pipeline.breaking import CircuitBreaker
from market_data_pipeline.cli import main
from market_data_pipeline.orchestration.board import ORDERS, PROCESSES
from market_data_pipeline.orchestration.presence import (
    LOCKS,
    Presence,
    ShownAccount,
    ShownBreaker,
    ShownProcess,
    ShownRest,
)

BECAUSE = ("--reason", "a drill")
ALL_TAKEN = 2**62


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Choose the data directory; nobody waits for who does not answer."""
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    monkeypatch.setattr("market_data_pipeline.cli.orders.PATIENCE_NS", 0)
    return tmp_path


@pytest.fixture
def mdp(home, capsys, caplog):
    """Run a command; return its code and all that it said; pytest has the log."""

    def mdp(*arguments):
        capsys.readouterr()
        caplog.clear()
        code = main(arguments)
        return code, "".join([*capsys.readouterr(), caplog.text])

    return mdp


def account(provider="acme", *operations, rests=()):
    breakers = [CircuitBreaker(provider=provider, operation=operation).status() for operation in operations]
    return ShownAccount(
        name=provider,
        provider=provider,
        in_flight=0,
        waiting=0,
        rules=(),
        rests=tuple(ShownRest(operation=operation, until=None, rate=1.0) for operation in rests),
        trouble="",
        breakers=tuple(ShownBreaker(status=status, since=0, refuses=False, until=None) for status in breakers),
        waits=(),
    )


@pytest.fixture
def show(home):
    """Show a process with these accounts, which has taken all orders unless said otherwise; return its file."""
    shown = []

    def show(*accounts, pid=1, taken=ALL_TAKEN):
        before = set(home.glob(f"{PROCESSES}/*.json"))
        shown.append(Presence(home / PROCESSES))
        shown[-1].show(ShownProcess(pid=pid, program="serve.py", since=0, taken=taken, accounts=accounts))
        (file,) = set(home.glob(f"{PROCESSES}/*.json")) - before
        return file

    yield show
    for one in shown:
        one.leave()


def test_a_provider_that_nobody_knows_is_doubted_and_how_to_take_the_order_back_is_said(mdp):
    code, said = mdp("breakers", "open", "synthetik", *BECAUSE)
    assert code == 0
    assert (
        "no provider or source is named 'synthetik'; did you mean 'synthetic'?; unless a program registers it" in said
    )
    assert "`mdp breakers reset synthetik --reason TEXT` takes it back" in said
    code, said = mdp("budgets", "reset", "synthetik", *BECAUSE)
    assert (code, "about nothing" in said, "takes it back" in said) == (0, True, False)


@pytest.mark.parametrize("provider", ["synthetic", "acme"])
def test_a_provider_that_is_installed_or_was_called_is_not_doubted(mdp, show, provider):
    show(account())
    assert "about nothing" not in mdp("breakers", "open", provider, *BECAUSE)[1]


def test_an_operation_that_was_not_called_is_said_with_those_that_were(mdp, show):
    show(account("acme", "history", "chain", rests=["", "bars"]))
    for group, action in (("breakers", "open"), ("breakers", "reset"), ("budgets", "reset")):
        code, said = mdp(group, action, "acme/history2", *BECAUSE)
        assert code == 0
        assert "  pid 1 (serve.py): taken; it shows no call of acme/history2: did you mean 'history'?\n" in said
    assert "pid 1 (serve.py): done, breakers: 1\n" in mdp("breakers", "open", "acme/history", *BECAUSE)[1]
    assert "pid 1 (serve.py): done\n" in mdp("budgets", "reset", "acme/bars", *BECAUSE)[1]
    assert "pid 1 (serve.py): taken; it has not called other\n" in mdp("breakers", "open", "other", *BECAUSE)[1]


def test_an_order_says_which_ones_it_ends(mdp):
    mdp("breakers", "open", "synthetic/history", "--reason", "the first")
    mdp("breakers", "disable", "other", *BECAUSE)
    _, said = mdp("breakers", "reset", "synthetic", *BECAUSE)
    assert "\n  in place of: open synthetic/history, given 2" in said
    assert said.count("in place of") == 1
    assert ": the first\n" in said
    assert "; there is nothing else to reset\n" in said
    assert "; there is nothing to reset\n" in mdp("breakers", "reset", "synthetic", *BECAUSE)[1]


@pytest.mark.parametrize("target", ["", "/", "/history", "acme/"])
def test_a_target_is_a_provider_and_perhaps_an_operation(mdp, home, target):
    code, said = mdp("breakers", "open", target, *BECAUSE)
    assert code == 2
    assert f"{target!r}: write PROVIDER or PROVIDER/OPERATION" in said
    assert not (home / ORDERS).exists()


@pytest.mark.parametrize("time", ["-5s", "-5", "0", "0s", "2020-01-01", "1000000d", "soon"])
def test_an_end_is_a_length_of_time_ahead(mdp, home, time):
    code, said = mdp("breakers", "open", "acme", *BECAUSE, f"--for={time}")
    assert code == 2
    assert "Invalid value for '--for': " in said
    assert "interval: " in said
    assert not (home / ORDERS).exists()


def test_the_longest_end_there_is_holds(mdp):
    assert mdp("breakers", "open", "acme", *BECAUSE, "--for", "106751d")[0] == 0
    code, said = mdp("breakers")
    assert (code, "in force: open acme until 2" in said) == (0, True)


def test_nobody_waits_and_why(mdp, show):
    assert "mdp: nobody waits: no process runs; data directory " in mdp("budgets", "explain", "acme")[1]
    show()
    assert "mdp: nobody waits: 1 running, and none has called a vendor; data" in mdp("budgets", "explain", "acme")[1]
    show(account("acme"), pid=2)
    _, said = mdp("budgets", "explain", "acne")
    assert said == "mdp: nobody waits: no running process has called 'acne'; did you mean 'acme'?\n"
    assert mdp("budgets", "explain", "acme")[1] == mdp("budgets", "explain")[1] == "mdp: nobody waits\n"


def test_each_of_several_processes_says_for_itself_what_became_of_an_order(mdp, show):
    show(account("acme", "history"))
    show(account("acme", "history", "chain"), pid=2)
    show(account("acme", "history"), pid=3, taken=7)
    code, said = mdp("breakers", "open", "acme", *BECAUSE)
    assert code == 75
    assert said.splitlines()[1:4] == [
        "  pid 1 (serve.py): done, breakers: 1",
        "  pid 2 (serve.py): done, breakers: 2",
        "  pid 3 (serve.py): has not taken it: is it stopped?",
    ]


@pytest.mark.parametrize("content", [b"", b'{"pid":1,"prog', b"{}", b"\xff\x00"])
def test_a_damaged_file_of_a_living_process_is_named_and_what_it_may_mean(mdp, show, content):
    file = show(account("acme", "history"))
    file.write_bytes(content)
    for command in ("breakers", "budgets"):
        code, said = mdp(command)
        assert code == 0
        assert f"{file} cannot be read (" in said
        assert "delete it, and its process writes it anew within about a second; if that does not help" in said
    code, said = mdp("breakers", "open", "synthetic", *BECAUSE)
    assert code == 75
    assert f"  a process has perhaps not taken it: {file} cannot be read (" in said
    assert "no process runs" not in said
    assert file.exists()


def test_a_file_of_a_dead_process_is_none_of_a_living_one_that_got_its_number(mdp, home, show):
    """A command of the same number as the dead process, and a process that lives beside the file of a dead one."""
    dead = ShownProcess(pid=os.getpid(), program="dead.py", since=0, taken=0, accounts=(account("acme", "history"),))
    home.joinpath(PROCESSES).mkdir(parents=True)
    file = home / PROCESSES / f"{os.getpid()}.json"
    for _ in range(2):
        file.write_bytes(msgspec.json.encode(dead))
        home.joinpath(PROCESSES, LOCKS).touch()
        assert "no process runs" in mdp("breakers")[1]
        assert not file.exists()
    home.joinpath(PROCESSES, "4000000.json").write_bytes(msgspec.json.encode(dead))
    show(account("acme", "chain"))
    _, said = mdp("breakers")
    assert ("acme/chain" in said, "acme/history" in said) == (True, False)


@pytest.mark.parametrize("content", [b"{", b"", b'{"action":"open"}'])
def test_a_damaged_order_is_named_once_by_each_command_and_the_others_hold(mdp, home, content):
    mdp("breakers", "open", "synthetic", *BECAUSE)
    damaged = home / ORDERS / "00.json"
    damaged.write_bytes(content)
    for command in (["breakers"], ["breakers", "disable", "replay", *BECAUSE]):
        code, said = mdp(*command)
        assert code == 0
        assert said.count(str(damaged)) == 1
        assert "is no order: " in said
        assert "; delete it, and give the order again" in said
    assert "in force: open synthetic" in mdp("breakers")[1]


@pytest.mark.parametrize("path", ["state", PROCESSES, f"{PROCESSES}/{LOCKS}/x", ORDERS])
def test_a_data_directory_that_cannot_be_used_is_named_with_what_to_look_at_and_nothing_is_ordered(mdp, home, path):
    in_the_way = home / path
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.touch()
    code, said = mdp("breakers", "open", "synthetic", *BECAUSE)
    assert code == 1
    assert f"mdp: error: what operators see and order in the data directory {home} cannot be read or written: [" in said
    assert "look at MDP__DATA_DIR, or --settings" in said
    assert not list(home.glob(f"{ORDERS}/*"))
