"""Looks at a running pipeline, from which its rates and its remaining time follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from market_data_pipeline.pipeline import PipelineStatus, StreamingPipeline
from market_data_pipeline.source.account import AccountStatus, VendorAccount

MAX_LAG_NS = 86_400_000_000_000
"""Rows that are older are a recording: their age is no lag."""
WINDOW_NS = 10_000_000_000


@attrs.frozen(kw_only=True)
class Look:
    """A pipeline at a moment, and how it came there."""

    status: PipelineStatus
    now: int
    """The wall time, int ns."""
    elapsed: int
    """For how long it has been watched, ns."""
    done: float | None
    """Which part of it is behind us, from 0 to 1, where its end is known."""
    rates: tuple[tuple[float, float], tuple[float, float]]
    """Rows per second in and out, over the last second and the last ten."""
    accounts: tuple[AccountStatus, ...] = ()
    """The accounts at vendors that it uses."""
    trouble: str | None = None
    """The last warning or error in the log."""

    @property
    def left(self) -> int | None:
        """How long it will still take, ns, if it goes on like that."""
        return None if not self.done else round(self.elapsed * (1 - self.done) / self.done)

    @property
    def lag(self) -> int | None:
        """The age of the newest row, ns; None for a recording."""
        lag = self.now - self.status.ts_recv
        return max(0, lag) if abs(lag) < MAX_LAG_NS else None


class Watcher:
    """Looks at a pipeline, and the accounts that it uses, time and again."""

    def __init__(
        self, pipeline: StreamingPipeline, accounts: Callable[[], Iterable[VendorAccount]] = lambda: ()
    ) -> None:
        self._pipeline = pipeline
        self._accounts = accounts
        self._clock = pipeline.ctx.clock
        self._begin = self._clock.monotonic_ns()
        self._samples: deque[tuple[int, int, int]] = deque([(self._begin, 0, 0)])
        """When, rows in, rows out."""

    async def look(self, trouble: str | None = None) -> Look:
        """Return how the pipeline is now."""
        status = await self._pipeline.status()
        now = self._clock.monotonic_ns()
        self._samples.append((now, status.ledger.received, delivered(status)))
        while self._samples[1][0] <= now - WINDOW_NS:
            self._samples.popleft()
        return Look(
            status=status,
            now=self._clock.time_ns(),
            elapsed=now - self._begin,
            done=self._done(status, now - self._begin),
            rates=(self._rate(now - WINDOW_NS // 10), self._rate(now - WINDOW_NS)),
            accounts=tuple(account.status() for account in self._accounts()),
            trouble=trouble,
        )

    def _done(self, status: PipelineStatus, elapsed: int) -> float | None:
        limit = self._pipeline.ctx.duration_sec
        parts = [status.progress, min(1.0, elapsed / (limit * 1e9)) if limit else None]
        return max((part for part in parts if part is not None), default=None)

    def _rate(self, since: int) -> tuple[float, float]:
        """Return rows per second in and out since the last look that is so old, or the first there is."""
        then, came, went = max((one for one in self._samples if one[0] <= since), default=self._samples[0])
        now, come, gone = self._samples[-1]
        seconds = max(1, now - then) / 1e9
        return (come - came) / seconds, (gone - went) / seconds


def delivered(status: PipelineStatus) -> int:
    """Return how many rows the fastest sink has delivered."""
    return max((sink.delivered for sink in status.ledger.sinks), default=0)


def describe(look: Look) -> str:
    """Return rate, lag and ledger in one line."""
    ledger = look.status.ledger
    parts: list[str] = [look.status.state] if look.status.state != "running" else []
    parts.append(f"{look.rates[0][0]:,.0f} rows/s")
    if look.lag is not None:
        parts.append(f"lag {look.lag / 1e9:.1f} s")
    parts += [f"{ledger.received:,} in", f"{ledger.accepted:,} accepted", f"{ledger.late:,} late"]
    if dropped := ledger.dropped.total():
        parts.append(f"{dropped:,} dropped")
    parts.append(f"{delivered(look.status):,} out")
    return " · ".join(parts)
