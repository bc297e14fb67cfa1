"""A look at a whole runtime, as one frozen tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from market_data_pipeline.orchestration.feed import StreamStatus
from market_data_pipeline.pipeline.streaming import PipelineStatus
from market_data_pipeline.plugins import PluginRecord
from market_data_pipeline.plugins.record import State
from market_data_pipeline.runners.supervisor import LifeState
from market_data_pipeline.source.pool import ProviderStatus


@attrs.frozen(kw_only=True)
class PluginStatus:
    """One installed plugin."""

    name: str
    version: str
    state: State
    """The state `found` is: installed, and not needed so far."""

    @classmethod
    def of(cls, record: PluginRecord) -> PluginStatus:
        """Return the status that a record tells."""
        return cls(name=record.name, version=record.version, state=record.state)


@attrs.frozen(kw_only=True)
class RuntimeStatus:
    """A look at a runtime; taking it changes nothing."""

    state: LifeState
    since: int | None
    """When it was started, int ns since the epoch."""
    plugins: tuple[PluginStatus, ...]
    providers: tuple[ProviderStatus, ...]
    """The providers in use."""
    streams: tuple[StreamStatus, ...]
    """The streams that are open."""
    pipelines: Mapping[str, PipelineStatus]
    """By key; those that ended too, the last 100."""
    errors: Mapping[str, str]
    """By key, why a pipeline failed."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as JSON takes it."""
        return attrs.asdict(self, value_serializer=_plain)


def _plain(_owner: Any, _field: Any, value: Any) -> Any:
    return dict(value) if isinstance(value, Counter) else value
