"""What vendors allow, and what happens when they fail."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from market_data_pipeline.settings.section import Filled, OneOrSeveral, Positive, Seconds, Section, Share

RuleKind = Literal["window", "gcra", "concurrency", "min_gap"]


class BreakerSettings(Section):
    """A circuit breaker; what is left out is as the one above it in the tree says, or the usual."""

    enabled: bool | None = Field(default=None, description="False: there is none.")
    threshold: Positive | None = Field(default=None, description="Failures in a row that open it.")
    failure_rate: Share | None = Field(default=None, description="The share of failed calls that opens it.")
    min_calls: Positive | None = Field(default=None, description="Calls below which that share says nothing.")
    window_sec: Seconds | None = Field(default=None, description="How long the outcome of a call counts.")
    base_wait_sec: Seconds | None = Field(default=None, description="How long it refuses at first; doubled each time.")
    max_wait_sec: Seconds | None = Field(default=None, description="How long it refuses at most.")
    jitter: float | None = Field(default=None, ge=0, lt=1, description="By which share a wait varies at random.")
    probe_concurrency: Positive | None = Field(default=None, description="How many calls probe at once.")
    probe_successes: Positive | None = Field(default=None, description="Successes in a row that close it.")
    max_probe_sec: Seconds | None = Field(default=None, description="After which a probe counts as failed.")


class RuleSettings(Section):
    """A rule of a budget. For one that the plugin declares: what differs; for a new one: all that its kind needs."""

    kind: RuleKind | None = Field(default=None, description="What it is; a declared rule keeps its kind.")
    limit: Positive | None = Field(default=None, description="How many: in a window, in the period, or at a time.")
    period_sec: Seconds | None = Field(default=None, description="Of a window or an even rate: its length.")
    burst: Positive | None = Field(default=None, description="Of an even rate: how many at once after a pause.")
    gap_sec: Seconds | None = Field(default=None, description="Of a least gap: its length.")
    operations: Annotated[tuple[str, ...] | None, OneOrSeveral] = Field(
        default=None, description="Which operations it counts; left out: all."
    )
    per: Annotated[tuple[str, ...] | None, OneOrSeveral] = Field(
        default=None, description="The keys by which it counts apart."
    )
    counts: Literal["cost", "calls"] | None = Field(default=None, description="Whether it counts cost or calls.")


class OperationSettings(Section):
    """One kind of request."""

    breaker: Annotated[BreakerSettings, Filled] = Field(default=BreakerSettings(), description="Its breaker.")


class AccountSettings(Section):
    """How the accounts of one provider are looked after."""

    rules: Annotated[dict[str, RuleSettings | None], Filled] = Field(
        default_factory=dict, description="Rules by name, over those of the plugin; null takes one away."
    )
    breaker: Annotated[BreakerSettings, Filled] = Field(
        default=BreakerSettings(), description="The breakers of its operations."
    )
    operations: Annotated[dict[str, Annotated[OperationSettings, Filled]], Filled] = Field(
        default_factory=dict, description="Operations that differ, by name."
    )
    cooldown_sec: Seconds = Field(
        default=5.0, description="How long an operation rests after a refusal for its rate, if the vendor does not say."
    )
    adaptive: bool = Field(default=True, description="Whether such a refusal also shrinks the rate for a while.")
    max_waiters: Positive = Field(default=10_000, description="How many requests may wait.")


class CoordinationSettings(Section):
    """What holds for all providers, and for each."""

    store: Literal["sqlite", "memory"] = Field(
        default="sqlite",
        description="Where what was used is kept: for all processes with this data_dir, or for this one.",
    )
    jitter_allowance_ms: float = Field(
        default=50.0,
        ge=0,
        le=60_000,
        description="By how much windows are stretched, since requests move on their way.",
    )
    lock_timeout_sec: Seconds = Field(default=5.0, description="How long the shared store may take before it refuses.")
    tenants: Annotated[dict[str, Annotated[float, Field(ge=1e-6, le=1e6)]], Filled] = Field(
        default_factory=dict, description="The weights of tenants, a millionth to a million; 1 unless named."
    )
    breaker: Annotated[BreakerSettings, Filled] = Field(
        default=BreakerSettings(), description="The breakers of all providers."
    )
    providers: Annotated[dict[str, Annotated[AccountSettings, Filled]], Filled] = Field(
        default_factory=dict, description="By provider."
    )
