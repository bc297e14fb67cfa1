"""`mdp stream`: the rows of a source on standard output."""

from __future__ import annotations

from typing import Any

import click

from market_data_pipeline.cli.options import common, pipeline_builder, seconds, with_settings


@click.command(short_help="Print the rows of a source.")
@click.argument("source", metavar="SOURCE[:SYMBOLS][?key=value&...]")
@click.option("--count", type=click.IntRange(min=1), metavar="ROWS", help="Stop after that many rows.")
@click.option("--duration", callback=seconds, metavar="TIME", help="Stop after that time: 90, 90s, 5m, 1h.")
@click.option(
    "--kinds", metavar="KINDS", help="quote, trade, bar, or several with commas; all that there are, if left out."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
@with_settings
@common
def stream(
    *, source: str, count: int | None, duration: float | None, kinds: str | None, as_json: bool, **chosen: Any
) -> None:
    """Print the rows of a source, or what operators make of them, until it ends, a limit is reached, or Ctrl-C.

    \b
      mdp stream synthetic:AAPL --count 5
      mdp stream "synthetic:AAPL,MSFT?rate=100" --kinds trade --json
      mdp stream "synthetic:AAPL -> bars:5s"
    """  # noqa: D301 - click takes the character \b for "as it stands"
    from market_data_pipeline.cli.execution import execute
    from market_data_pipeline.pipeline import parse_spec
    from market_data_pipeline.pipeline.oneliner import parse_oneliner

    builder, board = pipeline_builder(**chosen)
    values = parse_oneliner(f"{source} -> console:{'json' if as_json else 'text'}", builder)
    if kinds is not None:
        values["kinds"] = kinds.split(",")
    execute(parse_spec({**values, "count": count, "duration_sec": duration}), builder, board)
