"""What an import must not bring along, seen from a fresh process."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "click",
    "numpy",
    "pyarrow",
    "pydantic",
    "pydantic_core",
    "rich",
    "ruamel",
    "yaml",
    "multiprocessing",
    "unittest",
}
LOOPS = {"anyio", "asyncio"}
LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded_by(code):
    env = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }  # it loads much itself
    command = [sys.executable, "-c", f"{code}\n{LOADED}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["", ".errors", ".clock", ".model", ".contracts", ".plugins"])
def test_the_lower_floors_are_light(module):
    assert not loaded_by(f"import market_data_pipeline{module}") & (HEAVY | LOOPS)


def test_the_channel_loads_the_loop_and_nothing_else():
    assert not loaded_by("import market_data_pipeline.channel") & (HEAVY | {"anyio"})


def test_a_budget_of_this_process_loads_no_database():
    assert "sqlite3" not in loaded_by("import market_data_pipeline.pacing")


@pytest.mark.parametrize("name", ["Quote", "Capabilities", "MarketDataError"])
def test_a_name_of_the_package_loads_its_own_room_alone(name):
    assert not loaded_by(f"from market_data_pipeline import {name}") & (HEAVY | LOOPS)


def test_rows_and_batches_of_rows_need_no_numpy():
    code = """
from market_data_pipeline.model import Origin, Trade, TradeBatch, concat, to_px
rows = [Trade("AAPL", 1, 2, 3, 0, Origin("a", "a", 1, "live"), to_px("1.5"), None)] * 3
batch = TradeBatch(rows)
assert concat([batch[:1], batch.select([1, 2])]).rows == batch.rows
"""
    assert not loaded_by(code) & HEAVY


@pytest.mark.parametrize("module", ["", ".errors", ".clock", ".model", ".contracts", ".channel", ".plugins"])
def test_typing_extensions_is_not_needed(module):
    loaded_by(f"import sys; sys.modules['typing_extensions'] = None\nimport market_data_pipeline{module}")
