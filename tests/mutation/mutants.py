"""The mutants of cosmic-ray: `mutants.py skip|run|survivors CONFIG SESSION`.

A mutant inside an annotation is skipped: under `from __future__ import annotations` nobody evaluates it. Of the others
those are skipped that a `[sample]` of the configuration does not draw, which says how many `mutants`, and a `seed`.

The rest are run as `cosmic-ray exec` does, but in forks of a process that has imported everything else: that takes a
third of the time.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import random
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray import mutating
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

IMPORTED = ("anyio", "hypothesis", "msgspec", "numpy", "pyarrow", "pydantic", "pytest_asyncio", "rich", "sybil")
"""What tests and modules import that is not changed."""


def annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where the annotations begin and end."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            if isinstance(found := getattr(node, name, None), ast.expr):
                yield (
                    (found.lineno, found.col_offset),
                    (found.end_lineno or found.lineno, found.end_col_offset or found.col_offset),
                )


def skip(work: WorkDB, config: dict[str, Any]) -> None:
    """Mark the mutants inside annotations as done, and those that the sample does not draw."""
    pending = list(work.pending_work_items)
    paths = {item.mutations[0].module_path for item in pending}
    spans = {path: list(annotations(path.read_text("utf-8"))) for path in paths}
    for item in pending:
        (mutant,) = item.mutations
        if any(start <= mutant.start_pos < end for start, end in spans[mutant.module_path]):
            work.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, output="annotation"))
    if sample := config.get("sample"):
        left = sorted(work.pending_work_items, key=order)
        print(f"{sample['mutants']} of {len(left)} mutants, drawn with the seed {sample['seed']}")
        random.Random(sample["seed"]).shuffle(left)
        for item in left[sample["mutants"] :]:
            work.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, output="not drawn"))


def run(work: WorkDB, config: dict[str, Any]) -> None:
    """Run the tests on each mutant that is left."""
    for name in IMPORTED:
        import_module(name)
    mutating.run_tests = run_tests
    command, timeout = config["cosmic-ray"]["test-command"], config["cosmic-ray"]["timeout"]
    for item in list(work.pending_work_items):
        work.set_result(item.job_id, mutating.mutate_and_test(item.mutations, command, timeout))


def run_tests(command: str, timeout: float) -> tuple[TestOutcome, str]:
    """Run the tests in a fork, in place of the function of that name in cosmic-ray."""
    child = multiprocessing.get_context("fork").Process(target=run_here, args=[command])
    child.start()
    child.join(timeout)
    if child.is_alive():
        child.kill()
        child.join()
        return TestOutcome.KILLED, "timeout"
    return TestOutcome.KILLED if child.exitcode else TestOutcome.SURVIVED, ""


def run_here(command: str) -> None:
    """Run the tests in this process, which ends with them; nothing that was compiled is kept for the next mutant."""
    sys.dont_write_bytecode = True
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    _, _, _, *options = shlex.split(command)  # python -m pytest
    os._exit(pytest.main([*options, "--assert=plain"]))


def survivors(work: WorkDB, _config: dict[str, Any]) -> None:
    """Print the mutants that no test has killed, by line, and how many there were."""
    done = sorted(work.completed_work_items, key=lambda pair: order(pair[0]))
    run = [(item.mutations[0], result) for item, result in done if result.worker_outcome is not WorkerOutcome.SKIPPED]
    alive = [(mutant, result) for mutant, result in run if result.test_outcome is TestOutcome.SURVIVED]
    for mutant, result in alive:
        print(f"{place(mutant)}\n{change(result.diff or '')}")
    print(f"{len(run)} mutants, {len(run) - len(alive)} killed, {len(alive)} survived, {len(done) - len(run)} skipped")
    if len(alive) == len(run):
        sys.exit("no mutant was killed: these tests run on other code than what is changed")


def order(item: WorkItem) -> tuple[Path, tuple[int, int], str, int]:
    """Return by what mutants are sorted: their place, then their kind."""
    (mutant,) = item.mutations
    return mutant.module_path, mutant.start_pos, mutant.operator_name, mutant.occurrence


def place(mutant: MutationSpec) -> str:
    """Return where a mutant is, and its kind."""
    return f"{mutant.module_path}:{mutant.start_pos[0]}: {mutant.operator_name.removeprefix('core/')}"


def change(diff: str) -> str:
    """Return the changed lines of a diff alone."""
    lines = [line for line in diff.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return "\n".join(f"    {line[0]} {line[1:].strip()}" for line in lines)


if __name__ == "__main__":
    _, command, configuration, session = sys.argv
    with use_db(Path(session), WorkDB.Mode.open) as database:
        {"skip": skip, "run": run, "survivors": survivors}[command](
            database, tomllib.loads(Path(configuration).read_text("utf-8"))
        )
