"""The page on testing lists every suite, check and rule that there is, in the words of the code."""

import inspect
from pathlib import Path

import pytest

from market_data_pipeline import testing

PAGE = (Path(__file__).parents[2] / "docs/reference/testing.md").read_text(encoding="utf-8")
SUITES = [name for name in testing.__all__ if name.endswith("Conformance")]


def listed(heading, column):
    """The rows of the table under a heading whose first column has that title."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = section.partition(f"| {column} |")[2].partition("\n\n")[0].splitlines()[2:]
    return dict(row.strip("| ").split(" | ") for row in rows)


@pytest.mark.parametrize("name", SUITES)
def test_every_check_is_listed(name):
    suite = getattr(testing, name)
    checks = {each: getattr(suite, each) for each in sorted(dir(suite)) if each.startswith("test_")}
    documented = {f"`{each}`": " ".join(inspect.getdoc(check).split()) for each, check in checks.items()}
    assert listed(name, "check") == documented


def test_every_suite_is_listed():
    assert sorted(line[3:] for line in PAGE.splitlines() if line.endswith("Conformance")) == SUITES


def test_every_rule_is_listed():
    assert listed("Judges", "rule") == {f"`{name}`": advice for name, advice in testing.RULES.items()}


@pytest.mark.parametrize("name", SUITES)
def test_what_an_author_writes_is_listed(name):
    """An attribute or fixture that a suite has is on its page."""
    written = " ".join(listed(name, "to write"))
    suite = getattr(testing, name)
    attributes = {each for base in suite.__mro__ for each in getattr(base, "__annotations__", {})}
    assert [each for each in attributes if f"`{each}`" not in written] == []
