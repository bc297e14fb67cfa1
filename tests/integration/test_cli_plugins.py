"""`mdp plugins`: installed, offered, wrong."""

import json

import pytest

from market_data_pipeline.cli import main

EAGER = """
from pydantic import BaseModel, Field
from market_data_pipeline.plugins import ComponentSpec, PluginHooks
class Settings(BaseModel):
    made: int = Field(default_factory=lambda: 1 // 0)
    hidden: str = Field(default="hunter22", repr=False)
    plain: int = 5
class Plugin(PluginHooks):
    def mdp_components(self):
        yield ComponentSpec(kind="sink", name="eager", factory=dict, settings=Settings)
plugin = Plugin()
"""
LAZY = """
from market_data_pipeline.plugins import ComponentSpec, PluginHooks
class Plugin(PluginHooks):
    def mdp_components(self):
        yield ComponentSpec(kind="sink", name="lazy", factory="no_such_module:Sink")
plugin = Plugin()
"""


@pytest.fixture
def mdp(capsys):
    def mdp(*arguments, code=0):
        assert main(["plugins", *arguments]) == code
        return capsys.readouterr().out

    return mdp


def test_list_is_a_table(mdp, installed):
    installed("good", "damaged-entry-points")
    assert [line.split() for line in mdp("list").splitlines()] == [
        ["NAME", "DISTRIBUTION", "VERSION", "STATE", "REASON"],
        ["good", "market-data-fake-good", "1.0.0", "found"],
        [
            "market-data-fake-damaged-entry-points",
            "market-data-fake-damaged-entry-points",
            "1.0.0",
            "failed",
            "metadata",
        ],
    ]


def test_list_json_has_the_names_of_the_border(mdp, installed):
    installed("good")
    assert json.loads(mdp("list", "--json")) == [
        {
            "name": "good",
            "distribution": "market-data-fake-good",
            "version": "1.0.0",
            "state": "found",
            "reason": None,
        }
    ]


def test_list_of_nothing_is_empty(mdp, installed):
    installed()
    assert mdp("list") == ""
    assert json.loads(mdp("list", "--json")) == []


def test_list_says_what_is_disabled(mdp):
    listed = json.loads(mdp("list", "--json", "--no-plugins"))
    assert {(plugin["state"], plugin["reason"]) for plugin in listed} == {("failed", "disabled")}


def test_info_shows_what_a_plugin_offers_and_its_settings(mdp):
    printed = mdp("info", "synthetic")
    assert "provider synthetic (quote, trade)" in printed
    assert "  seed  " in printed


def test_info_parts_the_longest_name_of_a_setting_from_its_description(mdp):
    assert "  fault_late_flagged Those that come late" in mdp("info", "synthetic")


def test_info_of_a_built_in_component_shows_its_settings_in_the_order_of_the_argument(mdp):
    info = json.loads(mdp("info", "bars", "--json"))
    assert info["plugin"] is None
    (bars,) = info["offers"]
    assert (bars["kind"], bars["plugin"]) == ("operator", "builtin")
    assert [setting["name"] for setting in bars["settings"]] == ["interval", "basis"]


def test_info_runs_no_code_of_a_plugin_to_show_a_default_and_shows_no_hidden_one(mdp, installed, write):
    installed(write("eager", EAGER))
    shown = json.loads(mdp("info", "eager", "--json"))["offers"][0]["settings"]
    assert [(one["name"], one["default"]) for one in shown] == [("made", None), ("hidden", None), ("plain", 5)]


def test_info_of_a_broken_plugin_shows_why_and_ends_with_1(mdp, installed):
    """CLI-1."""
    installed("import-error")
    assert "No module named 'no_such_vendor_sdk'" in mdp("info", "import-error", code=1)
    info = json.loads(mdp("info", "import-error", "--json", code=1))
    assert (info["plugin"]["reason"], info["offers"]) == ("import", [])


def test_doctor_is_content_with_healthy_plugins(mdp):
    assert mdp("doctor").endswith("\nnothing is wrong\n")
    assert json.loads(mdp("doctor", "--json"))["problems"] == []


def test_doctor_names_all_that_is_wrong_and_ends_with_1(mdp, installed):
    """CLI-1, RT-3."""
    installed("good", "exit", "import-error", "async-hook", "clash-one", "clash-two")
    report = json.loads(mdp("doctor", "--json", code=1))
    reasons = {plugin["name"]: plugin["reason"] for plugin in report["plugins"]}
    assert reasons == {
        "async-hook": "contract",
        "clash": "conflict",
        "exit": "import",
        "good": None,
        "import-error": "import",
    }
    assert [problem["plugin"] for problem in report["problems"]] == [
        "async-hook",
        "clash",
        "clash",
        "exit",
        "import-error",
    ]
    assert report["problems"][-1] == {
        "plugin": "import-error",
        "distribution": "market-data-fake-import-error 1.0.0",
        "reason": "import",
        "cause": "its import raised ModuleNotFoundError: No module named 'no_such_vendor_sdk'",
        "cure": "install what has the module no_such_vendor_sdk into this environment",
    }
    assert (report["warnings"], report["notes"]) == ([], [])


def test_doctor_prints_cause_and_cure(mdp, installed):
    installed("class", "good")
    assert mdp("doctor", code=1).endswith("""
problem: class (market-data-fake-class 1.0.0): contract
  cause: it names the class Plugin, not an instance
  cure:  its author must write `plugin = Plugin()` and name `plugin` as the entry point
""")


def test_doctor_ends_with_0_where_there_are_only_warnings_and_notes(mdp, installed, monkeypatch):
    """CLI-1."""
    installed("good", "stale", "exit")
    monkeypatch.setenv("MDP_PLUGINS_DISABLED", "exit")
    printed = mdp("doctor")
    assert "\nwarning: stale (market-data-fake-stale 0.10.0): duplicate\n" in printed
    assert "\nnote: exit (market-data-fake-exit 1.0.0): disabled\n" in printed
    assert printed.endswith("\nnothing is wrong\n")
    report = json.loads(mdp("doctor", "--json"))
    assert [finding["reason"] for finding in report["warnings"]] == ["duplicate"]


def test_freeze_is_a_file_of_constraints_whatever_is_broken(mdp, installed):
    installed("good", "stale", "exit", "clash-two", "clash-one", "missing-metadata")
    assert mdp("freeze").splitlines() == [
        "market-data-fake-clash-one==1.0.0",
        "market-data-fake-clash-two==1.0.0",
        "market-data-fake-exit==1.0.0",
        "market-data-fake-good==1.0.0",
        "market-data-fake-stale==0.10.0",
    ]


def test_freeze_names_what_is_damaged_on_standard_error(installed, capsys):
    installed("good", "damaged-entry-points")
    assert main(["plugins", "freeze", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == [{"distribution": "market-data-fake-good", "version": "1.0.0"}]
    assert err.startswith("# market-data-fake-damaged-entry-points: ")
    assert err.endswith("; install it again\n")
    assert err.count("\n") == 1


def test_freeze_of_nothing_is_empty(mdp, installed):
    installed()
    assert mdp("freeze") == ""


def test_info_shows_commands(mdp, installed):
    installed("commands")
    printed = mdp("info", "commands")
    assert "\ncommand greet: Greet somebody.\n" in printed
    assert [offer["kind"] for offer in json.loads(mdp("info", "commands", "--json"))["offers"]] == ["command"] * 2


def test_info_of_a_plugin_whose_hook_of_commands_fails_says_so(mdp, installed, write):
    installed(write("sulky", "plugin = __import__(__name__)\ndef mdp_commands():\n    raise OSError('no')\n"))
    assert "its hook mdp_commands raised OSError: no" in mdp("info", "sulky", code=1)


def test_doctor_finds_a_factory_that_does_not_import(mdp, installed, write):
    installed(write("lazy", LAZY))
    assert "No module named 'no_such_module'" in mdp("doctor", code=1)


def test_info_shows_a_budget_and_its_long_run_rate(mdp, installed, write, offering):
    budget = "[Window(name='history', limit=60, period_ns=600 * SECOND_NS, operations='history', per='contract')]"
    code = "from market_data_pipeline.contracts import SECOND_NS, Window\n" + offering(
        "paced", more=f"capabilities=Capabilities(held={{'lines': 100}}), budget={budget}"
    )
    installed(write("paced", code))
    printed = mdp("info", "paced")
    assert "  rule history       60 in 600 s, of history, per contract" in printed
    assert "  rule lines         100 at a time, of leases alone" in printed
    assert "  in the long run 0.1 a second, by rule history: history, per contract" in printed
    (offer,) = json.loads(mdp("info", "paced", "--json"))["offers"]
    assert offer["budget"]["rules"] == {
        "history": "60 in 600 s, of history, per contract",
        "lines": "100 at a time, of leases alone",
    }
