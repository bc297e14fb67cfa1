"""The page on the conformance kit lists every suite, check and code, and no other."""

import re
from pathlib import Path

import market_data_pipeline.testing as kit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/testing.md").read_text(encoding="utf-8")
SUITES = [getattr(kit, name) for name in kit.__all__ if name.endswith("Conformance")]


def section(title):
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_check_of_every_suite_is_listed_with_its_words():
    for suite in SUITES:
        checks = {name: test.__doc__ for name, test in vars(suite).items() if name.startswith("test_")}
        assert dict(re.findall(r"^\| `(test_\w+)` \| (.+) \|$", section(f"`{suite.__name__}`"), re.MULTILINE)) == checks


def test_every_code_of_the_judge_is_listed():
    rooms = [ROOT / f"src/market_data_pipeline/testing/{name}.py" for name in ("judge", "row_rules")]
    used = {
        code
        for room in rooms
        for code in re.findall(r'(?:yield |Finding = \()"([a-z-]+)", ', room.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section("Codes of `judge_stream`"), re.MULTILINE)) == used
