"""What `market_data_pipeline.testing` gives to authors, and what it needs."""

import subprocess
import sys

import pytest

import market_data_pipeline.testing as kit
from market_data_pipeline.testing import FakeServices, simulate


def test_only_the_suites_need_pytest():
    code = """
import sys
sys.modules["pytest"] = None
from market_data_pipeline.testing import FakeServices, SimLoop, judge_stream, simulate
try:
    from market_data_pipeline.testing import TickSourceConformance
except ImportError:
    print("needs pytest")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "needs pytest\n"


def test_its_names_are_sorted_and_exist():
    assert kit.__all__ == sorted(kit.__all__) == dir(kit)
    assert all(getattr(kit, name).__name__ == name for name in kit.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Conformanse"):
        _ = kit.Conformanse


def test_fake_services_repeat_their_randomness_and_record_their_epochs():
    one, two = FakeServices(seed=3), FakeServices(seed=3, first_epoch=5)
    assert one.random.random() == two.random.random()
    assert [two.epoch(), two.epoch()] == two.epochs == [5, 6]


def test_fake_services_take_the_time_of_a_simulated_loop():
    async def program(loop):
        clock = FakeServices(loop).clock
        await clock.sleep_until(10**12)
        return clock.monotonic_ns()

    assert simulate(program) >= 10**12
