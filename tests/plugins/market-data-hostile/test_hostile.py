"""The conformance suites name what the hostile plugin does wrong, and nothing else."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent
JUDGED = (
    "test_stream_is_well_formed",
    "test_serves_one_symbol",
    "test_sources_are_independent",
    "test_slow_consumer_is_bounded",
)
"""The checks that look at many rows."""
CANCELLED = ("test_cancellation_is_prompt[native]", "test_cancellation_is_prompt[scope]")

EXPECTED = {
    "none": ((), ""),
    "leaks-a-task": (("test_leaves_no_task", *CANCELLED), "tasks: hostile task in sleep"),
    "leaks-a-descriptor": (("test_leaves_no_descriptor",), "is /dev/null"),
    "data-after-close": (("test_yields_nothing_after_close",), "came after close()"),
    "time-goes-back": (JUDGED, "time-order: item "),
    "strange-symbols": (JUDGED, "symbol: item "),
    "sentinels": (JUDGED, "sentinel: item "),
    "secrets-in-repr": (("test_secrets_are_not_shown",), "the repr of hostile shows a secret"),
    "undeclared-capabilities": (
        ("test_refuses_undeclared_kinds", "test_refuses_undeclared_history", "test_refuses_undeclared_chains"),
        "raises nothing: raise CapabilityNotSupported",
    ),
    "blocks-the-loop": (("test_leaves_the_loop_to_others",), "kept the loop for 0.4"),
    "works-at-import": (("test_import_starts_nothing[threads]",), "leaves threads: hostile import"),
}
"""By misdeed, the checks that fail, and what the message of each says."""
RULES = ("time-order: ", "symbol: ", "sentinel: ", "ordinal: ", "duplicate: ", "faces: ", "type: ")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The environment of a process in which the plugin is installed."""
    folder = tmp_path_factory.mktemp("site")
    install(folder)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE / "src"), str(folder)])}


@pytest.fixture(scope="module")
def results(tmp_path_factory, site):
    """What became of each check: {misdeed: {check: message of its failure, or None}}."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pytest.ini").write_text("[pytest]\n")
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(folder / "pytest.ini"), f"--junitxml={report}"]
    command += ["-p", "no:cacheprovider", "-W", "error", "-W", "ignore::pytest.PytestDeprecationWarning"]
    done = subprocess.run(
        [*command, str(HERE / "suites.py")],
        env=site,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    found = {}
    for case in ET.parse(report).iter("testcase"):
        misdeed = case.get("classname").split("_")[-2]
        problem = next((part for part in case if part.tag in {"failure", "error"}), None)
        message = None if problem is None else problem.get("message")
        found.setdefault(misdeed, {})[case.get("name")] = message
    return found


def install(folder):
    """Write the metadata that an installer would."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Requires-Dist: {name}" for name in project["dependencies"]]
    head = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    (info / "METADATA").write_text("\n".join([*head, *lines]) + "\n")
    groups = project["entry-points"].items()
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups
    )
    (info / "entry_points.txt").write_text(text)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("misdeed", EXPECTED)
def test_a_misdeed_is_named_by_the_right_checks_alone(results, misdeed):
    checks, said = EXPECTED[misdeed]
    failed = {check: message for check, message in results[misdeed].items() if message is not None}
    assert sorted(failed) == sorted(checks)
    for message in failed.values():
        assert said in message
        assert [rule for rule in RULES if f"\n{rule}" in message and rule not in said] == []


def test_every_misdeed_is_tried(results):
    assert results.keys() == EXPECTED.keys()


@pytest.mark.parametrize(
    "misdeed", ["none", "leaks-a-task", "secrets-in-repr", "undeclared-capabilities", "works-at-import"]
)
def test_the_command_names_it_too(site, misdeed):
    """`mdp conformance` makes the same suites of what the plugin declares."""
    checks, said = EXPECTED[misdeed]
    name = ["hostile-import"] if misdeed == "works-at-import" else ["hostile", "-s", f"misdeed={misdeed}"]
    code = "import sys; from market_data_pipeline.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "conformance", *name, "--symbols", "AAPL,MSFT", "--virtual", "--json", "-"]
    done = subprocess.run(command, env=site, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if checks else 0), done.stderr
    failed = {one["check"]: one["message"] for one in json.loads(done.stdout)["checks"] if one["outcome"] == "failed"}
    assert sorted(failed) == sorted(checks)
    assert [message for message in failed.values() if said not in message] == []
