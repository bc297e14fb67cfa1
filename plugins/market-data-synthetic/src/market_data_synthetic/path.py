"""The path of a price: a random walk whose value at any time costs the same, without what came before.

It is Lévy's construction of Brownian motion by midpoint displacement. Values at times 13 days apart are drawn around
0; the value half way between two of them is their mean plus a draw, with a quarter of the variance of what happens
between them; and so on down to times of about one second, between which the path is straight. Integers only: it is the
same on every machine.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from market_data_synthetic.noise import Ints, Words, draw

ONE = 30
"""Values are relative to the base price, in 2**-30 of it."""
FINE = 30
"""Nodes of the finest level are 2**30 ns apart, 1.07 s."""
COARSE = 50
"""Nodes of the coarsest level are 2**50 ns apart, 13 days."""

_DISPLACEMENT = 26_765
"""At the finest level, half the standard deviation of a displacement: for 2 % a day."""
_AMPLITUDES = {level: isqrt(_DISPLACEMENT**2 << (level - FINE)) for level in range(FINE, COARSE + 1)}
_CACHED = 32_768


class Path:
    """The paths of symbols, between -0.7 and 0.7 at all times."""

    def __init__(self, keys: Words, period: int) -> None:
        """Take one key per symbol, and the usual time between two looks at one symbol, int ns.

        Levels finer than the period are gone through look by look, coarser ones for all looks at once.
        """
        self._keys = keys
        self._level = max(FINE, period.bit_length() - 1)
        self._first = 0
        self._nodes = np.empty((len(keys), 0), np.int64)

    def at(self, symbol: Ints, time: Ints, start: int, stop: int) -> Ints:
        """Return the values of symbols (by index) at times, int ns, all of them in [start, stop)."""
        level = self._level
        self._cover(start, stop)
        node = time >> level
        place = symbol * self._nodes.shape[1] + (node - self._first)
        flat = self._nodes.ravel()
        left, right = flat[place], flat[place + 1]
        for finer in range(level - 1, FINE - 1, -1):
            middle = (left + right >> 1) + _displacement(self._keys[symbol], 2 * node + 1, finer)
            node = time >> finer
            is_right = (node & 1).astype(bool)
            left, right = np.where(is_right, middle, left), np.where(is_right, right, middle)
        right -= left
        right *= time & ((1 << FINE) - 1)
        right >>= FINE
        left += right
        return left

    def _cover(self, start: int, stop: int) -> None:
        """Have the nodes of `_level` around [start, stop), and as many more as are worth to keep."""
        level = self._level
        if self._first <= start >> level and (stop >> level) + 1 < self._first + self._nodes.shape[1]:
            return
        stop = max(stop, start + (_CACHED // len(self._keys) << level))
        first = start >> COARSE
        nodes = _displacement(self._keys[:, None], np.arange(first, (stop >> COARSE) + 2), COARSE)
        for finer in range(COARSE - 1, level - 1, -1):
            finer_nodes = np.empty((len(nodes), 2 * nodes.shape[1] - 1), np.int64)
            finer_nodes[:, ::2] = nodes
            odd = np.arange(2 * first + 1, 2 * first + finer_nodes.shape[1], 2)
            means = nodes[:, :-1] + nodes[:, 1:] >> 1
            finer_nodes[:, 1::2] = means + _displacement(self._keys[:, None], odd, finer)
            skipped, first = 2 * first, start >> finer
            nodes = finer_nodes[:, first - skipped : (stop >> finer) + 2 - skipped]
        self._first, self._nodes = first, np.ascontiguousarray(nodes)


def _displacement(key: Words, node: Ints, level: int) -> Ints:
    """Return the draws for nodes of a level: of 16 coins, whose sum is nearly normal and never beyond 4 deviations."""
    coins = draw(key, (node << 6 | level).view(np.uint64)) >> np.uint64(48)
    heads: Ints = np.bitwise_count(coins).astype(np.int64)
    return (heads - 8) * _AMPLITUDES[level]
