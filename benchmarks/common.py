"""Ends of a pipeline that cost nothing."""

from market_data_pipeline.contracts import Capabilities, SourceStatus


class Prepared:
    """A source of batches that are there already."""

    symbols = ()
    capabilities = Capabilities(kinds=frozenset({"trade", "quote"}), pausable=True)

    def __init__(self, batches):
        self._batches = batches

    async def start(self):
        pass

    async def batches(self):
        for batch in self._batches:
            yield batch

    async def status(self):
        return SourceStatus(connected=True)

    async def close(self):
        pass


class Kept:
    """A sink that keeps what it gets."""

    guarantee = "best_effort"

    def __init__(self):
        self.items = []

    async def open(self, pipeline):
        pass

    async def write(self, item):
        self.items.append(item)

    async def commit(self, position, state):
        pass

    async def close(self):
        pass
