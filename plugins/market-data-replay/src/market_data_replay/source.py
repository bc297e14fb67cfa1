"""The source: one consumer's replay."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import aclosing, closing

import anyio.to_thread

from market_data_pipeline.contracts import Capabilities, Services, SourceStatus, StreamRequest
from market_data_pipeline.errors import SourceBusy, SourceClosed, UnknownSymbol, nearest
from market_data_pipeline.model import Batch, Connected, Origin, Refused, Row, StreamItem
from market_data_replay.batches import BatchMaker
from market_data_replay.capabilities import CAPABILITIES
from market_data_replay.controls import Controls
from market_data_replay.files import find_files
from market_data_replay.formats import FORMATS
from market_data_replay.formats.contract import LOGGED, Finding, Query, Tally
from market_data_replay.merge import merge
from market_data_replay.pace import Pace
from market_data_replay.reading import InThread
from market_data_replay.rounds import Rounds
from market_data_replay.settings import ReplaySettings


class ReplaySource:
    """Plays the rows of some files in time order, once.

    Its positions count rows: the same request over the same files goes on behind the first so many.
    """

    name = "replay"
    capabilities: Capabilities = CAPABILITIES

    def __init__(self, request: StreamRequest, settings: ReplaySettings, services: Services) -> None:
        self.symbols: Sequence[str] = request.symbols
        self._request = request
        self._settings = settings
        self._tally = Tally(services.log)
        self.controls = Controls(services.clock)
        """Pauses the replay, resumes it, and plays it step by step."""
        self._pace = Pace(self.controls, settings.speed)
        self._finding: Finding | None = None
        self._state: str = "new"  # playing, ended, closed
        self._origins: set[Origin] = set()
        self._rows = int(request.after or 0)
        self._ts_recv = 0

    async def start(self) -> None:
        """Find the files.

        Raises:
            InvalidRequest: There are none, they are not what they claim to be, or they lack such rows.
            UnknownSymbol: They have none of the symbols.
        """
        self._finding = await anyio.to_thread.run_sync(self._find)

    async def batches(self) -> AsyncGenerator[StreamItem]:
        """Yield the rows, at the speed of the settings.

        Raises:
            SourceClosed: It is not started, or closed.
            SourceBusy: It is iterated already.
            InvalidRequest: A file is not what it claims to be.
            UnknownSymbol: The files have none of the symbols.
        """
        if self._finding is None or self._state == "closed":
            raise SourceClosed(
                "the replay is not open: call start() first, and ask for a new one after close()", source=self.name
            )
        if self._state != "new":
            raise SourceBusy("the replay was iterated already: ask for another one", source=self.name)
        self._state = "playing"
        async with aclosing(InThread(self._stretches(self._finding))) as stretches:
            while batches := await stretches.next():
                for batch in batches:
                    for event in self._introduce(batch, self._finding):
                        yield event
                    async with aclosing(self._pace.play(batch)) as pieces:
                        async for piece in pieces:
                            self._rows += len(piece)
                            piece.position = str(self._rows)
                            yield piece
                    if self._state == "closed":
                        return
                    self._ts_recv = _ts_recv(batch, -1)
        self._state = "ended"
        if self._tally.malformed > LOGGED:
            self._tally.log.warning("the replay skipped %d malformed rows", self._tally.malformed)
        for event in self._unseen():
            yield event

    async def status(self) -> SourceStatus:
        """Say what was played and what was left out."""
        tally = self._tally
        words = [f"{self._rows:,} rows"]
        if tally.malformed:
            words.append(f"{tally.malformed:,} malformed rows skipped")
        if tally.suspicious:
            words.append(f"{tally.suspicious:,} suspicious rows left out")
        size = sum(run.size for run in self._finding.runs) if self._finding else 0
        progress = 1.0 if self._state == "ended" else min(1.0, tally.read / size) if size else None
        return SourceStatus(connected=self._state in {"new", "playing"}, detail=", ".join(words), progress=progress)

    async def close(self) -> None:
        """Yield nothing more. Idempotent; the files are closed with the iteration."""
        self._state = "closed"
        self.controls.end()

    def _find(self) -> Finding:
        settings, request = self._settings, self._request
        name, files = find_files(settings.path, settings.format)
        query = Query(
            path=settings.path,
            symbols=request.symbols,
            kinds=request.kinds,
            start=settings.start,
            end=settings.end,
            resolution=settings.resolution,
            suspicious=settings.suspicious,
            settings=settings,
        )
        return FORMATS[name].find(files, query)

    def _stretches(self, finding: Finding) -> Generator[list[Batch[Row]]]:
        """Yield the batches of one stretch of the merged files after the other, round for round; it blocks."""
        rounds = Rounds()
        skip = int(self._request.after or 0)
        loop = self._settings.loop
        tally = self._tally
        while True:
            with closing(self._round(finding, tally)) as stretches:
                for stretch in stretches:
                    batches = []
                    for batch in rounds.play(stretch) if loop != 1 else stretch:
                        if skip < len(batch):
                            batches.append(batch[skip:] if skip else batch)
                        skip -= min(skip, len(batch))
                    if batches:
                        yield batches
            tally = Tally(tally.log, malformed=LOGGED)  # what the first round said need not be said again
            if not rounds.next() or rounds.number == loop:
                return

    @staticmethod
    def _round(finding: Finding, tally: Tally) -> Generator[Iterator[Batch[Row]]]:
        maker = BatchMaker()
        with closing(merge(finding.runs, tally)) as stretches:
            for parts in stretches:
                yield maker.make(parts)

    def _introduce(self, batch: Batch[Row], finding: Finding) -> Iterator[StreamItem]:
        """Yield what there is to say before a batch: its origin, and at first the symbols that there are not."""
        if batch.origin in self._origins:
            return
        ts_recv = _ts_recv(batch, 0)
        if not self._origins:
            for symbol, reason in finding.missing.items():
                yield self._refused(symbol, reason, ts_recv)
        self._origins.add(batch.origin)
        yield Connected(source=self.name, ts=ts_recv, origin=batch.origin)

    def _unseen(self) -> Iterator[StreamItem]:
        """Yield the symbols that only the end shows not to be there."""
        seen = self._tally.seen
        unseen = [symbol for symbol in self.symbols if seen and symbol not in seen]
        where = self._settings.path
        if unseen and len(unseen) == len(self.symbols):
            raise UnknownSymbol(f"no {', '.join(unseen)} in {where}: {nearest(unseen[0], seen)}", source=self.name)
        for symbol in unseen:
            yield self._refused(symbol, f"no {symbol} in {where}: {nearest(symbol, seen)}", self._ts_recv)

    def _refused(self, symbol: str, reason: str, ts: int) -> Refused:
        return Refused(source=self.name, ts=ts, symbols=frozenset({symbol}), error=f"UnknownSymbol: {reason}")


def _ts_recv(batch: Batch[Row], index: int) -> int:
    return int(batch.columns["ts_recv"][index]) if batch.born == "columns" else batch.rows[index].ts_recv
