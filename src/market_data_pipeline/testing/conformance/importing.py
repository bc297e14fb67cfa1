"""What a fresh process has after it loaded one plugin that it had not before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Final

import attrs

LOAD: Final = """
import json, logging, os, sys, threading
name, sys.path[:] = sys.argv[1], json.loads(sys.argv[2])
from market_data_pipeline.plugins import PluginHost, PluginHooks, ProviderSpec
import importlib.metadata

def descriptors():
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = []
    for each in os.listdir(folder):
        try:
            found.append(each + " is " + os.readlink(folder + "/" + each))
        except OSError:
            pass
    return {each for each in found if not each.endswith("/fd")}

def handlers():
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return {f"{type(each).__name__} of {log.name}" for log in loggers for each in log.handlers
            if not isinstance(each, logging.NullHandler)}

def now():
    threads = {each.name for each in threading.enumerate()}
    return {"modules": set(sys.modules), "threads": threads, "descriptors": descriptors(), "handlers": handlers()}

host = PluginHost()
host.discover()
before = now()
record = host.load(name)
after = now()
found = {key: sorted(after[key] - before[key]) for key in after}
print(json.dumps(found | {"state": record.state, "error": record.error}), file=sys.__stdout__, flush=True)
os._exit(0)
"""
"""Ends hard: a thread that the plugin began must not keep it waiting."""

LIMIT_S: Final = 60.0


@attrs.frozen(kw_only=True)
class Imported:
    """What loading a plugin brought along."""

    modules: Sequence[str]
    threads: Sequence[str]
    descriptors: Sequence[str]
    handlers: Sequence[str]
    state: str
    error: str
    """What went wrong, and what to do."""
    output: str
    """What was printed."""


@cache
def imported(plugin: str, path: tuple[str, ...]) -> Imported:
    """Load a plugin by its entry-point name in a fresh process, once for each path.

    Returns:
        What that brought along.

    Raises:
        AssertionError: The process did not live to tell.
    """
    command = [sys.executable, "-c", LOAD, plugin, json.dumps(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise AssertionError(
            f"loading {plugin} takes more than {LIMIT_S:g} s: import only what its specs need, and name factories "
            "and settings as 'package.module:name'"
        ) from error
    *printed, last = done.stdout.splitlines() or [""]
    if not last.startswith("{"):
        raise AssertionError(
            f"loading {plugin} ended its process with {done.returncode}: {done.stderr[-2_000:]}: a module of a plugin "
            "defines, and does nothing"
        )
    return Imported(**json.loads(last), output="\n".join(printed) + done.stderr)
