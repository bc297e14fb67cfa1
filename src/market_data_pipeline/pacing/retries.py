"""How many calls may be second attempts: so that a vendor in trouble is not asked more, but less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from market_data_pipeline.errors import BudgetExhausted

SHARE: Final = 0.2
"""Of the calls in flight, how many may be retries."""
LEAST: Final = 3
"""How many may be, however few calls are in flight."""


class RetryBudget:
    """Counts the calls of an account that are in flight, and lets a part of them be retries (RC-11).

    Args:
        account: Whose calls they are.
        share: Of the calls in flight, how many may be retries or hedges, 0 to 1.
        least: How many may be in any case.
    """

    def __init__(self, account: str, *, share: float = SHARE, least: int = LEAST) -> None:
        self._account = account
        self._share = share
        self._least = least
        self.calls: int = 0
        """Calls in flight."""
        self.retries: int = 0
        """How many of them are retries or hedges."""

    @contextmanager
    def flight(self, operation: str, *, retry: bool) -> Iterator[None]:
        """Count a call for as long as it lasts.

        Args:
            operation: What is called.
            retry: Whether it was tried before, or is tried elsewhere at the same time.

        Yields:
            Once, when it may go out.

        Raises:
            BudgetExhausted: It is a retry, and there are enough of them.
        """
        if retry and self.retries + 1 > max(self._least, self._share * (self.calls + 1)):
            raise BudgetExhausted(
                f"{self._account}: {operation} is not tried again: {self.retries} of {self.calls} calls in flight are"
                " retries already; let the error go to the caller, or wait until fewer fail",
                account=self._account,
                operation=operation,
                rule="retries",
            )
        self.calls += 1
        self.retries += retry
        try:
            yield
        finally:
            self.calls -= 1
            self.retries -= retry
