"""Specs in files: the line of every mistake, and the very same spec back."""

from pathlib import Path

import pytest

from market_data_pipeline.errors import ConfigurationError, PluginNotFound
from market_data_pipeline.pipeline import PipelineBuilder, PipelineSpec
from market_data_pipeline.pipeline.specfile import dump_spec, read_spec
from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.settings.document import MAX_BYTES

DISTS = Path(__file__).parents[1] / "data" / "dists"

GOOD = """\
version: 1
pipeline_id: fx
source: good
symbols: [EURUSD, ON]
operator:
  - name: bars
    settings:
      interval: 1s
      basis: bid
sink: memory
duration_sec: 1.5
"""


@pytest.fixture
def builder(monkeypatch):
    monkeypatch.syspath_prepend(str(DISTS / "good"))
    return PipelineBuilder(host=PluginHost(path=[str(DISTS / "good")]))


@pytest.fixture
def read(tmp_path, builder, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(content):
        Path("p.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_spec("p.yaml", builder)

    return read


def test_a_file_becomes_a_spec(read):
    assert read(GOOD) == PipelineSpec(
        pipeline_id="fx",
        source="good",
        symbols=("EURUSD", "ON"),
        operator={"name": "bars", "settings": {"interval": "1s", "basis": "bid"}},
        sink="memory",
        duration_sec=1.5,
    )


def test_a_spec_that_was_written_is_read_as_the_very_same(read):
    spec = read(GOOD)
    assert read(dump_spec(spec)) == spec


def test_a_byte_order_mark_does_no_harm(read):
    assert read(b"\xef\xbb\xbf" + GOOD.encode()) == read(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "p.yaml:1:1: version: Input should be 1, not 2"),
        ("ON", "1", "p.yaml:4:19: symbols.1: Input should be a valid string, not 1: write it in quotes"),
        ("ON", "true", "p.yaml:4:19: symbols.1: Input should be a valid string, not True: write it in quotes"),
        ("ON", "~", "p.yaml:4:19: symbols.1: Input should be a valid string, not None: write it in quotes"),
        ("symbols: [EURUSD, ON]", "symbols: EURUSD", "p.yaml:4:1: symbols: "),
        (
            "source:",
            "souurce:",
            "p.yaml:1:1: 'source' is missing; p.yaml:3:1: unknown key 'souurce'; did you mean 'source'?",
        ),
        ("    settings:", "    settinsg:", "p.yaml:7:5: unknown key 'operator.0.settinsg'; did you mean 'settings'?"),
        ("interval: 1s", "intervl: 1s", "p.yaml:8:7: unknown key 'intervl'; did you mean 'interval'?"),
        ("interval: 1s", "interval: 1x", "p.yaml:8:7: interval: '1x' is not an interval"),
        ("basis: bid", "basis: bed", "p.yaml:9:7: basis: Input should be "),
        ("sink: memory", "sink: []", "p.yaml:10:1: sink: "),
        ("sink: memory", "sink: {name: jsonl}", "p.yaml:10:1: 'path' is missing"),
        ("source: good", "source: {name: good, settings: {a: 1}}", "p.yaml:3:22: good takes no settings, got a"),
        ("1.5", "-1", "p.yaml:11:1: duration_sec: Input should be greater than 0, not -1"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(read, old, new, message):
    """CFG-1."""
    with pytest.raises(ConfigurationError) as caught:
        read(GOOD.replace(old, new))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source: good", "source: goood", "p.yaml:3:1: no provider or source is named 'goood'; did you mean 'good'"),
        ("name: bars", "name: barz", "p.yaml:6:5: no operator is named 'barz'; did you mean 'bars'?"),
        ("sink: memory", "sink: [memory, memry]", "p.yaml:10:16: no sink is named 'memry'; did you mean 'memory'?"),
        ("sink: memory", "sink: memory\nbatcher: hybrd", "p.yaml:11:1: no batcher is named 'hybrd'; did you mean"),
    ],
)
def test_an_unknown_name_is_answered_with_its_place_and_the_nearest(read, old, new, message):
    with pytest.raises(PluginNotFound) as caught:
        read(GOOD.replace(old, new))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "p.yaml: a pipeline is written as lines of `key: value`"),
        (b"- a\n", "p.yaml: a pipeline is written as lines of `key: value`"),
        (b"just text", "p.yaml: a pipeline is written as lines of `key: value`"),
        (b"a: 1\nb: \xff\n", "p.yaml:2: this is not UTF-8"),
        (GOOD.encode("utf-16"), "p.yaml:1: this is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "p.yaml: is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_spec_is_refused(read, content, message):
    """CFG-1."""
    with pytest.raises(ConfigurationError) as caught:
        read(content)
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_answered_with_the_nearest_name(tmp_path, builder):
    tmp_path.joinpath("eurusd.yaml").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file .*; did you mean 'eurusd.yaml'\?"):
        read_spec(tmp_path / "eurosd.yaml", builder)


def test_a_folder_is_no_file(tmp_path, builder):
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_spec(tmp_path, builder)
