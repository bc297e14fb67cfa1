"""One-liners, against a plugin on disk whose names and settings no parser can know."""

import sys

import pytest

from market_data_pipeline.errors import ConfigurationError, PluginNotFound
from market_data_pipeline.pipeline import PipelineBuilder, parse_spec
from market_data_pipeline.pipeline.oneliner import parse_oneliner
from market_data_pipeline.plugins import GROUP, PluginHost

ACME = """
from pathlib import Path
from typing import Annotated, Literal
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.model import parse_time
from market_data_pipeline.plugins import ComponentSpec, PluginHooks, ProviderSpec

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    start: Annotated[int, BeforeValidator(parse_time)] | None = None
    rate: float = 1.0
    speed: Literal["max"] | float = 1.0
    note: str = ""
    api_key: SecretStr | None = None

class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: Path
    rows: int = Field(default=1, alias="rows_per_file")

class Plugin(PluginHooks):
    def mdp_providers(self):
        both = Capabilities(kinds=frozenset({"quote", "trade"}))
        yield ProviderSpec(name="acme", factory="math:sqrt", settings=Settings, capabilities=both)
    def mdp_components(self):
        yield ComponentSpec(kind="operator", name="plain", factory="math:sqrt")
        yield ComponentSpec(kind="sink", name="table", factory="math:sqrt", settings=Table)

plugin = Plugin()
"""


@pytest.fixture
def builder(tmp_path, monkeypatch):
    info = tmp_path / "market_data_acme-1.0.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: market-data-acme\nVersion: 1.0.0\n")
    info.joinpath("entry_points.txt").write_text(f"[{GROUP}]\nacme = market_data_acme:plugin\n")
    tmp_path.joinpath("market_data_acme.py").write_text(ACME)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield PipelineBuilder(host=PluginHost(path=[str(tmp_path)]))
    sys.modules.pop("market_data_acme", None)


def test_a_oneliner_becomes_the_values_of_a_spec(builder):
    text = "acme:AAPL,MSFT?rate=5&kinds=trade -> bars:5s?basis=bid -> plain -> table:./out"
    assert parse_oneliner(text, builder) == {
        "source": {"name": "acme", "settings": {"rate": 5.0}},
        "symbols": ["AAPL", "MSFT"],
        "kinds": ["trade"],
        "operator": [
            {"name": "bars", "settings": {"interval": "5s", "basis": "bid"}},
            {"name": "plain", "settings": {}},
        ],
        "sink": [{"name": "table", "settings": {"path": "out"}}],
    }


def test_a_source_and_a_sink_are_enough(builder):
    assert parse_oneliner("acme->console", builder) == {
        "source": {"name": "acme", "settings": {}},
        "operator": [],
        "sink": [{"name": "console", "settings": {}}],
    }


def test_the_first_colon_ends_the_name_and_the_others_belong_to_the_symbol(builder):
    values = parse_oneliner("acme:O:SPY251219C00650000,I:SPX -> console", builder)
    assert values["symbols"] == ["O:SPY251219C00650000", "I:SPX"]


def test_options_are_percent_decoded_and_a_plus_stays_a_plus(builder):
    values = parse_oneliner("acme?note=a%26b%3D%20c+d%2B%C3%A9=x?y -> console", builder)
    assert values["source"]["settings"] == {"note": "a&b= c+d+é=x?y"}


def test_a_time_with_an_offset_needs_no_quoting(builder):
    values = parse_oneliner("acme?start=2024-01-02T14:30:00+00:00 -> console", builder)
    assert values["source"]["settings"] == {"start": 1_704_205_800_000_000_000}


def test_values_are_typed_by_the_settings_and_only_those_given_are_in_the_spec(builder):
    values = parse_oneliner("acme?speed=max&rate=2 -> table:x?rows_per_file=7", builder)
    assert values["source"]["settings"] == {"speed": "max", "rate": 2.0}
    assert values["sink"][0]["settings"] == {"path": "x", "rows_per_file": 7}
    assert parse_oneliner("acme?speed=3 -> console", builder)["source"]["settings"] == {"speed": 3.0}


def test_the_same_stages_written_in_another_order_of_options_are_the_same_pipeline(builder):
    one, other = (
        parse_spec(parse_oneliner(f"acme:A?{options} -> bars:1s -> table:x", builder))
        for options in ("rate=1&note=n", "note=n&rate=1.0")
    )
    assert one == other


def test_a_secret_is_refused_and_not_repeated(builder):
    with pytest.raises(ConfigurationError, match=r"^source acme: 'api_key' is a secret, .* spec file") as caught:
        parse_oneliner("acme?api_key=hunter2&rate=x -> console", builder)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acme", "a pipeline has a source and a sink"),
        ("", "a stage has no name"),
        ("acme -> ", "a stage has no name"),
        ("-> console", "a stage has no name"),
        ("acme -> -> console", "a stage has no name"),
        ("acme: -> console", "nothing stands behind the colon"),
        ("acme -> table:?rows=1", "nothing stands behind the colon"),
        ("acme?rate -> console", "'rate' is no option: write key=value"),
        ("acme?=1 -> console", "'=1' is no option"),
        ("acme?rate=1& -> console", "'' is no option"),
        ("acme?rate=1&rate=2 -> console", "the option 'rate' is given twice"),
        ("acme?kinds=quote&kinds=trade -> console", "the option 'kinds' is given twice"),
        ("acme -> table:x?path=y", "'path' is given twice"),
        ("acme?note=%ff -> console", "'%ff' does not decode to UTF-8"),
        ("acme?rat=1 -> console", "source acme: unknown key 'rat'; did you mean 'rate'?"),
        ("acme?rate=fast -> console", "source acme: rate: .* not 'fast'"),
        ("acme?speed=fast -> console", "source acme: speed: Input should be 'max' or .*, not 'fast'"),
        ("acme -> plain:x -> console", "operator plain: takes no argument, got 'x'"),
        ("acme -> plain?a=1 -> console", "plain takes no settings, got a"),
        ("acme -> bars:1x -> console", "operator bars: interval: '1x' is not an interval"),
        ("acme -> table", "sink table: 'path' is missing"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(builder, text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_oneliner(text, builder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acne -> console", "'acne'; did you mean 'acme'?"),
        ("acme -> barz -> console", "no operator is named 'barz'; did you mean 'bars'?"),
        ("acme -> konsole", "no sink is named 'konsole'; did you mean 'console'"),
        ("acme -> table:x -> console", "'table' is a sink"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(builder, text, message):
    with pytest.raises(PluginNotFound) as caught:
        parse_oneliner(text, builder)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acme:A,,B -> console", "symbols.1: "),
        ("acme?kinds=quote,quot -> console", "kinds.1: Input should be 'quote', 'trade' or 'bar', not 'quot'"),
    ],
)
def test_what_the_spec_refuses_is_named_too(builder, text, message):
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(parse_oneliner(text, builder))
    assert str(caught.value).startswith(message)
