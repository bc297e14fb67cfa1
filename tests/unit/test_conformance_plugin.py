"""What the suite of installed plugins says of fake distributions that break one promise each."""

import sys

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from market_data_pipeline.contracts import Capabilities, MarketDataProvider, PlannedCall, Window
from market_data_pipeline.errors import AuthenticationFailed
from market_data_pipeline.plugins import ProviderSpec
from market_data_pipeline.testing import PluginConformance
from market_data_pipeline.testing.conformance.importing import imported


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Put a distribution on the path: `plugin(code, requires=...)` returns a suite for it."""

    def make(code="", *, requires="market-data-pipeline>=2,<3", group="market_data.providers"):
        module = f"market_data_fake_{tmp_path.name.replace('-', '_')}"
        info = tmp_path / f"{module}-1.0.0.dist-info"
        info.mkdir()
        lines = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0.0\n{lines}")
        (info / "entry_points.txt").write_text(f"[{group}]\nfake = {module}:plugin\n")
        body = (
            "from market_data_pipeline.plugins import PluginHooks\nclass Plugin(PluginHooks): pass\nplugin = Plugin()\n"
        )
        (tmp_path / f"{module}.py").write_text(body + code)
        monkeypatch.syspath_prepend(str(tmp_path))
        suite = PluginConformance()
        suite.distribution, suite.plugin = module, "fake"
        return suite

    return make


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({"group": "console_scripts"}, "test_entry_point_is_installed", "has no entry point 'fake'"),
        ({"requires": ""}, "test_dependency_is_pinned", "does not depend on market-data-pipeline"),
        ({"requires": "market-data-pipeline-extras<3"}, "test_dependency_is_pinned", "does not depend on"),
        ({"requires": "market-data-pipeline>=2"}, "test_dependency_is_pinned", "takes the next major version too"),
    ],
)
def test_what_metadata_lacks_is_named(plugin, options, name, message):
    with pytest.raises(AssertionError, match=message):
        getattr(plugin(**options), name)()


def test_a_good_distribution_passes(plugin):
    suite = plugin()
    suite.test_entry_point_is_installed()
    suite.test_dependency_is_pinned()


def test_one_that_is_not_installed_is_a_clear_failure():
    suite = PluginConformance()
    suite.distribution, suite.plugin = "market-data-nowhere", "nowhere"
    with pytest.raises(pytest.fail.Exception, match="is not installed: run `pip install -e"):
        suite.test_entry_point_is_installed()


@pytest.mark.parametrize(
    ("code", "check", "message"),
    [
        ("import numpy", lambda suite, found: suite.test_import_is_light(found), "imports numpy"),
        ("print('hello')", lambda suite, found: suite.test_import_prints_nothing(found), "prints 'hello'"),
        (
            "import logging; logging.getLogger('a').addHandler(logging.StreamHandler())",
            lambda suite, found: suite.test_import_starts_nothing(found, "handlers"),
            "leaves handlers: StreamHandler of a",
        ),
        (
            "kept = open(__file__)",
            lambda suite, found: suite.test_import_starts_nothing(found, "descriptors"),
            "leaves descriptors: .*market_data_fake_.*py",
        ),
        ("import nowhere_at_all", lambda suite, found: suite.test_loads(found), "nowhere_at_all"),
    ],
    ids=["heavy", "prints", "handlers", "descriptors", "import-error"],
)
def test_what_an_import_does_is_named(plugin, code, check, message):
    suite = plugin(code)
    found = imported("fake", tuple(sys.path))
    with pytest.raises(AssertionError, match=message):
        check(suite, found)


def test_a_plugin_that_ends_its_process_is_named(plugin):
    plugin("import os; os._exit(7)")
    with pytest.raises(AssertionError, match="ended its process with 7"):
        imported("fake", tuple(sys.path))


def test_a_plugin_that_offers_nothing_is_named(plugin):
    suite = plugin("class Empty(PluginHooks):\n    def mdp_providers(self):\n        return []\nplugin = Empty()\n")
    with pytest.raises(AssertionError, match="fake offers nothing"):
        suite.test_specs_resolve([])


class Provider(MarketDataProvider):
    capabilities = Capabilities()

    def __init__(self, settings, services):
        self.token = settings.token.get_secret_value()
        self.log = services.log


class Told(Provider):
    async def start(self):
        raise AuthenticationFailed(f"the vendor does not take {self.token}: check it")


class ToldByItsCause(Provider):
    async def start(self):
        raise AuthenticationFailed("the vendor does not take the token: check it") from ValueError(self.token)


class Logged(Provider):
    async def start(self):
        self.log.info("the token is %s", self.token)


class Quiet(Provider):
    async def start(self):
        raise AuthenticationFailed("the vendor does not take the token: check it")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: SecretStr


class Lax(BaseModel):
    token: SecretStr


class Shown(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: str


class Unshown(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: str = Field(repr=False)


def specs(settings=Strict, factory=Quiet, **options):
    return [ProviderSpec(name="fake", factory=factory, settings=settings, capabilities=Capabilities(), **options)]


def test_settings_that_take_anything_are_named():
    with pytest.raises(AssertionError, match="Lax takes unknown keys"):
        PluginConformance().test_settings_are_strict(specs(Lax))


def test_an_identity_of_unknown_settings_is_named():
    with pytest.raises(AssertionError, match="did you mean 'token'"):
        PluginConformance().test_settings_are_strict(specs(identity=("tokens",)))


def test_a_secret_without_its_type_is_named():
    with pytest.raises(AssertionError, match=r"Shown shows api_key: make it a pydantic\.SecretStr"):
        PluginConformance().test_secrets_are_declared(specs(Shown))


def test_json_of_settings_is_looked_at():
    def make(settings, services):
        return Quiet(Strict(token=settings.api_key), services)

    with pytest.raises(AssertionError, match="the JSON of the settings of fake shows a secret"):
        PluginConformance().test_secrets_are_not_shown(specs(Unshown, make))


@pytest.mark.parametrize(("factory", "what"), [(Told, "an error"), (ToldByItsCause, "an error"), (Logged, "the log")])
def test_a_secret_that_is_told_is_named_and_not_repeated(factory, what):
    with pytest.raises(AssertionError, match=f"{what} of fake shows a secret") as caught:
        PluginConformance().test_secrets_are_not_shown(specs(factory=factory))
    assert "hush" not in str(caught.value).partition("\n")[0]


def test_a_provider_that_keeps_its_secret_passes():
    suite = PluginConformance()
    for check in (suite.test_settings_are_strict, suite.test_secrets_are_declared, suite.test_secrets_are_not_shown):
        check(specs())
        check([])


def test_a_budget_that_cannot_be_meant_is_named():
    """RC-1."""
    rules = [Window(name="minute", limit=2, period_ns=60), Window(name="hour", limit=500, period_ns=3_600)]
    spec = ProviderSpec(name="fake", factory=dict, capabilities=Capabilities(), budget=rules)
    suite = PluginConformance()
    with pytest.raises(AssertionError, match="budget of fake, rule 'hour': no call ever waits for it"):
        suite.test_budget_is_consistent([spec])
    suite.calls = [PlannedCall(operation="history", cost=3)]
    with pytest.raises(AssertionError, match="rule 'minute': no call of 'history' ever goes out"):
        suite.test_budget_is_consistent([spec])
