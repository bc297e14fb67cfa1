"""What goes wrong on purpose."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from market_data_pipeline.contracts import BarsRequest, ChainRequest, StreamRequest
from market_data_pipeline.errors import AuthenticationFailed, ConnectionLost, InvalidRequest, RateLimited, ServerError
from market_data_pipeline.model import Connected, Flag, Gap, SourceState
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_pipeline.testing.simloop import START_NS
from market_data_synthetic.faults import Late, Window
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import DEFAULT_START, SyntheticSettings

BOTH = ("quote", "trade")
SECOND = 10**9
RUN = {"start": DEFAULT_START, "speed": "max", "rate": 20.0, "count": 4000}
RUNS = st.sampled_from([("A", ["quote"]), ("AB", BOTH), ("ABC", ["trade"])])
SHORT = RUN | {"count": 1200}
FAULTS = st.fixed_dictionaries(
    {},
    optional={
        "fault_gap": st.sampled_from(["2s/7s", "999ms/1s", "1s/1m"]),
        "fault_gap_silent": st.booleans(),
        "fault_disconnect": st.sampled_from(["3s/11s", "300ms/20s"]),
        "fault_duplicate": st.integers(1, 50),
        "fault_stall": st.sampled_from(["1s/5s", "100ms/1s"]),
    },
)


def inside(row, length, every):
    return row.ts_event % every >= every - length


def windows(rows, length, every):
    """Begin and end of the windows that rows lie in, in order."""
    ends = sorted({row.ts_event // every * every + every for row in rows if inside(row, length, every)})
    return [(end - length, end) for end in ends]


@pytest.mark.parametrize("kinds", [["quote"], BOTH])
def test_ticks_of_a_gap_are_missing_and_their_ordinals_with_them(run, kinds):
    whole, found = run("AB", kinds, **RUN), run("AB", kinds, fault_gap="2s/7s", **RUN)
    assert found.rows == [row for row in whole.rows if not inside(row, 2 * SECOND, 7 * SECOND)]
    missing = [row for row in whole.rows if inside(row, 2 * SECOND, 7 * SECOND)]
    spans = windows(missing, 2 * SECOND, 7 * SECOND)
    assert [(event.start, event.end, event.reason) for event in found.events] == [(*span, "sequence") for span in spans]
    assert sum(event.rows for event in found.events) == len(missing) > 100


def test_a_gap_is_told_between_the_rows_around_it(run):
    for kinds in (["quote"], BOTH):
        found = run("AB", kinds, fault_gap="2s/7s", **RUN)
        before = 0
        for item in found.items:
            if isinstance(item, Gap):
                assert before <= item.start
                before = item.end
            else:
                assert all(row.ts_event >= before for row in item.rows)
                before = max(before, *(row.ts_event - 500_000_000 for row in item.rows))


def test_a_silent_gap_is_not_told(run):
    told, silent = run(fault_gap="2s/7s", **RUN), run(fault_gap="2s/7s", fault_gap_silent=True, **RUN)
    assert silent.rows == told.rows
    assert not silent.events


def test_a_gap_at_the_end_of_a_run_is_told(run):
    start = DEFAULT_START - DEFAULT_START % (10 * SECOND)
    found = run(["A"], start=start, rate=10, count=95, speed="max", fault_gap="2s/10s")
    assert isinstance(found.items[-1], Gap)
    assert found.items[-1].rows == 95 - len(found.rows)


def test_a_row_that_comes_twice_has_one_identity(run):
    whole, found = run("AB", BOTH, **RUN), run("AB", BOTH, fault_duplicate=7, **RUN)
    assert found.rows == [row for row in whole.rows for _ in range(2 if row.ordinal % 7 == 6 else 1)]


@given(RUNS, st.sampled_from(["3s/10", "700ms/3", "1m/50"]), st.booleans())
@settings(max_examples=15)
def test_late_rows_are_the_same_rows_in_another_order(run, what, late, flagged):
    whole, found = run(*what, **SHORT), run(*what, fault_late=late, fault_late_flagged=flagged, **SHORT)
    delay, every = Late.parse(late).delay, Late.parse(late).every
    plain = {row.ordinal: row for row in whole.rows}
    assert sorted(row.ordinal for row in found.rows) == sorted(plain)
    newest, by_symbol = 0, Counter()
    for row in found.rows[: -len(plain) // every]:
        is_late = row.ordinal % every == every - 1
        if is_late:
            assert newest >= row.ts_event + delay - 500_000_000 - SECOND  # the step, and a time without a tick
        assert bool(row.flags & Flag.OUT_OF_ORDER) == (flagged and is_late and by_symbol[row.symbol] > row.ts_event)
        newest = max(newest, row.ts_event)
        by_symbol[row.symbol] = max(by_symbol[row.symbol], row.ts_event)
    in_time = [row for row in found.rows if row.ordinal % every != every - 1]
    assert in_time == [row for row in whole.rows if row.ordinal % every != every - 1]


def test_a_late_row_comes_when_it_is_due(run):
    found = run(["A"], rate=100, count=3000, fault_late="2s/10")
    late = [
        time - row.ts_event
        for batch, time in zip(found.batches, found.times, strict=True)
        for row in batch.rows
        if row.flags & Flag.OUT_OF_ORDER
    ]
    assert len(late) > 200
    assert min(late[:-40]) >= 2 * SECOND
    assert max(late) < 2.1 * SECOND


def test_a_run_with_late_rows_has_no_positions(run):
    assert {batch.position for batch in run(fault_late="1s/10", **RUN).batches} == {None}
    with pytest.raises(InvalidRequest, match="no fault_late"):
        run(after="1:2:3:4:5", fault_late="1s/10", **RUN)


def test_a_stall_holds_everything_up_and_loses_nothing(run):
    plain, found = run(["A"], rate=50, count=6000), run(["A"], rate=50, count=6000, fault_stall="10s/1m")
    assert [row.ts_event for row in found.rows] == [row.ts_event for row in plain.rows]
    late = [
        (row.ts_event - START_NS, time - START_NS)
        for batch, time in zip(found.batches, found.times, strict=True)
        for row in batch.rows
    ]
    for event, time in late:
        into = event % (60 * SECOND)
        held = into - 50 * SECOND > 0
        assert time >= event
        assert time - event < (10.1 * SECOND - (into - 50 * SECOND) if held else SECOND // 10)
    assert sum(time - event > SECOND for event, time in late) > 500


def test_as_fast_as_possible_a_stall_still_takes_its_time(run):
    found = run(fault_stall="2s/10s", **RUN)
    stalls = len(windows(found.rows, 2 * SECOND, 10 * SECOND))
    assert stalls > 5
    assert found.times[-1] - found.began == pytest.approx(stalls * 2 * SECOND, rel=1e-3)


@pytest.mark.parametrize("kinds", [["quote"], BOTH])
def test_a_connection_that_comes_back_has_an_epoch_of_its_own(run, kinds):
    whole, found = run("AB", kinds, **RUN), run("AB", kinds, fault_disconnect="3s/11s", **RUN)
    stays = [row for row in whole.rows if not inside(row, 3 * SECOND, 11 * SECOND)]
    assert [(row.ordinal, row.ts_event) for row in found.rows] == [(row.ordinal, row.ts_event) for row in stays]
    for row in found.rows:
        assert row.origin.epoch != whole.rows[0].origin.epoch
    by_connection = {}
    for row in found.rows:
        by_connection.setdefault(row.ts_event // (11 * SECOND), set()).add(row.origin.epoch)
    assert all(len(epochs) == 1 for epochs in by_connection.values())
    assert len(set.union(*by_connection.values())) == len(by_connection) > 4


def test_what_happens_to_a_connection_is_told_in_order(run):
    for wanted in (RUN, {"rate": 20.0, "count": 4000}):
        found = run(fault_disconnect="3s/12s", **wanted)
        first, *events = found.events
        assert isinstance(first, Connected)
        assert first is found.items[0]
        assert [type(event) for event in events[:4]] == [SourceState, Connected, Gap, SourceState]
        for down, back, gap, up in zip(*(iter(events[: len(events) // 4 * 4]),) * 4, strict=True):
            assert (down.state, up.state, gap.reason) == ("connecting", "live", "disconnect")
            assert (gap.start % (12 * SECOND), gap.end % (12 * SECOND)) == (9 * SECOND, 0)
            rows = found.items[found.items.index(up) + 1].rows
            assert rows[0].origin == back.origin
            assert rows[0].ts_event >= gap.end
            assert gap.ts >= gap.end


def test_a_connection_that_is_lost_where_no_tick_is_still_comes_back_new(run):
    found = run(["A"], start=DEFAULT_START, speed="max", rate=0.01, count=30, fault_disconnect="1ms/1m")
    kinds = [type(event) for event in found.events]
    assert kinds == [Connected, *[SourceState, Connected, Gap, SourceState] * (len(kinds) // 4)]
    assert len(kinds) > 80


def test_a_run_that_begins_without_a_connection_says_so(run):
    start = DEFAULT_START - DEFAULT_START % (60 * SECOND) + 55 * SECOND
    found = run(["A"], start=start, speed="max", rate=10, count=200, fault_disconnect="10s/1m")
    assert [type(item) for item in found.items[:4]] == [SourceState, Connected, Gap, SourceState]
    assert found.rows[0].ts_event >= start + 5 * SECOND


@pytest.mark.parametrize("wanted", [{"start": DEFAULT_START, "speed": "max"}, {}])
def test_a_connection_that_does_not_come_back_raises_behind_its_rows(wanted):
    async def program(loop):
        of = SyntheticSettings(rate=50, fault_disconnect="3s/11s", fault_reconnect=False, **wanted)
        provider = SyntheticProvider(of, ServiceFactory(loop).of("synthetic"))
        rows = []

        async def consume():
            async for batch in provider.stream(StreamRequest(symbols=("A",))).batches():
                rows.extend(batch.rows)

        with pytest.raises(ConnectionLost, match="fault_disconnect"):
            await consume()
        again = provider.stream(StreamRequest(symbols=("A",)))
        return rows, (await anext(again.batches())).rows[0]

    rows, again = simulate(program)
    begin = rows[0].ts_event // (11 * SECOND) * 11 * SECOND + 8 * SECOND
    begin += 11 * SECOND if begin <= rows[0].ts_event else 0
    assert begin - SECOND // 10 < rows[-1].ts_event < begin
    assert again.ts_event == rows[0].ts_event if wanted else again.ts_event >= begin


def test_a_run_goes_on_behind_the_connection_that_was_lost(run):
    whole, position = run(**RUN), None
    rows, lost = [], 0

    async def program(loop):
        of = SyntheticSettings(fault_disconnect="3s/11s", fault_reconnect=False, **RUN)
        provider = SyntheticProvider(of, ServiceFactory(loop).of("synthetic"))
        nonlocal position, lost
        while True:
            source = provider.stream(StreamRequest(symbols=("AAPL", "MSFT"), after=position))
            try:
                async for batch in source.batches():
                    rows.extend(batch.rows)
                    position = batch.position
            except ConnectionLost:
                lost += 1
            else:
                return

    simulate(program)
    assert rows == whole.rows
    assert lost > 5


@given(st.data(), RUNS, FAULTS)
@settings(max_examples=20)
def test_a_faulty_run_can_be_repeated_and_goes_on_behind_any_position(run, data, what, faults):
    whole, again = (run(*what, **faults, **SHORT) for _ in range(2))
    assert whole.rows == again.rows
    assert whole.events == again.events
    if whole.batches:
        number = data.draw(st.integers(0, len(whole.batches) - 1))
        rest = run(*what, whole.batches[number].position, **faults, **SHORT)
        assert rest.rows == [row for batch in whole.batches[number + 1 :] for row in batch.rows]


@given(RUNS, FAULTS)
@settings(max_examples=20)
def test_every_tick_is_given_or_in_a_gap(run, what, faults):
    whole, found = run(*what, **SHORT), run(*what, **faults, **SHORT)
    spans = [(event.start, event.end) for event in found.events if isinstance(event, Gap)]
    if faults.get("fault_gap_silent"):
        spans += windows(whole.rows, *vars_of(faults.get("fault_gap", "1ms/1h")))
    given = {row.ordinal for row in found.rows}
    missing = [row for row in whole.rows if row.ordinal not in given]
    last = found.rows[-1].ts_event if found.rows else 0
    assert all(any(start <= row.ts_event < end for start, end in spans) or row.ts_event > last for row in missing)


def vars_of(text):
    window = Window.parse(text)
    return window.length, window.every


def start_again(times, **faults):
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(**faults), ServiceFactory(loop).of("synthetic"))
        errors, began = [], loop.monotonic_ns()
        for _ in range(times):
            try:
                await provider.stream(StreamRequest(symbols=("A",))).start()
            except (ConnectionLost, AuthenticationFailed) as error:
                errors.append(type(error))
            else:
                errors.append(None)
        return errors, (loop.monotonic_ns() - began) / SECOND

    return simulate(program)


def test_starts_fail_and_then_do_not():
    assert start_again(4, fault_failed_starts=2)[0] == [ConnectionLost, ConnectionLost, None, None]
    assert start_again(2, fault_failed_starts=1, fault_start_error="AuthenticationFailed")[0] == [
        AuthenticationFailed,
        None,
    ]


def test_a_slow_start_takes_its_time():
    errors, seconds = start_again(2, fault_slow_start="3s")
    assert errors == [None, None]
    assert seconds == pytest.approx(6)


def test_a_slow_start_ends_with_its_source():
    async def program(loop):
        provider = SyntheticProvider(SyntheticSettings(fault_slow_start="1h"), ServiceFactory(loop).of("synthetic"))
        source = provider.stream(StreamRequest(symbols=("A",)))
        loop.call_later(1, lambda: loop.create_task(source.close()))
        await source.start()
        return loop.monotonic_ns()

    assert simulate(program) < 1.1 * SECOND


def test_every_so_many_requests_one_fails(ask):
    async def question(provider):
        async def bars():
            request = BarsRequest(symbol="A", start=0, end=10 * SECOND, interval_ns=SECOND)
            return [batch async for batch in provider.get_historical_bars(request)]

        said = []
        for work in (bars, lambda: provider.get_options_chain(ChainRequest(underlying="A"))) * 2 + (
            lambda: provider.resolve("A"),
            bars,
        ):
            try:
                assert await work()
            except (RateLimited, ServerError) as error:
                said.append((type(error).__name__, getattr(error, "retry_after", None)))
            else:
                said.append("")
        return said

    assert ask(question, speed="max", fault_request=3, fault_retry_after=2.5) == ["", "", ("RateLimited", 2.5)] * 2
    assert (
        ask(question, speed="max", fault_request=2, fault_request_error="ServerError")
        == [
            "",
            ("ServerError", None),
        ]
        * 3
    )


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"fault_gap": "5s"}, "write 5s/1m"),
        ({"fault_gap": "5s/5s"}, "not shorter"),
        ({"fault_stall": "x/5s"}, "not an interval"),
        ({"fault_disconnect": "1s/"}, "not an interval"),
        ({"fault_late": "3s"}, "write 3s/100"),
        ({"fault_late": "3s/0"}, "write 3s/100"),
        ({"fault_late": "x/3"}, "not an interval"),
        ({"fault_slow_start": "soon"}, "not an interval"),
        ({"fault_duplicate": 0}, "greater than 0"),
        ({"fault_retry_after": "nan"}, "less than or equal"),
    ],
)
def test_a_wrong_fault_is_refused(setting, text):
    with pytest.raises(ValidationError, match=text):
        SyntheticSettings(**setting)


def test_a_fault_may_be_none():
    found = SyntheticSettings(fault_gap=None, fault_late=None, fault_slow_start=None)
    assert found == SyntheticSettings()
    assert (found.windows, found.late) == ({}, None)


def test_nothing_comes_after_close_though_more_was_to_be_told(ask):
    async def question(provider):
        source = provider.stream(StreamRequest(symbols=("A",)))
        items = source.batches()
        assert isinstance(await anext(items), Connected)
        await source.close()
        return [item async for item in items]

    assert ask(question, speed="max", fault_disconnect="1s/1h") == []
