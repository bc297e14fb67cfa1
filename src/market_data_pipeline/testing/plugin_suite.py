"""The suite for a plugin as it is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from typing import Any, ClassVar

from market_data_pipeline.plugins import PluginHost, PluginRecord, ProviderSpec
from market_data_pipeline.testing.services import FakeServices

HEAVY = frozenset({"aiohttp", "httpx", "numpy", "pandas", "polars", "pyarrow", "pydantic", "requests", "websockets"})
"""What the import of an entry point must not bring along."""

_SECRET = re.compile(r"api_?key|secret|token|password", re.IGNORECASE)

_PROBE = """
import asyncio, atexit, importlib, json, logging, os, signal, sys, threading
def seen():
    fds = "/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"
    handlers = {name: signal.getsignal(name) for name in signal.valid_signals()}
    return {"thread": threading.active_count(), "descriptor": len(os.listdir(fds)), "environment": dict(os.environ),
            "logging handler": len(logging.getLogger().handlers), "signal handler": list(map(str, handlers.values())),
            "exit function": atexit._ncallbacks()}
import market_data_pipeline.plugins, market_data_pipeline.contracts, market_data_pipeline.plugins.hookspecs
before = seen()
importlib.import_module(sys.argv[1])
after = seen()
print("\\n" + json.dumps({"started": [name for name in before if before[name] != after[name]],
                  "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


class PluginConformance:
    """What holds for every installed plugin. Subclass it and name the entry point.

    Example::

        class TestPlugin(PluginConformance):
            plugin = "acme"
            settings = {"api_key": "a-secret"}
            secrets = ("api_key",)
    """

    plugin: ClassVar[str]
    """The entry-point name."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings that a provider can be made with; those named in `secrets` must never be shown."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Fields of the settings that are secret."""

    def test_it_loads(self) -> None:
        """The entry point is installed, and the hooks keep the contract."""
        record = self._host().load(self.plugin)
        assert record.state == "loaded", record.error

    def test_it_depends_on_one_major_of_the_core(self) -> None:
        """The distribution requires the core with an upper bound."""
        wanted = distribution(self._record().distribution).requires or []
        core = [line for line in wanted if re.match(r"market[-_.]data[-_.]pipeline(?![\w.-])", line, re.IGNORECASE)]
        assert any("<" in line or "~=" in line for line in core), (
            f"{core or 'no dependency on the core'}: depend on market-data-pipeline>=2,<3"
        )

    def test_its_import_is_light(self) -> None:
        """Importing the entry point loads nothing heavy."""
        heavy = sorted(HEAVY.intersection(self._probe()["loaded"]))
        assert not heavy, f"importing the plugin loads {', '.join(heavy)}: name factories as 'package.module:name'"

    def test_its_import_starts_nothing(self) -> None:
        """Importing the entry point leaves no thread, descriptor, handler or changed environment behind."""
        started = self._probe()["started"]
        assert not started, f"work at import ({', '.join(started)}): do it in start()"

    def test_its_specs_resolve(self) -> None:
        """Every factory and settings model can be imported."""
        host = self._host()
        host.load(self.plugin)
        specs = host.specs(self.plugin)
        assert specs, f"plugin {self.plugin!r} offers nothing: yield a spec from mdp_providers"
        for spec in specs:
            spec.resolve_factory()
            spec.resolve_settings()

    def test_secrets_are_never_shown(self) -> None:
        """Neither settings nor provider show a secret, as text or in JSON; each field that sounds like one is named."""
        host = self._host()
        host.load(self.plugin)
        for spec in host.specs(self.plugin):
            model = spec.resolve_settings()
            if not isinstance(spec, ProviderSpec) or model is None:
                continue
            unlisted = [name for name in model.model_fields if _SECRET.search(name) and name not in self.secrets]
            assert not unlisted, f"{unlisted} sound secret: list them in {type(self).__name__}.secrets and settings"
            if not self.secrets:
                continue
            made = model(**self.settings)
            provider = spec.resolve_factory()(made, FakeServices())
            shown = [*map(repr, (made, provider)), *map(str, (made, provider)), made.model_dump_json()]
            leaked = [name for name in self.secrets for text in shown if str(self.settings[name]) in text]
            assert not leaked, f"secrets in repr: {leaked[0]} of {spec.name!r} is shown: make it a pydantic SecretStr"

    def _host(self) -> PluginHost:
        return PluginHost()

    def _record(self) -> PluginRecord:
        found = [record for record in self._host().records() if record.name == self.plugin]
        assert found, f"no entry point {self.plugin!r} is installed: `pip install -e .`, then `mdp plugins list`"
        return found[0]

    def _probe(self) -> Mapping[str, Any]:
        """Import the entry point's module in a fresh process and return what that brought along."""
        module = self._record().value.partition(":")[0]
        path = [f"import sys; sys.path[:] = {sys.path!r}", _PROBE]
        command = [sys.executable, "-c", "\n".join(path), module]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
        assert done.returncode == 0, f"importing {module} fails: {done.stderr}"
        report: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report
