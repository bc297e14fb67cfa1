# /// script
# requires-python = ">=3.11"
# dependencies = ["nox[uv]>=2026.8.10"]
# ///
"""Every task of the repository: `python3 noxfile.py` runs the gate, `-s NAME` one session, `-l` lists them.

Needs Python with venv and nothing else: where nox is missing it is installed into .nox/.tools first.
Where nox is there, plain `nox` is the same.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CONSTRAINTS = ROOT / "constraints.txt"

try:
    import nox
except ModuleNotFoundError:
    if __name__ != "__main__":
        raise
    tools = ROOT / ".nox" / ".tools"
    scripts = tools / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    if not (tools / "ready").exists():
        print("Installing nox into .nox/.tools ...", flush=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(tools)],  # says what to install where venv is missing
            [*pip, "-c", str(CONSTRAINTS), "nox[uv]"],
        ):
            if code := subprocess.run(command, check=False).returncode:
                sys.exit(code)
        (tools / "ready").touch()
    os.environ["PATH"] = os.pathsep.join([str(scripts), os.environ.get("PATH", os.defpath)])
    command = [python, "-m", "nox", "-f", str(ROOT / "noxfile.py"), *sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)

# A network may have a certificate authority of its own, which pip heeds too.
os.environ.setdefault("UV_SYSTEM_CERTS", "true")
os.environ.setdefault("UV_BUILD_CONSTRAINT", str(CONSTRAINTS))

nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "coverage", "lowest", "package", "isolation", "docs", "examples"]

PLUGINS = sorted(f"plugins/{path.parent.name}" for path in ROOT.glob("plugins/*/pyproject.toml"))
EDITABLE = [word for member in (".", *PLUGINS) for word in ("-e", member)]
PACKAGES = ["market_data_pipeline", *(path.removeprefix("plugins/").replace("-", "_") for path in PLUGINS)]

COVERED = [
    f"src/market_data_pipeline/{room}"
    for room in (
        *("breaking/*", "channel.py", "contracts/*", "errors.py", "model/*", "orchestration/coordinat*.py", "pacing/*"),
        *("plugins/*", "settings/accounts.py", "settings/coordination.py", "source/account.py", "source/patience.py"),
        *("source/services.py", "source/tenant.py"),
    )
]
"""What every other room stands on, and what decides whether a provider is asked at all: no branch goes untested."""

DEMO = "synthetic:AAPL,MSFT?count=2000&rate=100&seed=7&speed=max -> bars:1s -> parquet:./demo-data"
"""The main job in one line."""

SHOW = """
import pyarrow.dataset
names = ["symbol", "time", "open", "high", "low", "close", "volume"]
bars = pyarrow.dataset.dataset("demo-data").to_table(columns=names)
print(f"{len(bars)} bars in ./demo-data, the first ten:")
print(*(f"{name:>{26 if name == 'time' else 14}}" for name in names), sep="")
for bar in bars.slice(0, 10).to_pylist():
    print(*(f"{bar[name]!s:>{26 if name == 'time' else 14}}" for name in names), sep="")
"""
"""What a reader of the files sees, who knows nothing of the pipeline."""


def install(session: nox.Session, *words: str) -> None:
    """Install at the versions of constraints.txt."""
    session.install("-c", str(CONSTRAINTS), *words)


def workspace(session: nox.Session, *groups: str) -> None:
    """Install every distribution of the repository for editing, with dependency groups."""
    install(session, *EDITABLE, *(word for group in groups for word in ("--group", group)))


@nox.session
def demo(session: nox.Session) -> None:
    """Install the core and the synthetic provider, turn ticks into one-second bars in Parquet files, print some."""
    install(session, ".", "./plugins/market-data-synthetic")
    shutil.rmtree(ROOT / "demo-data", ignore_errors=True)
    session.run("mdp", "run", DEMO)
    session.run("python", "-c", SHOW, log=False)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests of all distributions; arguments after `--` go to pytest."""
    workspace(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the unit tests, or those named, report what they leave out, and fail if COVERED is not all covered."""
    workspace(session, "test")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *(session.posargs or ["tests/unit"]))
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report")
    session.run("coverage", "report", f"--include={','.join(COVERED)}", "--fail-under=100")


@nox.session
def mutation(session: nox.Session) -> None:
    """Change a copy of the modules of tests/mutation/ bit by bit, print what no test notices; `-- NAME` names some."""
    workspace(session, "test", "mutation")
    for name in session.posargs or sorted(path.stem for path in ROOT.glob("tests/mutation/*.toml")):
        copy = Path(session.create_tmp()).resolve() / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "dist", "site"))
        with session.chdir(copy):
            env = {"PYTHONPATH": str(copy / "src")}  # ahead of the installed one, which is that of the repository
            config, mutants = f"tests/mutation/{name}.toml", ("python", "tests/mutation/mutants.py")
            session.run("cosmic-ray", "init", config, "mutants.sqlite")
            session.run(*mutants, "skip", config, "mutants.sqlite")
            session.run("cosmic-ray", "baseline", config, env=env)
            session.run(*mutants, "run", config, "mutants.sqlite", env=env)
            session.run(*mutants, "survivors", config, "mutants.sqlite")


@nox.session
def torture(session: nox.Session) -> None:
    """Run the long seeded tests, and look for new examples in the property tests."""
    workspace(session, "test")
    session.run("pytest", "--hypothesis-profile=torture", "--timeout=1800", "-m", "not isolation", *session.posargs)


@nox.session
def shuffle(session: nox.Session) -> None:
    """Run the tests twenty times, each time in another order; `-- FIRST LAST` gives the seeds of the orders."""
    workspace(session, "test")
    first, last = map(int, session.posargs or ("1", "20"))
    for seed in range(first, last + 1):
        session.run("pytest", "-q", f"--shuffle={seed}")


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests on the lowest versions that the distributions declare."""
    workspace(session, "test")
    session.install("--upgrade", "--resolution", "lowest-direct", *EDITABLE)
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, spelling, import contracts, declared dependencies and metadata."""
    workspace(session, "lint")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("codespell")
    session.run("lint-imports")
    for member in (".", *PLUGINS):
        with session.chdir(ROOT / member):
            session.run("deptry", "src", silent=True)
            session.run("validate-pyproject", "pyproject.toml", silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly with two checkers, and that every public name has one."""
    workspace(session, "types", "test")
    session.run("mypy")
    session.run("pyrefly", "check")
    session.run("basedpyright", "--verifytypes", "market_data_pipeline", "--ignoreexternal")


def build(session: nox.Session, *options: str) -> None:
    """Build every distribution into dist/."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    # hatch must not take the environment of nox's uv for its own.
    env: dict[str, str | None] = dict.fromkeys(("UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "VIRTUAL_ENV"))
    env |= {"HATCH_DATA_DIR": str(ROOT / ".nox" / ".hatch"), "HATCH_QUIET": "1"}
    session.run("hatch", "build", "--all", *options, env=env)


@nox.session
def package(session: nox.Session) -> None:
    """Build source distributions and wheels, and check what is in them."""
    install(session, "--group", "package")
    build(session)
    built = sorted(str(path) for path in (ROOT / "dist").iterdir())
    session.run("twine", "check", "--strict", *built)
    session.run("check-wheel-contents", *(path for path in built if path.endswith(".whl")))


@nox.session
def isolation(session: nox.Session) -> None:
    """Install wheels into clean environments, alone, together and broken, and ask what is there."""
    install(session, "--group", "test", "--group", "package")
    env = {"UV_CONSTRAINT": str(CONSTRAINTS)}
    session.run("pytest", "-m", "isolation", "tests/isolation", *session.posargs, env=env)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link is an error."""
    workspace(session, "docs")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example as a user would, from an empty folder."""
    workspace(session)
    for path in sorted(ROOT.glob("examples/*.py")):
        with session.chdir(session.create_tmp()):
            session.run("python", str(path))


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; arguments after `--` name some of them."""
    workspace(session, "bench")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew: versions only, no index, no path."""
    install(session, "uv")
    session.run(
        *("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--upgrade", "--quiet"),
        *("pyproject.toml", *(f"{path}/pyproject.toml" for path in PLUGINS)),
        *(word for group in ("dev", "bench", "mutation") for word in ("--group", group)),
        *("--no-annotate", "--no-header", *(word for name in PACKAGES for word in ("--no-emit-package", name))),
        *("--output-file", str(CONSTRAINTS)),
    )


if __name__ == "__main__":
    nox.main()
