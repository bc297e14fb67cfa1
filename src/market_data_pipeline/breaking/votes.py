"""What an error says about the provider: the one place that decides which errors count against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from market_data_pipeline.contracts import SECOND_NS
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

LONGEST_SEC: Final = 366 * 86_400
"""A vendor that asks for more than that asks for ever."""
MOST_TEXT: Final = 500
"""How many characters of an error's text are kept."""

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


def asked_for_ns(error: BaseException | None) -> int:
    """Return how long the vendor wants to be left alone, ns; 0: an error does not say, or says no number above 0."""
    asked = getattr(error, "retry_after", None)
    if not isinstance(asked, int | float) or not asked > 0:
        return 0
    return round(min(asked, LONGEST_SEC) * SECOND_NS)


def told(error: BaseException) -> str:
    """Return the kind and the text of an error, as far as it has one and that is not too long."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (foreign code, and the call has to be reported)
        text = "it cannot say what happened"
    return f"{type(error).__name__}: {text[:MOST_TEXT]}"
