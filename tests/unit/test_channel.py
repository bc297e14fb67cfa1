"""The channel: bounds, policies (SP-5), gaps, ends and turns."""

import asyncio
import inspect

import pytest

from market_data_pipeline.channel import MAX_GAPS, Channel
from market_data_pipeline.errors import ChannelClosed, ChannelFull, ConfigurationError
from market_data_pipeline.model import (
    Bar,
    BarBatch,
    Connected,
    Diverted,
    Gap,
    Origin,
    Quote,
    QuoteBatch,
    Trade,
    TradeBatch,
)
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")
CONNECTED = Connected(source="test", ts=0, origin=ORIGIN)
ROW = QuoteBatch.row_bytes


class HandClock:
    """A clock that stands until a test sets it."""

    now = 0

    def monotonic_ns(self):
        return self.now

    def time_ns(self):
        return 1_000_000_000 + self.now

    async def sleep_until(self, monotonic_ns):
        raise NotImplementedError


@pytest.fixture
def clock():
    return HandClock()


def quotes(*rows):
    """Make a batch of quotes from ("SYMBOL", ts_event) pairs or from "SYMBOL" alone."""
    pairs = [(row, 0) if isinstance(row, str) else row for row in rows]
    return QuoteBatch(Quote(symbol, ts, ts, n, 0, ORIGIN, 1, 2, 3.0, 4.0) for n, (symbol, ts) in enumerate(pairs))


def trades(*symbols):
    return TradeBatch(Trade(symbol, 0, 0, n, 0, ORIGIN, 1, 2.0) for n, symbol in enumerate(symbols))


def as_columns(batch):
    return type(batch).from_columns(batch.columns, batch.origin)


def take(channel):
    """Receive what is there without a loop: that must not wait."""
    with pytest.raises(StopIteration) as done:
        channel.receive_many().send(None)
    return done.value.value


def seen(items):
    """Make items comparable: symbols and times of batches, losses of gaps, other events as they are."""
    return [
        ("gap", set(item.symbols), item.start, item.end, item.rows)
        if isinstance(item, Gap)
        else item
        if item is CONNECTED
        else [(row.symbol, row.ts_event) for row in item.rows]
        for item in items
    ]


def test_all_that_is_queued_is_received_at_once_in_order(clock):
    channel = Channel("test", clock)
    sent = [quotes("A"), CONNECTED, trades("B", "C")]
    for item in sent:
        channel.send_nowait(item)
    assert (channel.rows, channel.bytes) == (3, 3 * ROW + 256)
    assert take(channel) == sent
    assert (channel.rows, channel.bytes) == (0, 0)


def test_it_is_iterated_item_by_item_to_the_end(clock):
    async def program(_loop):
        channel = Channel("test", clock)
        sent = [quotes("A", "B"), CONNECTED, quotes("C")]
        for item in sent:
            await channel.send(item)
        channel.close()
        assert [item async for item in channel] == sent
        assert channel.rows == channel.bytes == 0
        return await channel.receive(), await channel.receive_many()

    assert simulate(program) == (None, [])


def test_a_receiver_that_waits_gets_what_is_sent(clock):
    async def program(loop):
        channel = Channel("test", clock)
        loop.call_later(1, channel.send_nowait, CONNECTED)
        loop.call_later(2, channel.send_nowait, CONNECTED)
        assert await channel.receive() is CONNECTED
        assert await channel.receive_many() == [CONNECTED]
        return loop.time()

    assert simulate(program) == 2


def test_a_receiver_that_waits_sees_the_end(clock):
    async def program(loop):
        channel = Channel("test", clock)
        loop.call_later(1, channel.close)
        return await channel.receive_many()

    assert simulate(program) == []


def test_the_error_it_was_closed_with_comes_behind_the_items(clock):
    async def program(_loop):
        channel = Channel("test", clock)
        await channel.send(CONNECTED)
        channel.close(ConnectionError("reset"))
        channel.close()  # changes nothing
        assert await channel.receive_many() == [CONNECTED]
        for receive in (channel.receive_many, channel.receive):
            with pytest.raises(ConnectionError, match="reset"):
                await receive()

    simulate(program)


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "fail"])
def test_nothing_is_sent_into_a_closed_channel(clock, policy):
    async def program(_loop):
        channel = Channel("test", clock, policy=policy)
        channel.close()
        with pytest.raises(ChannelClosed, match="'test' is closed"):
            await channel.send(quotes("A"))
        with pytest.raises(ChannelClosed):
            channel.send_nowait(CONNECTED)
        return await channel.receive_many()

    assert simulate(program) == []


def test_senders_that_wait_learn_that_it_was_closed(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=1)
        await channel.send(quotes("A"))
        waiting = asyncio.gather(*(channel.send(quotes(s)) for s in "BCD"), return_exceptions=True)
        await asyncio.sleep(1)
        channel.close()
        with pytest.raises(ChannelClosed):
            channel.send_nowait(quotes("E"))
        assert [type(result) for result in await waiting] == [ChannelClosed] * 3
        return seen([item async for item in channel])

    assert simulate(program) == [[("A", 0)]]


@pytest.mark.parametrize("bound", [{"max_rows": 3}, {"max_bytes": 3 * ROW}])
def test_a_sender_waits_for_room_in_rows_and_in_bytes(clock, bound):
    async def program(loop):
        channel = Channel("test", clock, **bound)
        await channel.send(quotes("A", "B"))
        await channel.send(quotes("C"))
        waiting = asyncio.create_task(channel.send(quotes("D")))
        await asyncio.sleep(1)
        assert not waiting.done()
        with pytest.raises(ChannelFull, match="await send"):
            channel.send_nowait(quotes("E"))
        await channel.receive()
        await waiting
        return loop.time(), channel.rows

    assert simulate(program) == (1, 2)


def test_senders_have_their_turns_in_order_and_nobody_overtakes(clock):
    """A small item waits behind a large one that came first."""

    async def program(_loop):
        channel = Channel("test", clock, max_rows=3)
        await channel.send(quotes("A", "A"))
        turns = [quotes("B", "B"), quotes("C"), quotes("D", "D", "D"), quotes("E")]
        senders = []
        for batch in turns:
            senders.append(asyncio.create_task(channel.send(batch)))
            await asyncio.sleep(1)
        received = []
        for _ in range(5):
            received.append(await channel.receive())
            await asyncio.sleep(1)
            assert channel.rows <= 3
        return received[1:] == turns

    assert simulate(program)


def test_an_item_that_would_fit_does_not_overtake_those_that_wait(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=3)
        await channel.send(quotes("A", "A"))
        waiting = asyncio.create_task(channel.send(quotes("B", "B")))
        await asyncio.sleep(1)
        with pytest.raises(ChannelFull, match="1 senders wait"):
            channel.send_nowait(quotes("C"))
        first = await channel.receive_many()
        await waiting
        return seen([*first, *await channel.receive_many()])

    assert simulate(program) == [[("A", 0), ("A", 0)], [("B", 0), ("B", 0)]]


def test_a_sender_that_is_cancelled_lets_the_next_one_in(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=3)
        await channel.send(quotes("A", "A"))
        large = asyncio.create_task(channel.send(quotes("B", "B")))
        await asyncio.sleep(1)
        small = asyncio.create_task(channel.send(quotes("C")))
        await asyncio.sleep(1)
        assert not small.done()
        large.cancel()
        await asyncio.sleep(1)
        assert small.done()
        return seen(await channel.receive_many())

    assert simulate(program) == [[("A", 0), ("A", 0)], [("C", 0)]]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest", "conflate", "fail"])
def test_an_item_larger_than_the_bound_is_admitted_when_no_row_is_queued(clock, policy):
    """G-2."""
    channel = Channel("test", clock, max_rows=1, max_bytes=1000, policy=policy)
    channel.send_nowait(CONNECTED)
    channel.send_nowait(quotes("A", "B", "C", "D"))
    assert seen(take(channel)) == [CONNECTED, [("A", 0), ("B", 0), ("C", 0), ("D", 0)]]
    assert not channel.dropped


def test_with_fail_a_full_channel_raises_and_events_still_pass(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=1, max_bytes=ROW, policy="fail")
        await channel.send(quotes("A"))
        with pytest.raises(ChannelFull, match="no room: 1 rows, 320 bytes"):
            await channel.send(quotes("B"))
        await channel.send(CONNECTED)
        return seen(await channel.receive_many())

    assert simulate(program) == [[("A", 0)], CONNECTED]


def test_events_wait_for_room_in_bytes_with_block(clock):
    channel = Channel("test", clock, max_bytes=600)
    channel.send_nowait(CONNECTED)
    channel.send_nowait(CONNECTED)
    with pytest.raises(ChannelFull):
        channel.send_nowait(CONNECTED)


def test_diverted_rows_count_in_bytes(clock):
    channel = Channel("test", clock)
    channel.send_nowait(Diverted(source="test", ts=0, batch=quotes("A", "B", "C"), reason="late"))
    assert (channel.rows, channel.bytes) == (0, 256 + 3 * ROW)


@pytest.mark.parametrize("face", [lambda batch: batch, as_columns])
def test_drop_oldest_reports_the_loss_where_it_was(clock, face):
    """SP-5. The gap stands behind the event that preceded the lost rows and before the rows that followed them."""
    channel = Channel("test", clock, max_rows=2, policy="drop_oldest")
    for item in (CONNECTED, face(quotes(("A", 7), ("B", 5))), CONNECTED, face(quotes(("A", 9)))):
        channel.send_nowait(item)
    assert channel.dropped == {"drop_oldest": 2}
    items = take(channel)
    assert seen(items) == [CONNECTED, ("gap", {"A", "B"}, 5, 8, 2), CONNECTED, [("A", 9)]]
    assert items[1] == Gap(
        source="test", ts=1_000_000_000, symbols=frozenset("AB"), start=5, end=8, reason="drop", rows=2
    )


def test_drop_oldest_drops_no_more_than_the_bound_asks_for(clock):
    channel = Channel("test", clock, max_bytes=2 * ROW, policy="drop_oldest")
    for symbol in "ABC":
        channel.send_nowait(quotes(symbol))
    assert seen(take(channel)) == [("gap", {"A"}, 0, 1, 1), [("B", 0)], [("C", 0)]]


def test_drop_oldest_keeps_the_newest_batch_however_large_it_is(clock):
    channel = Channel("test", clock, max_rows=1, policy="drop_oldest")
    newest = quotes(*("A" * 1_000))
    channel.send_nowait(quotes("A"))
    channel.send_nowait(newest)
    assert take(channel)[1:] == [newest]
    assert channel.dropped == {"drop_oldest": 1}


def test_drop_newest_reports_the_loss_where_it_was(clock):
    """SP-5."""
    channel = Channel("test", clock, max_rows=2, policy="drop_newest")
    for item in (quotes(("A", 1), ("A", 2)), quotes(("B", 3)), CONNECTED):
        channel.send_nowait(item)
    assert channel.dropped == {"drop_newest": 1}
    assert seen(take(channel)) == [[("A", 1), ("A", 2)], ("gap", {"B"}, 3, 4, 1), CONNECTED]


@pytest.mark.parametrize("face", [lambda batch: batch, as_columns])
def test_conflate_keeps_the_latest_quote_of_each_symbol(clock, face):
    """SP-5."""
    channel = Channel("test", clock, max_rows=4, policy="conflate")
    sent = [quotes(("A", 1), ("B", 2)), CONNECTED, quotes(("A", 3), ("C", 4)), quotes(("A", 5))]
    for item in sent:
        channel.send_nowait(item if item is CONNECTED else face(item))
    assert channel.dropped == {"conflate": 2}
    assert (channel.rows, seen(take(channel))) == (
        3,
        [("gap", {"A"}, 1, 4, 2), [("B", 2)], CONNECTED, [("C", 4)], [("A", 5)]],
    )


def test_conflate_reports_behind_what_lost_nothing(clock):
    channel = Channel("test", clock, max_rows=4, policy="conflate")
    for batch in (quotes("A"), quotes(("B", 2)), quotes(("B", 3), ("C", 3)), quotes(("B", 4))):
        channel.send_nowait(batch)
    assert seen(take(channel)) == [[("A", 0)], ("gap", {"B"}, 2, 4, 2), [("C", 3)], [("B", 4)]]


def test_conflate_takes_nothing_from_a_batch_of_many_symbols(clock):
    channel = Channel("test", clock, max_rows=1_000, policy="conflate")
    newest = quotes(*(f"S{number}" for number in range(1_000)))
    channel.send_nowait(trades("A"))
    channel.send_nowait(newest)
    assert channel.dropped == {"conflate": 1}
    assert seen(take(channel)) == [("gap", {"A"}, 0, 1, 1), *seen([newest])]


def test_conflate_touches_quotes_only_and_then_drops_the_oldest_batches(clock):
    channel = Channel("test", clock, max_rows=3, policy="conflate")
    for batch in (trades("A", "A"), quotes(("A", 1)), quotes(("A", 2)), trades("B", "B")):
        channel.send_nowait(batch)
    assert channel.dropped == {"conflate": 3}
    assert seen(take(channel)) == [("gap", {"A"}, 0, 2, 3), [("A", 2)], [("B", 0), ("B", 0)]]


@pytest.mark.parametrize("policy", ["drop_oldest", "conflate"])
def test_columns_are_dropped_without_making_rows(clock, policy):
    channel = Channel("test", clock, max_rows=2, policy=policy)
    sent = [as_columns(quotes("A", "B")), as_columns(quotes("A", "A"))]
    for batch in sent:
        channel.send_nowait(batch)
    assert all(batch._rows is None for batch in [*sent, *take(channel)[1:]])


def test_bars_can_be_dropped(clock):
    bar = Bar("A", 60, 61, 0, 0, ORIGIN, 0, 60, 1, 1, 1, 1, 1.0, None, 1)
    channel = Channel("test", clock, max_rows=1, policy="conflate")
    channel.send_nowait(BarBatch([bar]))
    channel.send_nowait(BarBatch([bar]))
    assert [type(item) for item in take(channel)] == [Gap, BarBatch]


@pytest.mark.parametrize("start", [0, 5_000_000_000])
def test_losses_of_the_same_symbols_within_100_ms_are_one_gap(clock, start):
    """SP-5."""
    channel = Channel("test", clock, max_rows=1, policy="drop_newest")
    channel.send_nowait(quotes("A"))
    for after, symbols in ((0, "A"), (0, "AB"), (50_000_000, "A"), (99_999_999, "BA"), (100_000_000, "A")):
        clock.now = start + after
        channel.send_nowait(quotes(*((symbol, after) for symbol in symbols)))
    assert channel.dropped["drop_newest"] == 7
    gaps = take(channel)[1:]
    assert seen(gaps) == [
        ("gap", {"A"}, 0, 50_000_001, 2),
        ("gap", {"A", "B"}, 0, 100_000_000, 4),
        ("gap", {"A"}, 100_000_000, 100_000_001, 1),
    ]
    assert [gap.ts - start for gap in gaps] == [1_000_000_000, 1_000_000_000, 1_100_000_000]


def test_a_gap_that_was_received_grows_no_more(clock):
    channel = Channel("test", clock, max_rows=1, policy="drop_newest")
    for _ in range(2):
        channel.send_nowait(quotes("A"))
        channel.send_nowait(quotes("A"))
        assert seen(take(channel))[1:] == [("gap", {"A"}, 0, 1, 1)]


def test_gaps_are_bounded_while_the_receiver_stands_still(clock):
    """The count stays exact, the last gap widens."""
    channel = Channel("test", clock, max_rows=1, policy="drop_oldest")
    for number in range(2 * MAX_GAPS):
        channel.send_nowait(quotes((f"S{number}", number)))
    *gaps, newest = take(channel)
    assert (len(gaps), len(newest), MAX_GAPS) == (1_000, 1, 1_000)
    assert sum(gap.rows for gap in gaps) == channel.dropped["drop_oldest"] == 2 * MAX_GAPS - 1
    assert (gaps[-1].start, gaps[-1].end, len(gaps[-1].symbols)) == (MAX_GAPS - 1, 2 * MAX_GAPS - 1, MAX_GAPS)


def test_losses_after_the_last_gap_was_received_are_reported_in_a_new_one(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=1, policy="drop_oldest")
        for number in range(MAX_GAPS + 1):
            channel.send_nowait(quotes(f"S{number}"))
        gaps = [await channel.receive() for _ in range(MAX_GAPS)]
        channel.send_nowait(quotes("LAST"))
        return [*gaps, await channel.receive()]

    assert [gap.rows for gap in simulate(program)] == [1] * (MAX_GAPS + 1)


def test_gaps_are_bounded_also_when_some_were_received(clock):
    async def program(_loop):
        channel = Channel("test", clock, max_rows=1, policy="drop_oldest")
        for number in range(MAX_GAPS + 1):
            channel.send_nowait(quotes(f"S{number}"))
        for _ in range(10):
            await channel.receive()
        for number in range(20):
            channel.send_nowait(quotes(f"T{number}"))
        return await channel.receive_many()

    *gaps, newest = simulate(program)
    assert (len(gaps), len(newest), sum(gap.rows for gap in gaps)) == (MAX_GAPS, 1, MAX_GAPS + 10)


def test_events_are_never_dropped(clock):
    for policy in ("drop_oldest", "drop_newest", "conflate"):
        channel = Channel("test", clock, max_rows=1, max_bytes=300, policy=policy)
        for _ in range(10):
            channel.send_nowait(CONNECTED)
            channel.send_nowait(quotes("A"))
        assert take(channel).count(CONNECTED) == 10


def test_it_has_one_receiver(clock):
    async def program(loop):
        channel = Channel("test", clock)
        first = asyncio.create_task(channel.receive())
        await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="one receiver"):
            await channel.receive_many()
        first.cancel()
        loop.call_later(1, channel.send_nowait, CONNECTED)
        return await channel.receive_many()  # even before the first has ended

    assert simulate(program) == [CONNECTED]


def test_a_receiver_whose_item_another_took_is_told_of_the_other(clock):
    async def program(loop):
        channel = Channel("test", clock)
        first = asyncio.create_task(channel.receive())
        await asyncio.sleep(1)
        channel.send_nowait(CONNECTED)
        assert await channel.receive() is CONNECTED  # the first was woken, and has not run yet
        loop.call_later(1, channel.send_nowait, CONNECTED)
        assert await channel.receive() is CONNECTED
        with pytest.raises(RuntimeError, match="one receiver"):
            await first

    simulate(program)


def test_an_unknown_policy_is_refused_with_the_nearest(clock):
    with pytest.raises(ConfigurationError, match="did you mean 'drop_oldest'"):
        Channel("test", clock, policy="drop-oldest")


def test_bounds_and_policy_are_given_by_name(clock):
    with pytest.raises(TypeError):
        Channel("test", clock, 1)


def test_the_bounds_are_those_of_sp_5():
    parameters = inspect.signature(Channel).parameters
    assert (parameters["max_rows"].default, parameters["max_bytes"].default) == (100_000, 64 * 1024 * 1024)
    assert parameters["policy"].default == "block"
