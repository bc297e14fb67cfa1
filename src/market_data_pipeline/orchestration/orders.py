"""Orders of operators to the processes that share a data directory: one small file each, the newest for each target.

The newest order that covers a breaker decides about it, as long as it is in force. A file is written beside its place
and moved there, so that nobody reads half of one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs
import msgspec

from market_data_pipeline.contracts import SECOND_NS
from market_data_pipeline.errors import ConfigurationError

MOST: Final = 1_000
"""How many orders there may be."""
MOST_BYTES: Final = 16_384
"""So much of a file is read: a larger one is no order."""
LONGEST: Final = 500
"""How many characters a reason or a name may have."""
KEPT_NS: Final = 86_400 * SECOND_NS
"""How long an order is kept that happens once, for a process that is stopped meanwhile."""

Action: TypeAlias = Literal["open", "disable", "reset", "warm"]
"""Of a breaker: forced open, disabled, or closed; of a budget: its cooldowns end."""

_log = logging.getLogger("market_data_pipeline.orchestration")


@attrs.frozen(kw_only=True)
class Order:
    """What an operator wants."""

    action: Action
    provider: str
    operation: str = ""
    """Empty: all."""
    reason: str
    at: int
    """When it was given, int ns since the epoch, UTC; later than all that were given before."""
    until: int | None = None
    """When it ends by itself; None: when another one covers the same."""

    def __attrs_post_init__(self) -> None:
        for name in ("provider", "reason", "operation"):
            text = getattr(self, name)
            if not (text.strip() or name == "operation") or len(text) > LONGEST or not text.isprintable():
                raise ConfigurationError(f"must be 1 to {LONGEST} printable characters, not {text!r}", where=name)

    @property
    def target(self) -> str:
        """PROVIDER or PROVIDER/OPERATION."""
        return f"{self.provider}/{self.operation}" if self.operation else self.provider

    def covers(self, provider: str, operation: str) -> bool:
        """Tell whether it is about an operation, or about all of them if that is empty."""
        return self.provider == provider and self.operation in {"", operation}

    def in_force(self, now: int) -> bool:
        """Tell whether it has not ended, ns since the epoch."""
        return self.until is None or now < self.until


class Orders:
    """The orders of one data directory.

    Args:
        folder: Where their files are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._strange: dict[Path, str] = {}  # what is no order, and why: so that it is said once

    def read(self) -> tuple[Order, ...]:
        """Return all orders, the oldest first; what is no order is left out, with a warning.

        Raises:
            OSError: The folder cannot be read.
        """
        if not self._folder.exists():
            return ()
        said = dict(self._strange)
        self._strange.clear()
        found = [self._read(path, said.get(path, "")) for path in sorted(self._folder.glob("*.json"))[:MOST]]
        return tuple(sorted((order for order in found if order), key=lambda order: order.at))

    def write(self, order: Order) -> Order:
        """Give an order; it takes the place of those that it covers.

        Returns:
            It, with the time that makes it the newest one.

        Raises:
            ConfigurationError: There are too many.
            OSError: It cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        others = self._swept(order.at)
        if len(others) >= MOST:
            raise ConfigurationError(
                f"{MOST} orders are in force already: reset some, by provider", where=str(self._folder)
            )
        order = attrs.evolve(order, at=max([order.at, *(other.at + 1 for other in others)]))
        path = self._path(order)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(msgspec.json.encode(order))
        new.replace(path)
        for other in others:
            if _about(other) == _about(order) and order.covers(other.provider, other.operation):
                self._remove(other, unless=path)
        return order

    def _swept(self, now: int) -> Sequence[Order]:
        """Forget the orders that change nothing any more, and return the others."""
        orders = self.read()
        kept = []
        for order in orders:
            once = order.action in {"reset", "warm"}
            shields = any(other.at < order.at and other.covers(order.provider, order.operation) for other in orders)
            if not order.in_force(now) or (once and not shields and order.at < now - KEPT_NS):
                self._remove(order)
            else:
                kept.append(order)
        return kept

    def _read(self, path: Path, said: str) -> Order | None:
        """Return the order of a file; None: it is none, which is said unless that was `said` of it already."""
        try:
            with path.open("rb") as file:
                return msgspec.json.decode(file.read(MOST_BYTES), type=Order)
        except FileNotFoundError:
            return None  # another one has taken its place
        except (OSError, ConfigurationError, msgspec.MsgspecError) as error:
            self._strange[path] = str(error)
            if said != str(error):
                _log.warning(
                    "%s is left out, since it is no order: %s; delete it, and give the order again", path, error
                )
            return None

    def _path(self, order: Order) -> Path:
        name = blake2b("\0".join([_about(order), order.provider, order.operation]).encode(), digest_size=12).hexdigest()
        return self._folder / f"{name}.json"

    def _remove(self, order: Order, *, unless: Path | None = None) -> None:
        if (path := self._path(order)) != unless:
            path.unlink(missing_ok=True)


def newest(orders: Sequence[Order], provider: str, operation: str, now: int) -> Order | None:
    """Return the order that decides about a breaker at a time, ns since the epoch; of `orders`, the oldest first."""
    return next(
        (
            order
            for order in reversed(orders)
            if order.action != "warm" and order.covers(provider, operation) and order.in_force(now)
        ),
        None,
    )


def _about(order: Order) -> str:
    return "budget" if order.action == "warm" else "breaker"
