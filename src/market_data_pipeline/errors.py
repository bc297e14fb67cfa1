"""Every error that the framework raises, split by what happens next.

::

    MarketDataError
    ├── ConfigurationError            (also a ValueError)  fix the configuration, start again
    ├── PluginError                   about one installed plugin; the others go on
    │   ├── PluginNotFound            (also an ImportError)
    │   ├── PluginLoadError           found, but it does not load
    │   ├── PluginConflict            two distributions claim one name
    │   ├── PluginIncompatible        needs another version of the contract
    │   └── PluginContractError       breaks the plugin contract
    ├── SourceError
    │   ├── RetryableError            the same source may serve it later
    │   │   ├── ConnectionLost
    │   │   ├── SourceTimeout
    │   │   ├── ServerError
    │   │   └── RateLimited           .retry_after seconds
    │   ├── CapacityExceeded          another source may serve it; here, not until something frees
    │   ├── FatalSourceError          asking again gives the same answer
    │   │   ├── AuthenticationFailed
    │   │   ├── NotEntitled
    │   │   ├── CompetingSession
    │   │   ├── UnknownSymbol
    │   │   ├── CapabilityNotSupported
    │   │   └── InvalidRequest
    │   ├── MalformedMessage          skip it, count it
    │   ├── SourceBug                 a foreign exception, wrapped with the plugin's name
    │   ├── SourceClosed              used after close
    │   └── SourceBusy                iterated twice
    ├── OperatorError
    ├── BatcherError
    ├── SinkError                     .transient says whether the same write may succeed later
    ├── PacingError                   a vendor's budget does not allow it; .retry_after seconds
    │   ├── BudgetExhausted           there is no room now, and it was not to wait
    │   ├── DeadlineExceeded          there is no room before its deadline
    │   ├── Overloaded                too many wait already
    │   └── BudgetUnavailable         what was used cannot be told, so nothing is allowed
    ├── CircuitBreakerOpen            too much failed there, so nothing is asked of it; .retry_after seconds
    ├── ChannelClosed                 nobody receives what is sent
    └── ChannelFull                   there is no room, and what is sent can neither wait nor be dropped
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AuthenticationFailed",
    "BatcherError",
    "BudgetExhausted",
    "BudgetUnavailable",
    "CapabilityNotSupported",
    "CapacityExceeded",
    "ChannelClosed",
    "ChannelFull",
    "CircuitBreakerOpen",
    "CompetingSession",
    "ConfigurationError",
    "ConnectionLost",
    "DeadlineExceeded",
    "FatalSourceError",
    "InvalidRequest",
    "MalformedMessage",
    "MarketDataError",
    "NotEntitled",
    "OperatorError",
    "Overloaded",
    "PacingError",
    "PluginConflict",
    "PluginContractError",
    "PluginError",
    "PluginIncompatible",
    "PluginLoadError",
    "PluginNotFound",
    "RateLimited",
    "RetryableError",
    "ServerError",
    "SinkError",
    "SourceBug",
    "SourceBusy",
    "SourceClosed",
    "SourceError",
    "SourceTimeout",
    "UnknownSymbol",
    "nearest",
]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the part of a message that helps after an unknown `name`: the nearest names, or all that there are."""
    from difflib import get_close_matches

    names = sorted(known)
    if close := get_close_matches(name, names, n=3, cutoff=0.5):
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"known: {', '.join(names)}" if names else "there is none"


class MarketDataError(Exception):
    """The root of every error that this project raises on purpose."""


class ConfigurationError(MarketDataError, ValueError):
    """Something that a person wrote is wrong: a spec, a setting, a command line.

    Attributes:
        where: The place of the mistake, such as a key, a file and line, or a command-line argument.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class PluginError(MarketDataError):
    """A plugin cannot be used.

    Attributes:
        plugin: The plugin's name.
        cause: What happened; the text without the cure.
        cure: What to run or edit, where that is known; the end of the text.
    """

    def __init__(self, message: str, *, plugin: str = "", cure: str = "") -> None:
        super().__init__(f"{message}; {cure}" if cure else message)
        self.plugin = plugin
        self.cause = message
        self.cure = cure


class PluginNotFound(PluginError, ImportError):
    """No installed distribution offers a plugin or component of that name."""


class PluginLoadError(PluginError):
    """The plugin is installed, and importing or registering it failed."""


class PluginConflict(PluginError):
    """Two distributions or two plugins claim the same name."""


class PluginIncompatible(PluginError):
    """The plugin needs a version of the contract that this core does not have."""


class PluginContractError(PluginError):
    """The plugin does something that the contract forbids."""


class SourceError(MarketDataError):
    """A source failed.

    Attributes:
        source: The name of the source or provider.
        code: The vendor's own code for the failure, where there is one.
    """

    def __init__(self, message: str, *, source: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.code = code


class RetryableError(SourceError):
    """The same request may succeed later."""


class ConnectionLost(RetryableError):
    """The connection to the vendor broke."""


class SourceTimeout(RetryableError):
    """The vendor did not answer in time."""


class ServerError(RetryableError):
    """The vendor answered that it has a fault."""


class RateLimited(RetryableError):
    """The vendor refused because of its rate limit.

    Attributes:
        retry_after: Seconds to wait before the next attempt, where the vendor said so.
    """

    def __init__(
        self, message: str, *, source: str = "", code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, source=source, code=code)
        self.retry_after = retry_after


class CapacityExceeded(SourceError):
    """All lines or connections are taken; another source may serve the request."""


class FatalSourceError(SourceError):
    """Asking this source again gives the same answer."""


class AuthenticationFailed(FatalSourceError):
    """The vendor does not accept the credentials."""


class NotEntitled(FatalSourceError):
    """The account has no permission for this data."""


class CompetingSession(FatalSourceError):
    """Another session took the account's only place."""


class UnknownSymbol(FatalSourceError):
    """The vendor knows none of the symbols."""


class CapabilityNotSupported(FatalSourceError):
    """The provider does not declare what was asked of it."""


class InvalidRequest(FatalSourceError):
    """The request contradicts itself or the vendor's rules."""


class MalformedMessage(SourceError):
    """One message or row cannot be read: it is skipped and counted."""


class SourceBug(SourceError):
    """A plugin raised something other than the contract's errors; the original is the cause."""


class SourceClosed(SourceError):
    """The source was used after `close()`."""


class SourceBusy(SourceError):
    """The source is iterated already; it can be iterated once."""


class OperatorError(MarketDataError):
    """An operator failed or broke its contract."""


class BatcherError(MarketDataError):
    """A batcher failed or broke its contract."""


class SinkError(MarketDataError):
    """A sink failed.

    Attributes:
        transient: Whether the same write may succeed later.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class PacingError(MarketDataError):
    """A vendor's budget does not allow a call.

    Attributes:
        account: Whose budget it is.
        operation: What was to be called.
        rule: The rule that does not allow it; empty: none in particular.
        retry_after: Seconds after which it may be allowed, where that is known.
    """

    def __init__(
        self, message: str, *, account: str = "", operation: str = "", rule: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.account = account
        self.operation = operation
        self.rule = rule
        self.retry_after = retry_after


class BudgetExhausted(PacingError):
    """There is no room now, and the call was not to wait."""


class DeadlineExceeded(PacingError):
    """There is no room before the call's deadline."""


class Overloaded(PacingError):
    """Too many calls wait already."""


class BudgetUnavailable(PacingError):
    """The store of what was used cannot be read or written, so nothing is allowed."""


class CircuitBreakerOpen(MarketDataError):
    """A call was not made, because too many of its kind failed, a probe is still out, or an operator said so.

    Attributes:
        provider: Whose breaker it is.
        operation: The kind of call; empty: all of them.
        retry_after: Seconds after which a call may be let through; None: not before somebody resets the breaker.
    """

    def __init__(
        self, message: str, *, provider: str = "", operation: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.operation = operation
        self.retry_after = retry_after


class ChannelClosed(MarketDataError):
    """The channel takes no more items: its receiver left, or its owner closed it."""


class ChannelFull(MarketDataError):
    """There is no room for the item, and it can neither wait nor be dropped."""
