"""Random budgets, and stores that show what was granted or answer later, for schedules."""

import asyncio

import attrs

from market_data_pipeline.contracts.budget import SECOND_NS, Concurrency, Gcra, MinGap, Window
from market_data_pipeline.pacing import Grant, MemoryStore

OPERATIONS = ("history", "chain", "quote")


def budget_of(rng):
    """Return a random budget: two to five rules, some for an operation or by keys."""
    made = [
        Window(name="w", limit=rng.randint(2, 12), period_ns=rng.randint(1, 8) * SECOND_NS),
        Window(name="k", limit=rng.randint(2, 4), period_ns=rng.randint(1, 9) * SECOND_NS, per="contract"),
        Window(name="c", limit=rng.randint(2, 5), period_ns=3 * SECOND_NS, counts="calls", operations="history"),
        Gcra(name="g", limit=rng.randint(2, 50), burst=rng.randint(2, 5)),
        MinGap(name="m", gap_ns=rng.randint(1, 8) * SECOND_NS, per=("contract", "request"), operations="history"),
        Concurrency(name="o", limit=rng.randint(1, 4), operations={"history", "chain"}),
        Concurrency(name="p", limit=1, per="contract", operations="chain"),
    ]
    return [*rng.sample(made, rng.randint(2, 5)), Concurrency(name="lines", limit=3, operations=())]


def other_of(rng, rules):
    """Return the same budget with other numbers."""
    changed = []
    for rule in rules:
        field = {"min_gap": "gap_ns"}.get(rule.kind, "limit")
        number = getattr(rule, field)
        changed.append(attrs.evolve(rule, **{field: max(2, number + rng.choice((-number // 3, number // 3)))}))
    return changed


def stricter(rules, others):
    """Return of each rule the stricter one of two budgets."""
    return [min(pair, key=_leeway) for pair in zip(rules, others, strict=True)]


def _leeway(rule):
    return -rule.gap_ns if rule.kind == "min_gap" else rule.limit


class Elsewhere:
    """The store of this process, as one that answers some time later, and does one thing at a time."""

    inline = False
    depth = 3

    def __init__(self, inner, rng, most_sec=0.001):
        self.decide, self.settle, self.close = inner.decide, inner.settle, inner.close
        self.rng, self.most_sec, self.last = rng, most_sec, None

    def submit(self, work):
        async def later(before):
            if before is not None:
                await asyncio.wait([before])
            await asyncio.sleep(self.rng.random() * self.most_sec)
            return work()

        self.last = asyncio.ensure_future(later(self.last))
        return self.last


class Counted(MemoryStore):
    """Keeps the ledger of what was granted and refunded, and says when who has waited is let out."""

    granted = refunded = 0

    def on_grant(self):
        pass

    def take(self, now, slots):
        taken = super().take(now, slots)
        self.granted += taken
        return taken

    def decide(self, now, asks):
        verdicts = super().decide(now, asks)
        granted = sum(verdict.at is not None for verdict in verdicts)
        self.granted += granted
        if granted:
            self.on_grant()
        return verdicts

    def settle(self, now, what, slots):
        self.refunded += getattr(what, "__func__", None) is Grant._refund
        super().settle(now, what, slots)

    def held(self):
        """Return the meters of what is held now."""
        meters = [*self._shared.values(), *self._apart.values()]
        return [meter.holders for meter in meters if meter.rule.kind == "concurrency" and meter.holders]
