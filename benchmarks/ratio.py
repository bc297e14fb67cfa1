"""Ratios that hold on a busy machine: CPU time, arms interleaved in one process, the best of many rounds."""

import gc
import time
from collections.abc import Callable


def measure(arms: dict[str, Callable[[], object]], rounds: int = 9) -> dict[str, int]:
    """Return the least CPU ns of each arm, all threads of the process together.

    Every round runs the arms forwards and then backwards, so that a drift of the machine hits all of them alike.
    """
    best: dict[str, int] = {}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in [*arms, *reversed(arms)]:
                before = time.process_time_ns()
                arms[name]()
                spent = time.process_time_ns() - before
                best[name] = min(spent, best.get(name, spent))
                gc.collect()
    finally:
        gc.enable()
    return best


def per_row(times: dict[str, int], rows: int, **others: int) -> dict[str, float]:
    """Return ns a row of each arm, which had so many rows."""
    return {name: spent / others.get(name, rows) for name, spent in times.items()}
