"""Built wheels in clean environments: what is installed is there, what is not is not, what is broken is harmless."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.isolation, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
DISTS = ROOT / "tests" / "data" / "dists"
PROVIDERS = sorted(path.parent.name.removeprefix("market-data-") for path in ROOT.glob("plugins/*/pyproject.toml"))
CANNOT_BE_INSTALLED = {"damaged-entry-points", "missing-metadata"}

ASK = """
import json, sys
from market_data_pipeline.plugins import PluginHost
host = PluginHost()
listed = [[r.name, r.distribution, r.version, r.state, r.reason] for r in host.records()]
imported = sorted({name.partition(".")[0] for name in sys.modules if name.startswith("market_data_")})
offers, errors = {}, {}
for name in sys.argv[1:]:
    try:
        offers[name] = host.provider(name).plugin
    except Exception as error:
        errors[name] = f"{type(error).__name__}: {error}"
host.load_all()
reasons = {r.name: r.reason for r in host.records()}
loaded = sorted({name.partition(".")[0] for name in sys.modules if name.startswith("market_data_")})
print(json.dumps(dict(listed=listed, imported=imported, offers=offers, errors=errors, reasons=reasons, loaded=loaded)))
"""


def run(*command):
    environ = {name: value for name, value in os.environ.items() if name not in {"UV_PYTHON", "UV_PROJECT_ENVIRONMENT"}}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, env=environ)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done


class Environment:
    """A clean environment, in which a question is asked in isolated mode."""

    def __init__(self, folder):
        self.python = folder / "bin" / "python"
        run("uv", "venv", "-q", "--python", sys.executable, folder)
        self.site = next(folder.glob("lib/python*/site-packages"))

    def pip(self, verb, *words):
        limits = ("-c", ROOT / "constraints.txt") if verb == "install" else ()
        run("uv", "pip", verb, "-q", "--python", self.python, *limits, *words)

    def ask(self, *names):
        return json.loads(run(self.python, "-I", "-c", ASK, *names).stdout)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheel file of each distribution, by its short name; of the fake ones, those that can be installed."""
    out = tmp_path_factory.mktemp("wheels")
    run("uv", "build", "-q", "--all-packages", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", out)
    for folder in DISTS.iterdir():
        if folder.name not in CANNOT_BE_INSTALLED:
            info = next(folder.glob("*.dist-info"))
            with zipfile.ZipFile(out / f"{info.stem}-py3-none-any.whl", "w") as wheel:
                for file in [*folder.glob("*.py"), *info.iterdir()]:
                    wheel.write(file, file.relative_to(folder))
                wheel.writestr(f"{info.name}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info.name}/RECORD", "")
    return {path.name.partition("-")[0].removeprefix("market_data_"): path for path in out.glob("*.whl")}


@pytest.fixture
def environment(tmp_path, wheels):
    """Make a clean environment with the core and the named distributions."""

    def make(*names):
        made = Environment(tmp_path / "venv")
        made.pip("install", *(wheels[name] for name in ("pipeline", *names)))
        return made

    return make


def test_the_core_alone_has_no_provider_and_says_how_to_get_one(environment):
    answer = environment().ask("synthetic")
    assert answer["listed"] == []
    assert answer["errors"]["synthetic"].startswith("PluginNotFound: no provider is named 'synthetic'")
    assert "pip install . ./plugins/market-data-synthetic" in answer["errors"]["synthetic"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_alone_is_found_and_loaded(environment, name):
    answer = environment(name).ask(name)
    assert answer["listed"] == [[name, f"market-data-{name}", "2.0.0", "found", None]]
    assert answer["imported"] == ["market_data_pipeline"]
    assert answer["offers"] == {name: name}
    assert answer["loaded"] == ["market_data_pipeline", f"market_data_{name}"]


def test_all_providers_live_together_and_one_that_is_uninstalled_is_gone(environment):
    made = environment(*PROVIDERS)
    assert made.ask(*PROVIDERS)["offers"] == {name: name for name in PROVIDERS}
    gone, *rest = PROVIDERS
    made.pip("uninstall", f"market-data-{gone}")
    answer = made.ask(*PROVIDERS)
    assert answer["offers"] == {name: name for name in rest}
    assert list(answer["errors"]) == [gone]


def test_broken_distributions_are_listed_with_their_reason_and_harmless(environment):
    broken = sorted(path.name for path in DISTS.iterdir() if path.name not in {"good", *CANNOT_BE_INSTALLED})
    made = environment(*PROVIDERS, *(f"fake_{name.replace('-', '_')}" for name in ("good", *broken)))
    for name in CANNOT_BE_INSTALLED:  # an installer refuses them; a disk or a broken installation makes them so
        shutil.copytree(DISTS / name, made.site, dirs_exist_ok=True)
    answer = made.ask("good", *PROVIDERS)
    assert answer["imported"] == ["market_data_pipeline"]
    assert answer["errors"] == {}
    assert answer["offers"] == {name: name for name in ("good", *PROVIDERS)}
    sound = ["command", "commands", "editable", "good", "slow", "stale", *PROVIDERS]
    assert answer["reasons"] == dict.fromkeys(sound) | {
        "async-hook": "contract",
        "clash": "conflict",
        "class": "contract",
        "exit": "import",
        "half-way": "contract",
        "import-error": "import",
        "market-data-fake-damaged-entry-points": "metadata",
        "missing-metadata": "metadata",
        "misspelt-hook": "contract",
        "syntax-error": "import",
        "wrapper": "contract",
        "wrong-api": "incompatible",
    }


def test_programs_for_the_earlier_system_run_where_every_provider_is_installed(environment, tmp_path):
    made = environment(*PROVIDERS)
    calls = runpy.run_path(str(ROOT / "tests" / "integration" / "test_users_calls.py"))
    for number, name in enumerate(calls["PROGRAMS"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        calls["check"](made.python, name, folder)


def test_the_command_lists_plugins_and_imports_none(environment):
    made = environment(*PROVIDERS, "fake_exit", "fake_import_error")
    done = run(made.python, "-I", "-X", "importtime", made.python.with_name("mdp"), "plugins", "list", "--json")
    assert {entry["name"]: entry["state"] for entry in json.loads(done.stdout)} == dict.fromkeys(
        ["exit", "import-error", *PROVIDERS], "found"
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {name for name in imported if name.startswith("market_data_")} == {"market_data_pipeline"}
