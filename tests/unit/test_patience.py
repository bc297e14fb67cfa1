"""A provider's time to answer stands still while it waits for its vendor's budget: that is our own doing."""

import asyncio

import pytest

from market_data_pipeline.contracts import SECOND_NS, Window
from market_data_pipeline.pacing import MemoryStore
from market_data_pipeline.source.account import VendorAccount
from market_data_pipeline.source.guard import run_foreign
from market_data_pipeline.source.patience import Patience, waiting_for_budget
from market_data_pipeline.testing import simulate


def test_waiting_for_budget_does_not_count_against_an_answer():
    async def main(loop):
        vendor = VendorAccount(
            "acme",
            rules=[Window(name="minute", limit=1, period_ns=60 * SECOND_NS)],
            store=MemoryStore(slack_ns=0),
            clock=loop,
        )

        async def answer():
            for _ in range(3):
                async with vendor.call("history"):
                    await asyncio.sleep(1)
            return loop.time()

        begin = loop.time()
        return await run_foreign("acme", answer, limit=5) - begin

    assert simulate(main) == pytest.approx(121)


def test_the_time_at_the_vendor_does_count():
    async def main(loop):
        async def answer():
            with waiting_for_budget():
                await asyncio.sleep(100)
            await asyncio.sleep(6)

        begin = loop.time()
        with pytest.raises(TimeoutError):
            await run_foreign("acme", answer, limit=5)
        return loop.time() - begin

    assert simulate(main) == pytest.approx(105)


def test_it_stands_still_until_the_last_of_several_waits_is_over():
    async def main(loop):
        patience = Patience(10)
        await asyncio.sleep(4)
        with patience.standing_still():
            await asyncio.sleep(50)
            with patience.standing_still():
                await asyncio.sleep(50)
            await asyncio.sleep(50)
            assert patience.left() > 0
        await asyncio.sleep(2)
        left = patience.left()
        patience.renew()
        return left, patience.left()

    assert simulate(main) == (pytest.approx(4), pytest.approx(10))


def test_it_has_no_end_where_none_is_set_and_nobody_is_asked_outside_of_one():
    async def main(_):
        patience = Patience(None)
        with waiting_for_budget():
            await asyncio.sleep(1e6)
        return patience.left()

    assert simulate(main) == float("inf")
