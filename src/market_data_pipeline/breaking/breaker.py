"""The circuit breaker: calls to a provider that fails are refused for a while, then a few are made to try again.

One breaker stands before one kind of call to one provider. Its states:

- closed: calls are made. Too many failures open it.
- open: calls are refused for a wait, which doubles each time and varies by chance.
- half open: from the first call after the wait on, a few probes at a time are made. Enough successes close it; one
  failure opens it again, and so does a probe that does not report in time.
- forced open: by an operator, or because the credentials are refused; until it is cleared or that expires.
- disabled: by an operator. Calls are made and counted, and nothing opens it; until it is cleared or that expires.

Nothing runs in the background: what time has changed takes effect at the next call, and looking changes nothing. A
transition awaits nothing, so that on one event loop it is atomic. What a call reports when the state in which it was
made is over changes a counter and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final, Literal

from market_data_pipeline.breaking.calls import BreakerCalls
from market_data_pipeline.breaking.events import BreakerEvent, BreakerEvents
from market_data_pipeline.breaking.permit import Outcome, Permit
from market_data_pipeline.breaking.policy import BreakerPolicy
from market_data_pipeline.breaking.status import BreakerState, BreakerStatus
from market_data_pipeline.breaking.votes import Classify, Verdict, asked_for_ns, classify, told, worst
from market_data_pipeline.clock import SystemClock
from market_data_pipeline.contracts import SECOND_NS, Clock
from market_data_pipeline.errors import CircuitBreakerOpen, ConfigurationError

CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED = range(5)
NAMES: Final[tuple[BreakerState, ...]] = ("closed", "open", "half_open", "forced_open", "disabled")

EARLIER: Final = (5, 60.0, 1)
"""The defaults of the earlier system's arguments."""


class CircuitBreaker:
    """Refuses calls to what fails.

    It is used on one event loop: `with breaker.guard():` around each call, or `acquire()` and `Permit`'s methods.

    Attributes:
        policy: Its rules.
        provider: Whose calls it is about.
        operation: Which of them; empty: all.
    """

    def __init__(
        self,
        threshold: int = 5,
        timeout: float = 60.0,
        half_open_attempts: int = 1,
        *,
        policy: BreakerPolicy | None = None,
        provider: str = "",
        operation: str = "",
        clock: Clock | None = None,
        random: Random | None = None,
        classify: Classify = classify,
        on_event: Callable[[BreakerEvent], None] | None = None,
    ) -> None:
        """Make a closed breaker.

        Args:
            threshold: Failures in a row that open it. With the next two it is the way of earlier programs; `policy`
                takes the place of all three.
            timeout: How long it then refuses, in seconds.
            half_open_attempts: Probes at once after that, and successes of them that close it.
            policy: Its rules.
            provider: Whose calls it is about, for messages.
            operation: Which of them; empty: all.
            clock: Its time. Left out: the computer's.
            random: Where its jitter is drawn from. Left out: other numbers in each run.
            classify: What an error says about the provider. If that raises an exception, the error is a failure.
            on_event: Is told of each transition when it is done, and of each refusal. What it raises is counted and
                dropped; what it does to the breaker is told when it returns, and its own refusals are not.

        Raises:
            ConfigurationError: A value makes no sense, or there is a policy beside the earlier arguments.
        """
        earlier = (threshold, timeout, half_open_attempts)
        if policy is not None and earlier != EARLIER:
            raise ConfigurationError(
                "give either a policy or threshold, timeout and half_open_attempts", where="CircuitBreaker"
            )
        self.policy: Final[BreakerPolicy] = policy or BreakerPolicy.of_earlier_programs(*earlier)
        self.provider: Final[str] = provider
        self.operation: Final[str] = operation
        self._clock: Clock = clock or SystemClock()
        self._random = random or Random()  # noqa: S311 (jitter, no secret)
        self._drawn = self._random.random()  # for the next wait: known beforehand, so that looking draws nothing
        self._classify = classify
        self._events = None if on_event is None else BreakerEvents(on_event)
        self._state = CLOSED
        self._reason = ""
        self._since = self._clock.monotonic_ns()
        self._until: int | None = None  # when the wait or the override ends
        self._generation = 0
        self._attempt = 0
        self._calls = BreakerCalls(self, self.policy, self._clock, self._since)
        self._shared = self._calls.permit
        self._probes: dict[Permit, int] = {}  # those that are out, the oldest first, and how long they may be
        self._streak = 0
        self._totals: Counter[Outcome] = Counter()
        self._opened = self._rejected = self._late = self._misjudged = 0

    def acquire(self) -> Permit:
        """Return leave to make a call, which is to be released exactly once.

        It is a block, too, for `with` and `async with`: however that ends is the report. `guard` is the name of this
        method for those who use it so.

        Raises:
            CircuitBreakerOpen: The call must not be made.
        """
        if self._state:
            return self._admit()
        permit = self._shared
        permit.taken += 1
        return permit

    guard = acquire

    def check(self) -> None:
        """Raise what `acquire` would raise now, for who is not ready to call yet.

        Raises:
            CircuitBreakerOpen: The call must not be made.
        """
        if self._state and self.retry_after_ns != 0:
            self.acquire().ignore()

    def force_open(self, reason: str, *, until_ns: int | None = None) -> None:
        """Refuse all calls, whatever happens.

        Args:
            reason: Why, for whoever meets it.
            until_ns: From when on probes may try again, monotonic ns; None: not before `clear`.
        """
        self._force(reason, self._clock.monotonic_ns(), until_ns)
        self._tell()

    def disable(self, reason: str, *, until_ns: int | None = None) -> None:
        """Let all calls through, and only count them.

        Args:
            reason: Why, for whoever meets it.
            until_ns: From when on it is an ordinary closed one, monotonic ns; None: not before `clear`.
        """
        self._enter(DISABLED, "disabled", reason, self._clock.monotonic_ns(), until_ns)
        self._tell()

    def clear(self, reason: str = "it was cleared") -> None:
        """Close it and forget what happened, such as when the credentials have been changed.

        Args:
            reason: Why, for whoever asks.
        """
        self._close(reason, self._clock.monotonic_ns())
        self._tell()

    @property
    def state(self) -> BreakerState:
        """The state as the next call finds it."""
        return NAMES[self._seen(self._clock.monotonic_ns())[0]]

    @property
    def retry_after_ns(self) -> int | None:
        """How long calls are still refused, in ns; 0: they are not; None: until somebody clears it."""
        return self._seen(self._clock.monotonic_ns())[1]

    def status(self) -> BreakerStatus:
        """Return a look at it."""
        now = self._clock.monotonic_ns()
        state, retry_after = self._seen(now)
        calls, failures = self._calls.counts(now)
        return BreakerStatus(
            provider=self.provider,
            operation=self.operation,
            state=NAMES[state],
            reason=self._reason,
            since_ns=self._since,
            retry_after_ns=retry_after,
            generation=self._generation,
            attempt=self._attempt,
            consecutive_failures=self._calls.consecutive_failures,
            calls=calls,
            failures=failures,
            in_flight=self._calls.in_flight + len(self._probes),
            probe_successes=self._streak,
            opened=self._opened,
            rejected=self._rejected,
            succeeded=self._totals["success"] + self._shared.quick,
            failed=self._totals["failure"] + self._totals["forced"],
            ignored=self._totals["ignored"],
            cancelled=self._totals["cancelled"],
            late_results=self._late,
            callback_errors=self._misjudged + (self._events.errors if self._events else 0),
        )

    def is_open(self) -> bool:
        """Return whether it is open, be it by force: the way of earlier programs to ask before a call."""
        return self.get_state() == "open"

    def get_state(self) -> Literal["closed", "open", "half_open"]:
        """Return the state in the words of earlier programs, which know neither force nor disabling."""
        state = self.state
        return "open" if state == "forced_open" else "closed" if state == "disabled" else state

    async def record_success(self) -> None:
        """Report a success without a permit, as earlier programs do; permits are better: they bound the probes."""
        self._record("success")

    async def record_failure(self) -> None:
        """Report a failure without a permit, as earlier programs do."""
        self._record("failure")

    async def reset(self) -> None:
        """Do what `clear` does; the way of earlier programs."""
        self.clear()

    def report(self, permit: Permit, outcome: Outcome, reason: str, asked_ns: int, now_ns: int | None) -> None:
        """Take back a permit; its methods call this."""
        now = self._clock.monotonic_ns() if now_ns is None else now_ns
        self._lose_probe(now)
        if self._probes.pop(permit, None) is not None:
            self._judge(outcome, reason, asked_ns, now)
        elif permit is self._shared and self._calls.in_flight > 0:
            self._count(outcome, reason, asked_ns, now)
        else:
            self._late += 1
        self._tell()

    def report_error(self, permit: Permit, error: BaseException) -> None:
        """Take back the permit of a call that raised something; `Permit.release` calls this."""
        verdict, cause = worst(error, self._verdict)
        outcome: Outcome = verdict if verdict != "cooldown" else "ignored"
        if cause is None:
            self.report(permit, "cancelled", "", 0, None)
        else:
            self.report(permit, outcome, told(cause), asked_for_ns(cause), None)

    def _verdict(self, error: Exception) -> Verdict:
        try:
            return self._classify(error)
        except Exception:  # noqa: BLE001 (foreign code, and the permit has to be released)
            self._misjudged += 1
            return "failure"

    def _admit(self) -> Permit:
        """Return a permit where the breaker is not simply closed.

        Raises:
            CircuitBreakerOpen: The call must not be made.
        """
        now = self._clock.monotonic_ns()
        self._catch_up(now)
        if self._state in {CLOSED, DISABLED}:
            permit = self._shared
            permit.taken += 1
        elif self._state == HALF_OPEN and len(self._probes) < self.policy.probe_concurrency:
            permit = Permit(self, self._clock)
            self._probes[permit] = now + self.policy.max_probe_ns
        else:
            raise self._refusal(now)
        self._tell()
        return permit

    def _refusal(self, now: int) -> CircuitBreakerOpen:
        """Count and tell a refusal, and return the error of it."""
        state, left = self._seen(now)
        self._rejected += 1
        if self._events and not self._events.busy:  # else a listener that calls would be told, and call, for ever
            self._events.add(self._event("rejected", self._reason, now, left))
        self._tell()
        what = "/".join(filter(None, (self.provider, self.operation))) or "this"
        how = "half open, and all its probes are out" if state == HALF_OPEN else NAMES[state].replace("_", " ")
        when = "reset it when that is corrected" if left is None else f"try again in {left / SECOND_NS:.3g} s"
        return CircuitBreakerOpen(
            f"{what} is not called, since its circuit breaker is {how}: {self._reason}; "
            f"{when}, or use another source; `mdp breakers` shows more",
            provider=self.provider,
            operation=self.operation,
            retry_after=None if left is None else left / SECOND_NS,
        )

    def _record(self, outcome: Outcome) -> None:
        """Count the end of a call that had no permit, as if it had begun just now."""
        now = self._clock.monotonic_ns()
        self._catch_up(now)
        if self._state == HALF_OPEN:
            self._judge(outcome, "", 0, now)
        elif self._state in {CLOSED, DISABLED}:
            self._shared.taken += 1
            self._count(outcome, "", 0, now)
        else:
            self._late += 1
        self._tell()

    def _count(self, outcome: Outcome, reason: str, asked_ns: int, now: int) -> None:
        """Take the end of a call that was made while nobody was refused."""
        self._totals["success"] += self._calls.settle()
        self._totals[outcome] += 1
        too_much = self._calls.count(outcome, now)
        if self._state == DISABLED:
            return
        if outcome == "forced":
            self._force(reason, now, None)
        elif too_much:
            self._open(f"{too_much}, the last {reason}" if reason else too_much, now, asked_ns)

    def _judge(self, outcome: Outcome, reason: str, asked_ns: int, now: int) -> None:
        """Take the end of a probe."""
        self._totals[outcome] += 1
        if outcome == "success":
            self._streak += 1
            if self._streak >= self.policy.probe_successes:
                self._close("it works again", now)
        elif outcome == "failure":
            self._open(f"a probe failed, {reason}" if reason else "a probe failed", now, asked_ns)
        elif outcome == "forced":
            self._force(reason, now, None)

    def _seen(self, now: int) -> tuple[int, int | None]:
        """Return the state as a call would find it, and how long it refuses, in ns; None: until it is cleared."""
        state, until = self._state, self._until
        lost = self._lost(now)
        if lost is not None:
            state, until = OPEN, lost + self.policy.wait_ns(self._attempt + 1, self._drawn)
        if until is not None and now >= until:
            return (CLOSED if state == DISABLED else HALF_OPEN), 0
        if state == HALF_OPEN and len(self._probes) >= self.policy.probe_concurrency:
            return state, min(self.policy.base_wait_ns, next(iter(self._probes.values())) + 1 - now)
        if state in {OPEN, FORCED_OPEN}:
            return state, None if until is None else until - now
        return state, 0

    def _lost(self, now: int) -> int | None:
        """Return until when the oldest probe had time, if that is over."""
        last = next(iter(self._probes.values()), now)
        return last if now > last else None

    def _lose_probe(self, now: int) -> None:
        """Open it if a probe has not reported in time, as of then."""
        if (lost := self._lost(now)) is not None:
            self._open(f"a probe did not report within {self.policy.max_probe_ns / SECOND_NS:g} s", lost)

    def _catch_up(self, now: int) -> None:
        """Do what became due before this call."""
        self._lose_probe(now)
        if self._until is None or now < self._until:
            return
        if self._state == DISABLED:
            self._close("disabling it has expired", now)
        else:
            self._enter(HALF_OPEN, "half_opened", self._reason, now)

    def _open(self, reason: str, at: int, asked_ns: int = 0) -> None:
        self._attempt += 1
        self._opened += 1
        wait = self.policy.wait_ns(self._attempt, self._drawn, asked_ns)
        self._drawn = self._random.random()
        self._enter(OPEN, "opened", reason, at, at + wait)

    def _force(self, reason: str, at: int, until: int | None) -> None:
        self._opened += 1
        self._enter(FORCED_OPEN, "forced", reason, at, until)

    def _close(self, reason: str, at: int) -> None:
        self._attempt = 0
        self._enter(CLOSED, "closed", reason, at)

    def _enter(
        self,
        state: int,
        kind: Literal["opened", "half_opened", "closed", "forced", "disabled"],
        reason: str,
        at: int,
        until: int | None = None,
    ) -> None:
        """Begin a generation."""
        counts = self._calls.counts(at)
        self._totals["success"] += self._calls.settle()  # its permit now counts nothing by itself
        self._calls = BreakerCalls(self, self.policy, self._clock, at)
        self._shared = self._calls.permit
        self._probes.clear()
        self._streak = 0
        self._state, self._reason, self._since, self._until = state, reason, at, until
        self._generation += 1
        if self._events:
            refuses = state in {OPEN, FORCED_OPEN}
            left = 0 if not refuses else None if until is None else max(0, until - at)
            self._events.add(self._event(kind, reason, at, left, counts))

    def _event(
        self,
        kind: Literal["opened", "half_opened", "closed", "forced", "disabled", "rejected"],
        reason: str,
        at: int,
        left: int | None,
        counts: tuple[int, int] = (0, 0),
    ) -> BreakerEvent:
        return BreakerEvent(
            kind=kind,
            provider=self.provider,
            operation=self.operation,
            reason=reason,
            at_ns=at,
            generation=self._generation,
            calls=counts[0],
            failures=counts[1],
            retry_after_ns=left,
        )

    def _tell(self) -> None:
        """Tell the listener what happened, now that it is done."""
        if self._events:
            self._events.deliver()
