"""Two processes that count by other numbers for one rule of one account, where they share what was used."""

from __future__ import annotations

import logging

from market_data_pipeline.contracts.budget import AnyRule
from market_data_pipeline.contracts.budget_check import described
from market_data_pipeline.pacing.feedback import Feedback
from market_data_pipeline.pacing.store import Slot

_log = logging.getLogger("market_data_pipeline.pacing")


class Disagreements:
    """Says so once for each rule: they turn its meter back each time, and it forgets what the other still needs."""

    def __init__(self) -> None:
        self._ours: dict[
            str, AnyRule
        ] = {}  # the rules to which meters were turned here, those that count by key left out
        self._told: set[str] = set()

    def turned(self, slot: Slot, before: AnyRule | Feedback) -> None:
        """Note that a meter goes on under the rule of a slot, which counted for another one before."""
        rule = slot.rule
        if slot.apart or isinstance(rule, Feedback) or isinstance(before, Feedback):
            return
        if self._ours.get(slot.key) == rule and slot.key not in self._told:  # nobody here has turned it back
            self._told.add(slot.key)
            _log.warning(
                "another process has %s for %s, and this one %s: together they let out more than either allows; give"
                " all that share the data directory the same settings and plugins",
                described(before),
                slot.key,
                described(rule),
            )
        self._ours[slot.key] = rule
