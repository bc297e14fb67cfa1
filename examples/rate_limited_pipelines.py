"""Four tasks for two tenants share what one vendor allows: who waits for which rule, and that the limits are kept."""

import asyncio

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.orchestration import working_for

SETTINGS = {
    "provider": "synthetic",
    "providers": {"synthetic": {"start": "2026-11-23T14:30:00+00:00"}},
    "coordination": {
        "store": "memory",
        "jitter_allowance_ms": 0,
        "tenants": {"desk": 3},  # it gets three times the share of others
        "providers": {
            "synthetic": {
                "rules": {
                    "second": {"kind": "window", "limit": 10, "period_sec": 1},
                    "same-symbol": {"kind": "min_gap", "gap_sec": 0.15, "per": ["symbol"], "operations": ["history"]},
                }
            }
        },
    },
}
REQUEST = {"start": "2026-11-23T14:30:00+00:00", "end": "2026-11-23T14:31:00+00:00", "interval": "1m"}
SYMBOLS = ("AAPL", "MSFT")


async def main() -> None:
    """Ask 24 times, and look at who waits meanwhile."""
    clock = asyncio.get_running_loop().time
    answered: list[float] = []
    waited: dict[tuple[str, str], int] = {}

    async def research(runtime: PipelineRuntime, tenant: str, symbol: str) -> None:
        with working_for(tenant):
            for _ in range(6):
                await runtime.get_historical_bars(symbol, **REQUEST)
                answered.append(clock())

    async def watch(runtime: PipelineRuntime) -> None:
        while True:
            for waits in runtime.coordinator.explain():
                key = waits.tenant, waits.rule or "those before it"
                waited[key] = max(waited.get(key, 0), waits.waited_ns)
            await asyncio.sleep(0.01)

    async with PipelineRuntime(SETTINGS) as runtime:
        begin = clock()
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(runtime))
            work = [tasks.create_task(research(runtime, who, what)) for who in ("desk", "batch") for what in SYMBOLS]
            await asyncio.wait(work)
            watching.cancel()
        (account,) = runtime.coordinator.accounts()
        (breaker,) = account.status().breakers

    for (tenant, rule), ns in sorted(waited.items()):
        print(f"{tenant:<6} waited {ns / 1e9:.2f} s at most for {rule}")
    print(f"{breaker.calls} requests went out in {answered[-1] - begin:.1f} s")
    for number, time in enumerate(sorted(answered)):
        if time - begin < number // 10 - 1e-6:
            raise SystemExit(f"request {number} went out too early")
    print("the budget held: at most 10 in any second")


if __name__ == "__main__":
    asyncio.run(main())
