"""The migration page against the names that programs for 0.8 use: all are on it, and it says the truth about each."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "migrate.md").read_text(encoding="utf-8")

NAMES = re.findall(
    r"\w+",
    """
create_pipeline tenant_id pipeline_id source symbols duration_sec operator sink overrides StreamingPipeline
batcher ctx run PipelineBuilder build build_and_run config PipelineSpec PipelineOverrides PipelineContext
PipelineSettings ticks_per_sec pacing_max_per_sec pacing_burst replay_path replay_speed bar_window_sec
bar_allowed_lateness_sec batch_size max_bytes flush_ms op_queue_max drop_policy sink_workers sink_queue_max
kafka_bootstrap kafka_topic database_ PipelineRuntime initialize shutdown stream_quotes source_priority
run_pipeline list_pipelines stop_pipeline settings registry service PipelineRuntimeSettings SourceRegistry
SourceRouter CircuitBreaker CircuitBreakerOpen RateCoordinator CooldownManager Budget Pacer TickSource stream
status SourceStatus connected detail close capabilities start health SecondBarAggregator window_sec
allowed_lateness_sec OptionsChainOperator EventTimePolicy drop_late_beyond_watermark HybridBatcher max_rows
add flush DatabaseSink DatabaseSinkSettings StoreSink PipelineService mdp symbol timestamp price size
enable_routing providers orchestration_enabled max_concurrent_pipelines enable_rate_coordination
circuit_breaker_threshold circuit_breaker_timeout_sec register load list_sources discover_entrypoints
add_source remove_source sources strategy max_retries RetryableError threshold timeout half_open_attempts
is_open record_failure record_success reset get_state register_provider acquire trigger_cooldown
get_provider_state cooldown_sec max_msgs_per_sec burst allow delete_pipeline get_pipeline_status stop
""",
)


def table(heading):
    """Pairs of a module and a name that code type begins with, of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    module = ""
    for line in re.findall(r"^\| .*", section, re.MULTILINE)[1:]:
        first, names, *_ = line.strip("|").split("|")
        module = first.strip(" `") or module
        for name in re.findall(r"`([A-Za-z]\w*)", names):
            yield module, name


WORKS = [
    (module, name)
    for module, name in table("What works unchanged")
    if module.startswith("market_data_pipeline")
    and (name[0].isupper() or (module, name) == ("market_data_pipeline", "create_pipeline"))
]
MISSING = [(module, name) for module, name in table("What is not built yet") if name[0].isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_every_name_of_earlier_programs(name):
    assert re.search(rf"`[^`\n]*\b{name}\b", PAGE), name


def test_the_tables_are_read():
    assert {name for _, name in WORKS} > {"create_pipeline", "PipelineRuntime", "TickSource", "SourceStatus"}
    assert {name for _, name in MISSING} < set(NAMES)


@pytest.mark.parametrize(("module", "name"), WORKS)
def test_what_is_said_to_work_can_be_imported(module, name):
    assert getattr(import_module(module), name)


@pytest.mark.parametrize(("module", "name"), [each for each in MISSING if each not in WORKS])
def test_what_is_said_to_be_missing_is(module, name):
    """Is it there? Then the page has to say so: move it to the first table."""
    with pytest.raises((ImportError, AttributeError)):
        getattr(import_module(module), name)


@pytest.mark.parametrize("name", ["OptionsChainOperator", "DatabaseSink", "DatabaseSinkSettings"])
def test_what_there_is_not_says_what_to_use(name):
    room = import_module(f"market_data_pipeline.{'operator' if name.endswith('Operator') else 'sink'}")
    with pytest.raises(ImportError, match=name) as caught:
        getattr(room, name)
    assert "use" in str(caught.value)


@pytest.mark.parametrize("room", ["operator", "sink"])
def test_any_other_name_is_simply_not_there(room):
    assert not hasattr(import_module(f"market_data_pipeline.{room}"), "Nothing")
