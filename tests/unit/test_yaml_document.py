"""YAML with places: the core schema of YAML 1.2 and nothing else (CFG-1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.settings.yaml_document import MAX_DEPTH, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ON", "ON"),
        ("NO", "NO"),
        ("y", "y"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("'1'", "1"),
        ('"null"', "null"),
        ("|\n  1", "1\n"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("010", 10),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        (".inf", float("inf")),
    ],
)
def test_a_scalar_is_what_the_core_schema_says(text, value):
    """CFG-1."""
    parsed = parse_yaml(f"key: {text}\n", name="f").value["key"]
    assert (parsed, type(parsed)) == (value, type(value))


def test_every_part_knows_its_line_and_column():
    root = parse_yaml("a: 1\nb:\n  - x\n  - c:\n      2\n", name="f")
    places = {
        "a": root.parts["a"],
        "b": root.parts["b"],
        "b.0": root.parts["b"].parts[0],
        "b.1.c": root.parts["b"].parts[1].parts["c"],
    }
    assert {name: (node.line, node.column) for name, node in places.items()} == {
        "a": (1, 1),
        "b": (2, 1),
        "b.0": (3, 5),
        "b.1.c": (4, 5),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3:1: the key 'a' stands in line 1 already"),
        ("a: &x 1\n", "f:1:4: the anchor &x"),
        ("a: *x\n", "f:1:4: an alias"),
        ("a: !!str 1\n", "f:1:4: the tag"),
        ("a: !!python/object:os.system 1\n", "f:1:4: the tag"),
        ("a: 1\n---\nb: 1\n", "f:2:1: a second document"),
        ("1: a\n", "f:1:1: the key 1 is no text"),
        ("? [a]\n: b\n", "f:1:3: the key ['a'] is no text"),
        ("a:\n\t- b\n", "f:2:1: this is not YAML: a tab"),
        ("a: 1\nb: x\x00y\n", "f:2: the character '\\x00' must not be in YAML"),
        ("a: [1\n", "f:2:1: this is not YAML"),
        ("a: b: c\n", "f:1:5: this is not YAML"),
        ('a: "\\UFFFFFFFF"\n', "f: this is not YAML"),
        ("[" * (MAX_DEPTH + 1), f"f:1:{MAX_DEPTH + 1}: more than {MAX_DEPTH} levels"),
        ("[" * 100_000, f"f:1:{MAX_DEPTH + 1}: more than {MAX_DEPTH} levels"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text, message):
    """CFG-1."""
    with pytest.raises(ConfigurationError) as caught:
        parse_yaml(text, name="f")
    assert str(caught.value).startswith(message)


def test_as_deep_as_allowed_is_allowed():
    """CFG-1."""
    parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, name="f")


@given(st.text(alphabet=st.sampled_from(" \n\t\r:-?[]{},#&*!|>'\"%@`ab1~\\x\x00\x85\ufeff"), max_size=40))
def test_any_text_is_read_or_refused_in_our_own_words(text):
    try:
        parse_yaml(text, name="f")
    except ConfigurationError as error:
        assert str(error).startswith("f:")  # noqa: PT017 - both outcomes are right
