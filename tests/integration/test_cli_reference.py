"""The reference page names every command, option and exit code."""

from pathlib import Path

import click
import pytest

from market_data_pipeline.cli import main
from market_data_pipeline.cli.app import commands

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def walk(command, path=("mdp",)):
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(walk(commands)))
def test_the_reference_names_it(path, command):
    page = PAGE.read_text()
    assert path in page
    options = {max(option.opts, key=len) for option in command.params if isinstance(option, click.Option)}
    assert {option for option in options - {"--version"} if option not in page} == set()


def test_the_spec_file_of_the_reference_is_valid(tmp_path):
    fence = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    tmp_path.joinpath("p.yaml").write_text(fence)
    assert main(["run", str(tmp_path / "p.yaml"), "--dry-run"]) == 0
