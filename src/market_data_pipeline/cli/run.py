"""`mdp run`: one pipeline, from a file or a one-liner, until its end or a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from market_data_pipeline.cli.options import common, pipeline_builder, seconds, with_settings
from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from market_data_pipeline.cli.progress import View
    from market_data_pipeline.pipeline import PipelineBuilder, PipelineSpec


@click.command(short_help="Run a pipeline, from a YAML file or a one-liner.")
@click.argument("pipeline", metavar="SPEC")
@click.option("--duration", callback=seconds, metavar="TIME", help="Stop after that time: 90, 90s, 5m, 1h.")
@click.option("--count", type=click.IntRange(min=1), metavar="ROWS", help="Stop after that many rows of the source.")
@click.option("--dry-run", is_flag=True, help="Print the spec as YAML, which runs the very same pipeline.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as one JSON object.")
@click.option(
    "--view",
    type=click.Choice(["auto", "full", "line", "none"]),
    default="auto",
    help="What a terminal shows meanwhile; auto is full where there is room.",
)
@with_settings
@common
def run(
    *,
    pipeline: str,
    duration: float | None,
    count: int | None,
    dry_run: bool,
    as_json: bool,
    view: View,
    **chosen: Any,
) -> None:
    """Run a pipeline until its source ends, a limit is reached, or Ctrl-C; what was read is written first.

    SPEC is a YAML file or a one-liner in quotes:

    \b
      SOURCE[:SYMBOLS][?key=value&...] -> OPERATOR[:ARGUMENT][?...] -> SINK[:TARGET][?...]
      mdp run "synthetic:AAPL,MSFT?speed=max&count=1000 -> bars:1s -> parquet:./data"
    """  # noqa: D301 - click takes the character \b for "as it stands"
    builder, board = pipeline_builder(**chosen)
    limits = {"duration_sec": duration, "count": count}
    spec = _load(pipeline, builder).model_copy(
        update={name: limit for name, limit in limits.items() if limit is not None}
    )
    if dry_run:
        from market_data_pipeline.pipeline.specfile import dump_spec, without_secrets

        builder.build(spec)
        click.echo(dump_spec(without_secrets(spec, builder)), nl=False)
        return
    from market_data_pipeline.cli.execution import execute

    execute(spec, builder, board, as_json=as_json, view=view)


def _load(text: str, builder: PipelineBuilder) -> PipelineSpec:
    from pathlib import Path

    from market_data_pipeline.pipeline import parse_spec
    from market_data_pipeline.pipeline.oneliner import FORM, parse_oneliner
    from market_data_pipeline.pipeline.specfile import read_spec

    if "->" in text:
        return parse_spec(parse_oneliner(text, builder))
    if not text.endswith((".yaml", ".yml")) and not (text and Path(text).exists()):
        raise ConfigurationError(f"there is no such file, and a one-liner is {FORM}", where=repr(text))
    return read_spec(text, builder)
