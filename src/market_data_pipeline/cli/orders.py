"""What `mdp breakers` and `mdp budgets` share: the running processes, orders to them, and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from market_data_pipeline.cli.options import Group, looking_host, seconds, with_settings
from market_data_pipeline.errors import ConfigurationError, MarketDataError, PluginNotFound, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from market_data_pipeline.orchestration.orders import Action, Order, Orders
    from market_data_pipeline.orchestration.presence import ShownProcess

PATIENCE_NS: Final = 5_000_000_000
"""How long to wait until the running processes have taken an order."""
LOOK_NS: Final = 50_000_000
"""How often to look meanwhile."""
NOT_TAKEN: Final = 75
"""The exit code if one has not."""
LASTING: Final = {"open", "disable"}
"""What holds until something ends it."""
UNREADABLE: Final = (
    "%s cannot be read (%s): delete it, and its process writes it anew within about a second; if that does not help,"
    " the process is of another version of market-data-pipeline"
)
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


@contextmanager
def usable(home: Path) -> Iterator[None]:
    """Say what to do where the files of a data directory cannot be used.

    Raises:
        OSError: They cannot.
    """
    try:
        yield
    except OSError as error:
        raise OSError(
            f"what operators see and order in the data directory {home} cannot be read or written: {error}; it must be"
            " a folder on a local disk that this user may write: look at MDP__DATA_DIR, or --settings"
        ) from error


def processes(home: Path) -> tuple[ShownProcess, ...]:
    """Return the running processes of a data directory; of those that cannot be read there is a warning.

    Raises:
        OSError: They cannot be looked for.
    """
    running, strange = _look(home)
    for path, why in strange.items():
        _warn(UNREADABLE % (path, why))
    return running


def _look(home: Path) -> tuple[tuple[ShownProcess, ...], dict[Path, str]]:
    """Return the running processes, and the files of those that cannot be read, with the reason."""
    from market_data_pipeline.orchestration.board import PROCESSES
    from market_data_pipeline.orchestration.presence import present

    strange: dict[Path, str] = {}
    with usable(home):
        return present(home / PROCESSES, strange), strange


def nobody(running: Sequence[ShownProcess]) -> str:
    """Return why there is nothing to show."""
    return f"{len(running)} running, and none has called a vendor" if running else "no process runs"


def orders_in_force(home: Path) -> tuple[Order, ...]:
    """Return the orders of a data directory that processes which start now come up with.

    Raises:
        OSError: They cannot be read.
    """
    from market_data_pipeline.orchestration.board import ORDERS
    from market_data_pipeline.orchestration.orders import Orders

    with usable(home):
        return _in_force(Orders(home / ORDERS))


def _in_force(orders: Orders) -> tuple[Order, ...]:
    from market_data_pipeline.clock import SystemClock

    now = SystemClock().time_ns()
    return tuple(order for order in orders.read() if order.action in LASTING and order.in_force(now))


def give(
    action: Action,
    target: str,
    *,
    reason: str,
    lasting: float | None,
    settings: str | None,
    profile: str | None,
    no_plugins: bool,
) -> None:
    """Write an order, wait until the running processes have taken it, and say which have.

    Raises:
        ConfigurationError: The target or the reason is none.
        OSError: It cannot be written.
        click.exceptions.Exit: One of them has not.
    """
    import anyio

    from market_data_pipeline.clock import SystemClock
    from market_data_pipeline.orchestration.board import ORDERS
    from market_data_pipeline.orchestration.orders import Order, Orders

    provider, slash, operation = target.partition("/")
    if not provider or (slash and not operation):
        raise ConfigurationError("write PROVIDER or PROVIDER/OPERATION", where=repr(target))
    home, now = directory(settings, profile), SystemClock().time_ns()
    until = None if lasting is None else now + round(lasting * 1e9)
    order = Order(action=action, provider=provider, operation=operation, reason=reason, at=now, until=until)
    _look(home)  # where that fails nothing is ordered
    with usable(home):
        orders = Orders(home / ORDERS)
        before = _in_force(orders)
        order = orders.write(order)
        ended = set(before) - set(_in_force(orders))
    running, strange = anyio.run(_taken, home, order)
    end = "" if order.until is None else f" until {when(order.until)}"
    click.echo(f"{WORDS[order.action]} {order.target}{end}: {order.reason}")
    for old in sorted(ended, key=lambda old: old.at):
        click.echo(f"  in place of: {old.action} {old.target}, given {when(old.at)}: {old.reason}")
    for process in running:
        taken = process.taken >= order.at
        click.echo(f"  {_name(process)}: {_did(process, order) if taken else 'has not taken it: is it stopped?'}")
    for path, why in strange.items():
        click.echo(f"  a process has perhaps not taken it: {UNREADABLE % (path, why)}")
    if not running and not strange:
        rest = "those that start while it is in force come up with it"
        if order.action not in LASTING:
            rest = f"there is nothing {'else ' if ended else ''}to reset"
        click.echo(f"  no process runs with the data directory {home}; {rest}")
    _doubt(order, running, settings, profile, no_plugins=no_plugins)
    if strange or any(process.taken < order.at for process in running):
        raise click.exceptions.Exit(NOT_TAKEN)


def _doubt(
    order: Order, running: Sequence[ShownProcess], settings: str | None, profile: str | None, *, no_plugins: bool
) -> None:
    """Warn of an order to a provider that nobody knows: it may be misspelt."""
    from market_data_pipeline.settings import load_settings

    if any(account.provider == order.provider for process in running for account in process.accounts):
        return
    plugins = load_settings(settings, profile=profile).settings.plugins
    try:
        looking_host(plugins, no_plugins=no_plugins).provider_or_source(order.provider)
    except PluginNotFound as error:
        cure = f": `mdp breakers reset {order.provider} --reason TEXT` takes it back" if order.action in LASTING else ""
        _warn(f"{error}; unless a program registers it, the order is about nothing{cure}")
    except MarketDataError:
        pass  # it is installed


async def _taken(home: Path, order: Order) -> tuple[tuple[ShownProcess, ...], dict[Path, str]]:
    """Return the running processes when all have taken an order, or patience is at its end; and what cannot be read."""
    from market_data_pipeline.clock import SystemClock

    clock = SystemClock()
    deadline = clock.monotonic_ns() + PATIENCE_NS
    while True:
        running, strange = _look(home)
        now = clock.monotonic_ns()
        if now >= deadline or (not strange and all(process.taken >= order.at for process in running)):
            return running, strange
        await clock.sleep_until(now + LOOK_NS)


def _did(process: ShownProcess, order: Order) -> str:
    accounts = [account for account in process.accounts if account.provider == order.provider]
    called = {breaker.status.operation for account in accounts for breaker in account.breakers}
    called |= {rest.operation for account in accounts for rest in account.rests if rest.operation}
    if not accounts:
        return f"taken; it has not called {order.provider}"
    if order.operation and order.operation not in called:
        return f"taken; it shows no call of {order.target}: {nearest(order.operation, called)}"
    if order.action == "warm":
        return "done"
    count = sum(
        order.covers(account.provider, breaker.status.operation) for account in accounts for breaker in account.breakers
    )
    return f"done, breakers: {count}"


def _name(process: ShownProcess) -> str:
    return f"pid {process.pid} ({process.program})"


def _warn(text: str) -> None:
    import logging

    logging.getLogger(__name__).warning("%s", text)


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
