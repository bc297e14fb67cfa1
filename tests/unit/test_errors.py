"""The error tree: its shape, its fields, and the help that messages give."""

import copy
import inspect
import re
from pathlib import Path

import pytest

from market_data_pipeline import errors

ERRORS = {name: value for name, value in vars(errors).items() if inspect.isclass(value) and name in errors.__all__}
ROOT = Path(__file__).parents[2]


def parents(drawing):
    """Read the tree that stands at the top of the module."""
    stack, found = [], {}
    for line in drawing.splitlines():
        if match := re.match(r"([ │├└─]*)([A-Z]\w+)", line.removeprefix("    ")):
            del stack[len(match[1]) // 4 :]
            found[match[2]] = stack[-1] if stack else "Exception"
            stack.append(match[2])
    return found


def test_the_tree_is_as_drawn():
    drawing = errors.__doc__.partition("::")[2]
    assert parents(drawing) == {name: error.__bases__[0].__name__ for name, error in ERRORS.items()}


@pytest.mark.parametrize(
    ("error", "builtin"), [(errors.ConfigurationError, ValueError), (errors.PluginNotFound, ImportError)]
)
def test_old_programs_catch_what_they_used_to(error, builtin):
    assert issubclass(error, builtin)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_takes_a_message_alone_and_can_be_copied_with_its_fields(error):
    made = error("what happened")
    vars(made).update(dict.fromkeys(vars(made), "changed"))
    twin = copy.copy(made)
    assert (str(twin), vars(twin)) == ("what happened", vars(made))


def test_errors_carry_fields_for_programs():
    refused = errors.RateLimited("slow down", source="acme", code="429", retry_after=1.5)
    assert (refused.source, refused.code, refused.retry_after) == ("acme", "429", 1.5)
    assert errors.PluginLoadError("it exits", plugin="acme").plugin == "acme"
    assert errors.SinkError("disk full", transient=True).transient is True


def test_a_configuration_error_begins_with_the_place():
    error = errors.ConfigurationError("unknown key", where="spec.yaml:3")
    assert (str(error), error.where) == ("spec.yaml:3: unknown key", "spec.yaml:3")
    assert str(errors.ConfigurationError("unknown key")) == "unknown key"


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        (["parquet", "jsonl", "console"], "did you mean 'parquet'?"),
        (["jsonl", "console"], "known: console, jsonl"),
        ([], "there is none"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_all(known, answer):
    assert errors.nearest("parket", iter(known)) == answer


def test_the_reference_has_every_error_under_a_heading_of_its_own():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    assert re.findall(r"^### `(\w+)`$", page, re.MULTILINE) == list(parents(errors.__doc__.partition("::")[2]))


def test_the_reference_draws_the_same_tree():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    drawing = inspect.getdoc(errors).partition("::\n\n")[2]
    assert inspect.cleandoc(drawing) in page
