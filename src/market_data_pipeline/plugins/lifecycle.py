"""What `mdp_event` tells: that something began, ended or failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import attrs

__all__ = ["STATES", "LifecycleEvent", "LifecycleState", "Subject", "Tell"]

Subject: TypeAlias = Literal["plugin", "provider", "stream", "pipeline", "runtime"]

LifecycleState: TypeAlias = Literal["loaded", "started", "stopping", "ended", "failed"]

Tell: TypeAlias = Callable[[Subject, str, LifecycleState, str], None]
"""Takes a change of state: subject, name, state, reason."""

STATES: Final[Mapping[Subject, tuple[LifecycleState, ...]]] = {
    "plugin": ("loaded", "failed"),
    "provider": ("started", "ended", "failed"),
    "stream": ("started", "ended", "failed"),
    "pipeline": ("started", "stopping", "ended", "failed"),
    "runtime": ("started", "stopping", "ended"),
}
"""The states of each subject. Within a major of the contract there may come more of both."""


@attrs.frozen(kw_only=True)
class LifecycleEvent:
    """One change of state."""

    subject: Subject
    name: str
    """The entry-point name of a plugin, the name of a provider or of a stream's provider, the key of a pipeline."""
    state: LifecycleState
    ts: int
    """When, int ns since the epoch, UTC."""
    reason: str = ""
    """Why, such as the text of the error; empty where the state says it all."""
