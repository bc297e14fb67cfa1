"""Print the first ten quotes of two symbols, from whatever provider is installed and named here."""

import asyncio

from market_data_pipeline import PipelineRuntime


async def main() -> None:
    """Stream until ten quotes have come."""
    async with PipelineRuntime(provider="synthetic") as runtime, runtime.stream_quotes(["AAPL", "MSFT"]) as quotes:
        left = 10
        async for quote in quotes:
            print(f"{quote.timestamp:%H:%M:%S.%f} {quote.symbol:5} bid {quote.bid:.2f} ask {quote.ask:.2f}")
            left -= 1
            if not left:
                break


if __name__ == "__main__":
    asyncio.run(main())
