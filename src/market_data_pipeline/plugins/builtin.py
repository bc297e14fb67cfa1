"""The built-in components: registered by the very hooks of a third party."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from market_data_pipeline.plugins.hookspecs import HookContext, PluginHooks
from market_data_pipeline.plugins.specs import ComponentSpec

__all__ = ["plugin"]

_ROOT = "market_data_pipeline"


def _sink(name: str, prefix: str, summary: str) -> ComponentSpec:
    return ComponentSpec(
        kind="sink",
        name=name,
        factory=f"{_ROOT}.sink.{name}:{prefix}Sink",
        settings=f"{_ROOT}.sink.settings:{prefix}Settings",
        summary=summary,
    )


class Builtin(PluginHooks):
    """What the core itself offers."""

    def mdp_components(self, context: HookContext) -> Iterable[ComponentSpec]:
        """Yield the operators, batchers and sinks of the core."""
        del context
        yield ComponentSpec(
            kind="operator",
            name="bars",
            factory=f"{_ROOT}.operator.bars:SecondBarAggregator",
            settings=f"{_ROOT}.operator.settings:BarsSettings",
            summary="Rows to bars of an interval.",
        )
        yield ComponentSpec(
            kind="batcher",
            name="hybrid",
            factory=f"{_ROOT}.batcher.hybrid:HybridBatcher",
            settings=f"{_ROOT}.batcher.settings:HybridBatcherSettings",
            summary="Groups by rows, bytes and time, whichever comes first.",
        )
        yield _sink("console", "Console", "Rows to the terminal.")
        yield _sink("jsonl", "Jsonl", "Rows to a JSON Lines file.")
        yield _sink("memory", "Memory", "Rows to a list, for tests and notebooks.")
        yield _sink("parquet", "Parquet", "Rows to a partitioned Parquet dataset.")
        yield _sink("store", "Store", "Rows to the Parquet dataset in the data directory.")


plugin: Final = Builtin()
