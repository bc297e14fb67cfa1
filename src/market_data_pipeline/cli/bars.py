"""`mdp bars`: the bars of a dataset, as a table, as candles or as JSON Lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from market_data_pipeline.cli.options import common, parsed_by, with_settings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from market_data_pipeline.dataset import Folder, Found

ROWS = 20
"""So many bars of each symbol, unless told otherwise."""
MOST = 1_000_000
UNBOUNDED = 240
"""Columns, more than any of our tables has."""


_interval = parsed_by("market_data_pipeline.operator.bars:bar_interval")
_time = parsed_by("market_data_pipeline.model:parse_time")


@click.command(short_help="Look at the bars of a dataset.")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--symbol", "symbols", multiple=True, metavar="SYMBOL", help="Of this symbol; may be given several times."
)
@click.option("--interval", callback=_interval, metavar="TIME", help="Of this length: 1s, 1m; made from shorter ones.")
@click.option("--provider", metavar="NAME", help="From this provider alone.")
@click.option("--basis", type=click.Choice(["trade", "bid", "ask", "mid"]), help="Of these prices alone.")
@click.option("--start", callback=_time, metavar="TIME", help="None that begins earlier: 2024-01-02T14:30:00Z.")
@click.option("--end", callback=_time, metavar="TIME", help="None that begins at that time or later.")
@click.option(
    "--last",
    type=click.IntRange(1, MOST),
    metavar="N",
    help=f"The newest N of each symbol; {ROWS}, or what fits a chart.",
)
@click.option("--chart", is_flag=True, help="Draw candles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
@click.option("--list", "as_list", is_flag=True, help="Print which symbols, intervals and times there are.")
@with_settings
@common
def bars(
    *,
    path: Path | None,
    symbols: Sequence[str],
    interval: int | None,
    provider: str | None,
    basis: str | None,
    start: int | None,
    end: int | None,
    last: int | None,
    chart: bool,
    as_json: bool,
    as_list: bool,
    settings: str | None,
    profile: str | None,
    no_plugins: bool,  # noqa: ARG001 - an option of every command
) -> None:
    """Look at the bars of a dataset that the sinks `parquet` and `store` wrote.

    PATH is its folder; the one in the data directory if left out.

    \b
      mdp bars ./data --list
      mdp bars ./data --symbol AAPL --interval 1m --last 50
      mdp bars ./data --symbol AAPL --interval 1m --chart
    """  # noqa: D301 - click takes the character \b for "as it stands"
    _check_forms(chart, as_json, as_list)
    from market_data_pipeline.dataset import BarQuery, find_folders

    folders = find_folders(_dataset(settings, profile) if path is None else path.expanduser())
    if as_list:
        _print_list(folders)
        return
    console = _console(chart=chart)
    query = BarQuery(
        symbols=tuple(dict.fromkeys(symbols)),
        interval=interval,
        provider=provider,
        basis=basis,  # type: ignore[arg-type]  # one of the choices
        start=start,
        end=end,
        last=last or (console.width if chart else ROWS),
    )
    found = query.run(folders)
    if as_json:
        _print_json(found)
    else:
        for one in found:
            console.print(_chart(one, console) if chart else _table(one))


def _check_forms(*forms: bool) -> None:
    """Check that at most one form is asked for.

    Raises:
        click.UsageError: There are several.
    """
    if sum(forms) > 1:
        raise click.UsageError("--chart, --json and --list exclude each other")


def _dataset(settings: str | None, profile: str | None) -> Path:
    from market_data_pipeline.settings import load_settings

    return load_settings(settings, profile=profile).settings.data_directory / "parquet"


def _console(*, chart: bool = False) -> Console:
    """Return standard output; a table that goes into a file or pipe has room for whole lines."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if chart or console.is_terminal else Console(highlight=False, width=UNBOUNDED)


def _print_json(found: Sequence[Found]) -> None:
    from itertools import groupby
    from operator import attrgetter

    from market_data_pipeline.model import BarBatch
    from market_data_pipeline.sink.lines import json_lines

    for one in found:
        for _, run in groupby(one.bars, key=attrgetter("origin")):
            click.echo(json_lines(BarBatch(run)), nl=False)


def _print_list(folders: Sequence[Folder]) -> None:
    from market_data_pipeline.cli.bar_table import list_table
    from market_data_pipeline.dataset import find_series

    _console().print(list_table(find_series(folders)))


def _table(found: Found) -> RenderableType:
    from market_data_pipeline.cli.bar_table import bar_table

    return bar_table(found)


def _chart(found: Found, console: Console) -> RenderableType:
    from rich.text import Text

    from market_data_pipeline.cli.candles import draw

    room = console.height - 2 if console.is_terminal else 24
    ascii_only = not (console.encoding or "").lower().startswith("utf")
    colour = console.color_system is not None
    return Text("\n").join(draw(found, console.width, room, colour=colour, ascii_only=ascii_only))
