"""Fixtures of every distribution's tests, and the fences of README.md and docs/ as tests."""

import os
import random
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parent

# Many tests start programs of their own, which take three times as long where no compiled module may be kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What a runtime writes of itself stays out of the user's data directory.
_DATA = tempfile.TemporaryDirectory(prefix="mdp-tests-")
os.environ["XDG_DATA_HOME"] = _DATA.name

# The gate is deterministic; `nox -s torture` looks for new examples.
settings.register_profile("gate", deadline=None, derandomize=True, database=None)
settings.register_profile("torture", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("gate")


def pytest_addoption(parser):
    parser.addoption("--shuffle", metavar="SEED", help="Run the tests in an order drawn from SEED.")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Shuffle the tests; the fences of one page are one test, since each goes on from the one before it."""
    if (seed := config.getoption("--shuffle")) is not None:
        units = [
            list(unit) for _, unit in groupby(items, lambda item: item.path if item.path.suffix == ".md" else item)
        ]
        random.Random(seed).shuffle(units)
        items[:] = [item for unit in units for item in unit]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data, which is no part of the repository."""
    folder = Path(os.environ.get("MDP_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no recorded market data in {folder}: set MDP_SHARED_DATA to its folder"
        if os.environ.get("MDP_REQUIRE_SHARED") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return folder


class ShellParser(CodeBlockParser):
    """Run the `mdp` commands of a ```sh fence; the other lines (installing, nox) are other sessions' business."""

    language = "sh"

    def evaluate(self, example):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        for line in example.parsed.replace("\\\n", " ").splitlines():
            if line.startswith("mdp "):
                done = subprocess.run(
                    line, shell=True, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    return f"{line}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return None


def enter_folder(namespace):
    """A page's fences share a namespace and an empty working folder."""
    namespace["_home"] = Path.cwd()
    namespace["_folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)


def leave_folder(namespace):
    os.chdir(namespace["_home"])
    namespace["_folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), ShellParser(), SkipParser()],
    pattern="*.md",
    setup=enter_folder,
    teardown=leave_folder,
).pytest()
