"""The channel against a plain list, for each policy (G-2, SP-5)."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market_data_pipeline.channel import Channel
from market_data_pipeline.errors import ChannelFull
from market_data_pipeline.model import Connected, Gap, Origin, Quote, QuoteBatch, Trade, TradeBatch

ORIGIN = Origin("test", "test", 1, "live")
EVENT = Connected(source="test", ts=0, origin=ORIGIN)


class HandClock:
    now = 0

    def monotonic_ns(self):
        return self.now

    def time_ns(self):
        return self.now

    async def sleep_until(self, monotonic_ns):
        raise NotImplementedError


class Model:
    """What is queued as one list: batches as lists of (kind, symbol, ts, ordinal), gaps as dicts, events."""

    def __init__(self, policy, max_rows, max_bytes):
        self.policy, self.max_rows, self.max_bytes = policy, max_rows, max_bytes
        self.queue, self.dropped = [], 0

    def rows(self):
        return sum(len(rows) for _, rows in self.batches())

    def bytes(self):
        return sum(len(rows) * rows[0][4] for _, rows in self.batches()) + 256 * self.queue.count("event")

    def batches(self):
        return [(index, item) for index, item in enumerate(self.queue) if isinstance(item, list)]

    def over(self, rows=0, size=0):
        return self.rows() + rows > self.max_rows or self.bytes() + size > self.max_bytes

    def send_event(self):
        if self.policy == "block" and self.over(0, 256) and self.bytes():
            return False
        self.queue.append("event")
        return True

    def send(self, rows, now):
        full = self.over(len(rows), len(rows) * rows[0][4]) and self.rows() > 0
        if full and self.policy in {"block", "fail"}:
            return False
        if full and self.policy == "drop_newest":
            self.lose(rows, len(self.queue), now)
            return True
        self.queue.append(rows)
        if full and self.policy == "conflate":
            self.conflate(now)
        while full and self.over() and len(self.batches()) > 1:
            index, oldest = self.batches()[0]
            del self.queue[index]
            self.lose(oldest, index, now)
        return True

    def conflate(self, now):
        all_rows = [row for _, rows in self.batches() for row in rows if row[0] == "quote"]
        stale = [r for n, r in enumerate(all_rows) if any(later[1] == r[1] for later in all_rows[n + 1 :])]
        if stale:
            first = next(index for index, rows in self.batches() if set(rows) & set(stale))
            left = [[r for r in i if r not in stale] if isinstance(i, list) else i for i in self.queue]
            after = sum(1 for item in left[first:] if item != [])
            self.queue = [item for item in left if item != []]
            self.lose(stale, len(self.queue) - after, now)

    def lose(self, rows, index, now):
        self.dropped += len(rows)
        symbols, times = {row[1] for row in rows}, [row[2] for row in rows]
        same = [i for i in self.queue if isinstance(i, dict) and i["symbols"] == symbols and now - i["ts"] < 10**8]
        if not same:
            same = [{"symbols": symbols, "ts": now, "start": times[0], "end": 0, "rows": 0}]
            self.queue.insert(index, same[0])
        [gap] = same
        gap["start"], gap["end"] = min(gap["start"], *times), max(gap["end"], max(times) + 1)
        gap["rows"] += len(rows)

    def take(self, count):
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken


def describe(item):
    if isinstance(item, Gap):
        assert (item.reason, item.source, item.filled) == ("drop", "test", False)
        return {"symbols": item.symbols, "ts": item.ts, "start": item.start, "end": item.end, "rows": item.rows}
    if item is EVENT:
        return "event"
    return [(item.kind, row.symbol, row.ts_event, row.ordinal, item.nbytes // len(item)) for row in item.rows]


def now_or_never(coroutine):
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


def make(kind, cells, columns, first):
    make_row = {
        "quote": lambda symbol, ts, n: Quote(symbol, ts, ts, n, 0, ORIGIN, 1, 2, 3.0, 4.0),
        "trade": lambda symbol, ts, n: Trade(symbol, ts, ts, n, 0, ORIGIN, 1, 2.0),
    }[kind]
    batch = {"quote": QuoteBatch, "trade": TradeBatch}[kind](make_row(*cell, first + n) for n, cell in enumerate(cells))
    return type(batch).from_columns(batch.columns, ORIGIN) if columns else batch


BATCH = st.tuples(
    st.just("send"),
    st.sampled_from(["quote", "quote", "trade"]),
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 99)), min_size=1, max_size=4),
    st.booleans(),
)
STEPS = st.lists(
    BATCH
    | BATCH
    | st.tuples(st.sampled_from(["event", "receive", "receive_many"]))
    | st.tuples(st.just("wait"), st.sampled_from([1, 99_999_999, 100_000_000])),
    max_size=40,
)


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "conflate", "fail"])
@given(max_rows=st.integers(1, 8), max_bytes=st.integers(300, 4000), steps=STEPS)
def test_the_channel_does_what_a_plain_list_does(policy, max_rows, max_bytes, steps):
    """Order, bounds in rows and bytes, exact counts of drops, the content and place of each gap."""
    clock, model = HandClock(), Model(policy, max_rows, max_bytes)
    channel = Channel("test", clock, max_rows=max_rows, max_bytes=max_bytes, policy=policy)
    offered = delivered = reported = 0

    def send(item):
        try:
            channel.send_nowait(item)
        except ChannelFull:
            return False
        return True

    def receive(items):
        nonlocal delivered, reported
        delivered += sum(len(item) for item in items if item is not EVENT and not isinstance(item, Gap))
        reported += sum(item.rows for item in items if isinstance(item, Gap))
        return list(map(describe, items))

    for step, *arguments in [*steps, ("receive_many",)]:
        if step == "send":
            batch = make(*arguments, offered)
            sent = send(batch)
            assert sent == model.send(describe(batch), clock.now)
            offered += len(batch) if sent else 0
        elif step == "event":
            assert send(EVENT) == model.send_event()
        elif step == "wait":
            clock.now += arguments[0]
        elif model.queue:
            if step == "receive":
                assert receive([now_or_never(channel.receive())]) == model.take(1)
            else:
                assert receive(now_or_never(channel.receive_many())) == model.take(len(model.queue))
        assert (channel.rows, channel.bytes) == (model.rows(), model.bytes())
        assert channel.dropped.total() == model.dropped
        assert channel.rows <= max_rows or len(model.batches()) == 1
    assert offered == delivered + model.dropped
    assert reported == model.dropped
