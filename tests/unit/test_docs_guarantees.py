"""The page of guarantees: each one is proved by tests that are there and name it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "guarantees.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([A-Z]+-\d+) \| .+? \| (`.+`) \|$", PAGE, re.MULTILINE)
PROOFS = [(name, *proof.split("::")) for name, cell in ROWS for proof in re.findall(r"`([^`]+)`", cell)]


def test_there_is_something_to_prove():
    assert len(ROWS) == len({name for name, _ in ROWS}) == len(re.findall(r"^\| [A-Z]+-\d", PAGE, re.MULTILINE)) > 15


@pytest.mark.parametrize(("name", "file", "test"), PROOFS, ids=[" ".join(proof) for proof in PROOFS])
def test_the_test_is_there_and_names_the_guarantee(name, file, test):
    (path,) = (ROOT / "tests").glob(f"*/{file}")
    module = ast.parse(path.read_text(encoding="utf-8"))
    (function,) = (part for part in module.body if isinstance(part, ast.FunctionDef) and part.name == test)
    said = f"{ast.get_docstring(module)}\n{ast.get_docstring(function)}"
    assert re.search(rf"\b{name}\b", said), f"{path.name}::{test} does not name {name}"
