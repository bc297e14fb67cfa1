"""The runtime: shared providers, streams that always close, pipelines that fail alone."""

import asyncio
import gc
import logging
import weakref

import anyio
import anyio.lowlevel
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.contracts import Capabilities, SourceStatus
from market_data_pipeline.errors import CapabilityNotSupported, ConfigurationError, PluginNotFound, SourceBug
from market_data_pipeline.model import Origin, Quote, QuoteBatch
from market_data_pipeline.pipeline import StreamingPipeline, parse_spec
from market_data_pipeline.plugins import PluginHost, ProviderSpec
from market_data_pipeline.runners.service import KEPT
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.testing import simulate

FAST = {"speed": "max"}


def spec(pipeline_id, *, sink="memory", **settings):
    return parse_spec(
        {
            "pipeline_id": pipeline_id,
            "source": {"name": "synthetic", "settings": {"speed": "max", "count": 5000, **settings}},
            "symbols": ["AAPL", "MSFT"],
            "operator": "bars",
            "sink": sink,
        }
    )


async def idle(runtime):
    """Wait until the runtime holds nothing open."""
    with anyio.fail_after(10):
        while (status := await runtime.status()).streams or status.providers:  # noqa: ASYNC110 - it has no event for it
            await anyio.sleep(0.001)


def test_it_needs_no_settings_and_says_that_quotes_are_synthetic(caplog):
    async def main():
        async with PipelineRuntime() as runtime, runtime.stream_quotes(["AAPL"], settings=FAST) as quotes:
            return await anext(aiter(quotes))

    with caplog.at_level(logging.WARNING):
        quote = asyncio.run(main())
    assert (quote.symbol, quote.origin.mode) == ("AAPL", "synthetic")
    assert "data is synthetic" in caplog.text


@pytest.mark.parametrize("way", ["break", "exception", "cancellation", "dropped", "unused"])
def test_a_stream_is_closed_however_it_is_left(way):
    """RT-2."""

    async def read(runtime):
        stream = runtime.stream_quotes(["AAPL"], provider="synthetic", settings=FAST)
        if way == "unused":
            await stream.aclose()
            return
        async for _ in stream:
            if way == "exception":
                raise KeyError
            if way == "cancellation":
                asyncio.current_task().cancel()
                await anyio.sleep(1)
            if way == "dropped":
                return
            break

    async def main():
        async with PipelineRuntime() as runtime:
            reader = asyncio.ensure_future(read(runtime))
            await asyncio.wait({reader})
            reader.exception() if not reader.cancelled() else None
            del reader
            gc.collect()
            await idle(runtime)

    asyncio.run(main())


def test_initialize_and_shutdown_work_from_different_tasks():
    """RT-1."""

    async def main():
        runtime = PipelineRuntime(provider="synthetic", provider_settings=FAST)
        await asyncio.create_task(runtime.initialize())
        stream = runtime.stream_quotes(["AAPL"])
        assert (await anext(aiter(stream))).symbol == "AAPL"
        await asyncio.create_task(runtime.shutdown())
        await runtime.shutdown()
        assert (await runtime.status()).streams == ()

    asyncio.run(main())


def test_use_outside_its_life_and_a_second_start_are_clear_errors():
    """RT-1."""

    async def main():
        runtime = PipelineRuntime()
        with pytest.raises(ConfigurationError, match="this PipelineRuntime is new"):
            runtime.stream_quotes(["AAPL"])
        async with runtime:
            with pytest.raises(ConfigurationError, match="this PipelineRuntime is running"):
                await runtime.initialize()
        with pytest.raises(ConfigurationError, match="this PipelineRuntime is closed"):
            await runtime.run_pipeline(spec("one"))

    asyncio.run(main())


def test_two_pipelines_share_one_provider_and_one_failure_is_its_own(tmp_path):
    """RT-1."""
    (tmp_path / "file").write_text("in the way")

    async def main():
        async with PipelineRuntime() as runtime:
            good = await runtime.run_pipeline(spec("good"))
            bad = await runtime.run_pipeline(
                spec("bad", sink={"name": "parquet", "settings": {"path": str(tmp_path / "file")}})
            )
            endless = await runtime.run_pipeline(spec("endless", count=None, speed=1))
            result = await runtime.wait_pipeline(good)
            with pytest.raises(Exception, match="file"):
                await runtime.wait_pipeline(bad)
            assert await runtime.list_pipelines() == [endless]
            stopped = await runtime.stop_pipeline(endless)
            status = await runtime.status()
            await idle(runtime)
            return result, stopped, status

    result, stopped, status = asyncio.run(main())
    assert (result.reason, result.ledger.received, result.ledger.mismatches()) == ("end", 5000, [])
    assert (stopped.reason, stopped.ledger.mismatches()) == ("stopped", [])
    assert (status.pipelines["default:good"].state, list(status.errors)) == ("done", ["default:bad"])


def test_a_runtime_that_ended_with_its_loop_says_so():
    """RT-1."""

    async def forget():
        runtime = PipelineRuntime({"provider": "synthetic"})
        await runtime.initialize()
        quotes = runtime.stream_quotes(["AAPL"])
        await quotes.next()
        return runtime, quotes

    runtime, quotes = asyncio.run(forget())
    assert (runtime.look().state, quotes.status.state) == ("closed", "ended")
    with pytest.raises(ConfigurationError, match="this PipelineRuntime is closed"):
        runtime.stream_quotes(["AAPL"])


def test_leaving_the_runtime_stops_pipelines_gracefully():
    """SP-9."""

    async def main():
        async with PipelineRuntime() as runtime:
            key = await runtime.run_pipeline(spec("endless", count=None))
            await anyio.lowlevel.checkpoint()
        return await runtime.wait_pipeline(key)

    result = asyncio.run(main())
    assert (result.reason, result.undelivered, result.ledger.mismatches()) == ("stopped", 0, [])


def test_mistakes_are_named():
    async def main():
        async with PipelineRuntime() as runtime:
            with pytest.raises(PluginNotFound, match="synthetic"):
                runtime.stream_quotes(["AAPL"], provider="synthetik")
            with pytest.raises(ConfigurationError, match=r"unknown key 'sped'; did you mean 'speed'"):
                runtime.stream_quotes(["AAPL"], provider="synthetic", settings={"sped": 1})
            with pytest.raises(ConfigurationError, match="symbols is a list"):
                runtime.stream_quotes("AAPL", provider="synthetic")
            with pytest.raises(ConfigurationError, match="no pipeline 'x'"):
                await runtime.stop_pipeline("x")
            with pytest.raises((CapabilityNotSupported, ConfigurationError)):
                await runtime.run_pipeline(spec("bars").model_copy(update={"kinds": frozenset({"bar"})}))

    asyncio.run(main())


# --- in every state, under simulated time ---------------------------------------------------------------------------


class Provider:
    """An installed provider whose source and sink do what a test wants."""

    capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)
    act = staticmethod(anyio.sleep_forever)
    symbols = ("A",)

    def __init__(self, *_):
        self.closed = 0

    async def start(self):
        pass

    def stream(self, request):
        return Provider.Source()

    async def close(self):
        self.closed += 1

    class Source:
        capabilities = Capabilities(kinds=frozenset({"quote"}), pausable=True)
        symbols = ("A",)

        async def start(self):
            pass

        async def batches(self):
            yield QuoteBatch([Quote("A", 1, 1, 1, 0, Origin("acme", "acme", 1, "live"), 1, 2, 1.0, 1.0)])
            await Provider.act()

        async def status(self):
            return SourceStatus(connected=True)

        async def close(self):
            pass


class Host(PluginHost):
    """One provider, and the built-in components."""

    def __init__(self):
        super().__init__(path=[])
        self.spec = ProviderSpec(name="acme", factory=Provider, capabilities=Provider.capabilities)

    def provider_or_source(self, name):
        return self.spec


def acme(pipeline_id, **values):
    return parse_spec({"pipeline_id": pipeline_id, "source": "acme", "sink": "memory", **values})


@pytest.fixture
def runtime():
    return PipelineRuntime(provider="acme", host=Host())


@pytest.fixture
def act(monkeypatch):
    """Set what the source does behind its first row."""
    return lambda what: monkeypatch.setattr(Provider, "act", staticmethod(what))


def test_a_pipeline_that_ends_the_program_ends_alone(runtime, act):
    """RT-1, F27."""

    async def exits():
        raise SystemExit(3)

    act(exits)

    async def main(_):
        async with runtime:
            key = await runtime.run_pipeline(acme("bad"))
            stream = runtime.stream_quotes(["A"])
            with pytest.raises(SourceBug, match="SystemExit"):
                await runtime.wait_pipeline(key)
            with pytest.raises(SourceBug, match="SystemExit"):
                [row async for row in stream]
            return await runtime.status()

    status = simulate(main)
    assert (status.state, status.streams, status.providers, list(status.errors)) == ("running", (), (), ["default:bad"])


def test_an_error_of_our_own_ends_one_pipeline_and_is_logged_with_its_place(runtime, monkeypatch, caplog):
    """RT-1."""

    async def broken(self, *_):
        raise BaseExceptionGroup("odd", [KeyboardInterrupt()])

    monkeypatch.setattr(StreamingPipeline, "_flow", broken)

    async def main(_):
        async with runtime:
            key = await runtime.run_pipeline(acme("bad"))
            with pytest.raises(BaseExceptionGroup, match="odd"):
                await runtime.wait_pipeline(key)
            return await runtime.list_pipelines()

    assert simulate(main) == []
    assert "in broken" in caplog.text


def test_shutdown_stops_pipelines_in_every_state_and_is_bounded(runtime, act, monkeypatch):
    """RT-1, SP-9."""

    async def forever(*_):
        await anyio.sleep_forever()

    async def main(loop):
        async with runtime:
            running = await runtime.run_pipeline(acme("running"))
            await anyio.sleep(1)
            monkeypatch.setattr(MemorySink, "commit", forever)
            hangs = await runtime.run_pipeline(acme("hangs"))
            await anyio.sleep(1)
            monkeypatch.setattr(MemorySink, "open", forever)
            opening = await runtime.run_pipeline(acme("opening"))
            await anyio.sleep(1)
            new = await runtime.run_pipeline(acme("new"))
            begin = loop.time()
        results = {key: await runtime.wait_pipeline(key) for key in (running, hangs, opening, new)}
        return loop.time() - begin, results

    seconds, results = simulate(main)
    assert seconds == pytest.approx(20)
    assert {result.reason for result in results.values()} == {"stopped"}
    assert [result.undelivered for result in results.values()] == [1, 1, 0, 0]


@pytest.mark.parametrize("way", ["scope", "native"])
def test_a_cancelled_shutdown(runtime, way, monkeypatch):
    """RT-1: a scope does not cut it short, a task that is cancelled ends everything at once."""

    async def forever(*_):
        await anyio.sleep_forever()

    monkeypatch.setattr(MemorySink, "commit", forever)

    async def main(loop):
        await runtime.initialize()
        key = await runtime.run_pipeline(acme("hangs"))
        await anyio.sleep(1)
        if way == "scope":
            with anyio.move_on_after(1):
                await runtime.shutdown()
            return loop.time(), (await runtime.wait_pipeline(key)).undelivered
        task = asyncio.ensure_future(runtime.shutdown())
        await anyio.sleep(1)
        task.cancel()
        await asyncio.wait({task})
        with pytest.raises(ConfigurationError, match="was cancelled with its runtime"):
            await runtime.wait_pipeline(key)
        return loop.time(), task.cancelled()

    assert simulate(main) == ((pytest.approx(21), 1) if way == "scope" else (pytest.approx(2), True))


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_start_that_is_cancelled_leaves_no_supervisor(runtime, turns, seed):
    """RT-1."""

    async def main(_):
        task = asyncio.ensure_future(runtime.initialize())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        closing = asyncio.ensure_future(runtime.shutdown())
        closing.cancel()
        await asyncio.wait({task, closing})
        await runtime.shutdown()
        return len(asyncio.all_tasks())

    assert simulate(main, seed=seed) == 1


def test_a_runtime_that_never_began_closes(runtime):
    async def main(_):
        await runtime.shutdown()
        with pytest.raises(ConfigurationError, match="is closed"):
            await runtime.initialize()

    simulate(main)


def test_a_stream_outlives_its_runtime_as_an_end(runtime):
    """RT-2."""

    async def main(_):
        async with runtime:
            stream = runtime.stream_quotes(["A"])
            await anyio.sleep(1)
        rows = [row.ordinal async for row in stream]
        async with stream:
            pass
        return rows

    assert simulate(main) == [1]


def test_one_key_runs_once_at_a_time_and_a_spec_that_is_wrong_changes_nothing(runtime):
    async def main(_):
        async with runtime:
            key = await runtime.run_pipeline(acme("one"))
            with pytest.raises(ConfigurationError, match="pipeline default:one is running"):
                await runtime.run_pipeline(acme("one"))
            await anyio.sleep(1)
            await runtime.stop_pipeline(key)
            with pytest.raises(PluginNotFound):
                await runtime.run_pipeline(acme("one", operator="barz"))
            before = await runtime.status()
            await runtime.run_pipeline(acme("one"))
            return before, await runtime.status()

    before, after = simulate(main)
    assert (before.pipelines["default:one"].state, after.pipelines["default:one"].state) == ("done", "new")
    assert before.pipelines["default:one"].ledger.received == 1


def test_pipelines_that_ended_are_remembered_without_their_rows_and_not_all(runtime, act):
    """RT-1: memory is bounded."""
    act(anyio.lowlevel.checkpoint)

    async def main(_):
        sinks = weakref.WeakSet()
        async with runtime:
            for index in range(KEPT + 20):
                key = await runtime.run_pipeline(acme(f"p{index}"))
                sinks.update(output._sink for output in runtime.service._jobs[key].pipeline._outputs)
                await runtime.wait_pipeline(key)
            gc.collect()
            return list((await runtime.status()).pipelines), len(sinks)

    names, sinks = simulate(main)
    assert names == [f"default:p{index}" for index in range(20, KEPT + 20)]
    assert sinks <= 1


def test_a_status_stays_what_it_was(runtime):
    """G-6."""

    async def main(_):
        async with runtime:
            key = await runtime.run_pipeline(acme("one"))
            before = await runtime.status()
            kept = str(before)
            await anyio.sleep(1)
            await runtime.stop_pipeline(key)
            return str(before) == kept, before.state

    assert simulate(main) == (True, "running")


def test_what_streams_no_quotes_says_what_it_streams(runtime):
    runtime._builder.host.spec = ProviderSpec(
        name="acme", factory=Provider, capabilities=Capabilities(kinds=frozenset({"trade"}))
    )

    async def main(_):
        async with runtime:
            with pytest.raises(CapabilityNotSupported, match="acme has no quotes: it streams trade"):
                runtime.stream_quotes(["A"])

    simulate(main)
