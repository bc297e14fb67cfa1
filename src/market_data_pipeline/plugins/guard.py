"""The guard: what a plugin's own code raises becomes one of our errors, so that it stops that plugin alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from market_data_pipeline.errors import PluginError

__all__ = ["cure", "describe", "guard"]


def describe(error: BaseException) -> str:
    """Return the type and the first line of the text of an error, even where its `__str__` fails."""
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - a stranger's __str__
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def guard(what: str, wrapper: type[PluginError], *, plugin: str) -> Iterator[None]:
    """Run a plugin's code: wrap what it raises, `SystemExit` too, for a plugin must not end the program.

    `KeyboardInterrupt` and cancellation pass, and so do our own errors about plugins.

    Raises:
        PluginError: A `wrapper` whose text begins with `what`.
    """
    try:
        yield
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise wrapper(f"{what} raised {describe(error)}", plugin=plugin, cure=cure(error)) from error


def cure(error: BaseException) -> str:
    """Return what to do about an exception of a plugin's code, where its type says it."""
    match error:
        case ModuleNotFoundError(name=str(name)):
            return f"install what has the module {name} into this environment"
        case SyntaxError(filename=str(file), lineno=int(line)):
            return f"see {file}:{line}; install a version of it that is made for this Python"
        case _:
            return ""
