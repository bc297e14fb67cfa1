"""Settings: what goes before what, where a value comes from, and what a mistake looks like."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline import Component, PipelineBuilder, PipelineSpec
from market_data_pipeline.pipeline.defaults import Defaults
from market_data_pipeline.plugins import PluginHost, ProviderSpec
from market_data_pipeline.settings import (
    PipelineRuntimeSettings,
    PipelineSettings,
    PluginSettings,
    load_settings,
    plugin_policy,
)
from market_data_pipeline.settings.checking import check_file

MISTAKES = Path(__file__).parents[1] / "data" / "settings-mistakes.yaml"

FILE = """\
provider: synthetic
providers:
  synthetic: {seed: 7}
  my-vendor: {user: me, token: {env: TOKEN}}
pipeline:
  commit_sec: 5
  queue_rows: 10
profiles:
  paper:
    pipeline: {commit_sec: 9}
    providers: {my-vendor: {token: {file: token.txt}}}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text=None, environ=None, **options):
        if text is not None:
            Path("mdp.yaml").write_text(text)
        return load_settings(None if text is None else "mdp.yaml", environ=environ or {}, **options)

    return load


def refused(load, *arguments, **options):
    with pytest.raises(ConfigurationError) as caught:
        load(*arguments, **options)
    return str(caught.value)


def test_flat_and_nested_settings_are_taken():
    settings = PipelineRuntimeSettings(
        max_concurrent_pipelines=3,
        circuit_breaker_threshold=5,
        pipeline=PipelineSettings(commit_sec=5),
        providers={"synthetic": {"seed": 7}},
    )
    assert settings == PipelineRuntimeSettings.model_validate(
        {
            "max_concurrent_pipelines": 3,
            "circuit_breaker_threshold": 5,
            "pipeline": {"commit_sec": 5},
            "providers": {"synthetic": {"seed": 7}},
        }
    )
    assert PipelineRuntimeSettings(pipeline=None) == PipelineRuntimeSettings()


def test_what_has_no_effect_yet_is_said_once(load, caplog):
    load("circuit_breaker_threshold: 3\nenable_routing: false\n")
    assert caplog.messages == ["these settings have no effect yet: enable_routing"]


def test_without_anything_all_is_default(load):
    loaded = load()
    assert loaded.settings == PipelineRuntimeSettings()
    assert loaded.origins == {}
    assert str(loaded.origin(("provider",))) == "default"


def test_every_value_knows_where_it_comes_from(load):
    """CFG-2."""
    loaded = load(
        FILE,
        {"MDP__PIPELINE__QUEUE_ROWS": "20", "MDP__PROVIDERS__MY_VENDOR__USER": "you", "MDP__PROFILE": "paper"},
        overrides={"provider": "my-vendor"},
    )
    assert {key: str(origin) for key, origin in loaded.origins.items()} == {
        "providers.synthetic.seed": "mdp.yaml:3:15",
        "pipeline.commit_sec": "profile paper (mdp.yaml:10:16)",
        "providers.my-vendor.token": "profile paper (mdp.yaml:11:29)",
        "pipeline.queue_rows": "MDP__PIPELINE__QUEUE_ROWS",
        "providers.my-vendor.user": "MDP__PROVIDERS__MY_VENDOR__USER",
        "profile": "MDP__PROFILE",
        "provider": "call",
    }
    assert loaded.settings.pipeline == PipelineSettings(commit_sec=9, queue_rows=20)
    assert loaded.settings.providers["my-vendor"] == {"user": "you", "token": {"file": "token.txt"}}


def test_what_vendors_allow_comes_from_file_profile_and_variables_alike(load):
    """CFG-2."""
    text = """
profile: small
coordination:
  providers:
    acme: {rules: {minute: {kind: window, limit: 60, period_sec: 60}, gap: {kind: min_gap, gap_sec: 1}}}
profiles:
  small:
    coordination: {providers: {acme: {rules: {minute: {limit: 5}, declared: null}}}}
"""
    variables = {
        "MDP__COORDINATION__PROVIDERS__ACME__RULES__MINUTE__PERIOD_SEC": "30",
        "MDP__COORDINATION__STORE": "memory",
    }
    coordination = load(text, variables).settings.coordination
    rules = coordination.providers["acme"].rules
    assert coordination.store == "memory"
    assert (rules["minute"].kind, rules["minute"].limit, rules["minute"].period_sec) == ("window", 5, 30)
    assert rules["declared"] is None
    assert rules["gap"].gap_sec == 1


def test_the_variable_names_the_file(load, tmp_path):
    tmp_path.joinpath("other.yaml").write_text("provider: replay\n")
    assert load(None, {"MDP_SETTINGS": "other.yaml"}).settings.provider == "replay"


def test_a_file_may_choose_its_profile_and_a_call_another(load):
    text = f"profile: paper\n{FILE}  live: {{provider: replay}}\n"
    assert load(text).settings.pipeline.commit_sec == 9
    assert load(text, profile="live").settings.provider == "replay"


def test_null_puts_the_default_back(load):
    assert load("pipeline: {commit_sec: 5}\n", overrides={"pipeline": None}).settings == PipelineRuntimeSettings()


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("MDP__PROVIDER", "ON", "provider", "ON"),
        ("MDP__PROVIDER", "7", "provider", "7"),
        ("MDP__PLUGINS__ONLY", "[a, ON, no]", "plugins.only", ("a", "ON", "no")),
        ("MDP__PLUGINS__STRICT", "true", "plugins.strict", True),
        ("MDP__PLUGINS__PREFER__ACME", "market-data-acme", "plugins.prefer", {"acme": "market-data-acme"}),
        ("MDP__PIPELINE__ALLOWED_LATENESS_SEC", "1.5", "pipeline.allowed_lateness_sec", 1.5),
        ("MDP__PIPELINE__ON_FULL", "fail", "pipeline.on_full", "fail"),
        ("MDP__PIPELINE", "{batch: {max_rows: 3}}", "pipeline.batch.max_rows", 3),
        ("MDP__DATA_DIR", "/data", "data_directory", Path("/data")),
        ("MDP__PIPELINE__QUEUE_ROWS", "", "pipeline.queue_rows", 100_000),
    ],
)
def test_a_variable_is_read_as_its_field_wants_it(load, name, text, key, value):
    found = load(None, {name: text}).settings
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("MDP__PIPELIN__MAX_ROWS", "1", "MDP__PIPELIN__MAX_ROWS: unknown key 'pipelin'; did you mean 'pipeline'"),
        (
            "MDP__PIPELINE__QUEUE_ROW",
            "1",
            "MDP__PIPELINE__QUEUE_ROW: unknown key 'pipeline.queue_row'; did you mean 'queue_row",
        ),
        (
            "MDP__PIPELINE__QUEUE_ROWS",
            "0",
            "MDP__PIPELINE__QUEUE_ROWS: pipeline.queue_rows: Input should be greater than 0",
        ),
        (
            "MDP__PIPELINE__QUEUE_ROWS",
            "[",
            "MDP__PIPELINE__QUEUE_ROWS: pipeline.queue_rows: Input should be a valid integer",
        ),
        ("MDP__provider", "a", "MDP__provider: write it in upper case: MDP__PROVIDER"),
        ("MDP__PIPELINE____X", "a", "MDP__PIPELINE____X: a part of the name is empty"),
        ("MDP__PROFILE", "paper", "MDP__PROFILE: there is no file that has a profile 'paper'"),
        ("MDP__PROFILES__A__PROVIDER", "x", "MDP__PROFILES__A__PROVIDER: unknown key 'profiles'"),
    ],
)
def test_a_variable_that_is_wrong_is_named(load, name, text, message):
    """CFG-2."""
    assert refused(load, None, {name: text}).startswith(message)


def test_an_unknown_profile_is_answered_with_the_nearest(load):
    assert refused(load, FILE, profile="papr") == "call: mdp.yaml has no profile 'papr'; did you mean 'paper'?"


def test_mistakes_of_all_layers_are_named_together(load):
    """CFG-2."""
    said = refused(load, "provid-er: x\n", {"MDP__A": "1"}, overrides={"pipeline": 3}).splitlines()
    assert said == [
        "MDP__A: unknown key 'a'; known: " + ", ".join(sorted(PipelineRuntimeSettings.model_fields)),
        "call: pipeline: Input should be a valid dictionary or instance of PipelineSettings, not 3",
        "mdp.yaml:1:1: unknown key 'provid-er'; did you mean 'provider' or 'providers' or 'profile'?",
    ]


def test_too_many_mistakes_are_counted(load):
    said = refused(load, "".join(f"x{number}: 1\n" for number in range(150))).splitlines()
    assert (len(said), said[-1]) == (101, "and 50 more")


def test_a_file_with_every_kind_of_mistake_is_told_all_of_them():
    """CFG-1, CFG-2."""
    expected = [
        (number, line.partition("#! ")[2])
        for number, line in enumerate(MISTAKES.read_text().splitlines(), 1)
        if "#! " in line
    ]
    found = check_file(MISTAKES, lambda _: PluginHost()).mistakes
    places = {
        number: [one for one in found if re.match(rf"{re.escape(str(MISTAKES))}:{number}:\d+: ", one)]
        for number, _ in expected
    }
    assert [(number, text) for number, text in expected if not any(text in one for one in places[number])] == []
    assert [one for one in found if not any(one in said for said in places.values())] == []


def test_a_profile_may_give_what_the_file_leaves_out(tmp_path):
    path = tmp_path / "mdp.yaml"
    path.write_text("providers: {replay: {format: lean}}\nprofiles: {a: {providers: {replay: {path: x}}}}\n")
    assert check_file(path, lambda _: PluginHost()).mistakes == []
    path.write_text("providers: {replay: {format: lean}}\nprofiles: {a: {providers: {replay: {speed: 1}}}}\n")
    assert check_file(path, lambda _: PluginHost()).mistakes == [f"{path}:2:28: 'path' is missing"]


HELD = """\
coordination:
  providers:
    paced:
      rules:
        lines: null
profiles:
  a: {coordination: {providers: {paced: {rules: {lines: {kind: window, limit: 5, period_sec: 1}}}}}}
  b: {coordination: {providers: {paced: {rules: {lines: {kind: concurrency, limit: 50, operations: []}, open: null}}}}}
"""


def test_a_limit_that_a_plugin_leases_may_be_another_one_but_not_none(tmp_path, host_of, write, offering):
    """RC-1: a lease of what no rule limits would be an error, perhaps after months."""
    path = tmp_path / "mdp.yaml"
    path.write_text(HELD)
    budget = "[Concurrency(name='open', limit=5)]"
    code = offering("paced", more=f"capabilities=Capabilities(held={{'lines': 100}}), budget={budget}")
    host = host_of(write("paced", "from market_data_pipeline.contracts import Concurrency\n" + code))
    what = "rule 'lines': no lease of it is ever granted: it is for leases, and here it is"
    assert check_file(path, lambda _: host).mistakes == [
        f"{path}:{place}: {what} {how}; set another limit: the plugin's is 100"
        for place, how in [("5:9", "taken away"), ("7:50", "of another kind")]
    ]


def test_the_policy_of_plugins_lets_the_variables_go_first():
    settings = PluginSettings(only=("a", "b"), disabled=("c",))
    policy = plugin_policy(settings, {"MDP_PLUGINS": "x", "MDP_PLUGINS_DISABLED": "d", "MDP_STRICT_PLUGINS": "1"})
    assert (policy.only, policy.disabled, policy.strict) == ({"x"}, {"c", "d"}, True)
    assert plugin_policy(settings, {}).only == {"a", "b"}


def test_a_builder_lays_settings_under_a_spec(tmp_path):
    config = PipelineRuntimeSettings(
        data_dir=tmp_path,
        providers={"synthetic": {"seed": 7, "rate": 3.0}},
        pipeline={"allowed_lateness_sec": 3, "commit_sec": 7, "drain_timeout_sec": 4, "batch": {"max_rows": 3}},
    )
    builder = PipelineBuilder(config=config)
    spec = PipelineSpec(
        source={"name": "synthetic", "settings": {"rate": 5.0}}, symbols=["A"], sink="store", drain_timeout_sec=9
    )
    context = builder.build(spec).ctx
    assert (context.allowed_lateness_ns, context.commit_sec, context.drain_timeout_sec) == (3_000_000_000, 7, 9)
    assert builder.defaults.settings("source", spec.source) == {"seed": 7, "rate": 5.0}
    assert builder.defaults.settings("batcher", spec.batcher) == {"max_rows": 3}
    assert builder.defaults.settings("sink", spec.sink[0]) == {"path": str(tmp_path)}


def test_a_mistake_in_a_provider_of_the_file_is_named_where_it_stands(load):
    """CFG-2."""
    builder = PipelineBuilder(config=load("providers:\n  synthetic: {sead: 7}\n"))
    with pytest.raises(ConfigurationError) as caught:
        builder.build(PipelineSpec(source={"name": "synthetic", "settings": {"rate": 0}}, symbols=["A"], sink="memory"))
    assert "mdp.yaml:2:15: unknown key 'sead'" in str(caught.value)
    assert "source synthetic: rate: Input should be greater" in str(caught.value)


def test_a_mistake_in_the_settings_of_a_provider_names_the_variable_that_made_it():
    """CFG-2."""

    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid")

    spec = ProviderSpec(name="my-vendor", factory=dict, settings=Model, capabilities=Capabilities())
    loaded = load_settings(environ={"MDP__PROVIDERS__MY_VENDOR__USR": "me"})
    with pytest.raises(ConfigurationError, match=r"^MDP__PROVIDERS__MY_VENDOR__USR: unknown key 'usr'"):
        Defaults.of(loaded).check("source", spec, Component(name="my-vendor"))
