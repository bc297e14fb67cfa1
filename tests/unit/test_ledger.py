"""The ledger: each equation, and what is said when one does not hold."""

from collections import Counter

import pytest

from market_data_pipeline.pipeline import Ledger, SinkCounts, StageCounts


def ledger(**changes):
    values = {
        "received": 100,
        "accepted": 90,
        "queued": 4,
        "late": 5,
        "dropped": Counter(stop=6),
        "operators": [
            StageCounts("one", received=85, passed=80, failed=1, filtered=2, deduplicated=2),
            StageCounts("two", received=80, folded=80, created=7),
        ],
        "sinks": [SinkCounts("a", received=7, delivered=4, held=3), SinkCounts("b", received=7, delivered=7)],
    }
    return Ledger(**values | changes)


def test_a_ledger_that_adds_up_has_no_mismatch():
    """L-1."""
    assert ledger().mismatches() == Ledger().mismatches() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"received": 101}, ["entry: 101 rows went in, 100 are accounted for"]),
        ({"late": 4}, ["operator one, input: 86 rows went in, 85 are accounted for"]),
        ({"operators": []}, ["sink a, input: 85 rows went in, 7 are", "sink b, input: 85 rows went in, 7 are"]),
        ({"sinks": [SinkCounts("a", received=7, delivered=4)]}, ["sink a: 7 rows went in, 4 are accounted for"]),
        (
            {"operators": [StageCounts("one", received=85, passed=7)]},
            ["operator one: 85 rows went in, 7 are accounted for"],
        ),
    ],
)
def test_each_equation_that_does_not_hold_is_named(changes, words):
    """L-1."""
    found = ledger(**changes).mismatches()
    assert [said.startswith(word) for said, word in zip(found, words, strict=True)] == [True] * len(words)


def test_undelivered_is_what_is_queued_and_what_the_slowest_sink_holds():
    assert ledger().undelivered() == 4 + 3
    assert Ledger(queued=2).undelivered() == 2


def test_it_is_plain_data():
    plain = ledger().as_dict()
    assert type(plain["dropped"]) is dict
    assert (plain["dropped"], plain["operators"][1]["created"], plain["sinks"][0]["held"]) == ({"stop": 6}, 7, 3)
