"""Checks of what a source yields."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import get_args

import attrs
import pytest

from market_data_pipeline.contracts import Capabilities, Dynamic, RowSource, StreamRequest, TickSource
from market_data_pipeline.errors import CapabilityNotSupported, SourceError
from market_data_pipeline.model import Batch, Kind, Row, StreamItem
from market_data_pipeline.testing.conformance.expecting import raises
from market_data_pipeline.testing.conformance.subject import Rows, Subject, read
from market_data_pipeline.testing.conformance.suite import SourceSuite
from market_data_pipeline.testing.judge import judge_stream, summary
from market_data_pipeline.testing.samples import rows_of
from market_data_pipeline.testing.services import FakeServices

KINDS: tuple[Kind, ...] = get_args(Kind)
RESUMES = 4
"""From how many positions it is tried to go on."""


class StreamChecks(SourceSuite):
    """What comes is what was asked for and declared, in order."""

    def test_is_a_source(self, subject: Subject) -> None:
        """It has the methods of a `TickSource` or a `RowSource`, and serves what it was asked for."""

        async def check(services: FakeServices) -> None:
            async with subject.made(services) as source:
                own = source.source if isinstance(source, Rows) else source
                assert isinstance(own, TickSource | RowSource), (
                    f"{type(own).__name__} is no TickSource and no RowSource: give it all members of "
                    "market_data_pipeline.contracts.TickSource, or symbols, stream and close"
                )
                assert set(own.symbols) == set(subject.request.symbols), (
                    f"symbols is {own.symbols!r}, asked for {subject.request.symbols}: return the requested symbols"
                )
                assert isinstance(source.capabilities, Capabilities), (
                    f"capabilities is {source.capabilities!r}: make it a market_data_pipeline.contracts.Capabilities"
                )

        subject.run(check)

    def test_stream_is_well_formed(self, subject: Subject) -> None:
        """Its first rows keep every rule of `judge_stream`."""

        async def check(services: FakeServices) -> tuple[Sequence[StreamItem], Capabilities]:
            async with subject.opened(services) as source:
                return await read(source, self.rows), source.capabilities

        items, capabilities = subject.run(check)
        assert rows_of(items), (
            "the stream ended without a row: give the suite `symbols` and a factory whose source has rows of each"
        )
        self.judge(items, subject.request, capabilities)

    def test_serves_one_symbol(self, subject: Subject) -> None:
        """Asked for one symbol, it yields rows of no other."""
        request = attrs.evolve(subject.request, symbols=subject.request.symbols[:1])

        async def check(services: FakeServices) -> tuple[Sequence[StreamItem], Capabilities]:
            async with subject.opened(services, request) as source:
                return await read(source, self.rows), source.capabilities

        items, capabilities = subject.run(check)
        self.judge(items, request, capabilities)

    def test_refuses_undeclared_kinds(self, subject: Subject) -> None:
        """A request for an undeclared kind raises `CapabilityNotSupported`, at the latest instead of its first row."""
        undeclared = [kind for kind in KINDS if kind not in subject.capabilities.kinds]
        if not undeclared:
            pytest.skip("it declares every kind")

        async def check(services: FakeServices, kind: Kind) -> None:
            request = attrs.evolve(subject.request, kinds=frozenset({kind}))
            with raises(CapabilityNotSupported, f"a request for {kind} rows, which are not declared"):
                async with subject.opened(services, request) as source:
                    await read(source, 1)

        for kind in undeclared:
            subject.run(check, kind)

    def test_changes_symbols(self, subject: Subject) -> None:
        """Where it is `Dynamic`: after `set_symbols` it serves these alone, or raises and serves what it served."""

        async def check(
            services: FakeServices,
        ) -> tuple[Sequence[str], Sequence[str], Sequence[StreamItem], Capabilities]:
            async with subject.opened(services) as source:
                if not isinstance(source, Dynamic):
                    pytest.skip("it is not Dynamic")
                wanted: Sequence[str] = self.symbols[-1:]
                try:
                    await source.set_symbols(wanted)
                except SourceError:
                    wanted = self.symbols
                return wanted, source.symbols, await read(source, self.rows), source.capabilities

        wanted, served, items, capabilities = subject.run(check)
        assert set(served) == set(wanted), (
            f"after set_symbols its symbols are {served}, not {wanted}: change them before set_symbols returns, and "
            "leave them as they were where it raises"
        )
        self.judge(items, attrs.evolve(subject.request, symbols=tuple(wanted)), capabilities)

    def test_resumes(self, subject: Subject) -> None:
        """Where it is resumable: behind a position comes exactly what came behind it the first time."""

        async def first(services: FakeServices) -> tuple[Sequence[StreamItem], Capabilities]:
            async with subject.opened(services) as source:
                return await read(source, self.rows), source.capabilities

        async def rest(services: FakeServices, request: StreamRequest, rows: int) -> Sequence[StreamItem]:
            async with subject.opened(services, request) as source:
                return await read(source, rows)

        items, capabilities = subject.run(first)
        if not capabilities.resumable:
            pytest.skip("it is not resumable")
        places = positions(items)
        assert places, "it is resumable, and no batch has a position: set Batch.position, or declare resumable=False"
        rows = [stripped(row) for row in rows_of(items)]
        for position, count in places[:: max(1, len(places) // RESUMES)]:
            request = attrs.evolve(subject.request, after=position)
            again = subject.run(rest, request, max(1, len(rows) - count))
            came = [stripped(row) for row in rows_of(again)]
            assert came[: len(rows) - count] == rows[count:] and not {*came} & {*rows[:count]}, (
                f"after position {position!r} come other rows than the first time: a position means all up to the end "
                "of its batch, and rows behind it come again with the same identity"
            )

    def judge(self, items: Sequence[StreamItem], request: StreamRequest, capabilities: Capabilities) -> None:
        """Fail with what the judge finds."""
        found = judge_stream(items, request=request, capabilities=capabilities, tolerate=self.tolerate)
        assert not found, f"the stream breaks rules:\n{summary(found)}"


def positions(items: Sequence[StreamItem]) -> list[tuple[str, int]]:
    """Return each position, and how many rows came up to it."""
    found: list[tuple[str, int]] = []
    count = 0
    for item in items:
        if isinstance(item, Batch):
            count += len(item)
            if item.position is not None:
                found.append((item.position, count))
    return found


def stripped(row: Row) -> tuple[Hashable, ...]:
    """Return what a row says, but for when it came."""
    return tuple(getattr(row, name) for name in row.__struct_fields__ if name != "ts_recv")
