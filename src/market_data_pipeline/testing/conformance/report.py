"""What becomes of each check of some suites, run by pytest without anything that surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias

import attrs
import pytest

from market_data_pipeline.testing.conformance.declared import Suite

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]

_OPTIONS: Final = ("--noconftest", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:logging")
_PREFIX: Final = "Test"
"""Begins the names of classes that pytest takes for tests."""

_SAID: Final = (AssertionError, pytest.fail.Exception, pytest.skip.Exception)
"""What a check itself raises: its text says all."""


@attrs.frozen(kw_only=True)
class Checked:
    """One check, and what became of it."""

    suite: str
    subject: str
    """What was checked, such as "provider acme"."""
    check: str
    outcome: Outcome
    message: str
    """Why it failed, with what to do, or why it was skipped."""
    seconds: float


def run_suites(suites: Sequence[Suite], *, tell: Callable[[Checked], None]) -> list[Checked]:
    """Run suites in this process, and tell of each check when it is done.

    No configuration file, `conftest.py`, plugin or variable of pytest has any part in it.

    Returns:
        What became of all checks.

    Raises:
        KeyboardInterrupt: Somebody interrupted it.
        RuntimeError: pytest itself failed.
        Exception: What `tell` raises; no further check is run then.
    """
    observer = _Observer(suites, tell)
    with TemporaryDirectory(prefix="mdp-conformance-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            patch.delenv(name, raising=False)
        configuration, module = Path(folder, "pytest.ini"), Path(folder, "suites.py")
        configuration.write_text("[pytest]\n", encoding="utf-8")
        module.touch()
        code = pytest.main([*_OPTIONS, "-c", str(configuration), str(module)], plugins=[observer])
    if observer.error is not None:
        raise observer.error
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"pytest ended with {code!r}")
    return observer.done


class _Observer:
    """A plugin of pytest that gives it the suites, and keeps what it says of them."""

    def __init__(self, suites: Sequence[Suite], tell: Callable[[Checked], None]) -> None:
        self.done: list[Checked] = []
        self.error: Exception | None = None
        self._module = ModuleType("suites")
        self._subjects: dict[type, str] = {}
        self._tell = tell
        for number, (subject, suite) in enumerate(suites):
            setattr(self._module, f"{_PREFIX}{number}", suite)
            self._subjects[suite] = subject
        self._begin()

    def _begin(self) -> None:
        self._outcome: Outcome = "passed"
        self._message = ""
        self._seconds = 0.0

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        """Take the suites for what stands in the file."""
        module: pytest.Module = pytest.Module.from_parent(parent, path=module_path)
        module.obj = self._module
        return module

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Function, call: pytest.CallInfo[None]) -> None:
        """Keep what became of setup, call or teardown; tell of the check after the last."""
        self._seconds += call.duration
        if call.excinfo is not None and self._outcome != "failed":
            error = call.excinfo.value
            self._outcome = "skipped" if isinstance(error, pytest.skip.Exception) else "failed"
            self._message = str(error) if isinstance(error, _SAID) else f"{type(error).__name__}: {error}"
        if call.when == "teardown":
            self._end(item)

    def _end(self, item: pytest.Function) -> None:
        suite: Any = item.cls
        checked = Checked(
            suite=suite.__bases__[0].__name__,
            subject=self._subjects[suite],
            check=item.name,
            outcome=self._outcome,
            message=self._message,
            seconds=round(self._seconds, 3),
        )
        self._begin()
        self.done.append(checked)
        try:
            self._tell(checked)
        except Exception as error:  # noqa: BLE001 - such as a reader that went away; pytest would make a report of it
            self.error = error
            item.session.shouldstop = "nobody listens"
