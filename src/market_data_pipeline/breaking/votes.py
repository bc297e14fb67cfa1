"""What an error says about the provider: the one place that decides which errors count against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from market_data_pipeline.errors import (
    AuthenticationFailed,
    CompetingSession,
    MarketDataError,
    PluginContractError,
    RateLimited,
    RetryableError,
    SinkError,
    SourceBug,
)

Verdict: TypeAlias = Literal["failure", "ignored", "forced", "cooldown"]
"""A failure counts; what is ignored says nothing; forced opens at once and for good; a cooldown is the pacing's."""

Classify: TypeAlias = Callable[[Exception], Verdict]

RANK: Final[tuple[Verdict, ...]] = ("ignored", "cooldown", "failure", "forced")
"""From the lightest to the gravest."""

OPENING: Final = (RetryableError, CompetingSession, SourceBug, PluginContractError)


def classify(error: Exception) -> Verdict:
    """Return what an error says about the provider.

    - "forced": `AuthenticationFailed`. Asking again with the same credentials only locks the account.
    - "cooldown": `RateLimited`. The provider works; its budget is what the pacing looks after.
    - "failure": retryable errors, a competing session, a bug of the plugin, and every exception that is not the
      framework's own, such as timeouts and refused connections. A write that may succeed later is one too.
    - "ignored": the framework's other errors. They are the caller's own mistakes, one bad message, something that is
      not supported or not there, or a refusal of another breaker.
    """
    if isinstance(error, AuthenticationFailed):
        return "forced"
    if isinstance(error, RateLimited):
        return "cooldown"
    counts = isinstance(error, OPENING) or not isinstance(error, MarketDataError)
    return "failure" if counts or (isinstance(error, SinkError) and error.transient) else "ignored"


def worst(error: BaseException, judge: Classify) -> tuple[Verdict, Exception | None]:
    """Return the gravest verdict on an error or on the members of a group, and the error that it is about.

    Args:
        error: What was raised. Cancellations, exits and the like say nothing: with nothing else there is no error.
        judge: Who judges each.
    """
    if isinstance(error, BaseExceptionGroup):
        verdicts = [worst(each, judge) for each in error.exceptions]
        return max(verdicts, key=lambda verdict: (verdict[1] is not None, RANK.index(verdict[0])))
    return (judge(error), error) if isinstance(error, Exception) else ("ignored", None)
