"""What `mdp breakers` and `mdp budgets` share: the running processes, orders to them, and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from market_data_pipeline.cli.options import Group, seconds, with_settings
from market_data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from market_data_pipeline.orchestration.orders import Action, Order
    from market_data_pipeline.orchestration.presence import ShownProcess

PATIENCE_NS: Final = 5_000_000_000
"""How long to wait until the running processes have taken an order."""
LOOK_NS: Final = 50_000_000
"""How often to look meanwhile."""
NOT_TAKEN: Final = 75
"""The exit code if one has not."""
WORDS: Final = {"open": "open", "disable": "disable", "reset": "reset", "warm": "end the cooldowns of"}

as_json_option: Final[Callable[..., Any]] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
expiry: Final[Callable[..., Any]] = click.option(
    "--for", "lasting", callback=seconds, metavar="TIME", help="End it after that: 90s, 10m, 1h."
)


class LookGroup(Group):
    """A group that shows something where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments apart.

        Returns:
            Those that are left for a command, if any.
        """
        return click.Group.parse_args(self, ctx, args)


def target_and_reason(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every order needs."""
    reason = click.option("--reason", required=True, metavar="TEXT", help="Why: shown wherever the order is.")
    return click.argument("target", metavar="PROVIDER[/OPERATION]")(reason(with_settings(function)))


def directory(settings: str | None, profile: str | None) -> Path:
    """Return the data directory that settings say.

    Raises:
        ConfigurationError: A setting is wrong.
    """
    from market_data_pipeline.settings import load_settings

    return load_settings(settings, profile=profile).settings.data_directory


def processes(home: Path) -> tuple[ShownProcess, ...]:
    """Return the running processes of a data directory."""
    from market_data_pipeline.orchestration.board import PROCESSES
    from market_data_pipeline.orchestration.presence import present

    return present(home / PROCESSES)


def nobody(running: Sequence[ShownProcess]) -> str:
    """Return why there is nothing to show."""
    return f"{len(running)} running, and none has called a vendor" if running else "no process runs"


def orders_in_force(home: Path) -> tuple[Order, ...]:
    """Return the orders of a data directory that processes which start now come up with."""
    from market_data_pipeline.clock import SystemClock
    from market_data_pipeline.orchestration.board import ORDERS
    from market_data_pipeline.orchestration.orders import Orders

    now = SystemClock().time_ns()
    return tuple(
        order for order in Orders(home / ORDERS).read() if order.action in {"open", "disable"} and order.in_force(now)
    )


def give(
    action: Action, target: str, *, reason: str, lasting: float | None, settings: str | None, profile: str | None
) -> None:
    """Write an order, wait until the running processes have taken it, and say which have.

    Raises:
        ConfigurationError: The target or the reason is none.
        click.exceptions.Exit: One of them has not.
    """
    import anyio

    from market_data_pipeline.clock import SystemClock
    from market_data_pipeline.orchestration.board import ORDERS
    from market_data_pipeline.orchestration.orders import Order, Orders

    provider, slash, operation = target.partition("/")
    if slash and not operation:
        raise ConfigurationError("write PROVIDER or PROVIDER/OPERATION", where=repr(target))
    home, now = directory(settings, profile), SystemClock().time_ns()
    until = None if lasting is None else now + round(lasting * 1e9)
    order = Order(action=action, provider=provider, operation=operation, reason=reason, at=now, until=until)
    order = Orders(home / ORDERS).write(order)
    running = anyio.run(_taken, home, order)
    end = "" if order.until is None else f" until {when(order.until)}"
    click.echo(f"{WORDS[order.action]} {order.target}{end}: {order.reason}")
    for process in running:
        taken = process.taken >= order.at
        click.echo(f"  {_name(process)}: {_did(process, order) if taken else 'has not taken it: is it stopped?'}")
    if not running:
        lasts = order.action in {"open", "disable"}
        rest = "those that start while it is in force come up with it" if lasts else "there is nothing to reset"
        click.echo(f"  no process runs with the data directory {home}; {rest}")
    if any(process.taken < order.at for process in running):
        raise click.exceptions.Exit(NOT_TAKEN)


async def _taken(home: Path, order: Order) -> tuple[ShownProcess, ...]:
    from market_data_pipeline.clock import SystemClock

    clock = SystemClock()
    deadline = clock.monotonic_ns() + PATIENCE_NS
    while True:
        running = processes(home)
        now = clock.monotonic_ns()
        if now >= deadline or all(process.taken >= order.at for process in running):
            return running
        await clock.sleep_until(now + LOOK_NS)


def _did(process: ShownProcess, order: Order) -> str:
    accounts = [account for account in process.accounts if account.provider == order.provider]
    if order.action == "warm":
        return "done" if accounts else f"done; it has not called {order.provider}"
    count = sum(
        order.covers(account.provider, breaker.status.operation) for account in accounts for breaker in account.breakers
    )
    return f"done, breakers: {count}" if count else f"taken; it has not called {order.target}"


def _name(process: ShownProcess) -> str:
    return f"pid {process.pid} ({process.program})"


def when(nanos: int | None) -> str:
    """Return a time in UTC, to the second."""
    return "" if nanos is None else f"{datetime.fromtimestamp(nanos // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def print_json(data: Any) -> None:
    """Print plain data and frozen objects as JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; what is not printable in it becomes a blank."""
    lines = [[_plain(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def _plain(cell: object) -> str:
    return "".join(character if character.isprintable() else " " for character in str(cell))
