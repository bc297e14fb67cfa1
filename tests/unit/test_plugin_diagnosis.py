"""What the doctor finds: each problem with its cause and its cure."""

import itertools

import pytest

from market_data_pipeline.plugins import PluginPolicy, diagnose

FALLBACK = "tell its author, or set MDP_PLUGINS_DISABLED="
CURES = {
    "async-hook": "its author must write `def mdp_providers`",
    "class": "its author must write `plugin = Plugin()` and name `plugin` as the entry point",
    "damaged-entry-points": "install it again",
    "exit": f"{FALLBACK}exit",
    "half-way": f"{FALLBACK}half-way",
    "import-error": "install what has the module no_such_vendor_sdk into this environment",
    "missing-metadata": "install it again",
    "misspelt-hook": f"{FALLBACK}misspelt-hook",
    "syntax-error": "install a version of it that is made for this Python",
    "wrapper": "its author must take `wrapper=True` away",
    "wrong-api": "update the checkout that the core was installed from, and install it again",
}


@pytest.mark.parametrize("folder", CURES)
def test_a_problem_has_its_cause_and_its_cure(host_of, folder):
    """RT-3."""
    host = host_of(folder, "good")
    diagnosis = diagnose(host)
    (problem,) = diagnosis.problems
    record = next(record for record in host.records() if record.is_wrong)
    assert (problem.plugin, problem.reason) == (record.name, record.reason)
    assert problem.distribution == f"market-data-fake-{folder} 1.0.0"
    assert problem.cause in record.error
    assert problem.cure.endswith(CURES[folder])
    assert (diagnosis.warnings, diagnosis.notes) == ((), ())


def test_who_reads_the_diagnosis_needs_no_log(host_of, caplog):
    assert len(diagnose(host_of("exit", "wrapper")).problems) == 2
    assert caplog.messages == []


def test_a_clash_is_a_problem_of_both(host_of):
    problems = diagnose(host_of("clash-one", "clash-two")).problems
    assert [(problem.plugin, problem.distribution, problem.reason) for problem in problems] == [
        ("clash", "market-data-fake-clash-one 1.0.0", "conflict"),
        ("clash", "market-data-fake-clash-two 1.0.0", "conflict"),
    ]
    assert all("uninstall one" in problem.cure for problem in problems)


def test_a_built_in_name_and_an_offer_of_two_are_conflicts(host_of, write, offering):
    taker = offering("parquet", hook="mdp_components", cls="ComponentSpec", more="kind='sink'")
    folders = [write("taker", taker), write("left", offering("shared")), write("right", offering("shared"))]
    taken, shared = diagnose(host_of(*folders)).problems
    assert (taken.plugin, taken.reason, taken.cure) == ("taker", "conflict", "its author must give it another name")
    assert (shared.plugin, shared.reason, shared.distribution) == ("shared", "conflict", "")
    assert "set plugins.prefer.shared" in shared.cure


def test_a_slow_import_loads_and_is_a_warning(host_of):
    host = host_of("slow", "good", timer=itertools.count(0, 1_500_000_000).__next__)
    diagnosis = diagnose(host)
    assert host.provider("slow").plugin == "slow"
    assert diagnosis.problems == ()
    assert [(finding.plugin, finding.reason, finding.cause) for finding in diagnosis.warnings] == [
        ("good", "slow", "it takes 1.5 s to load"),
        ("slow", "slow", "it takes 1.5 s to load"),
    ]
    assert "python -X importtime -c 'import market_data_fake_slow'" in diagnosis.warnings[1].cure


def test_a_second_is_not_slow(host_of):
    assert diagnose(host_of("slow", timer=itertools.count(0, 1_000_000_000).__next__)).warnings == ()


def test_the_metadata_of_another_version_is_a_warning(host_of):
    diagnosis = diagnose(host_of("stale", "editable"))
    (warning,) = diagnosis.warnings
    assert diagnosis.problems == ()
    assert (warning.plugin, warning.reason) == ("stale", "duplicate")
    assert "stale-0.10.0.dist-info is used, and there is also 0.9.0 in " in warning.cause
    assert warning.cure.startswith("run `pip uninstall market-data-fake-stale` until it finds nothing")


def test_what_is_disabled_is_a_note(host_of):
    diagnosis = diagnose(host_of("exit", "good", policy=PluginPolicy(disabled={"exit"})))
    assert (diagnosis.problems, diagnosis.warnings) == ((), ())
    (note,) = diagnosis.notes
    assert (note.plugin, note.reason, note.cure) == ("exit", "disabled", "take it out there")


def test_what_is_required_and_disabled_or_missing_is_a_problem(host_of):
    policy = PluginPolicy(disabled={"good"}, required={"good", "none"})
    diagnosis = diagnose(host_of("good", policy=policy))
    assert [(problem.plugin, problem.reason) for problem in diagnosis.problems] == [
        ("good", "disabled"),
        ("none", "missing"),
    ]
    assert diagnosis.notes == ()


def test_factories_settings_and_commands_that_do_not_import_are_problems(host_of, write):
    code = """
from market_data_pipeline.plugins import *
class Plugin(PluginHooks):
    def mdp_components(self, context):
        yield ComponentSpec(kind="sink", name="one", factory="no_such_module:Sink")
        yield ComponentSpec(kind="sink", name="two", factory="math:sqrt", settings="math:sqrt")
        yield ComponentSpec(kind="sink", name="three", factory="math:pi")
    def mdp_commands(self, context):
        yield CommandSpec(name="four", factory=dict)
        yield CommandSpec(name="five", factory=lambda: 1 / 0)
plugin = Plugin()
"""
    problems = diagnose(host_of(write("lazy", code), "commands")).problems
    assert [(problem.reason, problem.distribution) for problem in problems] == [
        (reason, "market-data-fake-lazy 1.0.0") for reason in ["import", *["contract"] * 4]
    ]
    for problem, part in zip(
        problems,
        ["No module named", "no pydantic model", "cannot be called", "no click.Command", "ZeroDivisionError"],
        strict=True,
    ):
        assert part in problem.cause
    assert problems[0].cure == "install what has the module no_such_module into this environment"


def test_a_plugin_whose_hook_of_commands_fails_is_a_problem_and_failed(host_of, write):
    code = """
from market_data_pipeline.plugins import *
class Plugin(PluginHooks):
    def mdp_commands(self, context):
        raise OSError("no")
plugin = Plugin()
"""
    host = host_of(write("sulky", code))
    (problem,) = diagnose(host).problems
    assert (problem.plugin, problem.reason) == ("sulky", "contract")
    assert problem.cause == "its hook mdp_commands raised OSError: no"
    assert [record.state for record in host.records()] == ["failed"]


def test_a_budget_that_cannot_be_meant_is_a_warning(host_of, write, offering):
    """RC-1."""
    budget = "[MinGap(name='gap', gap_ns=9_000_000), Window(name='few', limit=5, period_ns=9_000_000, counts='calls')]"
    more = f"capabilities=Capabilities(), budget={budget}"
    code = "from market_data_pipeline.contracts import MinGap, Window\n" + offering("paced", more=more)
    diagnosis = diagnose(host_of(write("paced", code)))
    (warning,) = diagnosis.warnings
    assert (warning.plugin, warning.reason, diagnosis.problems) == ("paced", "budget", ())
    assert warning.cause.startswith("budget of paced, rule 'few': no call ever waits for it, because of 'gap': ")
    assert warning.cure == "its author should leave it out, or correct 'gap'"
