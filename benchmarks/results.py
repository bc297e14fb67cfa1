"""What a benchmark found: printed for who ran it, and handed to `run.py`, which writes the page, as a line of JSON."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = "MDP_BENCH_RESULTS"
"""The variable that names the file for the lines."""


@dataclass(frozen=True)
class Goal:
    """One measured value beside the goal that was set for it."""

    number: int
    text: str
    measured: str
    met: bool


def at_least(number, limit, measured, what, unit=""):
    return Goal(number, f"{what}: at least {limit:g}{unit}", f"{measured:.3g}{unit}", measured >= limit)


def at_most(number, limit, measured, what, unit=""):
    return Goal(number, f"{what}: at most {limit:g}{unit}", f"{measured:.3g}{unit}", measured <= limit)


@dataclass
class Table:
    """One table of the page: rows of texts below its columns, and the goals that they are about."""

    name: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def add(self, *cells):
        self.rows.append(list(cells))

    def publish(self):
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        print(f"\n{self.name}")
        for row in (self.columns, *self.rows):
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        for goal in self.goals:
            print(f"  goal {goal.number}: {goal.text}: {goal.measured}, {'met' if goal.met else 'MISSED'}")
        if path := os.environ.get(RESULTS):
            with Path(path).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(asdict(self)) + "\n")


def timed(name, unit, times, ours):
    """Return a table of ns, and how many times as long as ours each arm takes."""
    table = Table(name, ["", unit, "ratio"])
    for arm, spent in times.items():
        mark = "**" if arm == ours else ""
        table.add(f"{mark}{arm}{mark}", f"{spent:,.1f}", f"{spent / times[ours]:.2f}")
    return table
