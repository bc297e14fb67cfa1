"""Programs for the earlier system, as their users wrote them: each runs unchanged, in a process and folder of its own.

What stands here is what the migration page says to work unchanged.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = {
    "create_pipeline": """
import asyncio
from market_data_pipeline import create_pipeline

pipeline = create_pipeline("acme", "quotes", source="synthetic", symbols=["AAPL", "MSFT"], duration_sec=0.3)
result = asyncio.run(pipeline.run())
print(result.reason, result.ledger.received == result.ledger.accepted)
>>> duration True
""",
    "create_pipeline, all arguments": """
import asyncio
from market_data_pipeline import PipelineOverrides, create_pipeline

pipeline = create_pipeline(
    "acme",
    "quotes",
    source="synthetic",
    symbols=["AAPL"],
    duration_sec=0.3,
    operator="bars",
    sink="store",
    overrides=PipelineOverrides(
        ticks_per_sec=200, bar_window_sec=1, bar_allowed_lateness_sec=0,
        batch_size=50, max_bytes=100_000, flush_ms=20, op_queue_max=8, drop_policy="oldest",
    ),
)
print(asyncio.run(pipeline.run()).ledger.accepted > 0, [folder.name for folder in (STORE / "parquet").iterdir()])
>>> True ['kind=bar']
""",
    "overrides of a replay": """
import asyncio
from market_data_pipeline import PipelineOverrides, StreamingPipeline, PipelineContext, create_pipeline

ticks = StreamingPipeline(
    source=Prices(), operator=None, batcher=None, sink=StoreSink("recorded"), ctx=PipelineContext(pipeline_id="record")
)
asyncio.run(ticks.run())
for speed in (1000, 1e9):
    pipeline = create_pipeline(
        "acme", f"replay-{speed:.0f}", source="replay", symbols=["AAPL"], operator="bars", sink="store",
        overrides=PipelineOverrides(replay_path="recorded", replay_speed=speed, bar_window_sec=2),
    )
    result = asyncio.run(pipeline.run())
    print(result.reason, result.ledger.received, result.ledger.operators[0].created)
>>> end 10 5
>>> end 10 5
""",
    "overrides without effect": """
import asyncio
from market_data_pipeline import PipelineOverrides, create_pipeline

overrides = PipelineOverrides(pacing_max_per_sec=1000, pacing_burst=1000, sink_workers=2, sink_queue_max=100)
pipeline = create_pipeline("acme", "q", source="synthetic", symbols=["A"], duration_sec=0.1, overrides=overrides)
print(asyncio.run(pipeline.run()).reason)
>>> duration
""",
    "overrides of sinks that there are not": """
from market_data_pipeline import PipelineOverrides, PipelineSpec

for names in ({"kafka_bootstrap": "host:9092"}, {"database_dsn": "postgresql://"}):
    try:
        PipelineSpec(source="synthetic", sink="store", overrides=PipelineOverrides(**names))
    except ValueError as error:
        print(*[word for word in ("overrides.kafka_bootstrap", "'kafka'", "PostgreSQL") if word in str(error)])
>>> overrides.kafka_bootstrap 'kafka'
>>> PostgreSQL
""",
    "PipelineSpec and PipelineBuilder": """
import asyncio
from market_data_pipeline import PipelineBuilder, PipelineOverrides, PipelineSpec, StreamingPipeline

spec = PipelineSpec(
    tenant_id="acme", pipeline_id="quotes", source="synthetic", symbols=["AAPL"], duration_sec=0.2, operator="bars",
    sink="store", overrides=PipelineOverrides(ticks_per_sec=100),
)
builder = PipelineBuilder()
pipeline = builder.build(spec)
print(isinstance(pipeline, StreamingPipeline), spec.tenant_id, spec.pipeline_id, spec.symbols, spec.duration_sec)
print(asyncio.run(builder.build_and_run(spec)).reason)
>>> True acme quotes ('AAPL',) 0.2
>>> duration
""",
    "a pipeline of objects": """
import asyncio
from market_data_pipeline import PipelineContext, StreamingPipeline
from market_data_pipeline.batcher import HybridBatcher
from market_data_pipeline.operator import SecondBarAggregator

pipeline = StreamingPipeline(
    source=Prices(),
    operator=SecondBarAggregator(window_sec=2, allowed_lateness_sec=0),
    batcher=HybridBatcher(max_rows=500, max_bytes=512_000, flush_ms=100, op_queue_max=8, drop_policy="oldest"),
    sink=StoreSink(),
    ctx=PipelineContext(tenant_id="acme", pipeline_id="prices"),
)
result = asyncio.run(pipeline.run(duration_sec=30))
print(result.reason, result.ledger.received, result.ledger.sinks[0].delivered)
print([folder.name for folder in (STORE / "parquet").iterdir()])
>>> end 10 5
>>> ['kind=bar']
""",
    "a source": """
import asyncio

async def main():
    source = Prices()
    print(source.symbols, source.capabilities)
    await source.start()
    status = await source.status()
    print(status.connected, status.detail == SourceStatus(True, "").detail, (await source.health()).connected)
    async for quote in source.stream():
        print(quote.symbol, quote.timestamp.isoformat(), quote.price, quote.size, quote.source)
        break
    await source.close()
    await source.close()
    print((await source.status()).connected)

asyncio.run(main())
>>> ('AAPL',) None
>>> True True True
>>> AAPL 2024-01-02T14:30:00+00:00 100.0 10.0 mine
>>> False
""",
    "a quote": """
from market_data_pipeline import Bar, Origin, Quote, Trade
from market_data_pipeline.model import to_px

origin = Origin("acme", "acme", 1, "live")
at = 1_704_205_800_000_000_000
quote = Quote("AAPL", at, at, 0, 0, origin, to_px("1.5"), to_px("2.5"), 3.0, 4.0)
bar = Bar("AAPL", at, at, 0, 0, origin, 0, at, to_px("1"), to_px("4"), to_px("0.5"), to_px("2"), 7.0, None, 3)
for row in (quote, Trade("AAPL", at, at, 0, 0, origin, to_px("2.5"), 3.0)):
    print(row.symbol, row.timestamp.utcoffset(), row.price, row.size, row.source)
print(bar.symbol, bar.timestamp.year, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.source)
>>> AAPL 0:00:00 2.0 7.0 acme
>>> AAPL 0:00:00 2.5 3.0 acme
>>> AAPL 2024 1.0 4.0 0.5 2.0 7.0 acme
""",
    "operators": """
from market_data_pipeline.operator import EventTimePolicy, SecondBarAggregator

policy = EventTimePolicy(window_sec=1, allowed_lateness_sec=0, drop_late_beyond_watermark=True)
print(policy.window_sec, policy.allowed_lateness_sec, policy.drop_late_beyond_watermark, policy == EventTimePolicy())
SecondBarAggregator(), SecondBarAggregator(5), SecondBarAggregator(window_sec=60, allowed_lateness_sec=1)
>>> 1 0 True True
""",
    "a batcher": """
import asyncio
from market_data_pipeline.batcher import HybridBatcher

async def main():
    batcher = HybridBatcher(max_rows=4)
    async for quote in Prices().stream():
        if batch := await batcher.add(quote):
            print([row.price for row in batch])
    print([row.price for row in await batcher.flush()])
    print(await batcher.flush())

asyncio.run(main())
>>> [100.0, 101.0, 102.0, 103.0]
>>> [104.0, 105.0, 106.0, 107.0]
>>> [108.0, 109.0]
>>> None
""",
    "a circuit breaker": """
import asyncio
from market_data_pipeline.orchestration import CircuitBreaker
from market_data_pipeline.orchestration.circuit_breaker import CircuitBreakerOpen

async def ask(breaker, works):
    if breaker.is_open():
        raise CircuitBreakerOpen("acme")
    if works:
        await breaker.record_success()
    else:
        await breaker.record_failure()

async def main():
    breaker = CircuitBreaker(threshold=3, timeout=0.05, half_open_attempts=1)
    for works in (False, False, True, False, False, False):
        await ask(breaker, works)
    print(breaker.get_state())
    try:
        await ask(breaker, True)
    except CircuitBreakerOpen as error:
        print(error)
    while breaker.is_open():
        await asyncio.sleep(0.01)
    print(breaker.get_state())
    await ask(breaker, True)
    print(breaker.get_state())
    slow = CircuitBreaker(1, 60.0)
    await ask(slow, False)
    await slow.reset()
    print(slow.get_state(), CircuitBreaker().get_state())

asyncio.run(main())
>>> open
>>> acme
>>> half_open
>>> closed
>>> closed closed
""",
    "a runtime, in a block": """
import asyncio
from market_data_pipeline import PipelineSpec
from market_data_pipeline.orchestration import PipelineRuntime

async def main():
    async with PipelineRuntime() as runtime:
        async for quote in runtime.stream_quotes(["AAPL"], source_priority=["ibkr", "synthetic"]):
            print(quote.symbol, quote.source, quote.price > 0)
            break
        spec = PipelineSpec(
            tenant_id="acme", pipeline_id="quotes", source="synthetic", symbols=["AAPL"], operator="bars", sink="store"
        )
        key = await runtime.run_pipeline(spec)
        print(key, await runtime.list_pipelines())
        print(await runtime.service.list_pipelines(), runtime.registry.list_sources())
        await runtime.stop_pipeline(key)
        print(await runtime.list_pipelines())

asyncio.run(main())
>>> AAPL synthetic True
>>> acme:quotes ['acme:quotes']
>>> ['acme:quotes'] []
>>> []
""",
    "a runtime, by hand": """
import asyncio
from market_data_pipeline.orchestration.runtime import PipelineRuntime

async def main():
    runtime = PipelineRuntime()
    await runtime.initialize()
    try:
        async for quote in runtime.stream_quotes(["AAPL"]):
            print(quote.symbol)
            break
    finally:
        await runtime.shutdown()

asyncio.run(main())
>>> AAPL
""",
    "settings of a runtime, flat and in sections": """
import asyncio
from market_data_pipeline import PipelineBuilder, PipelineSettings, PipelineSpec
from market_data_pipeline.orchestration import PipelineRuntime, PipelineRuntimeSettings

settings = PipelineRuntimeSettings(
    pipeline=PipelineSettings(drain_timeout_sec=5), max_concurrent_pipelines=1, providers={"synthetic": {"seed": 7}}
)

def spec(name):
    return PipelineSpec(
        tenant_id="acme", pipeline_id=name, source="synthetic", symbols=["AAPL"], operator="bars", sink="store"
    )

async def main():
    async with PipelineRuntime(settings) as runtime:
        print(runtime.settings.max_concurrent_pipelines)
        await runtime.run_pipeline(spec("one"))
        try:
            await runtime.run_pipeline(spec("two"))
        except ValueError:
            print("one at a time")

asyncio.run(main())
print(PipelineBuilder(settings).build(spec("three")).ctx.drain_timeout_sec)
>>> 1
>>> one at a time
>>> 5.0
""",
    "a registry": """
from market_data_pipeline.orchestration import SourceRegistry

registry = SourceRegistry()
print(registry.list_sources())
registry.register("prices", Prices)
print(registry.list_sources(), registry.load("prices") is Prices)
print(registry.load("market_data_pipeline.source.base:TickSource") is TickSource, registry.load("synthetic").__name__)
for unknown in ("sintetic", "nowhere:Class"):
    try:
        registry.load(unknown)
    except ImportError:
        print("ImportError")
registry.discover_entrypoints(group="market_data.providers")
print(registry.list_sources())
>>> []
>>> ['prices'] True
>>> True SyntheticProvider
>>> ImportError
>>> ImportError
>>> ['prices', 'replay', 'synthetic']
""",
    "a service": """
import asyncio
from market_data_pipeline import PipelineSpec
from market_data_pipeline.runners.service import PipelineService

async def main():
    service = PipelineService(config=None)
    await service.start()
    spec = PipelineSpec(
        tenant_id="acme", pipeline_id="quotes", source="synthetic", symbols=["AAPL"], operator="bars", sink="store"
    )
    key = await service.create_pipeline(spec)
    print(key, await service.list_pipelines(), (await service.get_pipeline_status(key)).pipeline_id)
    await service.delete_pipeline(key)
    print(await service.list_pipelines())
    await service.stop()

asyncio.run(main())
>>> acme:quotes ['acme:quotes'] quotes
>>> []
""",
    "what comes with a plugin or not at all": """
try:
    from market_data_pipeline.sink import DatabaseSink
except ImportError as error:
    print("PostgreSQL plugin" in str(error))
try:
    from market_data_pipeline.sink import DatabaseSinkSettings
except ImportError as error:
    print("PostgreSQL plugin" in str(error))
try:
    from market_data_pipeline.operator import OptionsChainOperator
except ImportError as error:
    print("get_options_chain" in str(error))
import market_data_pipeline.operator, market_data_pipeline.sink
print(hasattr(market_data_pipeline.operator, "Nothing"), hasattr(market_data_pipeline.sink, "Nothing"))
>>> True
>>> True
>>> True
>>> False False
""",
    "RateCoordinator": """
import asyncio
from market_data_pipeline.orchestration import RateCoordinator
from market_data_pipeline.orchestration.circuit_breaker import CircuitBreakerOpen

async def main():
    coordinator = RateCoordinator()
    coordinator.register_provider(
        "ibkr", capacity=60, refill_rate=60, cooldown_sec=600, breaker_threshold=2, breaker_timeout=60.0
    )
    await coordinator.acquire("ibkr")
    await coordinator.acquire("ibkr", n=10)
    await coordinator.record_success("ibkr")
    print(coordinator.get_provider_state("ibkr"))
    try:
        await coordinator.acquire("polygon")
    except ValueError as error:
        print("not registered" in str(error), "error" in coordinator.get_provider_state("polygon"))
    await coordinator.record_failure("ibkr")
    await coordinator.record_failure("ibkr")
    try:
        await coordinator.acquire("ibkr")
    except CircuitBreakerOpen:
        print(coordinator.get_provider_state("ibkr")["circuit_state"])
    await coordinator.trigger_cooldown("ibkr", "historical", duration_sec=5)
    await coordinator.trigger_cooldown("ibkr", "historical")
    print(sorted(coordinator.get_provider_state("ibkr").items()))

asyncio.run(main())
>>> {'provider': 'ibkr', 'circuit_state': 'closed', 'in_cooldown': False}
>>> True True
>>> open
>>> [('circuit_state', 'open'), ('in_cooldown', True), ('provider', 'ibkr')]
""",
    "CooldownManager": """
import asyncio
from market_data_pipeline.orchestration.coordinator import CooldownManager

async def main():
    cooldowns = CooldownManager(cooldown_sec=600)
    print(cooldowns.is_cooling_down("historical"))
    await cooldowns.trigger_cooldown("historical")
    await cooldowns.trigger_cooldown("orders", duration_sec=0.01)
    await asyncio.sleep(0.05)
    print(cooldowns.is_cooling_down("historical"), cooldowns.is_cooling_down("orders"))

asyncio.run(main())
>>> False
>>> True False
""",
    "Budget and Pacer": """
import asyncio
from market_data_pipeline.pacing import Budget, Pacer

async def main():
    pacer = Pacer(Budget(max_msgs_per_sec=1000, burst=10))
    for _ in range(12):
        await pacer.allow()
    await pacer.allow(n=5)
    await pacer.reset()
    await pacer.allow(10)
    print("paced")

asyncio.run(main())
>>> paced
""",
    "CircuitBreaker": """
import asyncio
from market_data_pipeline.orchestration import CircuitBreaker

async def main():
    breaker = CircuitBreaker(threshold=2, timeout=0.01, half_open_attempts=1)
    print(breaker.is_open(), breaker.get_state())
    await breaker.record_failure()
    await breaker.record_failure()
    print(breaker.is_open(), breaker.get_state())
    await asyncio.sleep(0.05)
    print(breaker.is_open(), breaker.get_state())
    await breaker.record_success()
    print(breaker.get_state())
    await breaker.reset()
    print(breaker.get_state())

asyncio.run(main())
>>> False closed
>>> True open
>>> False half_open
>>> closed
>>> closed
""",
}

SAID = re.compile("has no effect: |^no provider is configured: ")
"""What may be warned of."""

SHARED = """
import os
from pathlib import Path
from market_data_pipeline.sink import StoreSink
from market_data_pipeline.source.base import SourceStatus, TickSource

STORE = Path(os.environ["MDP__DATA_DIR"])


class Prices(TickSource):
    symbols = ("AAPL",)

    async def stream(self):
        from market_data_pipeline import Origin, Trade
        from market_data_pipeline.model import to_px

        origin = Origin("mine", "mine", 1, "live")
        for n in range(10):
            at = 1_704_205_800_000_000_000 + n * 1_000_000_000
            yield Trade("AAPL", at, at, n, 0, origin, to_px(100 + n), 10.0)

"""


def check(python, name, folder):
    """Run a program in a folder; what it prints and nothing else is as it says."""
    program, *expected = PROGRAMS[name].split("\n>>> ")
    done = subprocess.run(
        [python, "-W", "error", "-c", SHARED + program],
        cwd=folder,
        env=os.environ | {"MDP__DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == "\n".join(expected).splitlines(), done.stderr
    assert (done.returncode, [line for line in done.stderr.splitlines() if not SAID.search(line)]) == (0, [])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_for_the_earlier_system_runs_unchanged(name, tmp_path):
    check(sys.executable, name, tmp_path)


def test_the_command_is_called_mdp():
    mdp = Path(sys.executable).with_name("mdp")
    done = subprocess.run([mdp, "--version"], capture_output=True, text=True, check=True)
    assert "2." in done.stdout
