"""The suite of what is installed: entry point, pins, import, specs and secrets."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from market_data_pipeline.contracts import MarketDataProvider, PlannedCall, check_budget
from market_data_pipeline.errors import MarketDataError, nearest
from market_data_pipeline.plugins import GROUP, AnySpec, PluginHost, ProviderSpec, SourceSpec
from market_data_pipeline.settings.secrets import MASK, is_hidden
from market_data_pipeline.testing.conformance.importing import Imported, imported
from market_data_pipeline.testing.conformance.running import run
from market_data_pipeline.testing.services import FakeServices

if TYPE_CHECKING:
    from pydantic import BaseModel

CORE = "market-data-pipeline"
HEAVY = frozenset({
    *("IPython", "aiohttp", "asyncio", "duckdb", "httpx", "matplotlib", "numpy", "pandas", "polars", "pyarrow"),
    *("pydantic", "requests", "scipy", "torch", "websockets"),
})  # fmt: skip
"""What takes long to import."""
SECRETIVE = re.compile(r"(^|_)(key|keys|secret|token|password|passphrase|credentials?)($|_)")
CANARY = "hush-4f1d0c7e"
"""What no text may contain."""


class PluginConformance:
    """Whether an installed plugin keeps the contract before anything is streamed.

    Subclass it, and say what is installed::

        class TestInstalled(PluginConformance):
            distribution = "market-data-acme"
            plugin = "acme"
            settings = {"port": 7007}

    Attributes:
        distribution: The name that `pip install` takes.
        plugin: The entry point's name.
        settings: What its settings model needs, but for secrets: those get a text that must not be seen again.
        heavy: Modules that loading must not import.
        limit: Seconds that a start with a wrong secret may take.
        calls: All that its providers ask of `Services.call`, to hold their budgets against; None: it is not said.
    """

    distribution: ClassVar[str]
    plugin: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    heavy: ClassVar[frozenset[str]] = HEAVY
    limit: ClassVar[float] = 10.0
    calls: ClassVar[Sequence[PlannedCall] | None] = None

    @pytest.fixture
    def imported(self) -> Imported:
        """Return what loading the plugin in a fresh process brings along; it is loaded there once."""
        return imported(self.plugin, tuple(sys.path))

    @pytest.fixture
    def specs(self) -> Sequence[AnySpec]:
        """Load the plugin here, and return its specs."""
        host = PluginHost()
        record = host.load(self.plugin)
        assert record.state == "loaded", record.error
        return host.specs(self.plugin)

    def test_entry_point_is_installed(self) -> None:
        """The distribution is installed and has the entry point."""
        names = [entry.name for entry in self._installed().entry_points if entry.group == GROUP]
        assert self.plugin in names, (
            f"{self.distribution} has no entry point {self.plugin!r} in {GROUP!r}, {nearest(self.plugin, names)}: add "
            f'it to [project.entry-points."{GROUP}"] and install it again'
        )

    def test_dependency_is_pinned(self) -> None:
        """It depends on the core within one major version."""
        pins = [text for text in self._installed().requires or () if re.match(rf"{CORE}\b(?!-)", text)]
        assert pins, f"{self.distribution} does not depend on {CORE}: add '{CORE}>=2,<3' to its dependencies"
        assert any("<" in pin.replace("<=", "") or "~=" in pin for pin in pins), (
            f"{self.distribution} depends on {pins[0]!r}, which takes the next major version too: write '{CORE}>=2,<3'"
        )

    def test_loads(self, imported: Imported) -> None:
        """It loads in a fresh process: the API that it needs is there, and its hooks return what they may."""
        assert imported.state == "loaded", imported.error

    def test_import_is_light(self, imported: Imported) -> None:
        """Loading it imports nothing heavy."""
        heavy = sorted(self.heavy & {module.partition(".")[0] for module in imported.modules})
        assert not heavy, (
            f"loading {self.plugin} imports {', '.join(heavy)}: name factories and settings as 'package.module:name', "
            "which are imported on first use, and import what is heavy inside functions"
        )

    @pytest.mark.parametrize("what", ["threads", "descriptors", "handlers"])
    def test_import_starts_nothing(self, imported: Imported, what: str) -> None:
        """Loading it starts no thread, opens no file or socket, and adds no handler to a logger."""
        found = getattr(imported, what)
        assert not found, (
            f"loading {self.plugin} leaves {what}: {', '.join(found)}: a module defines and does nothing; begin work "
            "in start() of the provider or source"
        )

    def test_import_prints_nothing(self, imported: Imported) -> None:
        """Loading it writes nothing to the terminal."""
        assert not imported.output, (
            f"loading {self.plugin} prints {imported.output[:200]!r}: remove it, or use services.log"
        )

    def test_specs_resolve(self, specs: Sequence[AnySpec]) -> None:
        """Each factory and settings model that its specs name can be imported and has the right form."""
        assert specs or PluginHost().commands(self.plugin), (
            f"{self.plugin} offers nothing: yield a spec from mdp_providers, or from another hook of PluginHooks"
        )
        for spec in specs:
            spec.resolve_factory()
            spec.resolve_settings()

    def test_budget_is_consistent(self, specs: Sequence[AnySpec]) -> None:
        """Each rule of a declared budget can be kept, and makes a call wait that no other rule does."""
        for spec in specs:
            if isinstance(spec, ProviderSpec):
                found = check_budget(spec.budget, held=spec.capabilities.held, calls=self.calls)
                assert not found, "\n".join(f"budget of {spec.name}, {finding}" for finding in found)

    def test_settings_are_strict(self, specs: Sequence[AnySpec]) -> None:
        """A misspelt setting is an error, and `identity` names settings that there are."""
        for spec, model in _models(specs):
            assert model.model_config.get("extra") == "forbid", (
                f"{model.__name__} takes unknown keys, so that a misspelt setting does nothing: set "
                'model_config = ConfigDict(extra="forbid")'
            )
            identity = spec.identity or () if isinstance(spec, ProviderSpec) else ()
            unknown = [name for name in identity if name not in model.model_fields]
            assert not unknown, (
                f"identity of {spec.name} names {', '.join(unknown)}, which {model.__name__} has not: "
                f"{nearest(unknown[0], model.model_fields)}"
            )

    def test_secrets_are_declared(self, specs: Sequence[AnySpec]) -> None:
        """A setting whose name is that of a secret has a secret's type."""
        for _, model in _models(specs):
            shown = [name for name in model.model_fields if SECRETIVE.search(name) and not is_hidden(model, (name,))]
            assert not shown, f"{model.__name__} shows {', '.join(shown)}: make it a pydantic.SecretStr"

    def test_secrets_are_not_shown(self, specs: Sequence[AnySpec]) -> None:
        """No secret is in the text or JSON of the settings, of what is made of them, or of the errors of its start."""
        for spec, model in _models(specs):
            secrets = [name for name in model.model_fields if is_hidden(model, (name,)) or SECRETIVE.search(name)]
            if not secrets:
                continue
            settings = model.model_validate({**dict.fromkeys(secrets, CANARY), **self.settings_of(spec)})
            for what, text in [*_texts(settings), *self._made(spec, settings)]:
                assert CANARY not in text, (
                    f"{what} of {spec.name} shows a secret: {text.replace(CANARY, MASK):.200}: keep secrets as "
                    "pydantic.SecretStr, and name the setting in a message, never its value"
                )

    def settings_of(self, spec: AnySpec) -> Mapping[str, Any]:  # noqa: ARG002 - for who overrides it
        """Return `settings`; override it where a plugin offers several providers or sources that need others."""
        return self.settings

    def _installed(self) -> Distribution:
        try:
            return distribution(self.distribution)
        except PackageNotFoundError:
            pytest.fail(f"{self.distribution} is not installed: run `pip install -e .` in its folder", pytrace=False)

    def _made(self, spec: AnySpec, settings: BaseModel) -> Iterable[tuple[str, str]]:
        """Return the texts of a provider of these settings, of its log, and of the errors of its start."""
        if not isinstance(spec, ProviderSpec):
            return []

        async def start(services: FakeServices) -> list[tuple[str, str]]:
            provider: MarketDataProvider = spec.resolve_factory()(settings, services)
            texts = [("the repr", repr(provider)), ("the text", str(provider))]
            try:
                await provider.start()
            except Exception as error:  # noqa: BLE001 (whatever it is, its text is looked at)
                texts += [("an error", text) for text in _chain(error)]
            finally:
                await provider.close()
            return texts + [("the log", record.getMessage()) for record in services.records]

        try:
            return run(start, virtual=False, limit=self.limit)
        except MarketDataError as error:
            return [("an error", text) for text in _chain(error)]


def _models(specs: Sequence[AnySpec]) -> Iterator[tuple[AnySpec, type[BaseModel]]]:
    for spec in specs:
        model = spec.resolve_settings()
        if model is not None and isinstance(spec, ProviderSpec | SourceSpec):
            yield spec, model


def _texts(settings: BaseModel) -> list[tuple[str, str]]:
    return [
        ("the repr of the settings", repr(settings)),
        ("the text of the settings", str(settings)),
        ("the JSON of the settings", settings.model_dump_json()),
    ]


def _chain(error: BaseException | None) -> Iterator[str]:
    """Yield the texts of an error and of what led to it."""
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__
