"""The suite of sinks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, TypeAlias

import pytest

from market_data_pipeline.contracts import Sink
from market_data_pipeline.model import Row, StreamItem
from market_data_pipeline.testing.conformance.leaks import Resources, new_tasks
from market_data_pipeline.testing.conformance.running import run
from market_data_pipeline.testing.samples import rows_of, sample_stream
from market_data_pipeline.testing.services import FakeServices

MakeSink: TypeAlias = Callable[[Path], Sink]
"""What the fixture `make_sink` gives."""
ReadRows: TypeAlias = Callable[[Path], int]
"""What the fixture `count_rows` gives."""
GUARANTEES = ("best_effort", "at_least_once", "effectively_once")
PIPELINE = "conformance"


class SinkConformance:
    """Whether a sink keeps the contract.

    Subclass it, and write the fixture `make_sink`, which returns a function (path) -> sink. The path is that of an
    empty folder, which a sink that is no file need not use. With the fixture `count_rows`, a function (path) -> int,
    it is also checked that what was committed is there.

    Attributes:
        limit: Seconds that a check may take at most.
    """

    limit: ClassVar[float] = 10.0

    @pytest.fixture
    def make_sink(self) -> MakeSink:
        """Override it to return a function (path) -> sink."""
        pytest.fail(
            "the suite has no fixture make_sink, a function (path) -> sink: write it into the class", pytrace=False
        )

    @pytest.fixture
    def count_rows(self) -> ReadRows | None:
        """Override it to return a function (path) -> how many rows are there."""
        return None

    @pytest.fixture
    def items(self) -> Sequence[StreamItem]:
        """Return what is written."""
        return sample_stream()

    def test_is_a_sink(self, make_sink: MakeSink, tmp_path: Path) -> None:
        """It has the members of a `Sink`, and names a guarantee."""
        sink = make_sink(tmp_path)
        assert isinstance(sink, Sink), (
            f"{type(sink).__name__} is no Sink: give it all members of market_data_pipeline.contracts.Sink"
        )
        assert sink.guarantee in GUARANTEES, f"its guarantee is {sink.guarantee!r}: name one of {', '.join(GUARANTEES)}"

    def test_writes_and_commits(
        self, make_sink: MakeSink, count_rows: ReadRows | None, items: Sequence[StreamItem], tmp_path: Path
    ) -> None:
        """It takes batches and events, commits more than once, and keeps what it committed."""

        async def check(services: FakeServices) -> None:
            del services
            sink = make_sink(tmp_path)
            last = await sink.open(PIPELINE)
            assert last is None, f"a new sink says that it has committed {last!r}: return None where there is nothing"
            await write(sink, items[: len(items) // 2])
            await sink.commit("1", b"state")
            await write(sink, items[len(items) // 2 :])
            await sink.commit("2", b"state")
            await sink.close()

        run(check, virtual=False, limit=self.limit)
        if count_rows is not None:
            rows: list[Row] = rows_of(items)
            assert (count := count_rows(tmp_path)) == len(rows), (
                f"{count} of {len(rows)} committed rows are there: commit() returns when all that was written is there"
            )

    def test_commits_nothing(self, make_sink: MakeSink, items: Sequence[StreamItem], tmp_path: Path) -> None:
        """A commit with nothing written since the last is no error."""

        async def check(services: FakeServices) -> None:
            del services
            sink = make_sink(tmp_path)
            await sink.open(PIPELINE)
            await sink.commit(None, b"")
            await write(sink, items)
            await sink.commit("1", b"")
            await sink.commit("1", b"")
            await sink.close()

        run(check, virtual=False, limit=self.limit)

    def test_closes_twice(self, make_sink: MakeSink, items: Sequence[StreamItem], tmp_path: Path) -> None:
        """A second `close` does nothing: before `open`, behind it, and with rows that are not committed."""

        async def check(services: FakeServices) -> None:
            del services
            for written in (None, items[:0], items):
                sink = make_sink(tmp_path)
                if written is not None:
                    await sink.open(PIPELINE)
                    await write(sink, written)
                await sink.close()
                await sink.close()

        run(check, virtual=False, limit=self.limit)

    def test_remembers_its_position(self, make_sink: MakeSink, items: Sequence[StreamItem], tmp_path: Path) -> None:
        """One that is effectively once returns, when it is opened again, what it committed last."""
        if make_sink(tmp_path).guarantee != "effectively_once":
            pytest.skip("it is not effectively once")

        async def check(services: FakeServices) -> object:
            del services
            sink = make_sink(tmp_path)
            await sink.open(PIPELINE)
            await write(sink, items)
            await sink.commit("7", b"state")
            await sink.close()
            again = make_sink(tmp_path)
            last = await again.open(PIPELINE)
            await again.close()
            return last

        last = run(check, virtual=False, limit=self.limit)
        assert last == ("7", b"state"), (
            f"opened again it returns {last!r}, not ('7', b'state'): keep both with the rows of each commit"
        )

    def test_leaves_nothing(self, make_sink: MakeSink, items: Sequence[StreamItem], tmp_path: Path) -> None:
        """When it is closed, no task, thread or descriptor of it is left."""

        async def check(services: FakeServices) -> list[str]:
            del services
            before = asyncio.all_tasks()
            sink = make_sink(tmp_path)
            await sink.open(PIPELINE)
            await write(sink, items)
            await sink.commit("1", b"")
            await write(sink, items)
            await sink.close()
            return await new_tasks(before)

        run(check, virtual=False, limit=self.limit)
        before = Resources.now()
        tasks = run(check, virtual=False, limit=self.limit)
        left = [*tasks, *before.new_threads(), *before.new_descriptors()]
        assert not left, f"it leaves {', '.join(left)}: end tasks and threads, and close files, in close()"


async def write(sink: Sink, items: Sequence[StreamItem]) -> None:
    """Write items, one after the other."""
    for item in items:
        await sink.write(item)
