"""The page on performance has a place for every benchmark, every goal in its table, and is written by the run alone."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOALS = {1, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}
"""Those that the benchmarks of this repository are about."""


@pytest.fixture
def page(monkeypatch):
    """The module that writes the page."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import page

    yield page
    sys.modules.pop("page")


def test_the_page_has_every_goal_with_what_was_measured_and_whether_it_is_met(page):
    body = page.PAGE.read_text().partition("<!-- bench: goals -->")[2].partition("<!-- end -->")[0]
    rows = [line for line in body.splitlines() if line.startswith("| ")][2:]
    form = re.compile(r"\| (\d+) \| (.+): at (least|most) [\d.]+.* \| [\d.]+.* \| (met|\*\*missed\*\*) \|")
    assert [row for row in rows if not form.fullmatch(row)] == []
    assert {int(row.split()[1]) for row in rows} == GOALS


def test_every_table_was_measured_in_one_run(page):
    text = page.PAGE.read_text()
    assert page.MISSING not in text
    assert re.search(r"Measured on \d{4}-\d\d-\d\d, on one core of \d+, .+", text)
    assert text.count("<!-- bench: ") == text.count("<!-- end -->")


def test_every_benchmark_has_a_place_on_the_page_and_every_place_a_benchmark(page):
    named = set()
    for path in ROOT.glob("benchmarks/bench_*.py"):
        named |= set(re.findall(r'(?:timed|Table)\(\s*"(.+?)"', path.read_text()))
    assert set(page.blocks(page.PAGE.read_text())) == named | {"goals", "facts"}


def test_the_tables_are_put_between_their_marks_and_nothing_else_changes(page):
    places = {"facts": "old", "goals": "", "x": "1"}
    text = "\n".join(["a", *(f"<!-- bench: {name} -->\n{old}\n<!-- end -->" for name, old in places.items()), "c"])
    goals = [
        {"number": 9, "text": "late", "measured": "3", "met": False},
        {"number": 1, "text": "fast", "measured": r"2 \1", "met": True},
    ]
    tables = [{"name": "x", "columns": ["", "ns"], "rows": [["us", "1"]], "goals": goals}]
    made = page.fill(text, tables, ["today", "here"])
    assert made == page.fill(made, tables, ["today", "here"])
    assert made.split("\n") == [
        *("a", "<!-- bench: facts -->", "", "today", "here", "", "<!-- end -->", "<!-- bench: goals -->", ""),
        *("| goal | what | measured |  |", "| --- | --- | --- | --- |"),
        *(r"| 1 | fast | 2 \1 | met |", "| 9 | late | 3 | **missed** |", "", "<!-- end -->"),
        *("<!-- bench: x -->", "", "|  | ns |", "| --- | --- |", "| us | 1 |", "", "<!-- end -->", "c"),
    ]


def test_a_table_without_a_place_is_refused(page):
    with pytest.raises(SystemExit, match="no place for facts, goals, x: add <!-- bench: NAME -->"):
        page.fill("", [{"name": "x", "columns": [], "rows": [], "goals": []}], [])
