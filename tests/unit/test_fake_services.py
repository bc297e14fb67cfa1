"""What a plugin gets in a test."""

import subprocess
import sys

import pytest

from market_data_pipeline import testing
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.testing import FakeServices, SimLoop, simulate


def test_it_remembers_what_it_was_asked_for():
    services = FakeServices()
    services.clock.time_ns()
    services.epoch()
    services.epoch()
    assert services.asked == {"clock": 1, "epoch": 2}
    assert services.epochs == [1, 2]


def test_one_seed_gives_the_same_numbers_again():
    one, same, other = (FakeServices(seed=seed).random.random() for seed in (1, 1, 2))
    assert one == same != other


def test_what_is_logged_is_kept_and_goes_nowhere_else(caplog):
    services = FakeServices(name="acme")
    services.log.warning("%s is slow", "Acme")
    (record,) = services.records
    assert (record.name, record.getMessage()) == ("market_data_pipeline.plugin.acme", "Acme is slow")
    assert caplog.records == []


def test_the_clock_is_the_computers_unless_given():
    async def program(loop: SimLoop) -> bool:
        return FakeServices(loop).clock is loop

    assert simulate(program)
    assert isinstance(FakeServices().clock, SystemClock)


def test_the_suites_alone_need_pytest():
    code = """
import sys
sys.modules["pytest"] = None
from market_data_pipeline.testing import FakeServices, SimLoop, judge_stream, simulate
try:
    from market_data_pipeline.testing import SinkConformance
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "the conformance suites need pytest: pip install 'market-data-pipeline[testing]'\n"


def test_suites_show_the_values_in_failed_assertions():
    from market_data_pipeline.testing import TickSourceConformance

    module = sys.modules[TickSourceConformance.__module__]
    assert type(module.__loader__).__name__ == "AssertionRewritingHook"


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert dir(testing) == sorted(testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Suite'"):
        _ = testing.Suite
