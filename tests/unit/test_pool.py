"""Shared providers: one per identity, started once, closed once, whatever happens at the same time."""

import random

import anyio
import pytest
from pydantic import BaseModel, SecretStr

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConnectionLost, SourceBug, SourceTimeout
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.source import ProviderPool
from market_data_pipeline.testing import simulate


class Settings(BaseModel):
    key: SecretStr = SecretStr("k")
    host: str = "h"
    depth: list[int] = []
    keys: dict[str, str] = {}  # `dict(settings)` takes what has `keys` for a mapping


class Provider:
    """Counts what happens to it; `connected` is how many are open at once."""

    made = ()
    connected = 0

    def __init__(self, settings, services):
        self.closed, self.connected_here = 0, 0
        Provider.made += (self,)

    async def start(self):
        await anyio.sleep(1)
        Provider.connected += 1
        self.connected_here = 1
        assert Provider.connected == 1

    async def close(self):
        self.closed += 1
        await anyio.sleep(0.5)
        Provider.connected -= self.connected_here


class Hangs(Provider):
    async def start(self):
        await anyio.sleep_forever()


@pytest.fixture(autouse=True)
def _fresh():
    Provider.made, Provider.connected = (), 0


def spec(factory=Provider, identity=None):
    return ProviderSpec(name="acme", factory=factory, settings=Settings, capabilities=Capabilities(), identity=identity)


def test_two_at_once_share_one_that_is_closed_with_the_last():
    async def main(_):
        pool, found = ProviderPool(), []

        async def use(seconds):
            found.append(await pool.acquire(spec(), Settings()))
            await anyio.sleep(seconds)
            await pool.release(spec(), Settings())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use, 5)
            tasks.start_soon(use, 10)
            await anyio.sleep(8)
            assert ([one.name for one in pool.status()], found[0].closed) == (["acme"], 0)
        return found, [one.name for one in pool.status()]

    found, names = simulate(main)
    assert (found[0] is found[1], len(Provider.made), found[0].closed, names) == (True, 1, 1, [])


@pytest.mark.parametrize(
    ("identity", "one", "other", "shared"),
    [
        (None, {}, {}, True),
        (None, {}, {"host": "other"}, False),
        (None, {"key": "k1"}, {"key": "k2"}, False),
        (None, {"depth": [1]}, {"depth": [1]}, True),
        (("key",), {"host": "a"}, {"host": "b"}, True),
        (("key",), {"key": "k1"}, {"key": "k2"}, False),
    ],
)
def test_identity_is_what_the_spec_says_secrets_included(identity, one, other, shared):
    class Many(Provider):
        async def start(self):
            pass

    async def main(_):
        pool = ProviderPool()
        made = spec(Many, identity)
        return await pool.acquire(made, Settings(**one)) is await pool.acquire(made, Settings(**other))

    assert simulate(main) is shared


def test_a_provider_without_settings_is_shared():
    async def main(_):
        pool = ProviderPool()
        made = ProviderSpec(name="acme", factory=Provider, capabilities=Capabilities())
        return await pool.acquire(made, None) is await pool.acquire(made, None)

    assert simulate(main)


def test_a_start_that_fails_is_closed_and_the_next_one_tries_again():
    class Flaky(Provider):
        async def start(self):
            if len(Provider.made) == 1:
                raise ConnectionLost("refused")
            await super().start()

    async def main(_):
        pool, failed = ProviderPool(), []

        async def use():
            try:
                return await pool.acquire(spec(Flaky), Settings())
            except ConnectionLost as error:
                failed.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            tasks.start_soon(use)
        return len(failed), [one.name for one in pool.status()]

    assert simulate(main) == (1, ["acme"])
    assert [one.closed for one in Provider.made] == [1, 0]


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        (lambda settings, services: 1 / 0, SourceBug),
        (Hangs, SourceTimeout),
    ],
)
def test_what_cannot_be_made_or_started_leaves_nothing_behind(factory, error):
    """RT-4."""

    async def main(_):
        pool = ProviderPool()
        with pytest.raises(error, match="acme"):
            await pool.acquire(spec(factory), Settings())
        return [one.name for one in pool.status()]

    assert simulate(main) == []


def test_one_who_comes_while_the_last_is_closed_waits_and_gets_a_new_one():
    async def main(loop):
        pool = ProviderPool()
        first = await pool.acquire(spec(), Settings())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.release, spec(), Settings())
            await anyio.sleep(0.1)
            second = await pool.acquire(spec(), Settings())
        return first is second, loop.time()

    assert simulate(main) == (False, pytest.approx(2.5))


def test_giving_back_what_nobody_has_does_nothing():
    simulate(lambda _: ProviderPool().release(spec(), Settings()))


@pytest.mark.parametrize("part", range(2))
def test_whatever_the_schedule_it_is_never_open_twice_and_closed_once(part):
    for seed in range(part * 150, part * 150 + 150):
        Provider.made, Provider.connected = (), 0
        rng = random.Random(seed)

        async def main(_, rng=rng):
            pool = ProviderPool()

            async def use():
                await anyio.sleep(rng.random() * 5)
                with anyio.move_on_after(rng.random() * 4):  # before it started, or while it is used
                    await pool.acquire(spec(), Settings())
                    try:
                        await anyio.sleep(rng.random() * 2)
                    finally:
                        await pool.release(spec(), Settings())

            async with anyio.create_task_group() as tasks:
                for _ in range(6):
                    tasks.start_soon(use)
            return [one.name for one in pool.status()]

        assert simulate(main, seed=seed) == [], seed
        assert [one.closed for one in Provider.made] == [1] * len(Provider.made), seed
