"""`mdp breakers`: the circuit breakers of the running processes, and orders to them."""

from __future__ import annotations

from typing import Any

import click

from market_data_pipeline.cli.options import common, with_settings
from market_data_pipeline.cli.orders import (
    LookGroup,
    as_json_option,
    directory,
    expiry,
    give,
    nobody,
    orders_in_force,
    print_json,
    print_table,
    processes,
    target_and_reason,
    when,
)


@click.group(cls=LookGroup, invoke_without_command=True, short_help="Show and override circuit breakers.")
@as_json_option
@with_settings
@common
@click.pass_context
def breakers(context: click.Context, /, *, as_json: bool, no_plugins: bool, **chosen: Any) -> None:  # noqa: ARG001
    """Show the circuit breakers of all running processes with this data directory, or override some."""
    if context.invoked_subcommand is not None:
        return
    home = directory(**chosen)
    running, orders = processes(home), orders_in_force(home)
    found = [
        (process, account, breaker)
        for process in running
        for account in process.accounts
        for breaker in account.breakers
    ]
    if as_json:
        rows = [
            {
                "pid": process.pid,
                "program": process.program,
                "account": account.name,
                "since": breaker.since,
                "until": breaker.until,
                "status": breaker.status,
            }
            for process, account, breaker in found
        ]
        print_json({"breakers": rows, "orders": orders})
        return
    if found:
        print_table(
            ["PID", "BREAKER", "STATE", "SINCE", "UNTIL", "CALLS", "FAILED", "REFUSED", "REASON"],
            [
                (
                    process.pid,
                    f"{account.name}/{breaker.status.operation}",
                    breaker.status.state,
                    when(breaker.since),
                    when(breaker.until) or ("reset" if breaker.refuses else ""),
                    breaker.status.calls,
                    breaker.status.failures,
                    breaker.status.rejected,
                    breaker.status.reason,
                )
                for process, account, breaker in found
            ],
        )
    else:
        click.echo(f"mdp: no breakers: {nobody(running)}; data directory {home}", err=True)
    for order in orders:
        end = f" until {when(order.until)}" if order.until else ""
        click.echo(f"in force: {order.action} {order.target}{end}, given {when(order.at)}: {order.reason}")


@breakers.command("open")
@target_and_reason
@expiry
@common
def force_open(*, target: str, no_plugins: bool, **chosen: Any) -> None:
    """Refuse all calls to a provider, or of one kind, until reset or for some time."""
    give("open", target, no_plugins=no_plugins, **chosen)


@breakers.command()
@target_and_reason
@expiry
@common
def disable(*, target: str, no_plugins: bool, **chosen: Any) -> None:
    """Let all calls through whatever fails, until reset or for some time."""
    give("disable", target, no_plugins=no_plugins, **chosen)


@breakers.command()
@target_and_reason
@common
def reset(*, target: str, no_plugins: bool, **chosen: Any) -> None:
    """Close breakers, forget their failures, and end what was ordered before."""
    give("reset", target, lasting=None, no_plugins=no_plugins, **chosen)
