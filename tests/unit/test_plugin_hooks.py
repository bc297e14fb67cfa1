"""Every hook is documented, in its docstring and in the reference, with an example that works."""

import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from market_data_pipeline import plugins
from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import PluginHooks
from market_data_pipeline.plugins.hookspecs import AT_LOAD, HOOKS, RETURNS
from market_data_pipeline.plugins.lifecycle import STATES, LifecycleEvent
from market_data_pipeline.plugins.registration import register

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"


def test_the_table_of_hooks_has_them_all():
    assert [name for name in vars(PluginHooks) if name.startswith("mdp_")] == list(HOOKS)


@pytest.mark.parametrize(
    ("name", "when", "failure"),
    [
        *((name, "Called once, when the plugin is loaded", "An exception makes the plugin failed") for name in AT_LOAD),
        ("mdp_commands", "Called once, when `mdp NAME ...` is typed", "An exception makes the plugin failed"),
        ("mdp_event", "once for each event", "An exception is logged"),
    ],
)
def test_a_hook_says_when_how_often_and_what_an_exception_does(name, when, failure):
    text = " ".join(inspect.getdoc(getattr(PluginHooks, name)).split())
    assert when in text
    assert failure in text


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_registers(name):
    code = textwrap.dedent(inspect.getdoc(getattr(PluginHooks, name)).partition("Example::\n")[2])
    namespace = {name: getattr(plugins, name) for name in plugins.__all__} | {"Capabilities": Capabilities}
    exec(code, namespace)
    registration = register(namespace["plugin"], plugin="acme")
    assert registration.hears_events == (name == "mdp_event")
    specs = (*registration.specs, *registration.commands)
    assert [type(spec) for spec in specs] == [RETURNS[name] for name in [name] if name in RETURNS]


def test_the_example_of_events_prints_what_failed(capsys):
    code = textwrap.dedent(inspect.getdoc(PluginHooks.mdp_event).partition("Example::\n")[2])
    namespace = {"PluginHooks": PluginHooks}
    exec(code, namespace)
    registration = register(namespace["plugin"], plugin="acme")
    for state in ("started", "failed"):
        registration.tell(LifecycleEvent(subject="pipeline", name="a:b", state=state, ts=0, reason="no disk"))
    assert capsys.readouterr().out == "pipeline a:b failed: no disk\n"


def test_a_hook_of_the_base_class_offers_nothing():
    assert [tuple(getattr(PluginHooks(), name)(None)) for name in RETURNS] == [()] * len(RETURNS)
    assert PluginHooks().mdp_event(None, None) is None


def test_the_reference_has_every_subject_and_its_states():
    page = PAGE.read_text(encoding="utf-8")
    for subject, states in STATES.items():
        assert re.search(rf"^\| `{subject}` \| .+ \| {', '.join(states)} \|$", page, re.MULTILINE), subject


def test_the_reference_has_every_hook_with_its_exact_signature():
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^## `(mdp_\w+)`$", page, re.MULTILINE) == list(HOOKS)
    for name in HOOKS:
        section = page.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        assert f"def {name}{inspect.signature(getattr(PluginHooks, name))}: ...".replace("'", "") in section


def test_the_public_names_are_sorted():
    assert plugins.__all__ == sorted(plugins.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert dir(plugins) == sorted(plugins.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'PluginHosst'"):
        plugins.PluginHosst  # noqa: B018


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("from market_data_pipeline.plugins import *", {"numpy", "pydantic", "pyarrow", "ruamel", "anyio", "asyncio"}),
        ("from market_data_pipeline.plugins import PluginHost; PluginHost().records()", {"pluggy", "msgspec"}),
    ],
    ids=["all public names", "a list of plugins"],
)
def test_heavy_modules_are_not_imported_for(code, unwanted):
    code += f"; import sys; print(sorted({unwanted}.intersection(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
