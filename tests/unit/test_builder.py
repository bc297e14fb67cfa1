"""From names to a pipeline that runs: what is asked of the source, and what is said of a mistake."""

from pathlib import Path

import pytest

from market_data_pipeline import create_pipeline
from market_data_pipeline.errors import ConfigurationError, PluginNotFound
from market_data_pipeline.pipeline import PipelineBuilder, parse_spec
from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.testing import simulate

DISTS = Path(__file__).parents[1] / "data" / "dists"
FAST = {"name": "synthetic", "settings": {"speed": "max", "count": 1000}}


def spec(**changes):
    return parse_spec({"source": FAST, "symbols": ["A"], "sink": "memory"} | changes)


def ledger(**changes):
    return simulate(lambda _: PipelineBuilder().build_and_run(spec(**changes))).ledger


def request(**changes):
    return PipelineBuilder().build(spec(**changes)).intake._given._request


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, {"quote", "trade"}),
        ({"kinds": ["trade"]}, {"trade"}),
        ({"kinds": []}, {"quote", "trade"}),
        ({"operator": "bars"}, {"trade"}),
        ({"operator": {"name": "bars", "settings": {"basis": "mid"}}}, {"quote"}),
        ({"operator": "bars", "kinds": ["trade"]}, {"trade"}),
    ],
)
def test_the_source_is_asked_for_what_the_first_operator_takes(changes, kinds):
    assert request(**changes).kinds == kinds


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"source": "synthetik"}, PluginNotFound, "'synthetik'; did you mean 'synthetic'?"),
        ({"operator": "barz"}, PluginNotFound, "no operator is named 'barz'; did you mean 'bars'?"),
        ({"batcher": "hybrit"}, PluginNotFound, "no batcher is named 'hybrit'; did you mean 'hybrid'?"),
        ({"sink": "memoire"}, PluginNotFound, "no sink is named 'memoire'; did you mean 'memory'"),
        ({"kinds": ["bar"]}, ConfigurationError, "kinds: synthetic gives quote or trade rows, not bar"),
        (
            {"operator": "bars", "kinds": ["quote"]},
            ConfigurationError,
            "operator bars takes bar or trade rows, not quote",
        ),
        ({"sink": {"name": "memory", "settings": {"max": 1}}}, ConfigurationError, "sink memory: unknown key 'max'"),
        (
            {"source": {"name": "synthetic", "settings": {"sped": 1}}},
            ConfigurationError,
            "source synthetic: unknown key 'sped'; did you mean 'speed'",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_starts(changes, error, message):
    with pytest.raises(error) as caught:
        PipelineBuilder().build(spec(**changes))
    assert message in str(caught.value)


def test_a_source_that_has_nothing_for_the_operator_says_what_it_has(monkeypatch):
    monkeypatch.syspath_prepend(str(DISTS / "good"))
    builder = PipelineBuilder(host=PluginHost(path=[str(DISTS / "good")]))
    with pytest.raises(
        ConfigurationError, match="operator bars takes bar or trade rows, and good gives no rows: choose"
    ):
        builder.build(parse_spec({"source": "good", "operator": "bars", "sink": "memory"}))


def test_limits_and_names_reach_the_pipeline():
    made = PipelineBuilder().build(
        spec(tenant_id="t", pipeline_id="p", count=7, duration_sec=5, allowed_lateness_sec=0.5, drain_timeout_sec=3)
    )
    ctx = made.ctx
    assert (ctx.tenant_id, ctx.pipeline_id, ctx.count, ctx.duration_sec) == ("t", "p", 7, 5)
    assert (ctx.allowed_lateness_ns, ctx.drain_timeout_sec, ctx.on_full) == (500_000_000, 3, None)


def test_a_spec_runs_to_its_end():
    """L-1."""
    counts = ledger(operator="bars", kinds=["trade"])
    assert (counts.received, counts.accepted, counts.operators[0].folded) == (1000, 1000, 1000)
    assert counts.operators[0].created == counts.sinks[0].delivered > 0
    assert counts.mismatches() == []


def test_create_pipeline_takes_the_arguments_of_old_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    made = create_pipeline("tenant", "id", source=FAST, symbols=["A"], duration_sec=5, operator="bars")
    assert simulate(lambda _: made.run()).ledger.sinks[0].delivered > 0
    assert list(tmp_path.rglob("*.parquet"))
    with pytest.raises(ConfigurationError, match="symbols"):
        create_pipeline("t", "p", source="synthetic", symbols="AAPL", sink="memory")
    with pytest.raises(PluginNotFound, match=r"synthetic"):
        create_pipeline("t", "p", source="synthetic", host=PluginHost(path=[]))
