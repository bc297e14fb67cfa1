"""What the core gives to a plugin."""

import pytest

from market_data_pipeline.source.services import ServiceFactory


class FakeClock:
    def __init__(self, *times):
        self.times = list(times)

    def time_ns(self):
        return self.times.pop(0)


def test_epochs_grow_even_if_the_clock_stands_still_or_goes_back():
    factory = ServiceFactory(FakeClock(5_000_000, 5_000_000, 1_000, 9_000_000))
    one, two = factory.of("one"), factory.of("two")
    assert [one.epoch(), two.epoch(), one.epoch(), two.epoch()] == [5_000, 5_001, 5_002, 9_000]


@pytest.mark.parametrize(("seed", "same"), [(7, True), (None, False)])
def test_randomness_is_repeatable_with_a_seed_and_each_plugin_has_its_own(seed, same):
    def draws(plugin):
        return [ServiceFactory(seed=seed).of(plugin).random.random() for _ in range(3)]

    assert (draws("one") == draws("one")) is same
    assert draws("one") != draws("two")


def test_a_plugin_logs_under_its_name():
    assert ServiceFactory().of("acme").log.name == "market_data_pipeline.plugin.acme"
