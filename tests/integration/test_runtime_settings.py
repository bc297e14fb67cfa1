"""A runtime as its settings say, with sources of its own program, and with plugins that hear what happens."""

import json
from types import SimpleNamespace

import anyio
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, MarketDataProvider
from market_data_pipeline.errors import ConfigurationError, ConnectionLost, PluginError, PluginNotFound
from market_data_pipeline.model import Origin, Quote, QuoteBatch, parse_time
from market_data_pipeline.pipeline import parse_spec
from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.source import ServiceFactory
from market_data_pipeline.testing import simulate

QUOTES = Capabilities(kinds=frozenset({"quote"}), pausable=True)
START = "2026-11-23T14:30:00+00:00"


class Source:
    """Ten quotes, a second apart."""

    capabilities = QUOTES

    def __init__(self, request, settings, services):
        self.symbols = request.symbols

    async def start(self):
        pass

    async def batches(self):
        for n in range(10):
            yield QuoteBatch([Quote(self.symbols[0], n, n, n, 0, Origin("mine", "mine", 1, "live"), 1, 2, 1.0, 1.0)])
            await anyio.sleep(1)

    async def close(self):
        pass


class Provider(MarketDataProvider):
    capabilities = QUOTES

    def __init__(self, settings, services):
        pass

    def stream(self, request):
        return Source(request, None, None)


class Refuses(Provider):
    async def start(self):
        raise ConnectionLost("nobody there")


@pytest.fixture(autouse=True)
def _no_settings_of_the_environment(monkeypatch, tmp_path):
    for name in ("MDP__PROVIDER", "MDP_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path / "environment"))


def run(body, settings=None, **options):
    async def main(loop):
        async with PipelineRuntime(settings, services=ServiceFactory(loop, seed=1), **options) as runtime:
            return await body(runtime)

    return simulate(main)


def test_without_settings_those_of_the_environment_hold(tmp_path, monkeypatch):
    """CFG-2."""
    monkeypatch.setenv("MDP__PROVIDER", "synthetic")
    monkeypatch.setenv("MDP__MAX_CONCURRENT_PIPELINES", "3")
    runtime = PipelineRuntime()
    assert (runtime.settings.provider, runtime.settings.max_concurrent_pipelines) == ("synthetic", 3)
    assert runtime.data_dir == tmp_path / "environment"


def test_what_the_program_says_goes_before_the_environment(tmp_path, monkeypatch):
    """CFG-2."""
    monkeypatch.setenv("MDP__PROVIDER", "replay")
    runtime = PipelineRuntime({"provider": "synthetic", "data_dir": str(tmp_path / "program")})
    assert (runtime.settings.provider, runtime.data_dir) == ("synthetic", tmp_path / "program")


def test_ready_made_settings_are_taken_as_they_are():
    settings = PipelineRuntimeSettings(provider="synthetic")
    assert PipelineRuntime(settings).settings is settings


def test_a_wrong_setting_is_named_with_what_would_be_right():
    with pytest.raises(ConfigurationError, match=r"providr.*did you mean 'provider'"):
        PipelineRuntime({"providr": "synthetic"})


def test_nothing_starts_without_what_is_required():
    """RT-3."""

    async def body(runtime):
        raise AssertionError("it started")

    with pytest.raises(PluginError, match=r"plugins\.required names 'gone', which is not installed"):
        run(body, {"plugins": {"required": ["gone"]}})


@pytest.mark.parametrize(
    ("options", "count"), [({}, 7), ({"provider_settings": {"speed": "max", "start": START, "count": 5}}, 5)]
)
def test_streams_take_the_providers_settings_and_arguments_win(options, count):
    settings = {
        "provider": "synthetic",
        "providers": {"synthetic": {"speed": "max", "start": START, "count": 7}},
    }

    async def body(runtime):
        return [quote async for quote in runtime.stream_quotes(["AAPL"], on_full="block")]

    assert len(run(body, settings, **options)) == count


def test_the_sink_store_writes_to_the_data_directory(tmp_path):
    spec = parse_spec({"pipeline_id": "one", "source": "mine", "symbols": ["A"], "sink": "store"})

    async def body(runtime):
        runtime.registry.register("mine", Source)
        await runtime.wait_pipeline(await runtime.run_pipeline(spec))

    run(body, {"data_dir": str(tmp_path / "mine")})
    assert list((tmp_path / "mine" / "parquet").rglob("*.parquet"))
    assert not (tmp_path / "environment").exists()


@pytest.mark.parametrize("cls", [Source, Provider])
def test_what_a_program_registers_can_be_streamed_ahead_of_what_is_installed(cls):
    async def body(runtime):
        with pytest.raises(PluginNotFound):
            runtime.stream_quotes(["A"], provider="mine")
        runtime.registry.register("mine", cls)
        runtime.registry.register("synthetic", cls)
        return [
            [quote.origin.provider async for quote in runtime.stream_quotes(["A"], name)]
            for name in ("mine", ["nowhere", "synthetic"])
        ]

    assert run(body) == [["mine"] * 10, ["mine"] * 10]


def test_a_class_that_does_not_say_what_it_has_cannot_be_streamed():
    async def body(runtime):
        runtime.registry.register("mine", SimpleNamespace)
        with pytest.raises(ConfigurationError, match="does not say what it has"):
            runtime.stream_quotes(["A"], provider="mine")

    run(body)


def test_what_is_installed_stays_itself_when_it_is_discovered():
    async def body(runtime):
        runtime.registry.discover_entrypoints()
        async with runtime.stream_quotes(["A"], "synthetic", settings={"speed": "max", "count": 3}) as quotes:
            return [quote.origin.provider async for quote in quotes]

    assert run(body) == ["synthetic"] * 3


def test_a_source_is_named_once():
    async def body(runtime):
        with pytest.raises(ConfigurationError, match="name the source once"):
            runtime.stream_quotes(["A"], "synthetic", provider="replay")

    run(body)


def test_a_look_needs_no_await_and_is_plain_data():
    """G-6."""

    async def body(runtime):
        runtime.registry.register("mine", Provider)
        stream = runtime.stream_quotes(["A"], "mine")
        await runtime.run_pipeline(
            parse_spec({"pipeline_id": "one", "source": "mine", "symbols": ["A"], "sink": "memory"})
        )
        await anyio.sleep(2.5)
        before, after = runtime.look(), runtime.look()
        await stream.aclose()
        return before == after, json.loads(json.dumps(before.as_dict()))

    same, plain = run(body)
    assert same
    assert (plain["state"], plain["providers"][0]["users"], plain["streams"][0]["ledger"]["received"]) == (
        "running",
        2,
        3,
    )
    assert plain["pipelines"]["default:one"]["state"] == "running"


# --- mdp_event ------------------------------------------------------------------------------------------------------


class Listening(PluginHost):
    """A host with one loaded plugin, which hears of everything."""

    def __init__(self):
        super().__init__(path=[])
        self.heard = []

    def registrations(self):
        tell = lambda event: self.heard.append((event.subject, event.name, event.state, event.reason))  # noqa: E731
        return (SimpleNamespace(plugin="listener", hears_events=True, tell=tell),)


def test_plugins_hear_of_runtime_providers_streams_and_pipelines():
    host = Listening()

    async def main():
        async with PipelineRuntime(host=host) as runtime:
            runtime.registry.register("mine", Provider)
            runtime.registry.register("refuses", Refuses)
            async with runtime.stream_quotes(["A"], "mine") as quotes:
                assert (await quotes.next()).symbol == "A"
            with pytest.raises(ConnectionLost):
                await runtime.stream_quotes(["A"], "refuses").next()
            spec = parse_spec({"pipeline_id": "one", "source": "mine", "symbols": ["A"], "sink": "memory"})
            key = await runtime.run_pipeline(spec)
            await runtime.stop_pipeline(key)

    anyio.run(main)
    heard = host.heard
    assert heard[0] == ("runtime", "runtime", "started", "")
    assert heard[-2:] == [("runtime", "runtime", "stopping", ""), ("runtime", "runtime", "ended", "")]
    assert ("provider", "refuses", "failed", "nobody there") in heard
    assert [state for subject, name, state, _ in heard if (subject, name) == ("provider", "mine")][:2] == [
        "started",
        "ended",
    ]
    assert [state for subject, name, state, _ in heard if (subject, name) == ("stream", "mine")] == ["started", "ended"]
    assert [state for subject, name, state, _ in heard if (subject, name) == ("stream", "refuses")] == [
        "started",
        "failed",
    ]
    assert [state for subject, _, state, _ in heard if subject == "pipeline"] == ["started", "stopping", "ended"]


@pytest.mark.parametrize("seed", range(20))
def test_a_shutdown_in_a_cancelled_scope_ends_all_the_same(seed):
    """RT-1."""

    async def main(loop):
        runtime = PipelineRuntime(host=PluginHost(path=[]), services=ServiceFactory(loop))
        await runtime.initialize()
        runtime.registry.register("mine", Source)
        runtime.stream_quotes(["A"], "mine")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await runtime.shutdown()
        return runtime.look().state, runtime.look().streams

    assert simulate(main, seed=seed) == ("closed", ())


def test_settings_of_a_call_lie_over_those_of_the_runtime_and_these_over_the_configured_ones():
    """CFG-2."""

    async def main(loop):
        configured = {"providers": {"synthetic": {"start": START, "count": 9, "rate": 1}}}
        own = {"speed": "max", "count": 5}
        async with PipelineRuntime(configured, provider_settings=own, services=ServiceFactory(loop)) as runtime:
            found = []
            for settings in (None, {}, {"count": 3}, {"count": 3, "start": None}):
                async with runtime.stream_quotes(["AAPL"], "synthetic", settings=settings) as quotes:
                    times = [quote.ts_event async for quote in quotes]
                found.append((len(times), times[0] >= parse_time(START)))
            return found

    assert simulate(main) == [(5, True), (5, True), (3, True), (3, False)]


def test_pipelines_share_the_provider_that_the_runtime_was_made_with():
    spec = parse_spec({"pipeline_id": "one", "source": "synthetic", "symbols": ["AAPL"], "sink": "memory"})

    async def main(loop):
        settings = {"speed": "max", "start": START, "count": 500}
        async with PipelineRuntime({}, provider_settings=settings, services=ServiceFactory(loop)) as runtime:
            return (await runtime.wait_pipeline(await runtime.run_pipeline(spec))).ledger.received

    assert simulate(main) == 500
