"""Start-up: what importing the package and typing `mdp` cost above Python itself, each in a fresh process.

Goals: `import market_data_pipeline` within 60 ms of CPU over bare Python and 20 MiB, `mdp --help` within 100 ms,
settings loaded within 250 ms. The rooms of the package load on first use, so what the first names out of it cost is
shown too. Bytecode is cached, in a folder of its own: the first round compiles.
"""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec

from results import Table, at_most

BARE = "python -c pass"
MDP = "import sys; sys.argv = {}; from market_data_pipeline.cli import main; code = main()"
CASES = {
    BARE: "pass",
    "import market_data_pipeline": "import market_data_pipeline",
    "from market_data_pipeline import Quote": "from market_data_pipeline import Quote",
    "from market_data_pipeline import PipelineRuntime": "from market_data_pipeline import PipelineRuntime",
    "mdp --help": MDP.format(["mdp", "--help"]),
    "mdp plugins list": MDP.format(["mdp", "plugins", "list"]),
}
IMPORT, HELP, SETTINGS = "import market_data_pipeline", "mdp --help", "load_settings()"
if find_spec("market_data_pipeline.settings") is not None:
    CASES[SETTINGS] = "from market_data_pipeline.settings import load_settings; load_settings()"
LIMITS = {IMPORT: 60, HELP: 100, SETTINGS: 250}
"""Ms of CPU above bare Python."""
MEMORY = 20
"""MiB of the whole process behind the import."""
PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
FOREIGN = "print(*({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
ROUNDS = 10


def cpu_seconds(code, environ):
    """Return what a fresh interpreter spends, user and system together."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], environ, file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, code
    return usage.ru_utime + usage.ru_stime


def packages(code):
    """Return the packages from outside the standard library that are loaded at the end."""
    command = [sys.executable, "-c", f"import sys\n{code}\n{FOREIGN}"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split()
    return {name for name in names if not name.startswith("_")} - {"market_data_pipeline"}


def least(cases):
    best = dict.fromkeys(cases, float("inf"))
    with tempfile.TemporaryDirectory() as cache:
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = cache
        for _ in range(ROUNDS):
            for name in [*cases, *reversed(cases)]:
                best[name] = min(best[name], cpu_seconds(cases[name], environ))
    return best


def mebibytes(code):
    """Return what a fresh interpreter had in memory at most; None where the system does not say."""
    if not os.path.exists("/proc/self/status"):  # noqa: PTH110
        return None
    command = [sys.executable, "-c", f"import sys\n{code}\n{PEAK}"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]) / 1024


if __name__ == "__main__":
    best, always = least(CASES), packages("pass")
    floor = best[BARE]
    table = Table("start-up", ["", "ms", "MiB", "loads, beside the standard library"])
    for name, code in CASES.items():
        spent, memory = best[name] - floor, mebibytes(code)
        loads = ", ".join(sorted(packages(code) - always)) or "nothing"
        shown = "" if memory is None else f"{memory:.1f}"
        table.add(f"`{name}`", f"{floor * 1e3:.0f}" if name == BARE else f"{spent * 1e3:.0f}", shown, loads)
        if name in LIMITS:
            table.goals.append(at_most(16, LIMITS[name], spent * 1e3, f"`{name}`, CPU above bare Python", " ms"))
        if name == IMPORT and memory is not None:
            table.goals.append(at_most(16, MEMORY, memory, f"`{name}`, memory of the process", " MiB"))
    table.publish()
