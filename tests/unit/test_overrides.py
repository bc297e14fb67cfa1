"""The settings of earlier programs: each lands where it belongs, or says why it cannot."""

import logging

import pytest

from market_data_pipeline import PipelineBuilder, PipelineOverrides, PipelineSpec, create_pipeline
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline import parse_spec

PLAIN = {"source": "synthetic", "symbols": ["A"], "operator": "bars", "sink": "store"}
REPLAY = PLAIN | {"source": "replay"}


def spec(values=PLAIN, **overrides):
    return parse_spec(values | {"overrides": overrides})


def component(name, **settings):
    return {"name": name, "settings": settings}


@pytest.mark.parametrize(
    ("values", "overrides", "clean"),
    [
        (PLAIN, {"ticks_per_sec": 50}, {"source": component("synthetic", rate=50.0)}),
        (REPLAY, {"replay_path": "ticks"}, {"source": component("replay", path="ticks")}),
        (REPLAY, {"replay_speed": 10}, {"source": component("replay", speed=10.0)}),
        (REPLAY, {"replay_speed": "max"}, {"source": component("replay", speed="max")}),
        (PLAIN, {"bar_window_sec": 60}, {"operator": component("bars", interval="1m")}),
        (PLAIN, {"bar_window_sec": 1.5}, {"operator": component("bars", interval="1500ms")}),
        (PLAIN, {"bar_allowed_lateness_sec": 0}, {"allowed_lateness_sec": 0}),
        (PLAIN, {"batch_size": 7}, {"batcher": component("hybrid", max_rows=7)}),
        (PLAIN, {"max_bytes": 7}, {"batcher": component("hybrid", max_bytes=7)}),
        (PLAIN, {"flush_ms": 7}, {"batcher": component("hybrid", flush_ms=7.0)}),
        (PLAIN, {"op_queue_max": 8}, {"queue_rows": 4000}),
        (PLAIN, {"op_queue_max": 8, "batch_size": 9}, {"batcher": component("hybrid", max_rows=9), "queue_rows": 72}),
        (PLAIN, {"drop_policy": "oldest"}, {"on_full": "drop_oldest"}),
        (PLAIN, {"drop_policy": "newest"}, {"on_full": "drop_newest"}),
        (PLAIN, {"drop_policy": "block"}, {"on_full": "block"}),
        (
            PLAIN | {"sink": ["store", "kafka"]},
            {"kafka_bootstrap": "host:9092", "kafka_topic": "bars"},
            {"sink": ["store", component("kafka", bootstrap="host:9092", topic="bars")]},
        ),
        (PLAIN, {}, {}),
    ],
)
def test_an_override_is_the_same_spec_as_the_setting_that_it_stands_for(values, overrides, clean):
    assert spec(values, **overrides) == parse_spec(values | clean)
    assert spec(values, **overrides).as_plain() == parse_spec(values | clean).as_plain()


def test_an_override_takes_the_place_of_a_setting_and_leaves_the_others():
    given = PLAIN | {"operator": component("bars", interval="5s", basis="mid"), "on_full": "fail"}
    made = spec(given, bar_window_sec=60, drop_policy="newest")
    assert made.operator[0].settings == {"interval": "1m", "basis": "mid"}
    assert made.on_full == "drop_newest"


@pytest.mark.parametrize(
    ("values", "overrides", "message"),
    [
        (REPLAY, {"ticks_per_sec": 5}, "ticks_per_sec: is for one source named 'synthetic', and this pipeline"),
        (PLAIN, {"replay_path": "x"}, "overrides.replay_path: is for one source named 'replay', and"),
        (PLAIN | {"operator": None}, {"bar_window_sec": 5}, "operator named 'bars', and this pipeline has none"),
        (PLAIN | {"operator": ["bars", "bars"]}, {"bar_window_sec": 5}, "this pipeline has bars, bars: leave"),
        (PLAIN | {"batcher": "other"}, {"batch_size": 5}, "is for one batcher named 'hybrid', and"),
        (PLAIN, {"kafka_topic": "x"}, "is for one sink named 'kafka', and this pipeline has store"),
        (PLAIN, {"database_dsn": "x"}, "overrides: database_dsn: the database sink comes with the PostgreSQL plugin"),
        (PLAIN, {"ticks_per_sek": 5}, "unknown key 'overrides.ticks_per_sek'; did you mean 'ticks_per_sec'"),
        (PLAIN, {"bar_window_sec": 0.5}, "bar_window_sec: Input should be greater than or equal to 1, not 0.5"),
        (PLAIN, {"drop_policy": "old"}, "drop_policy: Input should be 'oldest', 'newest' or 'block', not 'old'"),
        (PLAIN, 5, "overrides: Input should be a valid dictionary"),
        (PLAIN, {"batch_size": 0}, "overrides.batch_size: Input should be greater than 0, not 0"),
    ],
)
def test_what_cannot_have_an_effect_says_what_to_do(values, overrides, message):
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(values | {"overrides": overrides})
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["pacing_max_per_sec", "pacing_burst", "sink_workers", "sink_queue_max"])
def test_what_would_only_make_it_slower_or_faster_is_a_warning(name, caplog):
    assert spec(**{name: 4}) == parse_spec(PLAIN)
    assert [(record.levelno, record.args[0]) for record in caplog.records] == [(logging.WARNING, name)]


def test_create_pipeline_folds_overrides_in():
    made = create_pipeline(
        "acme", "quotes", source="synthetic", symbols=["A"], overrides=PipelineOverrides(op_queue_max=2, batch_size=10)
    )
    assert (made.ctx.tenant_id, made.ctx.pipeline_id, made.ctx.max_rows) == ("acme", "quotes", 20)


def test_the_builder_checks_what_an_override_became():
    with pytest.raises(ConfigurationError, match="source synthetic: rate: Input should be less than or equal to"):
        PipelineBuilder().build(spec(ticks_per_sec=1e9))


def test_a_spec_with_overrides_has_the_name_of_the_work_that_it_does():
    clean = parse_spec(PLAIN | {"operator": component("bars", interval="1m")})
    made = PipelineSpec(**PLAIN, overrides=PipelineOverrides(bar_window_sec=60))
    assert (made.pipeline_id, made.overrides) == (clean.pipeline_id, None)


def test_a_mistake_shows_no_secret():
    with pytest.raises(ValueError, match="database_password: the database sink comes with") as caught:
        PipelineSpec(**PLAIN, overrides={"database_password": "hunter2"})
    assert "hunter2" not in str(caught.value)
