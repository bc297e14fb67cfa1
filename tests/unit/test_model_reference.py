"""The reference of the model names everything that is public, as it is."""

import re
from pathlib import Path

import attrs
import pytest

from market_data_pipeline import model
from market_data_pipeline.model import BATCHES, Flag, Instrument, OptionQuote, Origin, Row
from market_data_pipeline.model.columns import MISSING, TEXT, dtype

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "model.md").read_text("utf-8")
EVENTS = model.ControlEvent.__subclasses__()


def table(head):
    """Return the rows of the table whose first heading is this, each by the names in its first cell."""
    lines = PAGE.partition(f"\n| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: row for row in cells for name in re.findall(r"`(\w+)`", row[0])}


@pytest.mark.parametrize("name", model.__all__)
def test_every_public_name_is_in_the_reference(name):
    assert re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE)


@pytest.mark.parametrize("row_type", [Row, Origin, *(batch.row_type for batch in BATCHES.values())])
def test_the_fields_of_rows_are_listed_in_order(row_type):
    own = row_type.__struct_fields__ if row_type in {Row, Origin} else row_type.__struct_fields__[6:]
    assert tuple(table(f"field of `{row_type.__name__}`")) == own


def test_the_fields_of_an_instrument_are_listed_in_order():
    assert list(table("field of `Instrument`")) == [field.name for field in attrs.fields(Instrument)]


def test_the_flags_are_listed_in_order():
    assert list(table("bit of `Flag`")) == [flag.name for flag in Flag]


def test_the_columns_are_listed_with_their_dtypes_and_bits():
    listed = table("column")
    fields = {name: kind for kind, batch in BATCHES.items() for name in batch.row_type.__struct_fields__}
    assert listed.keys() == fields.keys() - {"origin"}
    for name, (_, kind, kept_as, missing) in listed.items():
        assert kind in {"all", fields[name]}
        assert kept_as == f"{dtype(name)}{' codes' if name in TEXT else ''}"
        assert (name in MISSING) == missing.startswith("0 and")
        assert name not in MISSING or f"`{MISSING[name].name}`" in missing


@pytest.mark.parametrize("event", EVENTS)
def test_the_events_are_listed_with_their_fields(event):
    further = [field.name for field in attrs.fields(event) if not field.inherited]
    assert re.findall(r"`(\w+)`", table("event")[event.__name__][2]) == further


def test_the_fields_of_an_option_quote_are_listed_in_order():
    assert tuple(table("field of `OptionQuote`")) == OptionQuote.__struct_fields__
