"""A program that asks a provider for ever, and says when its answers change; a test runs it as a process of its own."""

import asyncio
import sys
from pathlib import Path

from market_data_pipeline import PipelineRuntime
from market_data_pipeline.errors import CircuitBreakerOpen
from market_data_pipeline.orchestration.board import PROCESSES
from market_data_pipeline.orchestration.presence import present


async def main(home: Path) -> None:
    """Ask until killed, or until standard input ends."""
    runtime = PipelineRuntime({"data_dir": str(home), "provider": "synthetic", "coordination": {"store": "memory"}})
    reader = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    last = ""
    async with runtime:
        while not reader.done():
            try:
                await runtime.resolve("AAPL")
            except CircuitBreakerOpen as refusal:
                answer = f"refused: {refusal}"
            else:
                answer = "served"
            if answer.partition(":")[0] != last.partition(":")[0] and present(home / PROCESSES):
                sys.stdout.write(f"{answer}\n")
                sys.stdout.flush()
                last = answer
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
