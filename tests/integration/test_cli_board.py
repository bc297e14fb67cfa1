"""Operators see and override breakers and budgets of running processes from another one: CB-1, RC-10, CLI-1."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.cli import main
from market_data_pipeline.orchestration.board import PROCESSES
from market_data_pipeline.orchestration.presence import LOCKS

CALLER = Path(__file__).with_name("board_caller.py")
MDP = "import sys; from market_data_pipeline.cli import main; sys.exit(main())"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Choose the data directory."""
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def start(home):
    """Start a Python program with pipes; it is killed at the end."""
    started = []

    def start(*arguments):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen([sys.executable, *arguments], text=True, cwd=home, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture
def caller(start, home):
    """Start a process that asks a provider for ever, and wait until it is seen."""

    def caller():
        process = start(str(CALLER), str(home))
        return process, process.stdout.readline()

    return caller


@pytest.fixture
def mdp(home, capsys):
    """Run a command; return its code, and what it printed on both outputs."""

    def mdp(*arguments):
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return mdp


def breakers_of(mdp, process):
    """Return the breakers of a process by name, as soon as it shows any."""
    while True:
        _, out, _ = mdp("breakers", "--json")
        found = {
            f"{each['account']}/{each['status']['operation']}": each["status"]
            for each in json.loads(out)["breakers"]
            if each["pid"] == process.pid
        }
        if found:
            return found


def test_a_breaker_is_forced_open_and_reset_from_outside(caller, mdp):
    process, answer = caller()
    assert answer == "served\n"
    assert breakers_of(mdp, process)["synthetic/resolve"]["state"] == "closed"
    code, out, _ = mdp("breakers", "open", "synthetic/resolve", "--reason", "the vendor moves house")
    assert (code, out) == (
        0,
        f"open synthetic/resolve: the vendor moves house\n  pid {process.pid} (board_caller.py): done, breakers: 1\n",
    )
    assert "forced open: an operator: the vendor moves house" in process.stdout.readline()
    _, out, _ = mdp("breakers")
    assert "forced_open" in out
    assert "in force: open synthetic/resolve, given " in out
    assert out.count("the vendor moves house") == 2
    assert mdp("breakers", "reset", "synthetic", "--reason", "it has moved")[0] == 0
    assert process.stdout.readline() == "served\n"
    assert "in force" not in mdp("breakers")[1]


def test_an_override_ends_by_itself(caller, mdp):
    process, _ = caller()
    assert mdp("breakers", "open", "synthetic", "--for", "5s", "--reason", "a short one")[0] == 0
    assert process.stdout.readline().startswith("refused")
    assert process.stdout.readline() == "served\n"


def test_a_process_that_starts_later_takes_what_is_in_force(caller, mdp):
    code, out, _ = mdp("breakers", "open", "synthetic/resolve", "--reason", "planned")
    assert code == 0
    assert "no process runs with the data directory" in out
    assert "come up with it" in out
    process, answer = caller()
    assert "an operator: planned" in answer
    assert breakers_of(mdp, process)["synthetic/resolve"]["succeeded"] == 0


def test_budgets_and_who_waits_are_seen(caller, mdp):
    process, _ = caller()
    breakers_of(mdp, process)
    code, out, _ = mdp("budgets", "--json")
    (account,) = json.loads(out)
    assert (code, account["pid"], account["name"], account["trouble"]) == (0, process.pid, "synthetic", "")
    assert str(process.pid) in mdp("budgets")[1]
    assert mdp("budgets", "explain", "--json")[:2] == (0, "[]\n")
    assert mdp("budgets", "explain")[2] == "mdp: nobody waits\n"
    code, out, _ = mdp("budgets", "reset", "synthetic", "--reason", "they said so")
    assert (code, out) == (
        0,
        f"end the cooldowns of synthetic: they said so\n  pid {process.pid} (board_caller.py): done\n",
    )


def test_a_killed_process_leaves_no_ghost(caller, mdp, home):
    process, _ = caller()
    breakers_of(mdp, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads(mdp("breakers", "--json")[1]) == {"breakers": [], "orders": []}
    assert [path.name for path in home.joinpath(PROCESSES).iterdir()] == [LOCKS]


def test_a_process_that_ends_takes_its_file_away(caller, home):
    process, _ = caller()
    process.stdin.close()
    assert process.wait() == 0
    assert [path.name for path in home.joinpath(PROCESSES).iterdir()] == [LOCKS]


def test_a_stopped_process_is_named_as_not_having_taken_it(caller, mdp, monkeypatch):
    monkeypatch.setattr("market_data_pipeline.cli.orders.PATIENCE_NS", 0)
    process, _ = caller()
    process.send_signal(signal.SIGSTOP)
    code, out, _ = mdp("breakers", "disable", "synthetic", "--reason", "never mind")
    assert code == 75
    assert f"pid {process.pid} (board_caller.py): has not taken it: is it stopped?" in out


def test_mdp_run_is_on_the_board(start, mdp):
    process = start("-c", MDP, "run", "synthetic:A?rate=100 -> console")
    process.stdout.readline()
    while str(process.pid) not in (out := mdp("breakers", "disable", "synthetic", "--reason", "a drill")[1]):
        pass
    assert "taken; it has not called synthetic" in out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("breakers", "open", "synthetic"), "--reason"),
        (("breakers", "open", "synthetic/", "--reason", "x"), "PROVIDER/OPERATION"),
        (("breakers", "open", "synthetic", "--reason", " "), "printable characters"),
        (("breakers", "explode"), "no such command"),
    ],
)
def test_a_mistake_ends_with_2(mdp, arguments, what):
    code, _, err = mdp(*arguments)
    assert code == 2
    assert what in err
