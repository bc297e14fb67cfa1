"""The record of a plugin: what its metadata says and what became of it."""

from __future__ import annotations

from traceback import format_exception
from typing import Final, Literal, TypeAlias

import attrs

from market_data_pipeline.errors import (
    PluginConflict,
    PluginContractError,
    PluginError,
    PluginIncompatible,
    PluginLoadError,
)

__all__ = ["PluginRecord", "Reason", "State"]

State: TypeAlias = Literal["found", "loaded", "failed"]
Reason: TypeAlias = Literal["disabled", "metadata", "conflict", "incompatible", "import", "contract"]

_ERRORS: Final[dict[Reason, type[PluginError]]] = {
    "disabled": PluginLoadError,
    "metadata": PluginLoadError,
    "conflict": PluginConflict,
    "incompatible": PluginIncompatible,
    "import": PluginLoadError,
    "contract": PluginContractError,
}


@attrs.frozen(kw_only=True)
class PluginRecord:
    """One entry point of one installed distribution, or one distribution whose metadata is damaged."""

    name: str
    """The entry-point name; of damaged metadata that names none, the distribution's."""
    value: str = ""
    """What the entry point names: `package.module:name`."""
    distribution: str
    version: str = ""
    path: str = ""
    """Where its metadata is."""
    state: State = "found"
    reason: Reason | None = None
    """Why it failed."""
    exception: PluginError | None = attrs.field(default=None, repr=False)
    """What is raised for who asks for it; its cause is the plugin's own exception."""
    load_ns: int | None = None
    """How long its import and hooks took, ns."""

    @property
    def error(self) -> str:
        """What went wrong and what to do next, or nothing."""
        return str(self.exception or "")

    @property
    def traceback(self) -> str:
        """The traceback of the plugin's own exception, or nothing."""
        cause = self.exception and self.exception.__cause__
        return "".join(format_exception(cause)) if cause else ""

    @property
    def is_wrong(self) -> bool:
        """Whether it failed, and not because somebody disabled it."""
        return self.state == "failed" and self.reason != "disabled"

    def failed(self, reason: Reason, what: str, cause: BaseException | None = None) -> PluginRecord:
        """Return the record of the same plugin, failed."""
        distribution = f"{self.distribution} {self.version}".strip()
        entry = f", entry point {self.value}" if self.value else ""
        next_step = "" if reason == "disabled" else "; run `mdp plugins doctor`"
        exception = _ERRORS[reason](
            f"plugin {self.name!r} ({distribution}{entry}) cannot be used: {what}{next_step}", plugin=self.name
        )
        exception.__cause__ = cause
        return attrs.evolve(self, state="failed", reason=reason, exception=exception)
