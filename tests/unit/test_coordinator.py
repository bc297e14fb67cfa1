"""Accounts by provider and credential, what settings make of them, and the calls of earlier programs."""

import asyncio

import anyio
import attrs
import pytest
from pydantic import BaseModel, SecretStr

from market_data_pipeline.breaking import BreakerEvent
from market_data_pipeline.contracts import SECOND_NS, Capabilities, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.errors import (
    CapacityExceeded,
    CircuitBreakerOpen,
    ConfigurationError,
    ConnectionLost,
    Overloaded,
    RateLimited,
)
from market_data_pipeline.orchestration import RateCoordinator
from market_data_pipeline.orchestration.coordination import coordinator_of, log_breaker
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.settings import PipelineRuntimeSettings
from market_data_pipeline.source.services import ServiceFactory
from market_data_pipeline.source.tenant import working_for
from market_data_pipeline.testing import simulate

SECRET = "hush-4f1d0c7e"
MINUTE = Window(name="minute", limit=1, period_ns=60 * SECOND_NS)


class Settings(BaseModel):
    key: SecretStr = SecretStr("a")
    host: str = "h"
    colour: str = "red"


def spec(**more):
    return ProviderSpec(
        **{
            "name": "acme",
            "factory": dict,
            "settings": Settings,
            "capabilities": Capabilities(held={"lines": 2}),
            "identity": ("key", "host"),
            "budget": (MINUTE,),
            **more,
        }
    )


def coordinator(loop=None, **settings):
    settings["coordination"] = {"store": "memory", **settings.get("coordination", {})}
    return coordinator_of(PipelineRuntimeSettings.model_validate(settings), clock=loop, seed=1)


def providers(**more):
    return {"coordination": {"providers": {"acme": more}}}


async def ask(services, operation="history"):
    async with services.call(operation):
        pass


def test_one_credential_is_one_account_and_two_are_two():
    """RC-4."""

    async def main(loop):
        factory = ServiceFactory(loop, accounts=RateCoordinator(clock=loop))
        same = [factory.of_spec(spec(), Settings(colour=colour)) for colour in ("red", "blue")]
        other = factory.of_spec(spec(), Settings(key=SecretStr("b")))
        begin, times = loop.time(), []
        for services in (same[0], other, same[1]):
            await ask(services)
            times.append(loop.time() - begin)
        return times

    assert simulate(main) == pytest.approx([0, 0, 60.05])


def test_without_a_coordinator_the_services_of_one_process_share_accounts_too():
    async def main(loop):
        factory = ServiceFactory(loop)
        begin = loop.time()
        for _ in range(2):
            await ask(factory.of_spec(spec(), Settings()))
        return loop.time() - begin

    assert simulate(main) == pytest.approx(60.05)


def test_no_secret_is_shown(caplog):
    """RC-4."""

    async def main(loop):
        made = coordinator(loop)
        services = ServiceFactory(loop, accounts=made).of_spec(spec(), Settings(key=SecretStr(SECRET)))
        await ask(services)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ask(services))
            await asyncio.sleep(1)
            texts = [repr(services), repr(made), *map(repr, made.explain()), repr(made.accounts()[0].status())]
            waiting.cancel()
        try:
            async with services.lease("lines", 2), services.lease("lines"):
                pass
        except CapacityExceeded as error:
            texts.append(f"{error!r} {error.__cause__!r}")
        return texts

    texts = simulate(main)
    assert len(texts) == 5
    assert all("acme/" in text for text in texts[2:])
    assert SECRET not in "".join(texts) + caplog.text


def test_held_limits_can_be_leased_and_a_rule_of_that_name_takes_their_place():
    async def main(loop, *budget):
        services = ServiceFactory(loop).of_spec(spec(budget=budget), Settings())
        async with services.lease("lines"):
            try:
                async with services.lease("lines"):
                    return 2
            except CapacityExceeded:
                return 1

    assert simulate(main) == 2
    assert simulate(lambda loop: main(loop, Concurrency(name="lines", limit=1, operations=()))) == 1


# --- settings ---


def rules(declared=(MINUTE,), **settings):
    return coordinator(**settings).account("acme", rules=declared).limiter.rules


def test_settings_change_add_and_take_away_rules():
    assert rules(**providers(rules={"minute": {"limit": 5}})) == (attrs.evolve(MINUTE, limit=5),)
    assert rules(**providers(rules={"minute": None})) == ()
    assert rules(**providers(rules={"minute": {"kind": "gcra", "limit": 2, "burst": 3}})) == (
        Gcra(name="minute", limit=2, burst=3),
    )
    more = {
        "gap": {"kind": "min_gap", "gap_sec": 0.5, "per": "contract"},
        "open": {"kind": "concurrency", "limit": 4},
    }
    assert rules(**providers(rules=more)) == (
        MINUTE,
        MinGap(name="gap", gap_ns=SECOND_NS // 2, per="contract"),
        Concurrency(name="open", limit=4),
    )


def test_a_provider_that_settings_do_not_name_keeps_its_rules():
    assert rules(coordination={"providers": {"other": {"rules": {"minute": None}}}}) == (MINUTE,)


@pytest.mark.parametrize("milliseconds", [0, 250])
def test_settings_say_by_how_much_windows_are_stretched(milliseconds):
    """RC-3."""

    async def main(loop):
        account = coordinator(loop, coordination={"jitter_allowance_ms": milliseconds}).account("acme", rules=[MINUTE])
        begin = loop.time()
        for _ in range(2):
            await ask(account)
        return loop.time() - begin

    assert simulate(main) == pytest.approx(60 + milliseconds / 1000)


def test_without_coordination_no_request_waits_and_what_is_held_still_is():
    async def main(loop):
        made = coordinator(loop, enable_rate_coordination=False)
        services = ServiceFactory(loop, accounts=made).of_spec(spec(), Settings())
        begin = loop.time()
        for _ in range(100):
            await ask(services)
        async with services.lease("lines", 2):
            with pytest.raises(CapacityExceeded):
                async with services.lease("lines"):
                    pass
        return loop.time() - begin

    assert simulate(main) == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"limit": 5}, "the plugin declares no such rule, so say its kind: window, gcra, concurrency, min_gap"),
        ({"kind": "window", "limit": 5}, "a rule of kind window needs period_sec$"),
        ({"kind": "min_gap", "gap_sec": 1, "burst": 2}, "a rule of kind min_gap has no burst$"),
    ],
)
def test_a_rule_that_is_none_says_where_it_stands(change, text):
    with pytest.raises(ConfigurationError, match=f"coordination.providers.acme.rules.new: {text}"):
        rules(**providers(rules={"new": change}))


def breaker(operation="history", **settings):
    made = coordinator(**settings).account("acme").breaker(operation)
    return made and made.policy


def test_the_breaker_settings_of_earlier_programs_hold_unless_newer_ones_are_given():
    """CB-3, CB-5."""
    policy = breaker(circuit_breaker_threshold=3, circuit_breaker_timeout_sec=90)
    assert (policy.threshold, policy.base_wait_ns, policy.max_wait_ns) == (3, 5 * SECOND_NS, 90 * SECOND_NS)
    assert breaker(circuit_breaker_timeout_sec=2).base_wait_ns == 2 * SECOND_NS
    assert breaker(circuit_breaker_threshold=3, coordination={"breaker": {"threshold": 7}}).threshold == 7


def test_of_several_layers_of_breaker_settings_the_narrowest_holds():
    settings = {
        "coordination": {
            "breaker": {"threshold": 7, "min_calls": 20},
            "providers": {
                "acme": {
                    "breaker": {"threshold": 8, "window_sec": 30},
                    "operations": {"chain": {"breaker": {"threshold": 9}}, "probe": {"breaker": {"enabled": False}}},
                }
            },
        }
    }
    history, chain = breaker(**settings), breaker("chain", **settings)
    assert (history.threshold, history.min_calls, history.window_ns) == (8, 20, 30 * SECOND_NS)
    assert (chain.threshold, chain.min_calls, chain.window_ns) == (9, 20, 30 * SECOND_NS)
    assert breaker("probe", **settings) is None


def test_contradicting_waits_of_a_breaker_say_where_they_stand():
    with pytest.raises(ConfigurationError, match=r"coordination.providers.acme.breaker: .*max_wait_ns"):
        breaker(**providers(breaker={"base_wait_sec": 100}))


def test_settings_say_how_many_may_wait_and_how_long_it_rests():
    async def main(loop):
        account = coordinator(loop, **providers(max_waiters=1, cooldown_sec=7, adaptive=False)).account(
            "acme", rules=[MINUTE]
        )
        assert (account.policy.adaptive, account.policy.cooldown_ns) == (False, 7 * SECOND_NS)
        with pytest.raises(RateLimited):
            async with account.call("history"):
                raise RateLimited("slow down")
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(ask(account))
            await asyncio.sleep(1)
            with pytest.raises(Overloaded):
                await ask(account)
            waiting.cancel()
        return account.limiter.cooldown_ns(scope="history") / SECOND_NS

    assert 6 <= simulate(main) <= 6.7  # a second is over, and jitter adds a tenth at most


@pytest.mark.parametrize("weight", [0, -1, 1e-320, float("inf"), float("nan")])
def test_a_weight_with_which_others_get_nothing_is_a_mistake(weight):
    """RC-7: nobody waits for ever."""
    with pytest.raises(ValueError, match=r"coordination.tenants.big"):
        PipelineRuntimeSettings(coordination={"tenants": {"big": weight}})


@pytest.mark.parametrize("seconds", [0, -1, 1e300, float("inf"), float("nan")])
def test_a_timeout_of_an_earlier_program_that_is_no_time_is_a_mistake(seconds):
    with pytest.raises(ConfigurationError, match=r"timeout: must be above 0 and at most 1e[+]09 seconds, not"):
        RateCoordinator().register_provider("acme", breaker_timeout=seconds)


def test_weights_of_tenants_come_from_settings():
    """RC-7."""

    async def main(loop):
        account = coordinator(loop, coordination={"tenants": {"big": 4}}).account(
            "acme", rules=[Gcra(name="even", limit=1)]
        )
        done = []

        async def one(name):
            with working_for(name):
                await ask(account)
            done.append(name)

        async with asyncio.TaskGroup() as tasks:
            for name in ["big", "small"] * 40:
                tasks.create_task(one(name))
        return done[:40].count("big")

    assert simulate(main) == pytest.approx(32, abs=1)


# --- earlier programs ---


def earlier(loop, **more):
    made = RateCoordinator(clock=loop)
    made.register_provider("acme", **{"capacity": 2, "refill_rate": 1, **more})
    return made


CALLS = {
    "acquire": lambda made: made.acquire("acne"),
    "trigger_cooldown": lambda made: made.trigger_cooldown("acne", "all"),
    "record_failure": lambda made: made.record_failure("acne"),
    "record_success": lambda made: made.record_success("acne"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_provider_that_is_not_registered_is_an_error(call):
    async def main(loop):
        with pytest.raises(ValueError, match=r"'acne' is not registered: .*did you mean 'acme'"):
            await CALLS[call](earlier(loop))

    simulate(main)
    assert RateCoordinator().get_provider_state("acne") == {"provider": "acne", "error": "not registered"}


def test_capacity_goes_out_at_once_and_the_rest_at_the_refill_rate():
    async def main(loop):
        made, begin, times = earlier(loop), loop.time(), []
        for n in ((), (1,), (), (2,)):
            await made.acquire("acme", *n)
            times.append(loop.time() - begin)
        with pytest.raises(ConfigurationError):
            await made.acquire("acme", 3)
        return times

    assert simulate(main) == pytest.approx([0, 0, 1, 3])


def test_a_provider_that_is_registered_again_has_used_nothing():
    async def main(loop):
        made, begin = coordinator(loop), loop.time()
        made.register_provider("acme", capacity=2, refill_rate=1)
        await made.acquire("acme", 2)
        made.register_provider("acme", capacity=5, refill_rate=1)
        await made.acquire("acme", 5)
        return loop.time() - begin

    assert simulate(main) == 0


@pytest.mark.parametrize(("duration", "seconds"), [(30, 30), (None, 600), (float("inf"), 900)])
def test_a_cooldown_lets_nothing_out_until_it_is_over(duration, seconds):
    async def main(loop):
        made, begin = earlier(loop), loop.time()
        await made.trigger_cooldown("acme", "history", duration)
        assert made.account("acme").limiter.cooldown_ns() == seconds * SECOND_NS
        state = made.get_provider_state("acme")
        assert state == {"provider": "acme", "circuit_state": "closed", "in_cooldown": True}
        await made.acquire("acme")
        return loop.time() - begin, made.get_provider_state("acme")["in_cooldown"]

    assert simulate(main) == (pytest.approx(seconds), False)


def test_refusals_leave_the_rate_of_a_registered_provider_alone():
    """RC-10."""

    async def main(loop):
        account = earlier(loop, capacity=20).account("acme")
        for _ in range(20):
            await ask(account, "request")
        with pytest.raises(RateLimited):
            async with account.call("request"):
                raise RateLimited("slow down")
        return (await account.limiter.usage()).rests[0].rate

    assert simulate(main) == 0


def test_failures_in_a_row_open_the_breaker_and_successes_close_it():
    async def main(loop):
        made = earlier(loop, breaker_threshold=2, breaker_timeout=10)
        states = []
        for record in ("failure", "success", "failure", "failure"):
            await getattr(made, f"record_{record}")("acme")
            states.append(made.get_provider_state("acme")["circuit_state"])
        with pytest.raises(CircuitBreakerOpen):
            await made.acquire("acme")
        await asyncio.sleep(10)
        states.append(made.get_provider_state("acme")["circuit_state"])
        await made.acquire("acme")
        await made.record_success("acme")
        return [*states, made.get_provider_state("acme")["circuit_state"]]

    assert simulate(main) == ["closed", "closed", "closed", "open", "half_open", "closed"]


def test_a_provider_of_settings_without_breakers_can_be_asked_for_too():
    async def main(loop):
        made = coordinator(loop, coordination={"breaker": {"enabled": False}})
        account = made.account("acme")
        for _ in range(10):
            with pytest.raises(ConnectionLost):
                async with account.call("request"):
                    raise ConnectionLost("cut")
        await made.record_failure("acme")
        await made.record_success("acme")
        await made.acquire("acme")
        return made.get_provider_state("acme")

    assert simulate(main) == {"provider": "acme", "circuit_state": "closed", "in_cooldown": False}


@pytest.mark.parametrize(("store", "kept"), [("sqlite", True), ("memory", False)])
def test_settings_say_where_what_was_used_is_kept(tmp_path, store, kept):
    """RC-5."""

    async def main():
        made = coordinator(data_dir=tmp_path, coordination={"store": store})
        await ask(made.account("acme", rules=[MINUTE]))
        for each in (made, made, coordinator(), RateCoordinator()):  # the others have nothing to give back
            await each.close()

    asyncio.run(main())
    assert any(path.is_file() for path in tmp_path.rglob("*")) == kept


def test_who_is_cancelled_still_gives_back_what_is_held(tmp_path):
    """A program that is stopped closes too, and other processes need not wait for its end."""

    async def main():
        made, other = (coordinator(data_dir=tmp_path, coordination={"store": "sqlite"}) for _ in range(2))
        open_ = Concurrency(name="open", limit=1)
        held = await made.account("acme", rules=[open_]).limiter.acquire("history")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await made.close()
        grant = await other.account("acme", rules=[open_]).limiter.acquire("history", patient=False)
        await other.close()
        return held is not grant

    assert asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("opened", ["the breaker of acme/bars is opened: 5 failures in a row"]),
        ("half_opened", ["the breaker of acme/bars is half open: 5 failures in a row"]),
        ("forced", ["the breaker of acme/bars is forced open: 5 failures in a row"]),
        ("rejected", []),
    ],
)
def test_what_happens_to_a_breaker_is_logged_and_each_refused_call_is_not(caplog, kind, lines):
    log_breaker(
        BreakerEvent(
            kind=kind,
            provider="acme",
            operation="bars",
            reason="5 failures in a row",
            at_ns=0,
            generation=1,
            calls=5,
            failures=5,
            retry_after_ns=0,
        )
    )
    assert caplog.messages == lines
