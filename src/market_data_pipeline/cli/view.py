"""A running pipeline as lines of text: pure functions of a look at it. Imported on first use: it needs rich."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from market_data_pipeline.cli.look import Look, describe
from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.model import ControlEvent, Gap, Refused, SourceState, Switched
from market_data_pipeline.pipeline.ledger import Ledger

_BAR_WIDTH = 24
_ROOM_FOR_BAR = 80
_EVENTS = 3
_SYMBOLS = 3


def line(look: Look, width: int) -> RenderableType:
    """Return what fits into one line of a terminal so wide."""
    parts: list[RenderableType] = [] if look.done is None else [_share(look)]
    if look.done is not None and width >= _ROOM_FOR_BAR:
        parts.insert(0, ProgressBar(total=1.0, completed=look.done, width=_BAR_WIDTH))
    return _beside(*parts, Text(describe(look), no_wrap=True, overflow="ellipsis"))


def full(look: Look) -> RenderableType:
    """Return state, rates, ledger, what waits for a vendor's budget, what happened, and the last trouble."""
    ledger = _ledger(look.status.ledger)
    return Group(_head(look), _rates(look), ledger, *_waits(look), *_events(look), *_trouble(look))


def clock(nanos: int) -> str:
    """Return a duration as h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(nanos // SECOND_NS, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _beside(*parts: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(*parts)
    return grid


def _share(look: Look) -> Text:
    left = "" if look.left is None else f", {clock(look.left)} left"
    return Text(f"{look.done or 0:.0%}{left}", no_wrap=True)


def _head(look: Look) -> RenderableType:
    name = Text(look.status.pipeline_id, style="bold", no_wrap=True, overflow="ellipsis")
    state = Text(look.status.state, style="green" if look.status.state == "running" else "yellow", no_wrap=True)
    parts: list[RenderableType] = [name, state, Text(clock(look.elapsed), no_wrap=True)]
    if look.done is not None:
        parts += [ProgressBar(total=1.0, completed=look.done, width=_BAR_WIDTH), _share(look)]
    return _beside(*parts)


def _rates(look: Look) -> Text:
    (now_in, now_out), (long_in, long_out) = look.rates
    lag = "" if look.lag is None else f"   lag {look.lag / 1e9:.1f} s"
    return Text(
        f"rows/s  in {now_in:,.0f} (10 s: {long_in:,.0f})   out {now_out:,.0f} (10 s: {long_out:,.0f}){lag}",
        no_wrap=True,
        overflow="ellipsis",
    )


def _ledger(ledger: Ledger) -> Table:
    """Return where the rows are: each stage's in, out and waiting add up with what is named aside."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("stage", no_wrap=True)
    for name in ("in", "out", "waiting"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("aside", no_wrap=True, overflow="ellipsis")
    aside = {"late": ledger.late, **ledger.dropped}
    table.add_row("entry", *_numbers(ledger.received, ledger.accepted - ledger.late, ledger.queued), _aside(aside))
    for one in ledger.operators:
        aside = {name: getattr(one, name) for name in ("folded", "filtered", "deduplicated", "failed")}
        table.add_row(one.name, *_numbers(one.received, one.passed + one.created, None), _aside(aside))
    for sink in ledger.sinks:
        table.add_row(sink.name, *_numbers(sink.received, sink.delivered, sink.held), _aside(sink.dropped))
    return table


def _numbers(*counts: int | None) -> Iterator[str]:
    for count in counts:
        yield "" if count is None else f"{count:,}"


def _aside(counts: Mapping[str, int]) -> Text:
    text = ", ".join(f"{rows:,} {why}" for why, rows in counts.items() if rows)
    return Text(text, style="" if set(counts) >= {"folded"} and not counts["failed"] else "yellow")


def _waits(look: Look) -> Iterator[Text]:
    """Yield for each account at which calls wait how many, for which rules, and until when the first at least."""
    for account in look.accounts:
        if account.waits:
            first = account.waits[0]
            rules = Counter(waits.rule or "those before it" for waits in account.waits)
            counts = ", ".join(f"{count:,} for {rule}" for rule, count in rules.most_common())
            until = "something is given back" if first.left_ns is None else _time(look.now + first.left_ns)
            text = f"{account.name}: calls wait: {counts}; {first.operation} until {until}"
            yield Text(text, style="yellow", no_wrap=True, overflow="ellipsis")


def _events(look: Look) -> Iterable[Text]:
    return [
        Text(f"{_time(event.ts)}  {_what(event)}", style="yellow", no_wrap=True, overflow="ellipsis")
        for event in look.status.events[-_EVENTS:]
    ]


def _trouble(look: Look) -> Iterable[Text]:
    return [] if look.trouble is None else [Text(look.trouble, style="red", no_wrap=True, overflow="ellipsis")]


def _time(nanos: int) -> str:
    return f"{datetime.fromtimestamp(nanos // SECOND_NS, UTC):%H:%M:%SZ}"


def _what(event: ControlEvent) -> str:
    """Return in a few words what happened to the stream."""
    of = "all symbols" if event.symbols is None else _some(sorted(event.symbols))
    match event:
        case Gap():
            rows = "rows" if event.rows is None else f"{event.rows:,} rows"
            return f"gap of {of}: {rows}, {event.reason}{', filled' if event.filled else ''}"
        case Refused():
            return f"{event.source} does not serve {of}: {event.error}"
        case Switched():
            return f"{of}: from {event.old} to {event.new}, {event.reason}"
        case SourceState():
            return f"{event.source} is {event.state}{f': {event.reason}' if event.reason else ''}"
    return f"{type(event).__name__} of {of}"


def _some(symbols: list[str]) -> str:
    return ", ".join(symbols[:_SYMBOLS]) + (f" and {len(symbols) - _SYMBOLS} more" if len(symbols) > _SYMBOLS else "")
