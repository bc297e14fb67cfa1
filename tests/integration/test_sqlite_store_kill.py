"""Processes that are killed or stopped while they share a budget (RC-2, RC-4, RC-5)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from market_data_pipeline.contracts.budget import Concurrency
from market_data_pipeline.pacing import SqliteStore
from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.store import Ask

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no such system")

HERE = Path(__file__).parent
LIMIT, PERIOD_MS, SLACK_MS = 60, 500, 1_000
"""The slack is what eight processes and a vendor on one busy core may be held up between a grant and its arrival."""

HOLDER = """
import sys
from market_data_pipeline.contracts.budget import Concurrency
from market_data_pipeline.pacing import SqliteStore
from market_data_pipeline.pacing.routes import Routes
from market_data_pipeline.pacing.store import Ask
store = SqliteStore(sys.argv[1])
slots = Routes("acme", [Concurrency(name="lines", limit=3)]).lease("lines", 3)
print(store.decide(0, [Ask(slots)])[0].at is not None, flush=True)
sys.stdin.read()
"""


def torment(folder, length_ms):
    """Return what the vendor saw, and how many processes were killed."""
    rule = (str(LIMIT), str(PERIOD_MS))
    with subprocess.Popen(
        [sys.executable, HERE / "budget_vendor.py", *rule], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as vendor:
        port = vendor.stdout.readline().strip()
        crowd = [sys.executable, HERE / "budget_crowd.py", port, str(folder / "budgets"), *rule, str(SLACK_MS)]
        done = subprocess.run([*crowd, str(length_ms)], check=True, stdout=subprocess.PIPE, text=True)
        seen, _ = vendor.communicate()
    seen = json.loads(seen)
    sys.stdout.write(
        f"{seen['count']} calls, {done.stdout.strip()} kills, worst delay {seen['worst_delay'] / 1e6} ms\n"
    )
    return seen, int(done.stdout)


@pytest.mark.parametrize("length_ms", [5_000, pytest.param(60_000, marks=pytest.mark.torture)])
def test_no_kill_breaks_the_window_as_the_vendor_sees_it(tmp_path, length_ms):
    """RC-2, and what the killed ones held is free: else nothing would go out after a few kills."""
    seen, kills = torment(tmp_path, length_ms)
    windows = length_ms // (PERIOD_MS + SLACK_MS)
    assert seen["violations"] == 0, f"the worst delay was {seen['worst_delay'] / 1e6:.0f} ms of {SLACK_MS}"
    assert kills > 20
    assert LIMIT * windows // 2 < seen["count"] <= LIMIT * (windows + 2)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_process_holds_is_kept_while_it_is_stopped_and_free_when_it_ends(tmp_path, end):
    path = tmp_path / "budgets"
    slots = Routes("acme", [Concurrency(name="lines", limit=3)]).lease("lines", 1)
    store = SqliteStore(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "True\n"
        holder.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
        assert store.decide(0, [Ask(slots)])[0].until == NEVER
        holder.send_signal(signal.SIGCONT)
        holder.send_signal(end)
        assert holder.wait() == -end
        granted = [store.decide(0, [Ask(slots)])[0].at is not None for _ in range(4)]
    store.close()
    assert granted == [True, True, True, False]
