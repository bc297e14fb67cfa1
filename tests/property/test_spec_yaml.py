"""A spec that is written as YAML and read again is the very same, whatever is in it."""

from hypothesis import given
from hypothesis import strategies as st

from market_data_pipeline.pipeline import PipelineSpec
from market_data_pipeline.pipeline.specfile import dump_spec
from market_data_pipeline.settings.yaml_document import parse_yaml

LIKE_SOMETHING_ELSE = [
    "ON",
    "no",
    "~",
    "null",
    "1",
    "1e3",
    "0x1F",
    "010",
    "1:30",
    "2026-01-01",
    ".inf",
    "=",
    "<<",
    "- a",
    "",
]
text = st.sampled_from(LIKE_SOMETHING_ELSE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=4
)
components = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["synthetic", "bars", "on", "null"]),
        "settings": st.dictionaries(text, values, max_size=4),
    }
)
specs = st.fixed_dictionaries(
    {"source": components, "sink": st.lists(components, min_size=1, max_size=2)},
    optional={
        "symbols": st.lists(text.filter(bool), max_size=3),
        "operator": st.lists(components, max_size=2),
        "batcher": components,
        "kinds": st.none() | st.sets(st.sampled_from(["quote", "trade", "bar"])),
        "count": st.integers(min_value=1),
        "duration_sec": st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        "pipeline_id": st.sampled_from(["1", "on", "null", "a.b-c"]),
        "on_full": st.sampled_from(["block", "fail", None]),
    },
)


@given(specs)
def test_a_spec_survives_yaml(plain):
    spec = PipelineSpec.model_validate(plain)
    assert PipelineSpec.model_validate(parse_yaml(dump_spec(spec), name="f").value) == spec
