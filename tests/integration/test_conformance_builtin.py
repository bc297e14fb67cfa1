"""The operators and sinks of the core keep the contract that strangers' have to keep."""

import json

import pyarrow.dataset
import pytest

from market_data_pipeline.contracts import Outcome
from market_data_pipeline.operator import BaseOperator, SecondBarAggregator
from market_data_pipeline.sink import ConsoleSink, JsonlSink, MemorySink, ParquetSink, StoreSink
from market_data_pipeline.testing import OperatorConformance, SinkConformance


class TestBarsOfTrades(OperatorConformance):
    kinds = ("trade",)

    @pytest.fixture
    def make_operator(self):
        return SecondBarAggregator


class TestBarsOfBars(OperatorConformance):
    kinds = ("bar",)

    @pytest.fixture
    def make_operator(self):
        return lambda: SecondBarAggregator(interval="5s")


class TestLongerBarsOfQuotes(OperatorConformance):
    kinds = ("quote",)

    @pytest.fixture
    def make_operator(self):
        return lambda: SecondBarAggregator(interval="5s", basis="mid", allowed_lateness_sec=2)


class TestBaseOperator(OperatorConformance):
    class Pass(BaseOperator):
        def on_batch(self, batch):
            return Outcome(items=(batch,), passed=len(batch))

    @pytest.fixture
    def make_operator(self):
        return self.Pass


def count_in_dataset(path):
    return sum(pyarrow.dataset.dataset(part).count_rows() for part in path.rglob("*.parquet"))


class TestParquet(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return ParquetSink

    @pytest.fixture
    def count_rows(self):
        return count_in_dataset


class TestStore(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return StoreSink

    @pytest.fixture
    def count_rows(self):
        return count_in_dataset


class TestJsonl(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return lambda path: JsonlSink(path / "rows.jsonl")

    @pytest.fixture
    def count_rows(self):
        return lambda path: sum("kind" in json.loads(line) for line in (path / "rows.jsonl").read_text().splitlines())


class TestMemory(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return lambda path: MemorySink()


class TestConsole(SinkConformance):
    @pytest.fixture
    def make_sink(self):
        return lambda path: ConsoleSink()
