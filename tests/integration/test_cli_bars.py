"""`mdp bars`: what an operator sees of a dataset, and what of a mistake."""

import json
from pathlib import Path

import pytest

from market_data_pipeline.cli import main

RUN = "synthetic:AAPL,MSFT?count=4000&rate=50&speed=max&start=2024-01-02T14:30:00Z -> bars:1s -> parquet:data"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", RUN]) == 0
    return folder


@pytest.fixture
def bars(capsys, dataset, monkeypatch):
    monkeypatch.chdir(dataset)

    def bars(*arguments, code=0):
        assert main(["bars", *arguments]) == code
        return capsys.readouterr()

    return bars


def test_a_list_says_what_there_is(bars):
    head, *rows = bars("data", "--list").out.splitlines()
    assert head.split()[:4] == ["symbol", "interval", "provider", "prices"]
    assert [row.split()[:4] for row in rows] == [[name, "1s", "synthetic", "trade"] for name in ("AAPL", "MSFT")]


def test_a_table_has_the_newest_bars_oldest_first(bars):
    title, head, *rows = bars("data", "--symbol", "AAPL", "--last", "3").out.rstrip().splitlines()
    assert title.split() == ["AAPL", "1s", "synthetic,", "trade", "prices"]
    assert head.split()[2:] == ["open", "high", "low", "close", "volume", "vwap", "trades"]
    assert len(rows) == 3
    assert rows == sorted(rows)


def test_json_lines_are_those_of_the_table(bars):
    rows = bars("data", "--symbol", "AAPL", "--last", "3").out.rstrip().splitlines()[2:]
    lines = [json.loads(line) for line in bars("data", "--symbol", "AAPL", "--last", "3", "--json").out.splitlines()]
    assert [float(row.split()[5]) for row in rows] == [line["close"] for line in lines]


def test_longer_bars_are_made_of_those_that_there_are(bars):
    short = [json.loads(line) for line in bars("data", "--symbol", "AAPL", "--last", "9999", "--json").out.splitlines()]
    wanted = ("data", "--symbol", "AAPL", "--interval", "1m", "--last", "9999", "--json")
    long = [json.loads(line) for line in bars(*wanted).out.splitlines()]
    assert 1 < len(long) < len(short)
    assert sum(bar["volume"] for bar in long) == sum(bar["volume"] for bar in short)
    assert [bar["is_final"] for bar in long] == [True] * (len(long) - 1) + [False]


def test_a_chart_has_a_title_and_an_axis_of_time(bars):
    lines = bars("data", "--symbol", "MSFT", "--interval", "5s", "--chart").out.splitlines()
    assert lines[0].startswith("MSFT  5s  synthetic, trade prices, made from 1s bars")
    assert lines[-1].startswith("2024-01-02 14:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data"], "there are bars of 2 symbols, AAPL, MSFT: name some of them"),
        (["data", "--symbol", "APL"], "there are no bars of 'APL'; did you mean 'AAPL'?"),
        (["data", "--symbol", "AAPL", "--interval", "1500ms"], "nor such as make them up: 1s"),
        (["data", "--symbol", "AAPL", "--interval", "soon"], "write it as 1s, 5m, 1h or 1d (see `mdp bars --help`)"),
        (["data", "--symbol", "AAPL", "--start", "2024-01-02"], "add an offset, such as +00:00 or Z"),
        (["data", "--symbol", "AAPL", "--start", "2030-01-01T00:00:00Z"], "has no such bars in that time"),
        (["data", "--symbol", "AAPL", "--provider", "synth"], "did you mean 'synthetic'?"),
        (["data", "--chart", "--json"], "exclude each other"),
        (["nowhere"], "there is no such folder; `mdp run"),
        (["file"], "this is a file: name the folder of the dataset that it is in"),
        (["."], "there are no bars: they lie in kind=bar/"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_would_be_right(bars, arguments, message):
    Path("file").touch()
    out, err = bars(*arguments, code=2)
    assert out == ""
    assert err.startswith("mdp: error: ")
    assert message in err
    assert err.count("\n") == 1
