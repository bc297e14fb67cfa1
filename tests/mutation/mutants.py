"""What cosmic-ray is not to run, and what its run left alive: `mutants.py skip|survivors SESSION`.

A mutant inside an annotation is skipped: under `from __future__ import annotations` nobody evaluates it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult


def annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where the annotations begin and end."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            if isinstance(found := getattr(node, name, None), ast.expr):
                yield (
                    (found.lineno, found.col_offset),
                    (found.end_lineno or found.lineno, found.end_col_offset or found.col_offset),
                )


def skip(work: WorkDB) -> None:
    """Mark the mutants inside annotations as done."""
    for item in list(work.pending_work_items):
        (mutant,) = item.mutations
        spans = annotations(mutant.module_path.read_text("utf-8"))
        if any(start <= mutant.start_pos < end for start, end in spans):
            work.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, output="annotation"))


def survivors(work: WorkDB) -> None:
    """Print the mutants that no test has killed, by line, and how many there were."""
    done = [(item.mutations[0], result) for item, result in work.completed_work_items]
    run = [(mutant, result) for mutant, result in done if result.worker_outcome is not WorkerOutcome.SKIPPED]
    alive = [(mutant, result) for mutant, result in run if result.test_outcome is TestOutcome.SURVIVED]
    for mutant, result in sorted(alive, key=lambda pair: (pair[0].start_pos, pair[0].operator_name)):
        print(f"{place(mutant)}\n{change(result.diff or '')}")
    print(f"{len(run)} mutants, {len(run) - len(alive)} killed, {len(alive)} survived, {len(done) - len(run)} skipped")
    if len(alive) == len(run):
        sys.exit("no mutant was killed: these tests run on other code than what is changed")


def place(mutant: MutationSpec) -> str:
    """Return where a mutant is, and its kind."""
    return f"{mutant.module_path}:{mutant.start_pos[0]}: {mutant.operator_name.removeprefix('core/')}"


def change(diff: str) -> str:
    """Return the changed lines of a diff alone."""
    lines = [line for line in diff.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]
    return "\n".join(f"    {line[0]} {line[1:].strip()}" for line in lines)


if __name__ == "__main__":
    with use_db(Path(sys.argv[2]), WorkDB.Mode.open) as database:
        {"skip": skip, "survivors": survivors}[sys.argv[1]](database)
