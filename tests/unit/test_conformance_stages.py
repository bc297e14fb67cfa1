"""What the suites of operators and sinks say of ones that break one promise each."""

import json

import pytest

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.errors import SinkError
from market_data_pipeline.model import Batch, Watermark
from market_data_pipeline.operator import BaseOperator
from market_data_pipeline.sink import BaseSink
from market_data_pipeline.testing import OperatorConformance, SinkConformance, sample_stream

ITEMS = sample_stream()


class Pass(BaseOperator):
    def on_batch(self, batch):
        return Outcome(items=(batch,), passed=len(batch))


class LosesCount(Pass):
    def on_batch(self, batch):
        return Outcome(items=(batch,))


class Invents(Pass):
    def on_batch(self, batch):
        return Outcome(items=(batch, batch), passed=len(batch))


class SwallowsEvents(Pass):
    def on_control(self, event):
        return Outcome()


class HurriesWatermarks(Pass):
    def on_control(self, event):
        if isinstance(event, Watermark):
            return Outcome(items=(Watermark(source=event.source, ts=event.ts, ts_event=event.ts_event + 1),))
        return super().on_control(event)


class FirstOfBatch(Pass):
    def on_batch(self, batch):
        return Outcome(items=(batch[:1],), passed=1, filtered=len(batch) - 1)


class RowsAlone(Pass):
    def on_batch(self, batch):
        if batch.born == "rows":
            return super().on_batch(batch)
        return Outcome(filtered=len(batch))


class Forgets(Pass):
    """Every second row, and no snapshot of which is next."""

    def __init__(self):
        self.count = 0

    def on_batch(self, batch):
        first = self.count % 2
        self.count += len(batch)
        kept = range(first, len(batch), 2)
        items = (batch.select(kept),) if kept else ()
        return Outcome(items=items, passed=len(kept), filtered=len(batch) - len(kept))


class Draws(Pass):
    runs = 0

    def __init__(self):
        type(self).runs += 1

    def on_batch(self, batch):
        return super().on_batch(batch) if self.runs % 2 else Outcome(filtered=len(batch))


class TellsText(Pass):
    def snapshot(self):
        return ""


@pytest.mark.parametrize(
    ("operator", "name", "message"),
    [
        (object, "test_is_an_operator", "object is no Operator"),
        (LosesCount, "test_accounts_for_all_rows", "of 1 rows it accounts for 0"),
        (Invents, "test_accounts_for_all_rows", "it gives out 2 rows and accounts for 1"),
        (SwallowsEvents, "test_passes_events_on", "Connected.*does not come out"),
        (HurriesWatermarks, "test_passes_events_on", "Watermark.*does not come out"),
        (FirstOfBatch, "test_is_independent_of_cuts", "rows in other batches give another result"),
        (RowsAlone, "test_is_independent_of_faces", "batches of columns give another result"),
        (Forgets, "test_goes_on_after_restore", "restored after 2 items it goes on differently"),
        (Draws, "test_is_repeatable", "a second run gives other rows"),
        (TellsText, "test_goes_on_after_restore", "snapshot\\(\\) returned a str: return bytes"),
    ],
)
def test_an_operator_that_breaks_a_promise_is_named(operator, name, message):
    arguments = [operator] if name == "test_is_an_operator" else [operator, ITEMS]
    with pytest.raises(AssertionError, match=message):
        getattr(OperatorConformance(), name)(*arguments)


class Once(BaseSink):
    """Keeps rows, position and state in a file, all at once."""

    guarantee = "effectively_once"

    def __init__(self, path):
        self.path = path / "state.json"
        self.rows = 0
        self.is_open = False

    async def open(self, pipeline):
        self.is_open = True
        if not self.path.exists():
            return None
        position, state, self.rows = json.loads(self.path.read_text())
        return position, state.encode()

    async def write(self, item):
        if not self.is_open:
            raise SinkError("it is not open: call open() first")
        self.rows += len(item) if isinstance(item, Batch) else 0

    async def commit(self, position, state):
        self.path.write_text(json.dumps([position, state.decode(), self.rows]))


class TestOnce(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return Once

    @pytest.fixture
    def count_rows(self):
        return lambda path: json.loads((path / "state.json").read_text())[2]


class ForgetsPosition(Once):
    async def open(self, pipeline):
        await super().open(pipeline)


class Boasts(Once):
    guarantee = "always"


class RemembersTooMuch(Once):
    async def open(self, pipeline):
        return await super().open(pipeline) or ("", b"")


class CommitsHalf(Once):
    async def commit(self, position, state):
        self.rows //= 2
        await super().commit(position, state)


class LeavesFile(Once):
    kept = ()

    async def open(self, pipeline):
        type(self).kept += (self.path.with_name("kept").open("w"),)


@pytest.mark.parametrize(
    ("sink", "name", "arguments", "message"),
    [
        (lambda path: path, "test_is_a_sink", (), "no Sink"),
        (Boasts, "test_is_a_sink", (), "its guarantee is 'always'"),
        (ForgetsPosition, "test_remembers_its_position", (ITEMS,), "opened again it returns None"),
        (RemembersTooMuch, "test_writes_and_commits", (None, ITEMS), "a new sink says that it has committed"),
        (CommitsHalf, "test_writes_and_commits", (lambda path: 7, ITEMS), "7 of 80 committed rows are there"),
    ],
    ids=["none", "guarantee", "position", "too-much", "half"],
)
def test_a_sink_that_breaks_a_promise_is_named(sink, name, arguments, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        getattr(SinkConformance(), name)(sink, *arguments, tmp_path)


def test_a_sink_that_leaves_a_file_open_is_named(tmp_path):
    class Leaves(LeavesFile):
        async def write(self, item):
            """Take it."""

        async def commit(self, position, state):
            """Promise nothing."""

    try:
        with pytest.raises(AssertionError, match=r"it leaves .*kept: end tasks and threads, and close files"):
            SinkConformance().test_leaves_nothing(Leaves, ITEMS, tmp_path)
    finally:
        for file in Leaves.kept:
            file.close()
