"""The end of a stream that the runtime holds: it runs the source, whoever reads."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import anyio
import attrs

from market_data_pipeline.channel import Channel, Policy
from market_data_pipeline.contracts import Clock, Dynamic
from market_data_pipeline.errors import (
    CapabilityNotSupported,
    ConfigurationError,
    SourceClosed,
    SourceTimeout,
    nearest,
)
from market_data_pipeline.model import Kind, Row
from market_data_pipeline.orchestration.reader import Reader
from market_data_pipeline.pipeline.intake import Intake, Source
from market_data_pipeline.pipeline.ledger import Ledger
from market_data_pipeline.source.guard import CONNECT_TIMEOUT, FOREIGN, contract_errors, run_foreign

R = TypeVar("R", bound=Row)

StreamState = Literal["opening", "live", "ended", "failed", "closed"]


@attrs.frozen(kw_only=True)
class StreamStatus:
    """A look at a stream; taking it changes nothing."""

    id: int
    """Its number within the runtime."""
    provider: str
    kind: Kind
    symbols: tuple[str, ...]
    """None: all that the source has."""
    state: StreamState
    rows: int
    """Handed out to the reader."""
    waiting: int
    """Ready for the reader."""
    dropped: int
    """Lost, because the reader was slower than the market."""
    late: int = 0
    """Put aside before bars were made."""
    watermark: int | None = None
    """Of a stream of bars: no earlier row counts any more, int ns."""
    ts_recv: int = 0
    """Of the newest row that was fetched, int ns; 0 before the first."""
    error: str = ""
    """Why it failed."""


class Feed(ABC, Generic[R]):
    """Runs one source into a channel until it ends, fails or `stop` is called.

    Attributes:
        intake: Takes from the source.
        reader: What the consumer reads.
        closed: Set when the source is closed.
        error: What the source raised; for the reader, behind the last row.
    """

    def __init__(
        self,
        source: Source,
        intake: Intake,
        row_type: type[R],
        *,
        policy: Policy,
        clock: Clock,
        symbols: Sequence[str] = (),
        number: int = 0,
    ) -> None:
        """Prepare it; nothing is opened yet.

        Raises:
            ConfigurationError: The policy is `block`, and the source cannot pause.
        """
        if policy == "block" and not intake.capabilities.pausable:
            raise ConfigurationError(
                f"{intake.name} cannot pause, so that a reader must not hold it up: choose drop_oldest, drop_newest, "
                "conflate or fail",
                where="on_full",
            )
        self.intake: Intake = intake
        self.reader: Reader[R] = Reader(Channel(intake.name, clock, policy=policy), row_type)
        self.closed: anyio.Event = anyio.Event()
        self.error: BaseException | None = None
        self.number: int = number
        self._symbols = tuple(symbols or getattr(source, "symbols", ()))
        self._end: StreamState | None = None
        self._changing = anyio.Lock()
        self._scope = anyio.CancelScope()
        self._loop = asyncio.get_running_loop()

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the source serves."""
        return self._symbols

    @property
    def state(self) -> StreamState:
        """Where it is between opening and its end."""
        return self._end or ("live" if self.intake.opened.is_set() else "opening")

    @property
    @abstractmethod
    def ledger(self) -> Ledger:
        """The row counts as they are now."""

    @abstractmethod
    async def _flow(self) -> None:
        """Open the source and move its rows to the reader."""

    async def _close(self) -> None:
        """Give back all it holds."""

    async def run(self) -> None:
        """Run the source until it ends or `stop` is called."""
        try:
            with self._scope:
                await self._flow()
        except FOREIGN as error:
            self.error = error
        finally:
            self._end = "failed" if self.error else "closed" if self._scope.cancel_called else "ended"
            self.intake.opened.set()
            self.reader.channel.close()
            await self._close()
            self.closed.set()

    def stop(self) -> None:
        """Close the source soon; from any thread. Idempotent."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._scope.cancel)

    def look(self) -> StreamStatus:
        """Return how it is now."""
        return StreamStatus(
            id=self.number,
            provider=self.intake.name,
            kind=self.reader.row_type.kind,
            symbols=self.symbols,
            state=self.state,
            rows=self.reader.taken,
            waiting=self.reader.waiting,
            dropped=(self.reader.channel.dropped + self.intake.dropped).total(),
            ts_recv=self.reader.ts_recv,
            error=str(self.error or ""),
        )

    # --- symbols ------------------------------------------------------------------------------------------------

    async def add(self, symbols: Sequence[str]) -> None:
        """Serve these symbols too; raises what `_change` raises."""
        await self._change(lambda now: [*now, *symbols])

    async def remove(self, symbols: Sequence[str]) -> None:
        """Serve these symbols no longer; raises what `_change` raises."""

        def rest(now: Sequence[str]) -> list[str]:
            if unknown := [symbol for symbol in symbols if symbol not in now]:
                raise ConfigurationError(f"the stream has no {unknown[0]!r}: {nearest(unknown[0], now)}")
            return [symbol for symbol in now if symbol not in symbols]

        await self._change(rest)

    async def _change(self, change: Callable[[Sequence[str]], list[str]]) -> None:
        """Change what the source serves, one change after the other.

        Raises:
            SourceClosed: The stream has ended.
            CapabilityNotSupported: The source cannot change its symbols.
            ConfigurationError: Nothing would be left, or the stream has all symbols already.
            SourceError: The source refuses; the symbols are as they were.
        """
        await self.intake.opened.wait()
        async with self._changing:
            source = self.intake.source
            if self.state != "live":
                raise SourceClosed(f"the stream of {self.intake.name} has ended: open another one")
            if not isinstance(source, Dynamic):
                raise CapabilityNotSupported(
                    f"{self.intake.name} cannot change the symbols of a stream: open another stream for them",
                    source=self.intake.name,
                )
            if not self._symbols:
                raise ConfigurationError(f"the stream has all symbols of {self.intake.name} already")
            wanted = list(dict.fromkeys(change(self._symbols)))
            if not wanted:
                raise ConfigurationError("a stream keeps at least one symbol: close it instead")
            if wanted != list(self._symbols):
                await self._set_symbols(source, wanted)

    async def _set_symbols(self, source: Dynamic, wanted: list[str]) -> None:
        async def subscribe() -> None:
            with contract_errors(self.intake.name):
                try:
                    await source.set_symbols(wanted)
                finally:
                    self._symbols = tuple(map(str, getattr(source, "symbols", wanted)))

        try:
            await run_foreign(self.intake.name, subscribe, limit=CONNECT_TIMEOUT)
        except TimeoutError:
            raise SourceTimeout(
                f"{self.intake.name} did not change its symbols within {CONNECT_TIMEOUT:g} s", source=self.intake.name
            ) from None


class TickFeed(Feed[R]):
    """Rows as the source gives them."""

    def __init__(
        self,
        source: Source,
        row_type: type[R],
        *,
        policy: Policy,
        clock: Clock,
        symbols: Sequence[str] = (),
        number: int = 0,
    ) -> None:
        super().__init__(source, Intake(source), row_type, policy=policy, clock=clock, symbols=symbols, number=number)

    @property
    def ledger(self) -> Ledger:
        """What came in, what the reader took, and what it was too slow for."""
        return Ledger(
            received=self.intake.received,
            accepted=self.reader.taken,
            queued=self.reader.waiting,
            dropped=self.reader.channel.dropped + self.intake.dropped,
        )

    async def _flow(self) -> None:
        await self.intake.open()
        await self.intake.run(self.reader.channel)
        self.error = self.intake.error

    async def _close(self) -> None:
        await self.intake.close()
