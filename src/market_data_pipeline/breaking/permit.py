"""Leave to make one call, and the report of what came of it."""

from __future__ import annotations

from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

from market_data_pipeline.contracts import Clock

Outcome: TypeAlias = Literal["success", "failure", "forced", "ignored", "cancelled"]


class Reports(Protocol):
    """Who gave the permit, and hears of its end."""

    def report(self, permit: Permit, outcome: Outcome, reason: str, asked_ns: int, now_ns: int | None) -> None:
        """Take back a permit."""

    def report_error(self, permit: Permit, error: BaseException) -> None:
        """Take back the permit of a call that raised something."""


class Permit:
    """Leave to make one call: release it exactly once, whatever happens, by one of its methods or by leaving its block.

    While nobody is refused all calls have the same object, so that a call costs no more than two numbers; a probe has
    one of its own. A permit whose generation is over changes nothing but a counter.

    Attributes:
        taken: How many calls have it or had it.
        returned: How many of these have reported, `quick` left out.
        quick: Successes that are not yet in the window.
        quick_until_ns: Until when these belong to its newest bucket; 0: none is counted that way.
    """

    __slots__ = ("_clock", "_owner", "quick", "quick_until_ns", "returned", "taken")

    def __init__(self, owner: Reports, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self.taken: int = 0
        self.returned: int = 0
        self.quick: int = 0
        self.quick_until_ns: int = 0

    def succeed(self, now_ns: int | None = None) -> None:
        """Report that the call succeeded.

        Args:
            now_ns: The time, monotonic ns, of who has it already: reading the clock costs more than all the rest.
        """
        if now_ns is None:
            now_ns = self._clock.monotonic_ns()
        if now_ns < self.quick_until_ns:
            self.quick += 1
        else:
            self._owner.report(self, "success", "", 0, now_ns)

    def fail(self, reason: str = "", *, retry_after_ns: int = 0, now_ns: int | None = None) -> None:
        """Report that the call failed.

        Args:
            reason: What happened.
            retry_after_ns: How long the provider asks to be left alone.
            now_ns: The time, monotonic ns, of who has it already.
        """
        self._owner.report(self, "failure", reason, retry_after_ns, now_ns)

    def force(self, reason: str) -> None:
        """Report that more calls do harm, such as with refused credentials: none is made until it is cleared."""
        self._owner.report(self, "forced", reason, 0, None)

    def ignore(self) -> None:
        """Report an end that says nothing about the provider."""
        self._owner.report(self, "ignored", "", 0, None)

    def cancel(self) -> None:
        """Report that the call was cancelled."""
        self._owner.report(self, "cancelled", "", 0, None)

    def release(self, error: BaseException | None) -> None:
        """Report the end of a call by what it raised; None: it succeeded."""
        if error is None:
            self.succeed()
        else:
            self._owner.report_error(self, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.succeed()
        else:
            self._owner.report_error(self, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release(error)
