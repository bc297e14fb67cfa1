"""Lifecycle events: bounded, off the data path, and no plugin holds up another or who publishes (RT-3)."""

import asyncio
import importlib
import threading

import anyio
import pytest

from market_data_pipeline.clock import SystemClock
from market_data_pipeline.plugins import HookEvents, LifecycleEvent
from market_data_pipeline.testing import simulate

NOISY = """
from market_data_pipeline.plugins import PluginHooks
heard = []
class Plugin(PluginHooks):
    def mdp_event(self, event):
        heard.append((event.name, event.state))
        raise {error}
plugin = Plugin()
"""
STUCK = """
import threading
from market_data_pipeline.plugins import PluginHooks
entered, released, left = threading.Event(), threading.Event(), threading.Event()
class Plugin(PluginHooks):
    def mdp_event(self, event):
        entered.set()
        released.wait()
        left.set()
plugin = Plugin()
"""


def heard(module="market_data_fake_commands"):
    return importlib.import_module(module).heard


@pytest.fixture
def host(host_of):
    """A host with a plugin that listens, loaded."""
    host = host_of("commands", "good", "exit")
    host.load("commands")
    heard().clear()
    return host


def run(host, publish, **options):
    """Publish, and deliver all in simulated time; return what was heard and the dispatcher."""

    async def program(clock):
        events = HookEvents(host, clock, **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(events.run)
            await anyio.sleep(1)
            publish(events)
            await anyio.sleep(1)
            events.close()
        return events

    return simulate(program)


def test_a_plugin_hears_of_events_in_order_with_its_context(host):
    def publish(events):
        events.publish("runtime", "runtime", "started")
        events.publish("pipeline", "default:a", "failed", "the disk is full")

    run(host, publish)
    second = 1_767_225_601_000_000_000
    assert heard() == [
        ("commands", LifecycleEvent(subject="runtime", name="runtime", state="started", ts=second)),
        (
            "commands",
            LifecycleEvent(subject="pipeline", name="default:a", state="failed", ts=second, reason="the disk is full"),
        ),
    ]


def test_what_is_published_before_the_start_and_at_the_end_is_delivered(host):
    async def program(clock):
        events = HookEvents(host, clock)
        events.publish("runtime", "runtime", "started")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(events.run)
            await anyio.sleep(1)
            events.publish("runtime", "runtime", "ended")
            events.close()
            events.publish("runtime", "runtime", "started")
            events.close()

    simulate(program)
    assert [event.state for _, event in heard()] == ["started", "ended"]


def test_plugins_are_told_of_plugins(host):
    def publish(events):
        host.load("good")
        host.load("exit")

    run(host, publish)
    assert [(event.subject, event.name, event.state, event.reason) for _, event in heard()] == [
        ("plugin", "good", "loaded", ""),
        ("plugin", "exit", "failed", "its import raised SystemExit: 3"),
    ]
    heard().clear()
    host.refresh()
    host.load("commands")
    assert heard() == []


def test_a_plugin_hears_that_it_is_loaded(host_of):
    host = host_of("commands")
    run(host, lambda _: host.load("commands"))
    assert [(event.subject, event.name, event.state) for _, event in heard()] == [("plugin", "commands", "loaded")]


def test_without_a_listener_an_event_is_not_even_made(host_of):
    class NoClock:
        def time_ns(self):
            raise AssertionError

    host = host_of("good")
    host.load_all()
    events = HookEvents(host, NoClock())
    events.publish("runtime", "runtime", "started")
    assert events.dropped == 0


def test_a_full_queue_drops_the_oldest_and_counts_it(host):
    def publish(events):
        for number in range(5):
            events.publish("pipeline", str(number), "started")

    events = run(host, publish, capacity=2)
    assert [event.name for _, event in heard()] == ["3", "4"]
    assert events.dropped == 3


@pytest.mark.parametrize("error", ["OSError('no')", "SystemExit(3)", "KeyboardInterrupt"])
def test_a_hook_that_raises_is_logged_once_for_each_kind_and_counted(host_of, write, caplog, error):
    host = host_of(write("noisy", NOISY.format(error=error)), "commands")
    host.load_all()
    heard().clear()

    def publish(events):
        for name in "abc":
            events.publish("pipeline", name, "started")
        events.publish("pipeline", "a", "ended")

    events = run(host, publish)
    assert events.failures == {("noisy", "pipeline", "started"): 3, ("noisy", "pipeline", "ended"): 1}
    assert [event.name for _, event in heard()] == ["a", "b", "c", "a"]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"plugin 'noisy': its hook mdp_event raised {error.partition('(')[0]}")
    assert "(pipeline a started)" in first
    assert "(pipeline a ended)" in second
    assert events.muted == set()


@pytest.fixture
def stuck(host_of, write):
    """A host with a plugin whose hook blocks until the test ends, before one that listens."""
    host = host_of(write("stuck", STUCK), "commands")
    host.load("stuck")
    host.load("commands")
    yield host
    module = importlib.import_module("market_data_fake_stuck")
    assert module.entered.is_set()
    assert not module.left.is_set()
    module.released.set()
    assert module.left.wait(10)


def finish(host, **options):
    """Publish three events, and deliver them in a real loop with real threads."""

    async def program():
        events = HookEvents(host, SystemClock(), **options)
        for name in "abc":
            events.publish("pipeline", name, "started")
        events.close()
        await events.run()
        return events

    return asyncio.run(program())


def test_a_hook_that_blocks_stops_nobody_and_is_muted(stuck, caplog):
    heard().clear()
    events = finish(stuck, timeout=0.01, drain=60)
    assert events.muted == {"stuck"}
    assert [event.name for _, event in heard()] == ["a", "b", "c"]
    (message,) = caplog.messages
    assert message.startswith("plugin 'stuck': its hook mdp_event did not return within 0.01 s (pipeline a started)")


def test_what_waits_at_the_end_has_little_time_and_is_then_counted(stuck):
    heard().clear()
    events = finish(stuck, timeout=60, drain=0.01)
    assert events.dropped == 2
    assert heard() == []


def test_a_hook_runs_in_a_thread_that_the_end_of_the_program_does_not_wait_for(host_of, write):
    code = """
import threading
from market_data_pipeline.plugins import PluginHooks
heard = []
class Plugin(PluginHooks):
    def mdp_event(self):
        heard.append(threading.current_thread())
plugin = Plugin()
"""
    host = host_of(write("threaded", code))
    host.load("threaded")
    finish(host)
    threads = heard("market_data_fake_threaded")
    assert [thread.daemon for thread in threads] == [True] * 3
    assert threading.main_thread() not in threads


def test_one_whose_owner_is_cancelled_takes_no_more(host):
    async def program(clock):
        events = HookEvents(host, clock)
        with anyio.move_on_after(1):
            await events.run()
        events.publish("runtime", "runtime", "ended")
        host.load("good")
        return events

    simulate(program)
    assert heard() == []
