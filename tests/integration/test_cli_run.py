"""`mdp run` and `mdp stream` with the synthetic provider, in this process."""

import json

import pyarrow.dataset
import pytest

from market_data_pipeline.cli import main

BARS = "synthetic:AAPL,ON?count=500&rate=50&speed=max&start=2024-01-02T14:30:00Z -> bars:1s -> "


@pytest.fixture
def mdp(capsys, monkeypatch, tmp_path):
    """Run `mdp` in an empty folder, and return what it printed to stdout and to stderr."""
    monkeypatch.chdir(tmp_path)

    def mdp(*arguments):
        assert main(arguments) == 0
        return capsys.readouterr()

    return mdp


def test_a_oneliner_fills_files(mdp):
    out, err = mdp("run", f"{BARS}parquet:data")
    table = pyarrow.dataset.dataset("data").to_table()
    assert set(table["symbol"].to_pylist()) == {"AAPL", "ON"}
    assert out == ""
    assert err.startswith("mdp: done in ")
    assert f": 500 rows in, {len(table)} to parquet:data; 0 late\n" in err


def test_what_a_dry_run_prints_is_the_very_same_pipeline(mdp, tmp_path):
    printed, err = mdp("run", f"{BARS}parquet:data", "--dry-run", "--duration", "5m")
    assert err == ""
    assert not tmp_path.joinpath("data").exists()
    tmp_path.joinpath("spec.yaml").write_text(printed)
    assert mdp("run", "spec.yaml", "--dry-run").out == printed
    assert "duration_sec: 300.0" in printed


def test_a_file_and_a_oneliner_write_the_same_bytes(mdp, tmp_path):
    tmp_path.joinpath("spec.yaml").write_text(mdp("run", f"{BARS}jsonl:two", "--dry-run").out)
    mdp("run", f"{BARS}jsonl:one")
    mdp("run", "spec.yaml")
    assert tmp_path.joinpath("one").read_bytes() == tmp_path.joinpath("two").read_bytes()


def test_how_it_ended_is_one_json_object(mdp):
    out, _ = mdp("run", f"{BARS}parquet:data", "--json")
    result = json.loads(out)
    assert result["reason"] == "end"
    assert result["error"] is None
    assert result["undelivered"] == 0
    assert result["ledger"]["received"] == 500
    assert [sink["held"] for sink in result["ledger"]["sinks"]] == [0]


def test_count_limits_the_rows_of_the_source(mdp):
    out, _ = mdp("run", "synthetic:A?speed=max -> jsonl:x", "--count", "70", "--json")
    result = json.loads(out)
    assert (result["reason"], result["ledger"]["received"]) == ("count", 70)


def test_stream_prints_rows_for_people(mdp):
    lines = mdp("stream", "synthetic:AAPL?speed=max", "--count", "5").out.splitlines()
    assert len(lines) == 5
    assert all("AAPL" in line for line in lines)


def test_stream_prints_json_lines_of_the_kinds_that_were_asked_for(mdp):
    out, _ = mdp("stream", "synthetic:AAPL?speed=max", "--count", "20", "--kinds", "trade", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["kind"], row["symbol"]) for row in rows] == [("trade", "AAPL")] * 20


def test_stream_prints_what_operators_make_of_the_rows(mdp):
    out, _ = mdp("stream", "synthetic:AAPL?speed=max&count=200 -> bars:1s", "--json")
    assert {json.loads(line)["kind"] for line in out.splitlines()} == {"bar"}


def test_a_sink_that_cannot_be_written_ends_with_1(capsys, tmp_path):
    """CLI-1."""
    tmp_path.joinpath("file").touch()
    assert main(["run", f"{BARS}jsonl:{tmp_path}/file/x"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("mdp: error: ")
    assert "choose another path" in err


def test_debug_shows_the_traceback_of_an_error(capsys, caplog):
    with caplog.at_level("DEBUG", "market_data_pipeline.cli"):
        assert main(["stream", "synthetic:A?speed=x", "--debug"]) == 2
    assert "Traceback" in caplog.text
    assert "Traceback" not in capsys.readouterr().err


def test_bars_are_shown_as_table_candles_lines_and_list(mdp):
    """The same bars in every form."""
    mdp("run", f"{BARS}parquet:data")
    table = mdp("bars", "data", "--symbol", "ON", "--last", "3").out
    assert table.startswith("ON  1s  synthetic, trade prices\n")
    lines = [
        json.loads(line) for line in mdp("bars", "data", "--symbol", "ON", "--last", "3", "--json").out.splitlines()
    ]
    assert [line["symbol"] for line in lines] == ["ON"] * 3
    assert all(f"{line['high']:.2f}" in row for line, row in zip(lines, table.splitlines()[2:], strict=False))
    assert mdp("bars", "data", "--list").out.split("\n")[2].startswith("ON")
    assert mdp("bars", "data", "--symbol", "ON", "--chart").out.startswith("ON  1s  synthetic, trade prices\n")


def test_bars_without_a_path_are_those_of_the_data_directory(mdp, monkeypatch, tmp_path):
    monkeypatch.setenv("MDP__DATA_DIR", str(tmp_path))
    mdp("run", f"{BARS}store")
    assert "made from 1s bars" in mdp("bars", "--symbol", "ON", "--interval", "5s").out
