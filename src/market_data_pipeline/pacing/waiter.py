"""A call that waits, as the limiter holds it and as `explain` tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from market_data_pipeline.errors import BudgetExhausted, DeadlineExceeded, PacingError
from market_data_pipeline.pacing.grant import Grant
from market_data_pipeline.pacing.meters import NEVER
from market_data_pipeline.pacing.store import BEHIND, Ask, Verdict


@attrs.frozen(kw_only=True)
class Waits:
    """What somebody waits for."""

    account: str
    operation: str
    keys: Mapping[str, str]
    cost: int
    tenant: str
    priority: int
    waited_ns: int
    rule: str
    """What holds it, or the first of those before it, up longest; empty: those before it, for several rules."""
    left_ns: int | None
    """How long that lasts at least; None: until something is given back, or somebody before it has gone."""


class Waiter(Ask, eq=False, kw_only=True):
    """A call that waits."""

    operation: str
    """Of a lease: what is leased."""
    keys: Mapping[str, str]
    cost: int
    tenant: str
    priority: int
    deadline: int | None
    patient: bool
    since: int
    seq: int
    answer: asyncio.Future[Grant]
    alarm: asyncio.TimerHandle | None = None
    cell: Any = None
    parked: str | None = None
    """The meter that holds it up, if it counts by key: the calls behind it need not wait for that."""
    beside: str | None = None
    """The last of those meters."""
    moves: int = 0
    """How often that became another one."""
    verdict: Verdict = BEHIND

    @property
    def lane(self) -> str:
        """The meter that only calls of its operation, or leases of the same, take from."""
        return self.slots[-1].key

    def refusal(self, account: str, now: int) -> PacingError | None:
        """Return why it need wait no longer after its verdict; None: it waits on."""
        verdict = self.verdict
        late = self.deadline is not None and NEVER > verdict.until > self.deadline
        if self.patient and not late:
            return None
        rule = "" if verdict.slot is None else verdict.slot.rule.name
        after = None if verdict.until == NEVER else max(0, verdict.until - now) / 1e9
        why = f"rule {rule!r}" if rule else "those before it"
        why += " until something is given back" if after is None else f" for {after:.3g} s"
        error: type[PacingError] = BudgetExhausted
        text = f"there is no room now: {why}"
        if self.patient and self.deadline is not None:
            text, error = f"it would wait for {why}, and has {(self.deadline - now) / 1e9:.3g} s", DeadlineExceeded
        return error(
            f"{account}: {self.operation} is not called: {text}; `mdp budgets explain` shows who waits",
            account=account,
            operation=self.operation,
            rule=rule,
            retry_after=after,
        )

    def explain(self, account: str, now: int) -> Waits:
        """Return what it waits for."""
        slot, until = self.verdict.slot, self.verdict.until
        return Waits(
            account=account,
            operation=self.operation,
            keys=dict(self.keys),
            cost=self.cost,
            tenant=self.tenant,
            priority=self.priority,
            waited_ns=now - self.since,
            rule="" if slot is None else slot.rule.name,
            left_ns=None if until == NEVER else max(0, until - now),
        )
