"""Runs schedules drawn from seeds: those that failed once before all others, or the one of MDP_SEED alone."""

import os
from collections import Counter
from pathlib import Path

from market_data_pipeline.testing import simulate

FAILED_ONCE = Path(__file__).with_name("regressions.txt")


def schedule(file, program, seed):
    """Run the schedule of a seed; a failure says how to run it again."""
    try:
        return simulate(program, seed=seed)
    except BaseException as error:
        error.add_note(f"again: MDP_SEED={seed} pytest tests/simulation/{Path(file).name}")
        raise


def failed_once(file):
    """Return the seeds that failed once in a file's schedules."""
    lines = FAILED_ONCE.read_text(encoding="utf-8").splitlines()
    cases = [line.split(maxsplit=2) for line in lines if not line.startswith("#")]
    return [int(seed) for name, seed, _ in cases if name == Path(file).stem]


def run_all(file, trial, seeds, must):
    """Run trials, each of which counts what has `happened` in it, and see that all that must happen has.

    Returns:
        How often each did; nothing for the one of MDP_SEED, which need not show all.
    """
    happened = Counter()
    if named := os.environ.get("MDP_SEED"):
        trial(int(named))
        return happened
    for seed in (*failed_once(file), *seeds):
        happened += trial(seed).happened
    assert sorted(must - set(happened)) == [], "these never happened, so that nothing was tried with them"
    return happened
