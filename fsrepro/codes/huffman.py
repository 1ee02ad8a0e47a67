"""Words for the levels of a quantiser, by probability: Huffman's, and the fewest spikes.

A word is a string of 0 (a silent time step) and 1 (a spike). ``PrefixCode(words, levels)`` sends
them; it refuses words above 64 steps, so very unequal probabilities want a floor first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import combinations, count

import numpy as np
from numpy.typing import ArrayLike

from .checks import check_steps
from .prefix_code import check_probability

__all__ = ["entropy", "fewest_spikes_words", "huffman_words"]


def entropy(probability: ArrayLike) -> float:
    r"""Shannon entropy :math:`H = -\sum_i p_i \log_2 p_i` in bits.

    ``ValueError`` unless ``probability``, (L,), is a distribution.
    """
    p = check_probability(probability)
    p = p[p > 0]
    return float(abs(-(p @ np.log2(p))))


def huffman_words(probability: ArrayLike) -> list[str]:
    r"""The words of least mean length; of two branches the less probable begins with a spike.

    .. math:: H \le \sum_i p_i |w_i| < H + 1, \qquad \sum_i 2^{-|w_i|} = 1

    Of equally short choices the one with the shorter longest word is taken. The only word of a
    single level is empty.

    Parameters
    ----------
    probability : (L,) array_like
        Levels of probability zero get words too, for they may yet occur (with them the mean can
        reach H + 1).

    Raises
    ------
    ValueError
        For probabilities that are negative, not finite or do not sum to 1.

    References
    ----------
    Huffman (1952); ties as in Schwartz (1964).
    """
    p = check_probability(probability)
    words = [""] * len(p)
    ticket = count()  # older subtrees first among equals keeps the tree shallow
    heap = [(float(value), next(ticket), [level]) for level, value in enumerate(p)]
    heapq.heapify(heap)
    while len(heap) > 1:
        rare, frequent = heapq.heappop(heap), heapq.heappop(heap)
        if rare[0] == frequent[0]:
            rare, frequent = frequent, rare  # equal: the one with the shorter words stays silent
        for letter, (_, _, levels) in (("0", frequent), ("1", rare)):
            for level in levels:
                words[level] = letter + words[level]
        node = rare[0] + frequent[0], next(ticket), frequent[2] + rare[2]
        heapq.heappush(heap, node)
    return words


def fewest_spikes_words(probability: ArrayLike, steps: int) -> list[str]:
    """Words of ``steps`` time steps each, so that the mean number of spikes is the least possible.

    The more probable a level, the fewer ones in its word: any other matching could swap two
    words and save spikes. No code with these levels and K steps, linear or not, has fewer.
    ``ValueError`` for steps outside 1..64, more levels than the 2^K words, and probabilities that
    are negative, not finite or do not sum to 1.
    """
    p, steps = check_probability(probability), check_steps(steps)
    if len(p) > 2**steps:
        raise ValueError(f"{steps} time steps have {2**steps} words, got {len(p)} levels")
    words = [""] * len(p)
    for level, word in zip(np.argsort(-p, kind="stable"), _by_spikes(steps), strict=False):
        words[level] = word
    return words


def _by_spikes(steps: int) -> Iterator[str]:
    """All words of ``steps`` letters, those with fewer ones first."""
    for ones in range(steps + 1):
        for places in combinations(range(steps), ones):
            yield "".join("1" if t in places else "0" for t in range(steps))
