"""What a terminal shows of a running pipeline: pure functions of a look, and the looks at a real one."""

import io
import logging
from collections import Counter

import anyio
import attrs
import pytest
from rich.console import Console

from market_data_pipeline.cli.look import Look, Watcher, describe
from market_data_pipeline.cli.progress import Trouble
from market_data_pipeline.cli.view import clock, full, line
from market_data_pipeline.contracts import Capabilities, Concurrency
from market_data_pipeline.model import Connected, Gap, Origin, Quote, QuoteBatch, Refused, SourceState, Switched
from market_data_pipeline.pipeline import PipelineContext, PipelineStatus, StreamingPipeline
from market_data_pipeline.pipeline.ledger import Ledger, SinkCounts, StageCounts
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source.account import VendorAccount
from market_data_pipeline.testing import simulate

SECOND = 1_000_000_000
NOW = 1_704_205_800 * SECOND

LEDGER = Ledger(
    received=123_456,
    accepted=120_000,
    queued=3_000,
    late=6,
    dropped=Counter(drop_oldest=456),
    operators=[StageCounts("SecondBarAggregator", 119_994, folded=119_990, filtered=4, created=250)],
    sinks=[SinkCounts("ParquetSink", 250, 200, 50), SinkCounts("JsonlSink", 250, 250, 0)],
)


def look(*, ledger=LEDGER, state="running", ts_recv=NOW - SECOND // 2, events=(), **fields):
    status = PipelineStatus(
        tenant_id="default",
        pipeline_id="us-stocks",
        state=state,
        ledger=ledger,
        watermark=None,
        ts_recv=ts_recv,
        progress=None,
        events=tuple(events),
    )
    given = {"done": None, "rates": ((1_000.4, 20.0), (990.0, 19.0))} | fields
    return Look(status=status, now=NOW, elapsed=83 * SECOND, **given)


def shown(renderable, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return [text.rstrip() for text in console.export_text().splitlines()]


def test_the_full_view_says_where_the_rows_are():
    assert LEDGER.mismatches() == []
    assert shown(full(look())) == [
        "us-stocks  running  1:23",
        "rows/s  in 1,000 (10 s: 990)   out 20 (10 s: 19)   lag 0.5 s",
        "stage                     in      out  waiting  aside",
        "entry                123,456  119,994    3,000  6 late, 456 drop_oldest",
        "SecondBarAggregator  119,994      250           119,990 folded, 4 filtered",
        "ParquetSink              250      200       50",
        "JsonlSink                250      250        0",
    ]


def test_where_the_end_is_known_there_is_a_bar_and_the_time_that_is_left():
    head = shown(full(look(done=0.25)))[0]
    assert "━" in head
    assert head.endswith("25%, 4:09 left")
    assert shown(line(look(done=0.25), 120), 120)[0].startswith("━")
    assert shown(line(look(done=0.25), 50), 50)[0].startswith("25%, 4:09 left  1,000 rows/s")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Gap(source="x", ts=NOW, start=1, end=2, reason="drop", rows=1_234), "gap of all symbols: 1,234 rows, drop"),
        (
            Gap(source="x", ts=NOW, symbols=frozenset("ABCDE"), start=1, end=2, reason="stall", filled=True),
            "gap of A, B, C and 2 more: rows, stall, filled",
        ),
        (
            Refused(source="x", ts=NOW, symbols=frozenset({"ZZ"}), error="NotEntitled"),
            "x does not serve ZZ: NotEntitled",
        ),
        (Switched(source="x", ts=NOW, old="a", new="b", reason="stall"), "all symbols: from a to b, stall"),
        (SourceState(source="x", ts=NOW, state="degraded", reason="slow"), "x is degraded: slow"),
        (SourceState(source="x", ts=NOW, state="live"), "x is live"),
        (Connected(source="x", ts=NOW, origin=Origin("x", "x", 1, "live")), "Connected of all symbols"),
    ],
)
def test_what_happened_to_the_stream_stands_below(event, words):
    assert shown(full(look(events=[event])))[-1] == f"14:30:00Z  {words}"


def test_accounts_at_which_calls_wait_have_a_line_each():
    """Who waits for a cooldown is told its end, who waits for something held that nobody knows it."""

    async def program(loop):
        rules = [Concurrency(name="open", limit=1, operations="bars")]
        limited, free = (VendorAccount(name, rules=rules, clock=loop, credential="3f2a") for name in ("acme", "other"))
        limited.limiter.cool(83 * SECOND, scope="history")

        async def call(operation):
            async with limited.call(operation):
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            for operation in ("history", "bars", "bars", "history"):
                tasks.start_soon(call, operation)
                await anyio.sleep(0.5)
            accounts = free.status(), limited.status()
            tasks.cancel_scope.cancel()
        return accounts

    accounts = simulate(program)
    free, limited = accounts
    lines = shown(full(look(accounts=accounts)), 100)
    assert lines[-1] == "acme/3f2a: calls wait: 2 for cooldown, 1 for open; history until 14:31:21Z"
    assert lines[:-1] == shown(full(look(accounts=[free])), 100) == shown(full(look()), 100)
    held = attrs.evolve(limited, waits=limited.waits[1:2])
    assert shown(full(look(accounts=[held])), 100)[-1] == (
        "acme/3f2a: calls wait: 1 for open; bars until something is given back"
    )


def test_the_last_trouble_stands_at_the_bottom_and_takes_one_line():
    lines = shown(full(look(trouble="error: " + "x" * 200)), 40)
    assert lines[-1].startswith("error: xxx")
    assert len(lines) == len(shown(full(look()), 40)) + 1


def test_of_many_events_the_last_are_shown():
    events = [SourceState(source=f"s{number}", ts=NOW, state="live") for number in range(10)]
    assert [text.split()[1] for text in shown(full(look(events=events)))[-3:]] == ["s7", "s8", "s9"]


@pytest.mark.parametrize("width", [20, 60, 80])
def test_no_line_is_longer_than_the_terminal_is_wide(width):
    wide = full(look(done=0.5, trouble="x" * 200, events=[SourceState(source="s" * 100, ts=NOW, state="live")]))
    assert max(map(len, shown(wide, width))) <= width
    assert len(shown(line(look(done=0.5), width), width)) == 1


def test_the_line_says_state_lag_and_drops_where_there_are_some():
    assert describe(look(state="draining")) == (
        "draining · 1,000 rows/s · lag 0.5 s · 123,456 in · 120,000 accepted · 6 late · 456 dropped · 250 out"
    )
    assert describe(look(ledger=Ledger(), ts_recv=0)) == "1,000 rows/s · 0 in · 0 accepted · 0 late · 0 out"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59, "0:59"), (3_599, "59:59"), (3_600, "1:00:00")])
def test_a_duration(seconds, text):
    assert clock(seconds * SECOND) == text


def test_the_last_warning_is_kept():
    trouble = Trouble()
    assert trouble.last is None
    trouble.handle(logging.makeLogRecord({"levelname": "WARNING", "msg": "%s is slow", "args": ("it",)}))
    assert trouble.last == "warning: it is slow"


class Steady:
    """A source of twenty rows each second, which says each second that it is well."""

    symbols = ("A",)
    capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)

    async def start(self):
        pass

    async def batches(self):
        origin = Origin("x", "x", 1, "live")
        for number in range(600):
            await anyio.sleep(0.05)
            yield QuoteBatch([Quote("A", number, number, number, 0, origin, 1, 2, 1.0, 1.0)])
            if number % 20 == 0:
                yield SourceState(source="x", ts=number, state="live")

    async def close(self):
        pass


def test_rates_are_those_of_the_last_second_and_the_last_ten():
    async def watch(loop):
        pipeline = StreamingPipeline(
            source=Steady(), sink=MemorySink(), ctx=PipelineContext(duration_sec=100, clock=loop)
        )
        watcher, looks = Watcher(pipeline, lambda: [VendorAccount("acme", clock=loop)]), []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pipeline.run)
            for _ in range(25 * 4):
                await anyio.sleep(0.25)
                looks.append(await watcher.look())
            tasks.cancel_scope.cancel()
        return looks, watcher

    looks, watcher = simulate(watch)
    for one in looks[50:]:
        (short, _), (long, _) = one.rates
        assert short == pytest.approx(20, abs=1.1)
        assert long == pytest.approx(20, abs=0.2)
    assert looks[-1].done == pytest.approx(0.25)
    assert looks[-1].left == pytest.approx(75 * SECOND)
    assert len(looks[-1].status.events) == 16
    assert [account.name for account in looks[-1].accounts] == ["acme"]
    assert len(watcher._samples) <= 42
