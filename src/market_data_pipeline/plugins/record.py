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

__all__ = ["PluginRecord", "Reason", "State", "reason_of"]

State: TypeAlias = Literal["found", "loaded", "failed"]
Reason: TypeAlias = Literal["disabled", "metadata", "conflict", "incompatible", "import", "contract"]

_ERRORS: Final[dict[Reason, type[PluginError]]] = {
    "conflict": PluginConflict,
    "contract": PluginContractError,
    "incompatible": PluginIncompatible,
    "import": PluginLoadError,
    "metadata": PluginLoadError,
    "disabled": PluginLoadError,
}
_LOOK: Final = "run `mdp plugins doctor`"


def reason_of(error: PluginError) -> Reason:
    """Return the reason that an error of a plugin's own code stands for."""
    return next((reason for reason, kind in _ERRORS.items() if isinstance(error, kind)), "import")


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
    stale: tuple[str, ...] = ()
    """Metadata of other versions of the distribution that lies further back on the path: `VERSION in PATH`."""
    state: State = "found"
    reason: Reason | None = None
    """Why it failed."""
    cause: str = ""
    """What went wrong."""
    cure: str = ""
    """What to run or edit."""
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

    def failed(self, reason: Reason, what: str, cure: str = "", cause: BaseException | None = None) -> PluginRecord:
        """Return the record of the same plugin, failed."""
        distribution = f"{self.distribution} {self.version}".strip()
        entry = f", entry point {self.value}" if self.value else ""
        steps = [cure, "" if reason == "disabled" else _LOOK]
        exception = _ERRORS[reason](
            f"plugin {self.name!r} ({distribution}{entry}) cannot be used: {what}",
            plugin=self.name,
            cure="; ".join(filter(None, steps)),
        )
        exception.__cause__ = cause
        return attrs.evolve(self, state="failed", reason=reason, cause=what, cure=cure, exception=exception)
