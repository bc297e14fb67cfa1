"""The source and the provider as the contract wants them, and the pace."""

import subprocess
import sys
from importlib.metadata import entry_points
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from market_data_pipeline.contracts import MarketDataProvider, StreamRequest, TickSource
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceBusy, SourceClosed
from market_data_pipeline.model import Connected
from market_data_pipeline.plugins import HookContext
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.testing import simulate
from market_data_replay.capabilities import CAPABILITIES
from market_data_replay.provider import ReplayProvider
from market_data_replay.settings import ReplaySettings

EURUSD = "forex/oanda/tick/eurusd/20140501_quote.zip"
MILLI = 1_000_000


@pytest.fixture
def path(lean):
    """Ten quotes a second apart, then one that goes back by half a second."""
    times = [*range(0, 10_000, 1000), 8500]
    return lean(EURUSD, "".join(f"{time},1.1,1.2\n" for time in times))


def make(path, loop=None, **settings):
    services = ServiceFactory(loop).of("replay") if loop else ServiceFactory().of("replay")
    return ReplayProvider(ReplaySettings(path=path, **settings), services)


def test_the_installed_entry_point_gives_the_spec():
    (entry,) = entry_points(group="market_data.providers", name="replay")
    (spec,) = entry.load().mdp_providers(HookContext(plugin="replay"))
    assert (spec.name, spec.capabilities) == ("replay", CAPABILITIES)
    assert spec.resolve_factory() is ReplayProvider
    assert spec.resolve_settings() is ReplaySettings


def test_loading_the_plugin_imports_nothing_heavy():
    code = """
import sys
from market_data_replay.plugin import plugin
list(plugin.mdp_providers(None))
print(sorted({"numpy", "pydantic", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_provider_and_source_are_what_the_contract_says(path):
    provider = make(path)
    assert isinstance(provider, MarketDataProvider)
    assert isinstance(provider.stream(StreamRequest()), TickSource)


def test_what_is_not_declared_is_refused(path):
    with pytest.raises(CapabilityNotSupported, match="replay has no book rows"):
        make(path).stream(StreamRequest(kinds=frozenset({"book"})))
    with pytest.raises(InvalidRequest, match="'x' is no position of a replay"):
        make(path).stream(StreamRequest(after="x"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 0}, "greater than 0"),
        ({"speed": "fast"}, "speed"),
        ({"speed": "inf"}, "finite"),
        ({"start": "2014-05-01T00:00:00"}, "no time zone"),
        ({"start": "soon"}, "is not a time"),
        ({"start": 5, "end": 5}, "start must be before end"),
        ({"format": "xlsx"}, "'parquet', 'lean', 'csv', 'jsonl' or 'dbn'"),
        ({"columns": "bid"}, "'bid' is no pair: write ours:theirs"),
        ({"columns": "bid:a,bid:b"}, "'bid' is given twice"),
        ({"columns": 5}, "columns"),
        ({"sides": "B:bought"}, "'buy' or 'sell'"),
        ({"time_unit": "ms", "time_format": "%Y"}, "exclude each other"),
        ({"time_format": "%Y"}, "no offset"),
        ({"time_unit": "ms", "time_zone": "UTC"}, "numbers, which are UTC"),
        ({"time_zone": "Mars/Base"}, "'Mars/Base' is no time zone"),
        ({"interval": "fast"}, "is not an interval"),
        ({"resolution": "day"}, "'tick', 'second' or 'minute'"),
        ({"paths": "x"}, "paths"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValidationError, match=message):
        ReplaySettings(path=".", **settings)


def test_every_setting_is_documented():
    assert all(field.description for field in ReplaySettings.model_fields.values())


def test_a_speed_may_be_text():
    assert [ReplaySettings(path=".", speed=speed).speed for speed in ("max", "2.5", 1)] == ["max", 2.5, 1.0]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("missing", {}, "does not exist: path names a file, a folder or a glob"),
        ("*.zip", {}, "does not exist"),
        ("", {}, r"has no file of format parquet \(\*.parquet\) or format lean \(\*.zip\)"),
        ("lean", {"format": "parquet"}, r"has no file of format parquet \(\*.parquet\)"),
    ],
)
def test_a_path_without_files_says_what_was_looked_for(play, tmp_path, name, settings, message):
    (tmp_path / "lean").mkdir()
    (tmp_path / "lean" / "a.zip").touch() if "format" in settings else None
    with pytest.raises(InvalidRequest, match=message):
        play(tmp_path / name, **settings)


def test_two_formats_in_one_place_need_a_word(play, path):
    (path.parents[3] / "a.parquet").touch()
    with pytest.raises(InvalidRequest, match=r"format parquet .* or format lean .*: say which with format"):
        play(path.parents[3])
    assert len(play(path.parents[3], format="lean").rows) == 11


def test_a_file_of_a_named_format_may_have_any_name(play, path):
    other = path.rename(path.with_suffix(".zap"))
    with pytest.raises(InvalidRequest, match="has no file of format"):
        play(other)
    with pytest.raises(InvalidRequest, match="is not where Lean keeps it"):
        play(other, format="lean")


@pytest.mark.parametrize("pattern", ["", "forex/*/tick/eur*", "**/*_quote.zip", "forex/oanda/tick/eurusd/2014*.zip"])
def test_a_path_is_a_file_a_folder_or_a_glob(play, path, pattern):
    assert len(play(path).rows) == len(play(path.parents[4] / pattern).rows) == 11


def test_an_origin_is_introduced_before_its_rows(play, path):
    connected, batch = play(path).items
    assert connected == Connected(source="replay", ts=batch.rows[0].ts_recv, origin=batch.origin)


def test_a_source_is_iterated_once_and_closed_for_good(path):
    async def program(_loop):
        source = make(path).stream(StreamRequest())
        with pytest.raises(SourceClosed):
            await anext(source.batches())
        await source.start()
        items = source.batches()
        await anext(items)
        with pytest.raises(SourceBusy):
            await anext(source.batches())
        await source.close()
        await source.close()
        assert [item async for item in items] == []
        with pytest.raises(SourceClosed):
            await anext(source.batches())
        assert not (await source.status()).connected

    simulate(program)


def test_closing_the_provider_ends_its_streams(path):
    async def program(_loop):
        provider = make(path)
        source = provider.stream(StreamRequest())
        await source.start()
        await provider.close()
        await provider.close()
        with pytest.raises(SourceClosed):
            await anext(source.batches())
        with pytest.raises(SourceClosed):
            provider.stream(StreamRequest())

    simulate(program)


def test_two_streams_of_a_provider_play_apart(path):
    async def program(_loop):
        provider = make(path)
        found = []
        for _ in range(2):
            source = provider.stream(StreamRequest())
            await source.start()
            found.append([item async for item in source.batches()])
        assert [batch.rows for _, batch in found] == [found[0][1].rows] * 2

    simulate(program)


@pytest.mark.parametrize("speed", [1, 0.5, 1000, 3])
def test_rows_come_at_the_speed_by_their_time_and_none_early(play, path, speed):
    played = play(path, speed=speed)
    times = [time for item, time in zip(played.items, played.times, strict=True) if item in played.batches]
    due = [round(number * 1000 * MILLI / speed) for number in range(10)]
    assert [len(batch) for batch in played.batches] == [*[1] * 9, 2]
    assert all(0 <= time - times[0] - wanted < 1000 for time, wanted in zip(times, due, strict=True))


def test_as_fast_as_possible_takes_no_time(play, path):
    played = play(path)
    assert played.times[-1] == played.times[0]


def test_speed_changes_neither_rows_nor_their_order(play, path):
    assert play(path, speed=7).rows == play(path).rows


def test_after_a_pause_all_that_is_due_comes_at_once(path):
    async def program(loop):
        source = make(path, loop, speed=1).stream(StreamRequest())
        await source.start()
        items = source.batches()
        await anext(items)
        assert len(await anext(items)) == 1
        await loop.sleep_until(loop.monotonic_ns() + 5_500 * MILLI)
        assert len(await anext(items)) == 5
        await items.aclose()

    simulate(program)


@given(st.data())
def test_a_replay_goes_on_behind_any_of_its_positions(play, path_of_kinds, data):
    whole = play(path_of_kinds)
    batch = data.draw(st.sampled_from(whole.batches))
    rest = play(path_of_kinds, after=batch.position)
    assert rest.rows == whole.rows[int(batch.position) :]
    assert [one.position for one in rest.batches][-1:] in ([whole.batches[-1].position], [])


@pytest.fixture(scope="module")
def path_of_kinds(tmp_path_factory):
    """Quotes and trades that alternate, in two files."""
    folder = tmp_path_factory.mktemp("lean") / "lean/crypto/coinbase/tick/btcusd"
    folder.mkdir(parents=True)
    for kind, line, shift in (("quote", "1.1,1,1.2,1", 0), ("trade", "1.1,1", 3)):
        with ZipFile(folder / f"20140501_{kind}.zip", "w") as archive:
            archive.writestr("a.csv", "".join(f"{time + shift},{line}\n" for time in range(0, 400, 10)))
    return folder.parents[3]


def test_progress_reaches_its_end(play, path):
    assert play(path).status.progress == 1.0
