"""Start-up: what importing the package and typing `mdp` cost above Python itself, each in a fresh process.

Goals: `import market_data_pipeline` within 60 ms of CPU over bare Python, `mdp --help` within 100 ms. The rooms of the
package load on first use, so what the first names out of it cost is shown too. Bytecode is cached, in a folder of its
own: the first round compiles.
"""

import os
import subprocess
import sys
import tempfile

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
GOALS = {"import market_data_pipeline": 60, "mdp --help": 100}
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
    return {name for name in names if not name.startswith("_")}


def least(cases):
    best = dict.fromkeys(cases, float("inf"))
    with tempfile.TemporaryDirectory() as cache:
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = cache
        for _ in range(ROUNDS):
            for name in [*cases, *reversed(cases)]:
                best[name] = min(best[name], cpu_seconds(cases[name], environ))
    return best


if __name__ == "__main__":
    best, always = least(CASES), packages("pass")
    floor = best[BARE]
    print(f"\nstart-up, CPU above {BARE} ({floor * 1e3:.1f} ms)")
    for name, code in CASES.items():
        if name != BARE:
            goal = f"goal {GOALS[name]} ms" if name in GOALS else ""
            print(f"  {name:48} {(best[name] - floor) * 1e3:8.1f} ms {best[name] / floor:7.2f} x  {goal}".rstrip())
            print(f"    loads {', '.join(sorted(packages(code) - always))}")
