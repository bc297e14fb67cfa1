"""A look at a runtime, as one frozen tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from market_data_pipeline.orchestration.stream import StreamStatus
from market_data_pipeline.pipeline.streaming import PipelineStatus
from market_data_pipeline.source.account import AccountStatus
from market_data_pipeline.source.pool import ProviderStatus


@attrs.frozen(kw_only=True)
class RuntimeStatus:
    """Taking it changes nothing."""

    state: Literal["new", "running", "closed"]
    since: int | None
    """When it was started, int ns since the epoch, UTC."""
    plugins: Mapping[str, str]
    """The state of each installed plugin, by entry-point name: found, loaded or failed."""
    providers: tuple[ProviderStatus, ...]
    """The providers in use."""
    accounts: tuple[AccountStatus, ...]
    """The accounts at vendors that were used: who waits, and how their breakers are."""
    streams: tuple[StreamStatus, ...]
    """The streams that are open."""
    pipelines: Mapping[str, PipelineStatus]
    """By key; those that ended too, the last 100."""
    errors: Mapping[str, str]
    """By key, why a pipeline failed."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return attrs.asdict(
            self, value_serializer=lambda _, __, value: dict(value) if isinstance(value, Counter) else value
        )
