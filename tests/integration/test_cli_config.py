"""`mdp config`, and settings of `mdp run`."""

import json
import re
import sys
from pathlib import Path

import importlib_metadata
import pytest

from market_data_pipeline.cli import main
from market_data_pipeline.plugins import discovery

DATA = Path(__file__).parents[1] / "data"


CALLS = """
from collections.abc import Callable
from pydantic import BaseModel
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks, ProviderSpec
class Settings(BaseModel):
    call: Callable[[], int] = int
class Plugin(PluginHooks):
    def mdp_providers(self):
        yield ProviderSpec(name="open", factory=dict, settings=Settings, capabilities=Capabilities())
plugin = Plugin()
"""


@pytest.fixture
def mdp(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def mdp(*arguments, code=0):
        assert main(arguments) == code
        return capsys.readouterr()

    return mdp


@pytest.fixture
def acme(monkeypatch):
    path = [str(DATA / "vendor")]
    monkeypatch.syspath_prepend(path[0])
    monkeypatch.setattr(discovery, "distributions", lambda: importlib_metadata.distributions(path=path))
    yield
    sys.modules.pop("market_data_acme", None)


def test_show_says_of_every_value_where_it_comes_from(mdp, monkeypatch):
    """CFG-2."""
    Path("mdp.yaml").write_text("provider: synthetic\nproviders: {synthetic: {seed: 7}}\n")
    monkeypatch.setenv("MDP__PIPELINE__COMMIT_SEC", "5")
    shown = json.loads(mdp("config", "show", "--json", "--settings", "mdp.yaml").out)
    assert shown["providers.synthetic.seed"] == {"value": 7, "origin": "mdp.yaml:2:25"}
    assert shown["pipeline.commit_sec"] == {"value": 5.0, "origin": "MDP__PIPELINE__COMMIT_SEC"}
    assert shown["max_concurrent_pipelines"] == {"value": 10, "origin": "default"}
    assert shown["plugins.prefer"] == {"value": {}, "origin": "default"}
    lines = mdp("config", "show", "--settings", "mdp.yaml").out.splitlines()
    assert any(line.split() == ["provider", '"synthetic"', "mdp.yaml:1:1"] for line in lines)


def test_check_says_ok_or_names_every_mistake(mdp):
    Path("good.yaml").write_text("provider: synthetic\n")
    assert mdp("config", "check", "good.yaml").out == "ok\n"
    said = mdp("config", "check", "good.yaml", str(DATA / "settings-mistakes.yaml"), "gone.yaml", code=2)
    assert said.out == ""
    assert len(said.err.splitlines()) > 25
    assert "gone.yaml: cannot be read" in said.err


@pytest.mark.usefixtures("acme")
def test_check_warns_of_a_secret_that_is_written_out(mdp, caplog):
    Path("mdp.yaml").write_text("providers: {acme: {token: hunter22, key: {env: K}}}\n")
    mdp("config", "check", "mdp.yaml", code=2)  # K is not set
    assert caplog.messages == [
        "mdp.yaml:1:20: token is a secret that is written out: write {env: NAME} or {file: PATH}"
    ]


@pytest.mark.usefixtures("acme")
def test_the_schema_has_the_settings_of_providers_and_references_to_secrets(mdp):
    schema = json.loads(mdp("config", "schema").out)
    assert schema["properties"]["providers"]["properties"] == {"acme": {"$ref": "#/$defs/acme"}}
    token = schema["$defs"]["acme"]["properties"]["token"]["anyOf"][0]["anyOf"]
    assert [one["type"] for one in token] == ["string", "object"]
    assert "acme.Login" in schema["$defs"]


def test_the_schema_takes_anything_where_a_plugin_has_none_to_give(mdp, installed, write, caplog):
    """RT-3."""
    installed(write("open", CALLS))
    schema = json.loads(mdp("config", "schema").out)
    assert schema["properties"]["providers"]["properties"] == {}
    assert caplog.messages[0].startswith(
        "the JSON Schema of the settings of 'open' raised PydanticInvalidForJsonSchema"
    )


@pytest.mark.usefixtures("acme")
def test_a_dry_run_masks_secrets_and_keeps_references(mdp, monkeypatch):
    """API-10."""
    monkeypatch.setenv("K", "hunter23")
    Path("p.yaml").write_text(
        "source: {name: acme, settings: {token: hunter22, key: {env: K}}}\nsymbols: [A]\nsink: memory\n"
    )
    said = mdp("run", "--dry-run", "p.yaml")
    assert "token: '**********'" in said.out
    assert "env: K" in said.out
    assert "hunter" not in said.out + said.err
    Path("again.yaml").write_text(said.out)
    assert "again.yaml:6:5: token: this only stands for a secret" in mdp("run", "again.yaml", code=2).err


@pytest.mark.usefixtures("acme")
def test_a_secret_in_a_one_liner_is_answered_with_the_variable_to_set(mdp):
    said = mdp("run", "acme:A?token=hunter22 -> memory", code=2).err
    assert "set the environment variable MDP__PROVIDERS__ACME__TOKEN" in said
    assert "hunter22" not in said


@pytest.mark.usefixtures("acme")
def test_a_variable_is_named_only_where_one_can_write_the_key(mdp):
    said = mdp("run", "acme:A?pass-word=hunter22 -> memory", code=2).err
    assert "'pass-word' is a secret, and command lines are kept and seen: write {env: NAME} or {file: PATH}" in said
    assert "hunter22" not in said


def test_run_takes_what_the_file_says_of_the_provider(mdp):
    Path("mdp.yaml").write_text("providers: {synthetic: {count: 5, speed: max}}\n")
    said = mdp("run", "--json", "--settings", "mdp.yaml", "synthetic:A -> memory")
    assert json.loads(said.out)["ledger"]["received"] == 5


def test_bars_are_looked_for_where_the_settings_let_them_be_written(mdp):
    """CFG-2."""
    Path("mdp.yaml").write_text("data_dir: here\nproviders: {synthetic: {count: 60, speed: max}}\n")
    mdp("run", "--settings", "mdp.yaml", "synthetic:A -> bars:1s -> store")
    assert json.loads(mdp("bars", "--settings", "mdp.yaml", "--json").out.splitlines()[0])["symbol"] == "A"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_clash_that_the_settings_settle_is_settled_for_every_command(mdp, installed, monkeypatch, how):
    """CFG-2."""
    installed("clash-one", "clash-two")
    Path("mdp.yaml").write_text("plugins: {prefer: {clash: market-data-fake-clash-two}}\n")
    options = ("--settings", "mdp.yaml") if how == "option" else ()
    if how == "variable":
        monkeypatch.setenv("MDP_SETTINGS", "mdp.yaml")
    states = {one["distribution"]: one["reason"] for one in json.loads(mdp("plugins", "list", "--json", *options).out)}
    assert states == {"market-data-fake-clash-one": "disabled", "market-data-fake-clash-two": None}
    doctor = json.loads(mdp("plugins", "doctor", "--json", *options, code=1).out)
    assert {one["reason"] for one in doctor["problems"]} == {"import"}  # neither has the factory that it names


def test_a_file_is_checked_with_the_plugins_that_it_allows_itself(mdp, installed):
    """CFG-2."""
    installed("clash-one", "clash-two")
    Path("mdp.yaml").write_text(
        "providers: {clash: {}}\nplugins: {prefer: {clash: market-data-fake-clash-two}, required: [gone]}\n"
    )
    assert mdp("config", "check", "mdp.yaml").out == "ok\n"
    Path("mdp.yaml").write_text("providers: {clash: {}}\nplugins: {prefer: 5}\n")
    said = mdp("config", "check", "mdp.yaml", code=2).err
    assert "plugins.prefer: Input should be a valid dictionary" in said
    assert "mdp.yaml:1:13: plugin 'clash'" in said


def test_settings_disable_the_commands_of_a_plugin(mdp, installed, monkeypatch):
    """RT-7."""
    installed("commands")
    Path("mdp.yaml").write_text("plugins: {disabled: [commands]}\n")
    monkeypatch.setenv("MDP_SETTINGS", "mdp.yaml")
    assert "the setting plugins.disabled names it; take it out there" in mdp("commands", "greet", "x", code=2).err


def test_what_is_required_stops_the_start_and_no_look(mdp):
    """RT-3."""
    Path("mdp.yaml").write_text("plugins: {required: [gone]}\nproviders: {synthetic: {speed: max}}\n")
    said = mdp("run", "--settings", "mdp.yaml", "synthetic:A -> memory", code=2).err
    assert "plugins.required names 'gone', which is not installed" in said
    shown = json.loads(mdp("config", "show", "--json", "--settings", "mdp.yaml").out)
    assert shown["providers.synthetic.speed"]["value"] == "max"


ACCOUNTS = """
coordination:
  breaker: {max_wait_sec: 60}
  providers:
    synthetic:
      rules:
        minute: {kind: window, limit: 10, period_sec: 60}
        hour: {kind: window, limit: 900, period_sec: 3600}
profiles:
  bad:
    coordination:
      providers:
        synthetic:
          rules: {cooldown: {kind: min_gap, gap_sec: 1}}
          breaker: {base_wait_sec: 5}
  worse:
    coordination:
      providers:
        synthetic: {rules: {day: {limit: 4}}}
        synthetik: {}
  worst:
    coordination:
      providers:
        synthetic: {operations: {chain: {breaker: {base_wait_sec: 100}}}}
"""


def test_check_looks_at_the_budgets_and_breakers_that_come_out(mdp, caplog):
    """RC-1."""
    Path("mdp.yaml").write_text(ACCOUNTS)
    said = mdp("config", "check", "mdp.yaml", code=2).err
    for place, text in [
        ("mdp.yaml:14:19", "rule 'cooldown': its name is no good"),
        (
            "mdp.yaml:19:9",
            "coordination.providers.synthetic.rules.day: the plugin declares no such rule, so say its kind",
        ),
        ("mdp.yaml:20:9", "'synthetik'; did you mean 'synthetic'"),
        ("mdp.yaml:24:9", "coordination.providers.synthetic.operations.chain.breaker: .*max_wait_ns"),
    ]:
        assert re.search(f"{place}.*{text}", said), said
    assert any("mdp.yaml:8:9: rule 'hour': no call ever waits for it" in message for message in caplog.messages)
