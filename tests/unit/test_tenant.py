"""Who a call is for: the tenant of the pipeline that makes it, or the one that a program names (RC-4, RC-7)."""

import asyncio

from pydantic import BaseModel

from market_data_pipeline import PipelineContext, StreamingPipeline
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.model import Origin, Trade
from market_data_pipeline.orchestration import working_for
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source import ProviderPool
from market_data_pipeline.source.base import TickSource
from market_data_pipeline.source.tenant import tenant
from market_data_pipeline.testing import simulate

ORIGIN = Origin("test", "test", 1, "live")


class Asks(TickSource):
    symbols = ("A",)

    def __init__(self, seen):
        self.seen = seen

    async def stream(self):
        for n in range(2):
            await asyncio.sleep(1)
            self.seen.append(tenant.get())
            yield Trade("A", n, n, n, 0, ORIGIN, 1, 1.0)


def test_a_pipeline_calls_for_its_tenant():
    async def main(_):
        seen = {"acme": [], "other": []}
        async with asyncio.TaskGroup() as tasks:
            for name, names in seen.items():
                ctx = PipelineContext(tenant_id=name, pipeline_id=f"{name}-1")
                pipeline = StreamingPipeline(source=Asks(names), sink=MemorySink(), ctx=ctx)
                tasks.create_task(pipeline.run())
        return seen, tenant.get()

    assert simulate(main) == ({"acme": ["acme"] * 2, "other": ["other"] * 2}, "")


def test_what_a_shared_provider_does_by_itself_is_for_nobody_in_particular():
    seen = []

    class Settings(BaseModel):
        pass

    class Provider:
        def __init__(self, settings, services):
            pass

        async def start(self):
            seen.append(tenant.get())
            await asyncio.sleep(0)

        async def close(self):
            pass

    spec = ProviderSpec(name="acme", factory=Provider, settings=Settings, capabilities=Capabilities())

    async def main(_):
        pool = ProviderPool()
        with working_for("acme"):
            await pool.acquire(spec, Settings())
            seen.append(tenant.get())
            await pool.release(spec, Settings())

    simulate(main)
    assert seen == ["", "acme"]
