"""The base class of sources in earlier programs."""

import pytest

from market_data_pipeline import RowSource, StreamingPipeline, Trade
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConnectionLost
from market_data_pipeline.model import Origin
from market_data_pipeline.sink import MemorySink
from market_data_pipeline.source.base import SourceStatus, TickSource
from market_data_pipeline.testing import simulate

ORIGIN = Origin("mine", "mine", 1, "live")


class Mine(TickSource):
    symbols = ("A",)

    async def stream(self):
        for n in range(3):
            yield Trade("A", n, n, n, 0, ORIGIN, 1, 1.0)


class Live(Mine):
    capabilities = Capabilities(kinds=frozenset({"trade"}), unbounded=True)


def run(source):
    sink = MemorySink()

    async def main(_):
        return await StreamingPipeline(source=source, operator=None, batcher=None, sink=sink, ctx=None).run()

    return simulate(main), sink


def test_a_subclass_with_a_stream_is_a_source():
    source = Mine()
    assert isinstance(source, RowSource)
    result, sink = run(source)
    assert (result.reason, [row.ordinal for row in sink.rows]) == ("end", [0, 1, 2])


def test_the_end_of_one_that_says_it_has_none_is_a_failure():
    with pytest.raises(ConnectionLost):
        run(Live())


def test_it_is_connected_from_start_to_close():
    async def main(_):
        source = Mine()
        said = [await source.status()]
        await source.start()
        said += [await source.status(), await source.health()]
        await source.close()
        await source.close()
        return [*said, await source.status()]

    assert simulate(main) == [SourceStatus(connected) for connected in (False, True, True, False)]


def test_a_subclass_without_a_stream_is_none():
    with pytest.raises(TypeError, match="stream"):
        TickSource()
