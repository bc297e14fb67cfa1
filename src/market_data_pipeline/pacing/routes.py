"""Which meters a call takes from: the rules of one account, by operation and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from market_data_pipeline.contracts.bounds import at_once, counts_cost, rate_of
from market_data_pipeline.contracts.budget import AnyRule, Concurrency
from market_data_pipeline.contracts.budget_check import misnamed, mistimed
from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.pacing.feedback import Feedback
from market_data_pipeline.pacing.store import Slot

KEPT: Final = 1_024
"""How many routes without keys are remembered."""

NO_KEYS: Final[Mapping[str, str]] = {}

_PART: Final = re.compile(r"(?:^|\|)((?:\\.|[^\\|])*)", re.DOTALL)
"""A part of a meter's name."""


class Routes:
    """The slots of each call.

    Args:
        account: Whose budget it is: the first part of its meters' names.
        rules: The budget.
        adaptive: Whether refusals shrink the rate.

    Raises:
        ConfigurationError: A rule cannot have its name or time, as `check_budget` says.
    """

    def __init__(self, account: str, rules: Sequence[AnyRule], *, adaptive: bool = True) -> None:
        self.rules: tuple[AnyRule, ...] = tuple(rules)
        for finding in (found for rule in self.rules for found in (*misnamed(rule, self.rules), *mistimed(rule))):
            raise ConfigurationError(str(finding), where=f"budget of {account}")
        self._account = account
        self._adaptive = adaptive
        self._routes: dict[tuple[str, int], tuple[Slot, ...]] = {}
        self._scopes: dict[str, Slot] = {}

    def call(self, operation: str, cost: int, keys: Mapping[str, str]) -> tuple[Slot, ...]:
        """Return what a call takes.

        Raises:
            ConfigurationError: It costs more than a rule ever allows, or lacks a key that a rule counts by.
        """
        route = self._routes.get((operation, cost))
        if route is None:
            rules = [rule for rule in self.rules if rule.concerns(operation)]
            if type(cost) is not int or cost < 1:
                raise ConfigurationError(
                    f"a call costs a whole number above 0, not {cost!r}", where=f"{self._account}, {operation}"
                )
            route = (
                *(self._slot(rule, cost if counts_cost(rule) else 1, keys) for rule in rules),
                self.scope(""),
                self.scope(operation),
            )
            if not any(slot.apart for slot in route):
                if len(self._routes) >= KEPT:
                    self._routes.clear()
                self._routes[operation, cost] = route
        return route

    def lease(self, resource: str, many: int) -> tuple[Slot, ...]:
        """Return what a lease takes.

        Raises:
            ConfigurationError: No rule limits such a resource, or it never allows as many, or they are none.
        """
        if type(many) is not int or many < 1:
            raise ConfigurationError(
                f"a lease is of a whole number above 0, not {many!r}", where=f"{self._account}, {resource}"
            )
        held = {rule.name: rule for rule in self.rules if isinstance(rule, Concurrency)}
        if resource not in held:
            raise ConfigurationError(
                f"no rule limits {resource!r}: {nearest(resource, held)}", where=f"budget of {self._account}"
            )
        return (self._slot(held[resource], many, NO_KEYS),)

    def again(self, slots: Sequence[Slot], lane: str, cost: int, keys: Mapping[str, str]) -> tuple[Slot, ...]:
        """Return what a call or lease takes that took other slots under other rules.

        Raises:
            ConfigurationError: It does not fit these rules.
        """
        return self.call(lane, cost, keys) if slots[-1].rule.kind == "feedback" else self.lease(lane, cost)

    def scope(self, operation: str) -> Slot:
        """Return what the vendor's refusals of an operation are noted in; of "": those of the whole account."""
        slot = self._scopes.get(operation)
        if slot is None:
            rate = rate_of(operation, self.rules)
            rule = Feedback(
                name="cooldown",
                operations=frozenset({operation} if operation else ()),
                declared=0.0 if rate.per else rate.per_sec or 0.0,
                adaptive=self._adaptive and operation != "",
            )
            slot = self._scopes[operation] = Slot(_key(self._account, rule.kind, operation), rule, 1, apart=False)
        return slot

    @property
    def scopes(self) -> tuple[str, ...]:
        """The operations for which refusals may be noted, and "": the whole account."""
        return ("", *(operation for operation in list(self._scopes) if operation))

    def shared(self) -> tuple[Slot, ...]:
        """Return what a look at the budget sees: each rule that does not count by keys, and each scope."""
        rules = [self._slot(rule, 1, NO_KEYS) for rule in self.rules if not rule.per]
        return (*rules, *map(self.scope, self.scopes))

    def apart(self, names: Callable[[str], Iterable[str]]) -> Iterator[Slot]:
        """Yield what a look sees of the rules that count by keys.

        Args:
            names: Returns the names of the meters that begin so.
        """
        for rule in self.rules:
            for name in names(_key(self._account, rule.kind, rule.name, "")) if rule.per else ():
                slot = Slot(name, rule, 1, apart=True)
                if len(keys_of(slot)) == len(rule.per):  # else it counted by others before
                    yield slot

    def _slot(self, rule: AnyRule, amount: int, keys: Mapping[str, str]) -> Slot:
        most = at_once(rule)
        where = f"budget of {self._account}, rule {rule.name!r}"
        if amount > most:
            raise ConfigurationError(f"{amount} at once is more than it ever allows ({most})", where=where)
        if missing := [key for key in rule.per if not isinstance(keys.get(key), str)]:
            raise ConfigurationError(f"the call must say its {', '.join(missing)} in keys, as text", where=where)
        return Slot(
            _key(self._account, rule.kind, rule.name, *(keys[key] for key in rule.per)),
            rule,
            amount,
            apart=bool(rule.per),
        )


def _key(*parts: str) -> str:
    r"""Return one name made of several, such that no others make the same: `|` in them is `\|`."""
    name = "|".join([part.replace("\\", "\\\\").replace("|", "\\|") for part in parts])
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()  # half characters fit no file


def keys_of(slot: Slot) -> dict[str, str]:
    """Return the values of the keys for which a meter counts; none: it has not as many as its rule."""
    _, _, _, *values = [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in _PART.findall(slot.key)]
    return dict(zip(slot.rule.per, values, strict=True)) if len(values) == len(slot.rule.per) else {}
