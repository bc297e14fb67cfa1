"""`mdp budgets`: what vendors allow, how much of it is taken, who waits, and the end of cooldowns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from market_data_pipeline.cli.options import common, with_settings
from market_data_pipeline.cli.orders import (
    LookGroup,
    as_json_option,
    directory,
    give,
    nobody,
    print_json,
    print_table,
    processes,
    target_and_reason,
    when,
)
from market_data_pipeline.errors import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from market_data_pipeline.orchestration.presence import ShownAccount, ShownProcess, ShownRule

WIDEST: Final = 40
"""How much of a key's values a table shows, characters."""


@click.group(cls=LookGroup, invoke_without_command=True, short_help="Show budgets, who waits, and end cooldowns.")
@as_json_option
@with_settings
@common
@click.pass_context
def budgets(context: click.Context, /, *, as_json: bool, no_plugins: bool, **chosen: Any) -> None:  # noqa: ARG001
    """Show each account of all running processes with this data directory: its rules, what is taken, what rests."""
    if context.invoked_subcommand is not None:
        return
    home = directory(**chosen)
    running = processes(home)
    if as_json:
        print_json(
            [
                {"pid": process.pid, "program": process.program, **_without(account, "breakers", "waits")}
                for process, account in _accounts(running)
            ]
        )
        return
    rows = [row for process, account in _accounts(running) for row in _rows(process, account)]
    if rows:
        print_table(["PID", "ACCOUNT", "RULE", "TAKEN", "LIMIT", "COUNTS", "UNTIL", "WAITING", "IN FLIGHT"], rows)
    else:
        click.echo(f"mdp: no accounts: {nobody(running)}; data directory {home}", err=True)


@budgets.command()
@click.argument("provider", required=False)
@as_json_option
@with_settings
@common
def explain(*, provider: str | None, as_json: bool, no_plugins: bool, **chosen: Any) -> None:  # noqa: ARG001
    """Show who waits, for which rule, since when and until when at least."""
    home = directory(**chosen)
    running = processes(home)
    found = [
        (process, wait)
        for process, account in _accounts(running)
        if provider in {None, account.provider, account.name}
        for wait in account.waits
    ]
    if as_json:
        print_json(
            [
                {"pid": process.pid, "program": process.program, "since": wait.since, "until": wait.until}
                | _without(wait.waits, "waited_ns", "left_ns")
                for process, wait in found
            ]
        )
        return
    if not found:
        click.echo(f"mdp: nobody waits{_why(provider, running, home)}", err=True)
        return
    print_table(
        ["PID", "ACCOUNT", "OPERATION", "KEYS", "COST", "TENANT", "PRIORITY", "SINCE", "RULE", "UNTIL"],
        [
            (
                process.pid,
                wait.waits.account,
                wait.waits.operation,
                ",".join(f"{key}={value}" for key, value in wait.waits.keys.items()),
                wait.waits.cost,
                wait.waits.tenant,
                wait.waits.priority,
                when(wait.since),
                wait.waits.rule or "those before it",
                when(wait.until) or "given back",
            )
            for process, wait in found
        ],
    )


@budgets.command()
@target_and_reason
@common
def reset(*, target: str, no_plugins: bool, **chosen: Any) -> None:
    """End the cooldowns of a provider, or of one kind of call, and lift shrunk rates; what was used stays used."""
    give("warm", target, lasting=None, no_plugins=no_plugins, **chosen)


def _why(provider: str | None, running: tuple[ShownProcess, ...], home: Path) -> str:
    """Return why nobody waits, where that is not because all goes well."""
    called = {name for _, account in _accounts(running) for name in (account.provider, account.name)}
    if not called:
        return f": {nobody(running)}; data directory {home}"
    if provider not in {None, *called}:
        return f": no running process has called {provider!r}; {nearest(str(provider), called)}"
    return ""


def _accounts(running: tuple[ShownProcess, ...]) -> Iterator[tuple[ShownProcess, ShownAccount]]:
    return ((process, account) for process in running for account in process.accounts)


def _rows(process: ShownProcess, account: ShownAccount) -> Iterator[tuple[object, ...]]:
    head = process.pid, account.name
    tail = account.waiting, account.in_flight
    for rule in account.rules:
        yield (
            *head,
            rule.name,
            account.trouble or _taken(rule),
            "" if rule.limit is None else rule.limit,
            _counts(rule),
            "",
            *tail,
        )
    for rest in account.rests:
        rate = f"at most {rest.rate:.3g}/s" if rest.rate else ""
        yield *head, "cooldown", rest.operation or "all", "", rate, when(rest.until), *tail
    if not account.rules and not account.rests:
        yield *head, "none", "", "", "", "", *tail


def _taken(rule: ShownRule) -> str:
    """Return how much of a rule is taken; by keys: of how many, and of which most."""
    usage = rule.usage
    if usage is None:
        return "by key"  # of a process of an earlier version
    if not rule.per:
        return str(usage.used)
    if not usage.keys:
        return "no keys"
    fullest = ",".join(usage.keys[0].keys.values())
    if len(fullest) > WIDEST:
        fullest = f"{fullest[: WIDEST - 3]}..."
    count = f"{len(usage.keys)}{'+' if usage.is_partial else ''} key{'s' if len(usage.keys) > 1 else ''}"
    return f"{count}, most {fullest} {usage.used}"


def _counts(rule: ShownRule) -> str:
    """Return in a few words what a rule counts."""
    time = "" if rule.period_ns is None else f" {rule.period_ns / 1e9:g} s"
    holders = 0 if rule.usage is None else len(rule.usage.holders)
    held = f", by {holders} holders" if holders > 1 else ""
    per = f" per {', '.join(rule.per)}" if rule.per else ""
    return f"{rule.kind}{time}{per}{held}"


def _without(what: Any, *names: str) -> dict[str, Any]:
    import attrs

    return attrs.asdict(what, recurse=False, filter=lambda field, _: field.name not in names)
