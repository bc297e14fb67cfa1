"""What is installed, and what a user can set."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import ValidationError

from market_data_pipeline.plugins import HookContext
from market_data_synthetic.capabilities import CAPABILITIES
from market_data_synthetic.provider import SyntheticProvider
from market_data_synthetic.settings import DEFAULT_START, SyntheticSettings


def test_the_installed_entry_point_gives_the_spec():
    (entry,) = entry_points(group="market_data.providers", name="synthetic")
    (spec,) = entry.load().mdp_providers(HookContext(plugin="synthetic"))
    assert spec.name == "synthetic"
    assert spec.capabilities == CAPABILITIES
    assert spec.resolve_factory() is SyntheticProvider
    assert spec.resolve_settings() is SyntheticSettings


def test_loading_the_plugin_imports_nothing_heavy():
    code = """
import sys
from market_data_synthetic.plugin import plugin
list(plugin.mdp_providers(None))
print(sorted({"numpy", "pydantic", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("start", ["2024-01-02T14:30:00Z", datetime(2024, 1, 2, 14, 30, tzinfo=UTC), DEFAULT_START])
def test_start_is_a_time_with_a_zone(start):
    assert SyntheticSettings(start=start).first == DEFAULT_START


def test_without_a_start_only_real_time_begins_now():
    assert SyntheticSettings().first is None
    assert SyntheticSettings(speed="max").first == SyntheticSettings(speed="10").first == DEFAULT_START


@pytest.mark.parametrize(
    "setting",
    [
        {"sed": 1},
        {"rate": 0},
        {"rate": "nan"},
        {"count": 0},
        {"speed": 0},
        {"speed": "inf"},
        {"speed": "nan"},
        {"speed": "fast"},
        {"start": "2024-01-02T14:30:00"},
        {"start": -1},
        {"tick_size": "0.0000000001"},
        {"tick_size": "nan"},
        {"trades_per_quote": 2},
        {"seed": -1},
    ],
)
def test_a_wrong_setting_is_refused(setting):
    with pytest.raises(ValidationError):
        SyntheticSettings(**setting)


def test_every_setting_is_described():
    assert all(field.description for field in SyntheticSettings.model_fields.values())


def test_the_readme_has_every_setting_with_its_default():
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| ([\w .]+) \|", readme, re.MULTILINE))
    defaults = {name: field.default for name, field in SyntheticSettings.model_fields.items()}
    assert list(table) == list(defaults)
    for name, default in defaults.items():
        if isinstance(default, bool | str):
            assert table[name] == str(default).replace("True", "true").replace("False", "false")
        else:
            assert default is None or Decimal(table[name]) == Decimal(str(default))
