"""A vendor's limits as data: a budget is a tuple of rules, and a call goes out when all that concern it allow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs

from market_data_pipeline.errors import ConfigurationError

SECOND_NS: Final = 1_000_000_000
"""One second, for the times of rules: `period_ns=600 * SECOND_NS`."""

MOST: Final = 2**62
"""The greatest number of a rule; in ns 146 years. Times that are made of them fit 64 bits, and so any store."""

RuleKind: TypeAlias = Literal["window", "gcra", "concurrency", "min_gap"]


def _positive(rule: Rule, field: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not int or value < 1:
        raise ConfigurationError(
            f"{field.name} must be a whole number above 0, not {value!r}", where=f"rule {rule.name!r}"
        )
    if value > MOST:
        raise ConfigurationError(f"{field.name} must be at most {MOST}", where=f"rule {rule.name!r}")


def _countable(rule: Rule, _field: attrs.Attribute[Any], value: Any) -> None:
    if value not in ("cost", "calls"):
        raise ConfigurationError(f"counts must be 'cost' or 'calls', not {value!r}", where=f"rule {rule.name!r}")


def _words(rule: Rule, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not all(isinstance(word, str) and word for word in value):
        raise ConfigurationError(f"{field.name} must be names, not {value!r}", where=f"rule {rule.name!r}")


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    """Keep one name from being taken for a collection of letters."""
    return (names,) if isinstance(names, str) else tuple(names)


def _some(names: str | Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(_several(names))


@attrs.frozen(kw_only=True)
class Rule:
    """What every rule says: which calls it counts, and which it counts apart from each other.

    Raises:
        ConfigurationError: A number or a name is not one.
    """

    kind: ClassVar[RuleKind]
    name: str
    """Unique in its budget; messages and `mdp budgets` show it."""
    operations: frozenset[str] | None = attrs.field(default=None, converter=_some, validator=_words)
    """The operations that it counts; None: all. With none at all it is only for leases of its name."""
    per: tuple[str, ...] = attrs.field(default=(), converter=_several, validator=_words)
    """Names of a call's keys: calls with other values are counted apart, such as by contract or by request."""

    def concerns(self, operation: str) -> bool:
        """Tell whether it counts the calls of an operation."""
        return self.operations is None or operation in self.operations


@attrs.frozen(kw_only=True)
class Window(Rule):
    """No interval of `period_ns` holds more than `limit`, at any time: an exact sliding window."""

    kind: ClassVar[RuleKind] = "window"
    limit: int = attrs.field(validator=_positive)
    period_ns: int = attrs.field(validator=_positive)
    counts: Literal["cost", "calls"] = attrs.field(default="cost", validator=_countable)
    """What is counted: each call's cost, or each call as one."""


@attrs.frozen(kw_only=True)
class Gcra(Rule):
    """At most `burst + limit * t / period_ns` in any time t: a burst, then an even rate.

    The generic cell rate algorithm of ITU-T I.371, by virtual scheduling.
    """

    kind: ClassVar[RuleKind] = "gcra"
    limit: int = attrs.field(validator=_positive)
    period_ns: int = attrs.field(default=SECOND_NS, validator=_positive)
    burst: int = attrs.field(default=1, validator=_positive)
    counts: Literal["cost", "calls"] = attrs.field(default="cost", validator=_countable)
    """What is counted: each call's cost, or each call as one."""

    def __attrs_post_init__(self) -> None:
        if self.burst * self.period_ns > MOST * self.limit:
            raise ConfigurationError(
                "a burst must be there again within 146 years: lower it, or raise the rate", where=f"rule {self.name!r}"
            )


@attrs.frozen(kw_only=True)
class Concurrency(Rule):
    """At most `limit` at a time: open requests, lines, connections. A call is one, a lease as many as it says."""

    kind: ClassVar[RuleKind] = "concurrency"
    limit: int = attrs.field(validator=_positive)


@attrs.frozen(kw_only=True)
class MinGap(Rule):
    """Between the starts of two calls that it counts together pass at least `gap_ns`."""

    kind: ClassVar[RuleKind] = "min_gap"
    gap_ns: int = attrs.field(validator=_positive)


AnyRule: TypeAlias = Window | Gcra | Concurrency | MinGap

RULES: Final[Mapping[str, type[AnyRule]]] = {rule.kind: rule for rule in (Window, Gcra, Concurrency, MinGap)}
"""The rules by kind."""
