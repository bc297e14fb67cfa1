"""What the core gives to a plugin, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from logging import Logger


class Clock(Protocol):
    """Injected time. Under simulation both clocks move together."""

    def time_ns(self) -> int:
        """Return the wall time, int ns since the epoch, UTC: to stamp data, never to measure."""
        ...

    def monotonic_ns(self) -> int:
        """Return the loop's own time, int ns: for every duration and deadline."""
        ...

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Sleep until `monotonic_ns()` is at least that; always lets other tasks run."""


class VendorCalls(Protocol):
    """Leave to ask a vendor, for one of its credentials: what all who use that credential share."""

    def call(
        self,
        operation: str,
        *,
        cost: int = 1,
        keys: Mapping[str, str] | None = None,
        priority: int = 5,
        deadline: int | None = None,
        attempt: int = 1,
    ) -> AbstractAsyncContextManager[None]:
        """Wait until one request to the vendor may go out; how the block ends is the vote on it.

        ::

            async with services.call("history", keys={"contract": symbol}):
                response = await client.get(...)

        What is raised inside goes on. `RateLimited` starts a cooldown; errors that may be temporary, and foreign ones,
        count against the vendor in the circuit breaker of that operation; a cancellation says nothing.

        Args:
            operation: The kind of request, one of a few: rules and breakers are by it.
            cost: What it costs, where rules count cost.
            keys: What rules count by, such as "contract" or "request".
            priority: 0 to 9; each step doubles its share among those who wait.
            deadline: The time of `clock.monotonic_ns()` after which it is no use; None: it waits as long as it takes.
            attempt: Which attempt at the same thing it is: from the second on it is a retry, and few may be.

        Raises:
            CircuitBreakerOpen: Too many such requests failed: none goes out for now.
            DeadlineExceeded: The rules do not allow it before the deadline.
            BudgetExhausted: It is a retry, and enough of the requests in flight are.
            Overloaded: Too many wait.
            BudgetUnavailable: What was used cannot be told, so nothing is allowed.
            ConfigurationError: It does not fit the rules, whatever the time.
        """
        ...

    def lease(self, resource: str, n: int = 1, *, deadline: int | None = None) -> AbstractAsyncContextManager[None]:
        """Hold something that the vendor limits, such as "lines" or "connections", for as long as the block lasts.

        Args:
            resource: What is held: a limit of `Capabilities.held`, or a rule `Concurrency` of that name.
            n: How much of it.
            deadline: Until when to wait for it, as in `call`; None: not at all.

        Raises:
            CapacityExceeded: It is in use: another provider may serve the request.
            DeadlineExceeded: It is in use up to the deadline.
            Overloaded: Too many wait.
            BudgetUnavailable: What is in use cannot be told.
            ConfigurationError: Nothing limits such a resource, or never so much of it.
        """
        ...


class Services(VendorCalls, Protocol):
    """All that a plugin gets from the core, scoped to that plugin."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def random(self) -> random.Random:
        """The only randomness, so that a run can be repeated."""
        ...

    @property
    def log(self) -> Logger:
        """A logger under the plugin's name."""
        ...

    def epoch(self) -> int:
        """Return a new connection generation for `Origin.epoch`: greater than all before it, never reused."""
        ...
