"""The controls: which plugins may be used (RT-7)."""

import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.plugins import PluginPolicy


def test_without_variables_everything_installed_may_be_used():
    assert PluginPolicy.from_environ({}) == PluginPolicy()
    assert PluginPolicy().refusal("acme", "market-data-acme") is None


@pytest.mark.parametrize("name", ["acme", "Market_Data.Acme", " acme , other"])
def test_the_allow_list_matches_entry_point_and_distribution(name):
    policy = PluginPolicy.from_environ({"MDP_PLUGINS": name})
    assert policy.refusal("acme", "market-data-acme") is None
    cause, cure = policy.refusal("stranger", "market-data-stranger")
    assert cause.startswith("MDP_PLUGINS or the setting plugins.only allows ")
    assert cure == "add it there"


@pytest.mark.parametrize("name", ["acme", "market_data_acme", "x,acme"])
def test_the_deny_list_wins_over_the_allow_list(name):
    policy = PluginPolicy.from_environ({"MDP_PLUGINS": "acme", "MDP_PLUGINS_DISABLED": name})
    assert policy.refusal("acme", "market-data-acme") == (
        "MDP_PLUGINS_DISABLED or the setting plugins.disabled names it",
        "take it out there",
    )


def test_blank_lists_are_no_lists():
    assert PluginPolicy.from_environ({"MDP_PLUGINS": " ", "MDP_PLUGINS_DISABLED": ","}) == PluginPolicy()


@pytest.mark.parametrize(("text", "on"), [("1", True), ("TRUE", True), ("0", False), ("", False), ("no", False)])
def test_switches_are_read(text, on):
    policy = PluginPolicy.from_environ({"MDP_NO_PLUGINS": text, "MDP_STRICT_PLUGINS": text})
    assert (policy.no_plugins, policy.strict) == (on, on)


def test_a_switch_that_is_neither_on_nor_off_is_an_error_with_its_name():
    with pytest.raises(ConfigurationError, match="MDP_NO_PLUGINS: 'maybe' must be 1 or 0"):
        PluginPolicy.from_environ({"MDP_NO_PLUGINS": "maybe"})


SETTINGS = PluginPolicy(
    only={"Acme", "other"}, disabled={"bad"}, prefer={"acme": "Market_Data.Acme"}, required={"acme"}, strict=True
)


def test_without_variables_the_settings_hold():
    assert PluginPolicy.from_environ({}, SETTINGS) == SETTINGS
    assert SETTINGS.prefer == {"acme": "market-data-acme"}


def test_a_variable_wins_over_its_setting_and_what_either_disables_is_disabled():
    environ = {"MDP_PLUGINS": "new", "MDP_PLUGINS_DISABLED": "worse", "MDP_STRICT_PLUGINS": "0", "MDP_NO_PLUGINS": "1"}
    assert PluginPolicy.from_environ(environ, SETTINGS) == PluginPolicy(
        only={"new"},
        disabled={"bad", "worse"},
        prefer=SETTINGS.prefer,
        required={"acme"},
        strict=False,
        no_plugins=True,
    )


def test_a_blank_variable_changes_no_setting():
    blank = dict.fromkeys(["MDP_PLUGINS", "MDP_PLUGINS_DISABLED", "MDP_STRICT_PLUGINS", "MDP_NO_PLUGINS"], " ")
    assert PluginPolicy.from_environ(blank, SETTINGS) == SETTINGS
