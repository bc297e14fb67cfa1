"""What cosmic-ray is not to run, and what its run left alive: `mutants.py skip|survivors CONFIG SESSION`.

A mutant inside an annotation is skipped: under `from __future__ import annotations` nobody evaluates it. Of the others
those are skipped that a `[sample]` of the configuration does not draw, which says how many `mutants`, and a `seed`.
"""

from __future__ import annotations

import ast
import random
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult


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
        {"skip": skip, "survivors": survivors}[command](database, tomllib.loads(Path(configuration).read_text("utf-8")))
