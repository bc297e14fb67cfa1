"""Questions to a provider that have one answer: bars of the past, option chains, instruments. Answers are checked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import date
from math import inf
from typing import Any, TypeVar

import attrs

from market_data_pipeline.contracts import BarsRequest, ChainRequest, MarketDataProvider
from market_data_pipeline.errors import CapabilityNotSupported, InvalidRequest, SourceBug, SourceTimeout
from market_data_pipeline.model import (
    BarBatch,
    Batch,
    ControlEvent,
    History,
    Instrument,
    OptionChain,
    OptionQuote,
)
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source.guard import contract_errors, run_foreign
from market_data_pipeline.source.patience import Patience
from market_data_pipeline.source.pool import ProviderPool

ANSWER_TIMEOUT = 30.0
"""Seconds that a provider may take for an answer, or for the next part of one."""

T = TypeVar("T")


@attrs.frozen
class Queries:
    """Asks one provider, which is shared with its streams for as long as the question takes."""

    spec: ProviderSpec | SourceSpec
    settings: Any
    pool: ProviderPool

    async def historical_bars(self, request: BarsRequest, *, limit: int) -> History:
        """Return bars of the past.

        Raises:
            CapabilityNotSupported: The provider has no history of bars.
            InvalidRequest: There are more than `limit`.
            SourceTimeout: 30 s went by without a batch.
            SourceError: The provider refuses, or cannot be reached.
            SourceBug: The answer is not what was asked for.
        """
        if "bar" not in self.spec.capabilities.history:
            raise self._lacking("historical bars")
        async with self._provider() as provider:
            batches, events = await self._collected(provider, request, limit)
        return History(
            symbol=request.symbol,
            start=request.start,
            end=request.end,
            interval_ns=request.interval_ns,
            basis=request.basis,
            batches=tuple(batches),
            events=tuple(events),
        )

    async def option_chain(self, request: ChainRequest) -> OptionChain:
        """Return the listed contracts of an underlying.

        Raises:
            CapabilityNotSupported: The provider has no option chains.
            SourceTimeout: There was no answer within 30 s.
            SourceError: The provider refuses, or cannot be reached.
            SourceBug: The answer is not what was asked for.
        """
        if not self.spec.capabilities.option_chain:
            raise self._lacking("option chains")
        async with self._provider() as provider:
            rows = await self._answer(lambda: provider.get_options_chain(request), OptionQuote)
        self._check_chain(rows, request)
        return OptionChain(underlying=request.underlying, rows=rows)

    async def instruments(self, symbol: str) -> tuple[Instrument, ...]:
        """Return what a symbol may stand for; raises what `option_chain` raises."""
        if not self.spec.capabilities.resolve:
            raise self._lacking("instruments")
        async with self._provider() as provider:
            return await self._answer(lambda: provider.resolve(symbol), Instrument)

    @asynccontextmanager
    async def _provider(self) -> AsyncIterator[MarketDataProvider]:
        if isinstance(self.spec, SourceSpec):
            raise self._lacking("provider")
        provider = await self.pool.acquire(self.spec, self.settings)
        try:
            yield provider
        finally:
            await self.pool.release(self.spec, self.settings)

    async def _collected(
        self, provider: MarketDataProvider, request: BarsRequest, limit: int
    ) -> tuple[list[BarBatch], list[ControlEvent]]:
        patience = Patience(ANSWER_TIMEOUT)
        try:
            return await run_foreign(
                self.spec.name, lambda: self._collect(provider, request, limit, patience), limit=patience
            )
        except TimeoutError:
            raise self._late() from None

    async def _collect(
        self, provider: MarketDataProvider, request: BarsRequest, limit: int, patience: Patience
    ) -> tuple[list[BarBatch], list[ControlEvent]]:
        batches: list[BarBatch] = []
        events: list[ControlEvent] = []
        count, newest = 0, request.start
        with contract_errors(self.spec.name):
            async with aclosing(provider.get_historical_bars(request)) as items:
                async for item in items:
                    patience.renew()
                    if isinstance(item, ControlEvent):
                        events.append(item)
                        continue
                    if not isinstance(item, BarBatch):
                        raise self._bug(f"a {type(item).__name__} among historical bars")
                    newest = self._check_bars(item, request, newest)
                    count += len(item)
                    if count > limit:
                        raise InvalidRequest(
                            f"{self.spec.name} has more than {limit:,} such bars: shorten the range, or raise limit",
                            source=self.spec.name,
                        )
                    batches.append(item)
        return batches, events

    def _check_bars(self, batch: BarBatch, request: BarsRequest, newest: int) -> int:
        """Return the least start of the next bar, if all bars of a batch are what was asked for."""
        for symbol, start, end, basis in zip(*(_field(batch, name) for name in _CHECKED), strict=True):
            if symbol != request.symbol or basis != request.basis or end - start != request.interval_ns:
                raise self._bug(f"a {basis} bar of {symbol!r} from {start} to {end} in the answer to {request}")
            if not newest <= start < request.end:
                raise self._bug(
                    f"a bar that starts at {start}, out of order or out of range, in the answer to {request}"
                )
            newest = start + 1
        return newest

    def _check_chain(self, rows: Sequence[OptionQuote], request: ChainRequest) -> None:
        first, last = request.expiries or ("", "~")
        least, greatest = request.strikes or (-inf, inf)
        newest: tuple[str, int, str] = ("", 0, "")
        for row in rows:
            place = (row.expiry, row.strike_px, row.right)
            if row.underlying != request.underlying or not _is_day(row.expiry):
                raise self._bug(f"a contract of {row.underlying!r} and {row.expiry!r} in the answer to {request}")
            if place < newest or not (first <= row.expiry <= last and least <= row.strike_px <= greatest):
                raise self._bug(
                    f"the contract {row.symbol!r}, out of order or out of range, in the answer to {request}"
                )
            newest = place

    async def _answer(self, ask: Callable[[], Awaitable[Sequence[T]]], kind: type[T]) -> tuple[T, ...]:
        async def answered() -> tuple[T, ...]:
            with contract_errors(self.spec.name):
                return tuple(await ask())

        try:
            rows = await run_foreign(self.spec.name, answered, limit=ANSWER_TIMEOUT)
        except TimeoutError:
            raise self._late() from None
        if strange := next((row for row in rows if not isinstance(row, kind)), None):
            raise self._bug(f"a {type(strange).__name__} where only {kind.__name__} may be")
        return rows

    def _late(self) -> SourceTimeout:
        return SourceTimeout(
            f"{self.spec.name} did not answer within {ANSWER_TIMEOUT:g} s: try again", source=self.spec.name
        )

    def _bug(self, what: str) -> SourceBug:
        return SourceBug(f"{self.spec.name} gave {what}: report this to the plugin's author", source=self.spec.name)

    def _lacking(self, what: str) -> CapabilityNotSupported:
        has = self.spec.capabilities
        offers = [f"streams of {kind}s" for kind in sorted(has.kinds)]
        offers += [f"a history of {kind}s" for kind in sorted(has.history)]
        offers += ["option chains"] * has.option_chain + ["instruments"] * has.resolve
        return CapabilityNotSupported(
            f"{self.spec.name} has no {what}: it has {', '.join(offers) or 'nothing'}", source=self.spec.name
        )


_CHECKED = ("symbol", "start", "end", "basis")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _field(batch: Batch[Any], name: str) -> Sequence[Any]:
    if batch.born == "rows":
        return [getattr(row, name) for row in batch.rows]
    if name in batch.columns.words:
        return batch.columns.text(name)
    values: list[int] = batch.columns[name].tolist()
    return values
