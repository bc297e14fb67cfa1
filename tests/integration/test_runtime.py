"""The runtime: shared providers, streams that always close, pipelines that fail alone."""

import asyncio
import gc
import logging

import anyio
import anyio.lowlevel
import pytest

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.errors import CapabilityNotSupported, ConfigurationError, PluginNotFound
from market_data_pipeline.pipeline import parse_spec

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
    assert "quotes are synthetic" in caplog.text


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
        assert (await runtime.status()).streams == 0

    asyncio.run(main())


def test_use_outside_its_life_and_a_second_start_are_clear_errors():
    """RT-1."""

    async def main():
        runtime = PipelineRuntime()
        with pytest.raises(ConfigurationError, match="this runtime is new"):
            runtime.stream_quotes(["AAPL"])
        async with runtime:
            with pytest.raises(ConfigurationError, match="this runtime is running"):
                await runtime.initialize()
        with pytest.raises(ConfigurationError, match="this runtime is closed"):
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
