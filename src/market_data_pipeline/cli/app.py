"""`mdp` itself: its commands, and what an error looks like to who typed one.

Exit codes: 0 ok, 1 failure, 2 a mistake in what was typed, configured or installed, 3 rows not delivered, 130 and 143
ended at once by a second SIGINT or SIGTERM.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import click

from market_data_pipeline.cli.bars import bars
from market_data_pipeline.cli.config import config
from market_data_pipeline.cli.conformance import conformance
from market_data_pipeline.cli.options import Unfinished
from market_data_pipeline.cli.plugin_commands import PluginCommandFailed, RootGroup
from market_data_pipeline.cli.plugins import plugins
from market_data_pipeline.cli.run import run
from market_data_pipeline.cli.stream import stream
from market_data_pipeline.errors import (
    CapabilityNotSupported,
    ConfigurationError,
    InvalidRequest,
    MarketDataError,
    PluginError,
    UnknownSymbol,
)

MISTAKES = (ConfigurationError, PluginError, InvalidRequest, CapabilityNotSupported, UnknownSymbol)
"""What is to be mended where it was written or installed; trying again is of no use."""


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Plugins may add commands: `mdp NAME --help`, where NAME is one that `mdp plugins list` shows.",
)
@click.version_option(package_name="market-data-pipeline", message="mdp %(version)s")
def commands() -> None:
    """Market data from installed provider plugins, through operators, into bars and files."""


commands.add_command(bars)
commands.add_command(config)
commands.add_command(conformance)
commands.add_command(plugins)
commands.add_command(run)
commands.add_command(stream)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What stands behind `mdp`; that of this process unless given.

    Returns:
        The exit code.
    """
    if arguments is not None:
        return _run(arguments)
    code = _run(sys.argv[1:])
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        os._exit(code)  # such as one that waits for ever in a write; the interpreter would wait for it
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        with commands.make_context("mdp", list(arguments)) as context:
            commands.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, who typed the command gets one clear message
        return _report(error)
    return 0


def _report(error: Exception) -> int:
    import logging

    logging.getLogger(__name__).debug("the command failed", exc_info=error)
    message, code = _explain(error)
    with suppress(OSError):
        click.echo(f"mdp: error: {message}", err=True)
    return code


def _explain(error: Exception, *, show: str = "--debug") -> tuple[str, int]:
    """Return the message and the exit code."""
    if isinstance(error, PluginCommandFailed):
        message, code = _explain(error.error, show="MDP_DEBUG=1")
        message = f"plugin {error.plugin!r}: {message}"
    elif isinstance(error, click.ClickException):
        message, code = _usage(error), error.exit_code
    elif isinstance(error, Unfinished):
        message, code = str(error), error.exit_code
    elif isinstance(error, MarketDataError):
        message, code = str(error), 2 if isinstance(error, MISTAKES) else 1
    elif isinstance(error, ExceptionGroup):
        message, code = "; ".join(map(str, error.exceptions)), 1
    elif isinstance(error, OSError):
        message, code = str(error), 1
    else:
        message, code = f"{type(error).__name__}: {error}; this is a bug, {show} shows where", 1
    return message, code


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message += f" (see `{error.ctx.command_path} --help`)"
    return message


def _forget_stdout() -> None:
    """Lead what is still in the buffer to nowhere: the interpreter flushes it at its end, and would complain."""
    from pathlib import Path

    with Path(os.devnull).open("wb") as nowhere, suppress(OSError, ValueError):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
