"""The service: many pipelines, by key."""

import anyio
import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline import PipelineBuilder, parse_spec
from market_data_pipeline.runners import PipelineService, Supervisor
from market_data_pipeline.source import ProviderPool, ServiceFactory
from market_data_pipeline.testing import simulate


def endless(name):
    return parse_spec(
        {
            "pipeline_id": name,
            "source": {"name": "synthetic", "settings": {"speed": 100}},
            "symbols": ["A"],
            "sink": "memory",
        }
    )


def serve(body, **options):
    async def main(loop):
        builder = PipelineBuilder(pool=ProviderPool(ServiceFactory(loop, seed=1)))
        async with PipelineService(builder=builder, **options) as service:
            return await body(service)

    return simulate(main)


def test_a_pipeline_is_created_looked_at_and_deleted():
    async def body(service):
        key = await service.create_pipeline(endless("one"))
        await anyio.sleep(1)
        running, status = await service.list_pipelines(), await service.get_pipeline_status(key)
        await service.delete_pipeline(key)
        with pytest.raises(ConfigurationError, match="no pipeline 'default:one'"):
            await service.get_pipeline_status(key)
        return key, running, status, await service.list_pipelines(), await service.statuses()

    key, running, status, after, known = serve(body)
    assert (key, running, after, known) == ("default:one", ["default:one"], [], {})
    assert (status.state, status.ledger.received > 0, status.ledger.mismatches()) == ("running", True, [])


def test_one_more_than_may_run_is_refused_until_one_has_ended():
    async def body(service):
        await service.create_pipeline(endless("one"))
        two = await service.create_pipeline(endless("two"))
        with pytest.raises(ConfigurationError, match="2 pipelines are running, and no more may"):
            await service.create_pipeline(endless("three"))
        await service.stop_pipeline(two)
        await service.create_pipeline(endless("three"))
        return await service.list_pipelines()

    assert serve(body, max_concurrent_pipelines=2) == ["default:one", "default:three"]


def test_the_limit_comes_from_the_settings(monkeypatch):
    """CFG-2."""

    async def body(service):
        await service.create_pipeline(endless("one"))
        with pytest.raises(ConfigurationError, match="1 pipelines are running"):
            await service.create_pipeline(endless("two"))

    serve(body, config={"max_concurrent_pipelines": 1})
    monkeypatch.setenv("MDP__MAX_CONCURRENT_PIPELINES", "1")
    serve(body)


def test_stopping_the_service_stops_its_pipelines():
    async def main(loop):
        service = PipelineService(builder=PipelineBuilder(pool=ProviderPool(ServiceFactory(loop))))
        await service.start()
        key = await service.create_pipeline(endless("one"))
        await anyio.sleep(1)
        await service.stop()
        with pytest.raises(ConfigurationError, match="this PipelineService is closed"):
            await service.create_pipeline(endless("two"))
        return (await service.wait_pipeline(key)).reason

    assert simulate(main) == "stopped"


def test_what_is_asked_of_a_supervisor_is_answered_or_ends_with_it():
    """RT-1: a question dies with who asked it, and with the supervisor."""

    async def main(_):
        supervisor = Supervisor("Test", closing=lambda: None)
        await supervisor.start()
        seen = []

        async def answer():
            return 42

        async def never():
            try:
                await anyio.sleep_forever()
            finally:
                seen.append("cancelled")

        async def fails():
            raise KeyError("x")

        assert await supervisor.call(answer) == 42
        with pytest.raises(KeyError):
            await supervisor.call(fails)
        with anyio.move_on_after(1):
            await supervisor.call(never)
        await anyio.sleep(1)
        assert seen == ["cancelled"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect_closed, supervisor, never)
            await anyio.sleep(1)
            await supervisor.stop()
        assert seen == ["cancelled", "cancelled"]

    async def expect_closed(supervisor, work):
        with pytest.raises(ConfigurationError, match="was closed before the answer came"):
            await supervisor.call(work)

    simulate(main)
