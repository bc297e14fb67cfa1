"""The tutorial that publishes a source, followed to the letter in a clean environment."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.isolation, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "your-first-source.md").read_text(encoding="utf-8")


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(command, folder):
    environ = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environ, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_source_is_installed_listed_and_run(tmp_path):
    (tmp_path / "market_data_countdown.py").write_text(fences("python")[0], encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(fences("toml")[0], encoding="utf-8")
    *_, listed, rows = [run(line.replace("CLONE", str(ROOT)), tmp_path) for line in fences("sh")[0].splitlines()]
    assert [listed, rows] == fences("text")
