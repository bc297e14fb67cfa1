"""Pause, resume, step and loop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.contracts import StreamRequest
from market_data_pipeline.errors import ConfigurationError, InvalidRequest
from market_data_pipeline.model import Batch
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

SECOND = 10**9
START = 1_767_268_800 * SECOND


@pytest.fixture
def path(tmp_path):
    """Ten trades, a second apart."""
    path = tmp_path / "a.csv"
    path.write_text("symbol,ts_event,price\n" + "".join(f"X,{START + number * SECOND},1\n" for number in range(10)))
    return path


def playing(path, program, **settings):
    """Run `program(source, loop, got)` beside a replay of trades, and return (row number, seconds) of each row."""

    async def run(loop):
        import anyio

        settings_ = ReplaySettings(path=path, kind="trade", **settings)
        source = ReplayProvider(settings_, ServiceFactory(loop).of("replay")).stream(
            StreamRequest(kinds=frozenset({"trade"}))
        )
        await source.start()
        got = []
        began = loop.monotonic_ns()

        async def consume():
            async for item in source.batches():
                if isinstance(item, Batch):
                    now = (loop.monotonic_ns() - began) / SECOND
                    got.extend((round((row.ts_event - START) / SECOND), now) for row in item.rows)

        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await program(source, lambda seconds: loop.sleep_until(began + int(seconds * SECOND)), got)
        return got

    return simulate(run)


def rounded(got):
    return [(number, round(seconds, 3)) for number, seconds in got]


@pytest.mark.parametrize("speed", [1, 2])
def test_a_pause_is_no_time_and_nothing_comes_at_once_behind_it(path, speed):
    async def program(source, until, got):
        await until(2.25 / speed)
        source.controls.pause()
        source.controls.pause()
        assert source.controls.paused
        await until(50 / speed)
        assert len(got) == 3
        source.controls.resume()
        source.controls.resume()

    got = rounded(playing(path, program, speed=speed))
    late = 47.75
    wanted = [(number, number if number < 3 else number + late) for number in range(10)]
    assert got == [(number, pytest.approx(seconds / speed, abs=0.002)) for number, seconds in wanted]


def test_a_step_plays_so_many_rows_at_once_and_the_rest_follows_the_last(path):
    async def program(source, until, got):
        source.controls.pause()
        await until(5)
        assert got == []
        source.controls.step()
        await until(6)
        assert [number for number, _ in got] == [0]
        source.controls.step(rows=3)
        await until(7)
        assert [number for number, _ in got] == [0, 1, 2, 3]
        source.controls.step(until=START + 6 * SECOND)
        await until(8)
        assert [number for number, _ in got] == [0, 1, 2, 3, 4, 5]
        source.controls.resume()

    assert rounded(playing(path, program, speed=1))[6:] == [
        (number, pytest.approx(8 + number - 5, abs=0.002)) for number in range(6, 10)
    ]


def test_a_step_pauses_a_running_replay_and_does_not_wait_for_the_next_row(path):
    async def program(source, until, got):
        await until(1.5)
        source.controls.step(2)
        await until(1.6)
        assert [number for number, _ in got] == [0, 1, 2, 3]
        assert source.controls.paused
        source.controls.resume()

    assert rounded(playing(path, program, speed=1))[4:5] == [(4, pytest.approx(2.6, abs=0.002))]


def test_the_fastest_replay_pauses_and_steps_too(path):
    async def program(source, until, got):
        source.controls.pause()
        await until(1)
        source.controls.step(until=START + SECOND)
        await until(2)
        assert [number for number, _ in got] == [0]
        source.controls.resume()

    assert [number for number, _ in playing(path, program)] == list(range(10))


@pytest.mark.parametrize("step", [{"rows": 0}, {"rows": 2, "until": START}])
def test_a_wrong_step_is_refused(path, step):
    async def program(source, until, got):
        with pytest.raises(InvalidRequest, match="one row or more, or until a time"):
            source.controls.step(**step)
        with pytest.raises(ConfigurationError):
            source.controls.step(until="soon")
        source.controls.resume()

    assert len(playing(path, program)) == 10


def test_a_closed_replay_ends_though_it_is_paused(path):
    async def program(source, until, got):
        await until(1.5)
        source.controls.pause()
        await until(2)
        await source.close()
        assert len(got) == 2

    assert len(playing(path, program, speed=1)) == 2


def test_each_round_is_later_and_has_an_epoch_of_its_own(play, path):
    played = play(path, kind="trade", loop=3)
    assert [(row.ts_event - START) // SECOND for row in played.rows] == list(range(30))
    assert len({row.origin.epoch for row in played.rows}) == 3
    assert len({(row.origin.epoch, row.ordinal) for row in played.rows}) == 30
    assert [event.origin.epoch for event in played.events] == sorted({row.origin.epoch for row in played.rows})


def test_epochs_of_rounds_never_meet(play, tmp_path):
    path = tmp_path / "a.jsonl"
    line = (
        '{{"kind":"trade","symbol":"X","provider":"p","epoch":{},"ordinal":0,"mode":"live","ts_event":{},"price":1}}\n'
    )
    path.write_text(line.format(1, 1) + line.format(5 * SECOND, 2) + line.format(SECOND + 1, 3))
    played = play(path, loop=4)
    assert len({row.origin.epoch for row in played.rows}) == 12


def test_rounds_of_bars_stay_on_their_grid(play, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "symbol,start,open,high,low,close\n" + "".join(f"X,{START + 300 * n * SECOND},1,1,1,1\n" for n in (0, 2))
    )
    rows = play(path, kind="bar", interval="5m", loop=2).rows
    assert [(row.start - START) // SECOND for row in rows] == [0, 600, 1200, 1800]
    assert all(row.end - row.start == 300 * SECOND and row.ts_event == row.end for row in rows)


def test_for_ever_is_until_it_is_closed(path):
    async def program(source, until, got):
        await until(95.5)
        assert len(got) == 96
        await source.close()

    assert [number for number, _ in playing(path, program, speed=1, loop="forever")] == list(range(96))


def test_a_recording_without_rows_is_not_looped(play, tmp_path):
    (tmp_path / "a.csv").write_text("symbol,ts_event,price\n")
    assert play(tmp_path, kind="trade", loop="forever").rows == []


@given(after=st.integers(0, 30))
def test_a_looped_replay_goes_on_behind_any_position(play, tmp_path_factory, after):
    path = tmp_path_factory.mktemp("loop") / "a.csv"
    path.write_text("symbol,ts_event,price\n" + "".join(f"X,{START + number * SECOND},1\n" for number in range(10)))
    assert play(path, kind="trade", loop=3, after=str(after)).rows == play(path, kind="trade", loop=3).rows[after:]


def test_rows_that_alternate_come_at_the_speed_and_in_rounds_too(play, tmp_path):
    path = tmp_path / "a.jsonl"
    line = '{{"kind":"{}","symbol":"X","epoch":1,"ordinal":{},"mode":"live","ts_event":{},"price":1,"bid":1}}\n'
    path.write_text(
        "".join(line.format(["quote", "trade"][number % 2], number, number * SECOND) for number in range(200))
    )
    played = play(path, speed=2, loop=2)
    assert [row.ts_event // SECOND for row in played.rows] == list(range(400))
    assert [row.kind for row in played.rows] == ["quote", "trade"] * 200
    assert len(played.times) - len(played.events) == 400
