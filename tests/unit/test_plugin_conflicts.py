"""Names that several plugins claim, and what the settings say about them."""

import pytest

from market_data_pipeline import errors
from market_data_pipeline.plugins import PluginHost, PluginPolicy


def prefer(**choices):
    return PluginPolicy(prefer=choices)


def test_a_preference_settles_a_clash_of_entry_points(host_of):
    host = host_of("clash-one", "clash-two", policy=prefer(clash="Market_Data.fake-clash-TWO"))
    assert host.provider("clash").factory == "market_data_fake_clash_two:Provider"
    assert host.problems() == ()
    assert {(record.distribution, record.reason) for record in host.records()} == {
        ("market-data-fake-clash-one", "disabled"),
        ("market-data-fake-clash-two", None),
    }
    loser = next(record for record in host.records() if record.reason)
    assert "the setting plugins.prefer gives this name to market-data-fake-clash-two; change it there" in loser.error


def test_without_a_preference_the_error_says_how_to_state_one(host_of):
    with pytest.raises(errors.PluginConflict) as raised:
        host_of("clash-one", "clash-two").provider("clash")
    message = str(raised.value)
    assert "claimed by market-data-fake-clash-one 1.0.0 (market_data_fake_clash_one:plugin) and market-data-" in message
    assert "MDP_PLUGINS_DISABLED or the setting plugins.disabled, or set plugins.prefer.clash to the distr" in message


@pytest.mark.parametrize("folders", [["clash-one", "clash-two"], ["clash-one"]], ids=["two claim it", "one claims it"])
def test_a_preference_for_a_distribution_that_does_not_claim_the_name_is_an_error(host_of, folders):
    host = host_of(*folders, policy=prefer(clash="market-data-fake-good"))
    with pytest.raises(
        errors.PluginConflict, match=r"claimed by market-data-fake-clash-one .* not by market-data-fake"
    ):
        host.provider("clash")
    assert {record.cure for record in host.records()} == {
        "correct plugins.prefer.clash, or install and enable what it names"
    }


def test_a_preference_for_what_is_disabled_is_an_error(host_of):
    policy = PluginPolicy(prefer={"clash": "market-data-fake-clash-one"}, disabled={"market-data-fake-clash-one"})
    host = host_of("clash-one", "clash-two", policy=policy)
    assert [record.reason for record in host.records()] == ["disabled", "conflict"]


def test_a_preference_cannot_settle_a_clash_within_one_distribution(host_of, write):
    entries = "[market_data.providers]\ntwice = market_data_fake_twice:plugin\ntwice = market_data_fake_twice:other\n"
    host = host_of(write("twice", entries=entries), policy=prefer(twice="market-data-fake-twice"))
    assert [record.reason for record in host.records()] == ["conflict", "conflict"]


@pytest.fixture
def both(write, offering):
    """Two plugins that offer a provider of one name, and one that offers a source of that name."""
    tape = offering("shared", "tape", hook="mdp_sources", cls="SourceSpec")
    return [
        write("left", offering("shared", "left")),
        write("right", offering("shared", "right")),
        write("tape", tape),
    ]


def test_a_preference_settles_two_offers_of_one_name(host_of, both):
    host = host_of(*both, policy=prefer(shared="market-data-fake-right"))
    assert host.provider("shared").plugin == "right"
    assert host.source("shared").plugin == "tape"
    assert host.problems() == ()


def test_a_preference_for_a_plugin_that_does_not_offer_the_name_is_an_error(host_of, both):
    host = host_of(*both, policy=prefer(shared="market-data-fake-tape"))
    with pytest.raises(errors.PluginConflict, match=r"'right' .*, and not by market-data-fake-tape, to which"):
        host.provider("shared")
    host = host_of(*both, policy=prefer(shared="market-data-fake-none"))
    assert [type(problem) for problem in host.problems()] == [errors.PluginConflict, errors.PluginNotFound]


def test_a_preference_for_a_name_that_nobody_has_is_a_problem(host_of):
    (problem,) = host_of("good", policy=prefer(god="market-data-fake-good")).problems()
    assert "plugins.prefer gives 'god' to market-data-fake-good, which offers nothing of that name" in str(problem)
    assert host_of("good", policy=prefer(good="market-data-fake-good")).problems() == ()
    offered = PluginPolicy(prefer={"good-db": "market-data-fake-good"})
    assert host_of("good", policy=offered).problems() == ()


def test_what_is_required_is_loaded_at_the_start(host_of):
    host = host_of("good", "exit", policy=PluginPolicy(required={"Market_Data.fake-good"}))
    host.check_required()
    assert {record.name: record.state for record in host.records()} == {"exit": "found", "good": "loaded"}


def test_all_that_is_required_and_cannot_be_used_is_named_at_once(host_of):
    """RT-3."""
    policy = PluginPolicy(required={"good", "exit", "import-error", "god", "command"}, disabled={"command"})
    with pytest.raises(errors.PluginLoadError) as raised:
        host_of("good", "exit", "import-error", "command", policy=policy).check_required()
    message = str(raised.value)
    for name in ("exit", "import-error", "command"):
        assert f"plugin {name!r} (market-data-fake-{name} 1.0.0, entry point" in message
    assert "the setting plugins.required names 'god', which is not installed; did you mean 'good'" in message
    assert "plugin 'good'" not in message


def test_without_requirements_nothing_is_loaded_at_the_start(host_of):
    host = host_of("good", "exit")
    host.check_required()
    assert {record.state for record in host.records()} == {"found"}


def test_strict_names_all_that_is_wrong_at_the_start(host_of, both):
    """RT-3."""
    with pytest.raises(errors.PluginLoadError) as raised:
        host_of("good", "exit", "wrapper", *both, policy=PluginPolicy(strict=True)).check_required()
    for part in ("plugin 'exit'", "plugin 'wrapper'", "the provider 'shared' is offered by"):
        assert part in str(raised.value)


def test_a_host_without_plugins_has_no_problems():
    host = PluginHost(path=[])
    host.check_required()
    assert host.problems() == ()
