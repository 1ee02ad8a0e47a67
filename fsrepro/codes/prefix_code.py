"""Codes that give every level of a quantiser a word of its own: Huffman codes and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import MAX_STEPS, check_activations, check_scale, check_spikes, is_whole
from .code import Code
from .staircase import Staircase

__all__ = ["PrefixCode", "level_probability", "midpoints", "uniform_levels"]


class PrefixCode(Code):
    r"""x is rounded to a level, and the level's word is sent: 1 is a spike, 0 a silent step.

    .. math:: y = \ell_i \quad\text{for}\quad b_i \le x < b_{i+1}, \\
              z(1..|w_i|) = w_i, \qquad z(t) = 0 \text{ for } |w_i| < t \le K

    No word may be the beginning of another, so the receiver knows when a word ends; but it must
    follow every sender with a state machine, one step per time step, and has the value only
    then. Decoding is not a weighted sum, and refuses anything but words padded with silence.

    Parameters
    ----------
    words : sequence of str
        One string of 0 and 1 per level; K is the longest, at least 1.
    levels : (L,) float32
        :math:`\ell`, strictly increasing.
    breakpoints : (L - 1,) float32, optional
        b, strictly increasing: where each level but the first begins. By default the midpoints of
        the levels: x goes to the nearest, halves upwards.
    name : str

    Raises
    ------
    ValueError
        For words that are not binary, not one per level, longer than 64 or not prefix-free, and
        for levels or breakpoints that do not increase or are not finite.

    References
    ----------
    Prefix codes and their trees, Huffman (1952).
    """

    linear = False

    def __init__(
        self,
        words: Sequence[str],
        levels: ArrayLike,
        breakpoints: ArrayLike | None = None,
        *,
        name: str = "prefix code",
    ):
        self.name = name
        self.words = tuple(words)
        self.levels = _increasing("levels", levels)
        given = midpoints(self.levels) if breakpoints is None else breakpoints
        self.breakpoints = _increasing("breakpoints", given)
        if not len(self.words) == len(self.levels) == len(self.breakpoints) + 1 > 0:
            raise ValueError(
                "L levels need L words and L - 1 breakpoints, got "
                f"{len(self.levels)}, {len(self.words)} and {len(self.breakpoints)}"
            )
        self._next, self._level_of_state, self.decoder_states = _decoder(self.words)
        self.lengths = np.array([len(word) for word in self.words])
        if self.steps > MAX_STEPS:
            raise ValueError(f"at most {MAX_STEPS} time steps are supported, got {self.steps}")
        self._table = np.array([list(word.ljust(self.steps, "0")) for word in self.words])
        self._table = (self._table == "1").astype(np.uint8)  # (L, K)
        self.spike_counts = self._table.sum(1, dtype=np.uint8)

    decoder_states: int
    """Nodes of the decoding tree that are not words, the rows of the receiver's look-up table."""

    lengths: NDArray[np.int64]
    """Latency of each level, in time steps, (L,)."""

    spike_counts: NDArray[np.uint8]
    """Spikes in the word of each level, (L,)."""

    def mean_latency(self, probability: ArrayLike) -> float:
        """Time steps until a word ends, on average over levels of this probability, (L,)."""
        return float(check_probability(probability, len(self.words)) @ self.lengths)

    def mean_spikes(self, probability: ArrayLike) -> float:
        """Spikes per word, on average over levels of this probability, (L,)."""
        return float(check_probability(probability, len(self.words)) @ self.spike_counts)

    @property
    def worst_latency(self) -> int:
        """The longest word, in time steps; so long a layer waits for all of its neurons."""
        return int(self.lengths.max())

    @property
    def steps(self) -> int:
        return max(1, self.worst_latency)

    def encode(self, x: ArrayLike) -> NDArray[np.uint8]:
        level = np.searchsorted(self.breakpoints, check_activations(x), side="right")
        return np.ascontiguousarray(np.moveaxis(self._table[level], -1, 0))

    def decode(self, spikes: ArrayLike) -> NDArray[np.float32]:
        spikes = check_spikes(spikes, self.steps, self.name).astype(np.uint8)
        state = np.zeros(spikes.shape[1:], np.int64)
        for z in spikes:
            state = self._next[state, z]
        level = self._level_of_state[state]
        if np.any(level < 0):
            raise ValueError(
                f"{np.sum(level < 0)} of {level.size} spike trains are no words of {self.name!r}"
            )
        return self.levels[level]

    @cached_property
    def staircase(self) -> Staircase:
        return Staircase(self.breakpoints, self.levels, self.spike_counts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, levels={len(self.levels)}, K={self.steps})"


def uniform_levels(count: int, scale: float) -> NDArray[np.float32]:
    """``count`` levels 0, q, 2q, ... with q = ``scale`` / ``count``, as in ``binary``: (L,).

    ``ValueError`` for a count below 1 or a scale that is not positive and finite.
    """
    if not is_whole(count):
        raise ValueError(f"count must be a whole number of at least 1, got {count}")
    step = float(np.float32(check_scale(scale))) / int(count)
    return (step * np.arange(int(count))).astype(np.float32)


def midpoints(levels: ArrayLike) -> NDArray[np.float32]:
    """The first float32 at or above the midpoint of each two neighbouring levels: (L - 1,)."""
    levels = np.asarray(levels, np.float64)
    return at_or_above((levels[1:] + levels[:-1]) / 2)


def at_or_above(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """The smallest float32 that is not below x."""
    rounded = x.astype(np.float32)
    return np.where(rounded < x, np.nextafter(rounded, np.float32(np.inf)), rounded)


def level_probability(levels: ArrayLike, x: ArrayLike) -> NDArray[np.float64]:
    """How often each level is the nearest to the values ``x``: (L,), sums to 1.

    ``ValueError`` for no values or NaN, and for levels that are none or do not increase.
    """
    x, levels = check_activations(x).reshape(-1), _increasing("levels", levels)
    if not (x.size and levels.size):
        raise ValueError(
            f"level_probability needs at least one value and one level, got {x.size} and "
            f"{levels.size}"
        )
    nearest = np.searchsorted(midpoints(levels), x, side="right")
    return np.bincount(nearest, minlength=levels.size) / x.size


def check_probability(probability: ArrayLike, size: int | None = None) -> NDArray[np.float64]:
    """``probability`` as float64, or ``ValueError`` unless it is a distribution (of that size)."""
    p = np.asarray(probability, np.float64)
    if p.ndim != 1 or p.size == 0 or (size is not None and p.size != size):
        expected = "at least one" if size is None else size
        raise ValueError(f"probability must be a list of {expected} numbers, got shape {p.shape}")
    if not np.isfinite(p).all() or p.min() < 0:
        raise ValueError(f"probabilities must be finite and not negative, got {p.min()}")
    if abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"probabilities must sum to 1, got {p.sum():.9g}; divide by the sum")
    return p


def _increasing(field: str, values: ArrayLike) -> NDArray[np.float32]:
    table = np.array(values, np.float32)
    if table.ndim != 1 or not np.isfinite(table).all() or np.any(np.diff(table) <= 0):
        raise ValueError(
            f"{field} must be finite and strictly increasing in float32, got {np.asarray(values)}"
        )
    return table


def _decoder(words: Sequence[str]) -> tuple[NDArray, NDArray, int]:
    """Transition table (states, 2), level of each state (-1: none), number of inner states."""
    refuse, wait = -1, 0  # ``refuse`` is the last row: no word goes on like this
    following, level = [[refuse, refuse]], [-1]
    for number, word in enumerate(words):
        state = 0
        for bit in word:
            if bit not in "01":
                raise ValueError(f"words must be strings of 0 and 1, got {word!r}")
            if level[state] >= 0:
                break
            if following[state][int(bit)] == refuse:
                following[state][int(bit)] = len(following)
                following.append([refuse, refuse])
                level.append(-1)
            state = following[state][int(bit)]
        if level[state] >= 0 or following[state] != [refuse, refuse]:
            raise ValueError(f"word {word!r} and another word begin alike: not prefix-free")
        level[state] = number
    inner = sum(number < 0 for number in level)
    for state, number in enumerate(level):
        if number >= 0:
            following[state][wait] = state  # padding
    return np.array([*following, [refuse, refuse]]), np.array([*level, -1]), inner
