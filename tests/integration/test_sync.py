"""The runtime without `async`, in a thread of its own."""

import asyncio
import subprocess
import sys
import threading

import pytest

from market_data_pipeline.errors import ConfigurationError, InvalidRequest
from market_data_pipeline.orchestration import SyncRuntime
from market_data_pipeline.pipeline import parse_spec

FAST = {"speed": "max", "count": 5000}


def runtime(**settings):
    return SyncRuntime(provider="synthetic", provider_settings=FAST | settings)


@pytest.fixture(autouse=True)
def _no_thread_stays():
    before = set(threading.enumerate())
    yield
    after = {thread for thread in threading.enumerate() if thread.name != "AnyIO worker thread"}
    assert after <= before


def test_rows_come_until_the_end():
    with runtime() as market, market.stream_quotes(["AAPL", "MSFT"], on_full="block") as quotes:
        rows = list(quotes)
        assert (len(rows), quotes.status.state) == (5000, "ended")
        assert quotes.status.ledger.mismatches() == []


def test_breaking_out_closes_the_source():
    with runtime(count=None) as market:
        for _ in market.stream_trades(["AAPL"]):
            break
        with market.stream_bars(["AAPL"], "5s") as bars:
            assert next(iter(bars)).end % 5_000_000_000 == 0
        assert market.status().streams == ()


def test_items_have_batches():
    with runtime() as market, market.stream_quotes(["AAPL"], "synthetic", on_full="block") as quotes:
        assert sum(len(item) for item in quotes.items() if hasattr(item, "rows")) == 5000


def test_an_exception_in_the_body_gets_out():
    with pytest.raises(KeyError), runtime(count=None) as market, market.stream_quotes(["AAPL"]):
        raise KeyError("mine")


def test_errors_are_those_of_the_runtime():
    with runtime(count=None) as market:
        with pytest.raises(ConfigurationError, match="symbols is a list"):
            market.stream_quotes("AAPL")
        with market.stream_quotes(["AAPL"]) as quotes, pytest.raises(InvalidRequest, match="from now on"):
            quotes.add(["MSFT"])


def test_pipelines_run_beside():
    spec = parse_spec(
        {
            "pipeline_id": "one",
            "source": {"name": "synthetic", "settings": FAST},
            "symbols": ["AAPL"],
            "sink": "memory",
        }
    )
    with runtime() as market:
        key = market.run_pipeline(spec)
        assert market.wait_pipeline(key).ledger.received == 5000
        assert market.list_pipelines() == []
        endless = market.run_pipeline(spec.model_copy(update={"pipeline_id": "two"}))
        assert market.stop_pipeline(endless).reason in {"stopped", "end"}


def test_it_works_where_a_loop_is_running():
    """As in the cell of a notebook."""

    async def cell():
        with runtime() as market, market.stream_quotes(["AAPL"]) as quotes:
            return next(iter(quotes)).symbol

    assert asyncio.run(cell()) == "AAPL"


def test_use_outside_its_life_is_a_clear_error():
    market = runtime()
    with pytest.raises(ConfigurationError, match="this SyncRuntime is not running"):
        market.status()
    with market:
        pass
    with pytest.raises(ConfigurationError, match="was used already"), market:
        pass
    with pytest.raises(ConfigurationError, match="is not running"):
        market.stream_quotes(["AAPL"])


def test_a_start_that_fails_leaves_no_thread():
    with pytest.raises(TypeError), SyncRuntime(providr="synthetic"):
        pass


def test_a_stream_that_outlives_its_runtime_can_be_closed_and_looked_at_and_says_that_rows_are_lost():
    with runtime(count=None) as market:
        quotes = market.stream_quotes(["AAPL"])
        rows = iter(quotes)
        next(rows)
    quotes.close()
    assert quotes.status.state == "ended"
    with pytest.raises(ConfigurationError, match="this SyncRuntime is not running"):
        for _ in rows:
            pass
    with pytest.raises(ConfigurationError, match="this SyncRuntime is not running"):
        quotes.add(["MSFT"])


def test_readers_in_other_threads_end_with_the_runtime():
    outcomes = []

    def read(market, reading):
        try:
            with market.stream_quotes(["AAPL"]) as quotes:
                for _ in quotes:
                    reading.set()
            outcomes.append(None)
        except ConfigurationError as error:
            outcomes.append(error)

    with runtime(count=None) as market:
        readings = [threading.Event() for _ in range(4)]
        readers = [threading.Thread(target=read, args=(market, reading)) for reading in readings]
        for reader in readers:
            reader.start()
        for reading in readings:
            assert reading.wait(30)
    for reader in readers:
        reader.join(30)
    assert len(outcomes) == 4


def test_a_program_that_forgets_to_leave_it_ends():
    """The thread of the loop is no reason to wait, and whoever waits for it at the end is answered."""
    program = """
from market_data_pipeline import SyncRuntime
quotes = SyncRuntime(provider="synthetic").__enter__().stream_quotes(["AAPL"])
print(next(iter(quotes)).symbol)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("AAPL\n", "")
