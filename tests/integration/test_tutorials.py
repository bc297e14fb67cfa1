"""The tutorials, followed to the letter; python fences and `mdp` lines run by themselves, here is what they print."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STREAM, PIPELINE, SOURCE = (
    (ROOT / "docs" / "tutorial" / name).read_text(encoding="utf-8")
    for name in ("first-stream.md", "first-pipeline.md", "your-first-source.md")
)


def fences(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(command, cwd, **variables):
    environ = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | variables
    done = subprocess.run(
        command, shell=True, cwd=cwd, env=environ, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def commands(page, beginning):
    lines = [line for fence in fences(page, "sh") for line in fence.splitlines()]
    return [line for line in lines if line.startswith(beginning)]


@pytest.fixture
def project(tmp_path):
    """The two files of the second tutorial."""
    (tmp_path / "market_data_countdown.py").write_text(fences(SOURCE, "python")[0], encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(fences(SOURCE, "toml")[0], encoding="utf-8")
    return tmp_path


def test_what_the_first_tutorial_prints_is_on_its_page(tmp_path, capsys):
    assert run(*commands(STREAM, "mdp stream"), tmp_path).stdout == fences(STREAM, "text")[0]
    namespace, printed = {}, []
    for code in fences(STREAM, "python"):
        exec(code, namespace)
        printed.append(capsys.readouterr().out)
    assert [printed[2], printed[3]] == fences(STREAM, "text")[1:]


def test_the_ticks_are_those_of_the_page(tmp_path):
    assert run(*commands(PIPELINE, "mdp stream"), tmp_path).stdout == fences(PIPELINE, "text")[0]


def test_the_bars_and_the_spec_are_those_of_the_page(tmp_path):
    once, dry_run, _ = commands(PIPELINE, "mdp run")[:3]
    done = run(once, tmp_path)
    assert re.sub(r"in \S+ s", "", done.stderr) == re.sub(r"in \S+ s", "", fences(PIPELINE, "text")[1])
    run(dry_run, tmp_path)
    assert (tmp_path / "pipeline.yaml").read_text(encoding="utf-8") == fences(PIPELINE, "yaml")[0]


def test_the_table_is_that_of_the_page(tmp_path):
    run(commands(PIPELINE, "mdp run")[0], tmp_path)
    code = fences(PIPELINE, "python")[0]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    cells = [re.findall(r"[^│┌┐└┘├┤┬┴┼─\s]+", line) for line in done.stdout.splitlines()]
    shown = [re.findall(r"[^│┌┐└┘├┤┬┴┼─\s]+", line) for line in fences(PIPELINE, "text")[2].splitlines()]
    assert [line for line in cells if line] == [line for line in shown if line]


def test_the_line_of_json_is_that_of_the_page(tmp_path):
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    done = run('mdp stream "synthetic:AAPL?speed=max" --count 1 --json', tmp_path)
    assert done.stdout == fences(page, "json")[0]


def test_the_source_is_a_plugin_as_its_project_says(project):
    """An installer writes a distribution's metadata from its pyproject.toml; here that is done by hand."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = project / f"market_data_countdown-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    (group, entries), *_ = about["entry-points"].items()
    lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    listed, rows = [
        run(line.removeprefix("clean/bin/"), project, PYTHONPATH=str(project), MDP_PLUGINS="countdown").stdout
        for line in commands(SOURCE, "clean/bin/mdp")
    ]
    assert fences(SOURCE, "text")[0].splitlines()[1] in listed
    assert rows == fences(SOURCE, "text")[1]
