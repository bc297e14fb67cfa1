"""Random numbers without a state: the n-th number of a stream is computed from the stream's key and n alone."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]
Ints: TypeAlias = NDArray[np.int64]


class Stream(IntEnum):
    """The streams of a symbol."""

    BASE = 0
    PATH = 1
    SLOT = 2
    QUOTE = 3
    TRADE = 4


def keys(seed: int, symbols: Sequence[str]) -> Words:
    """Return the keys of the streams of symbols, of shape (streams, symbols): the same on every machine."""
    salt = seed.to_bytes(16, "little")
    size = 8 * len(Stream)
    digests = b"".join(blake2b(symbol.encode(), digest_size=size, salt=salt).digest() for symbol in symbols)
    return np.frombuffer(digests, "<u8").astype(np.uint64).reshape(-1, len(Stream)).T.copy()


def draw(key: Words, counter: Words) -> Words:
    """Return 64 random bits for each key and counter, which are broadcast against each other.

    It is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014) with the key as its
    seed, at the place `counter`. Integers only, so that it is the same everywhere.
    """
    z: Words = counter * np.uint64(0x9E3779B97F4A7C15) + key
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
