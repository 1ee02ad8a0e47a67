"""A spike code as a step function of its input: exact, and fast to look up.

Seen from outside, an FS neuron maps x = v(1) to a value and a number of spikes, both constant
between finitely many breakpoints, each of them an exact float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Staircase", "compile_staircase"]

_MAX_PIECES = 1 << 21
_MAX_CELLS = 1 << 20
_CHUNK = 1 << 13  # elements worked on at a time, so that temporaries stay in the cache


class Staircase:
    """``value[i]`` and ``count[i]`` hold for ``breakpoint[i-1] <= x < breakpoint[i]``.

    Parameters
    ----------
    breakpoint : (P - 1,) float32
        Strictly increasing.
    value : (P,) float32
    count : (P,) uint8

    Notes
    -----
    Looking up works on the bit patterns of x. Ordered as integers they order the floats, so their
    leading bits name a cell; cells are narrow enough to hold one breakpoint at most. The cell
    gives the piece at its left edge, and one exact comparison decides the rest.
    """

    def __init__(self, breakpoint: NDArray, value: NDArray, count: NDArray):
        self.breakpoint, self.value, self.count = breakpoint, value, count
        for table in (breakpoint, value, count):
            table.setflags(write=False)
        self._signed = bool(len(breakpoint)) and breakpoint[0] <= 0
        self._build_guide()

    def values_at(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The value of each element of ``x`` (float32, any shape, no NaN)."""
        return self._look_up(x, self.value)

    def counts_at(self, x: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The number of spikes of each element of ``x`` (float32, any shape, no NaN)."""
        return self._look_up(x, self.count)

    def _build_guide(self) -> None:
        # As in _look_up: negative floats with all bits but the sign flipped, which orders them.
        bits = self.breakpoint.view(np.int32)
        keys = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
        # NaN compares false: past the last breakpoint there is nothing left to cross.
        self._next = np.append(self.breakpoint, np.float32(np.nan))
        self._guide = None
        for shift in range(23, -1, -1):
            cells = keys >> shift
            if len(cells) and cells[-1] - cells[0] > _MAX_CELLS:
                return
            if np.all(np.diff(cells) > 0):
                break
        # One cell to the left and one to the right of all breakpoints, where inputs are clipped to.
        first, last = (cells[0] - 1, cells[-1] + 1) if len(cells) else (0, 0)
        self._shift, self._first, self._last = (np.int32(n) for n in (shift, first, last))
        index = np.searchsorted(cells, np.arange(first, last + 1))
        self._guide = index.astype(np.uint16 if len(keys) < 1 << 16 else np.int32)

    def _look_up(self, x, table):
        flat = np.ascontiguousarray(x).reshape(-1)
        if self._guide is None:
            index = np.searchsorted(self.breakpoint, flat, side="right")
            return table[index].reshape(x.shape)
        out = np.empty(flat.shape, table.dtype)
        size = min(_CHUNK, flat.size)
        cell, sign = np.empty((2, size), np.int32)
        index = np.empty(size, self._guide.dtype)
        edge = np.empty(size, np.float32)
        crossed = np.empty(size, bool)
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            n = len(part)
            c, i, e, z = cell[:n], index[:n], edge[:n], crossed[:n]
            if self._signed:
                np.add(part, np.float32(0), out=e)  # turns -0.0 into +0.0
                bits = e.view(np.int32)
                s = np.right_shift(bits, 31, out=sign[:n])
                s &= 0x7FFFFFFF
                np.bitwise_xor(bits, s, out=c)
                c >>= self._shift
            else:  # negative floats are negative integers, left of every breakpoint
                np.right_shift(part.view(np.int32), self._shift, out=c)
            np.clip(c, self._first, self._last, out=c)
            c -= self._first
            np.take(self._guide, c, out=i, mode="clip")
            np.take(self._next, i, out=e, mode="clip")
            np.greater_equal(part, e, out=z)
            i += z
            np.take(table, i, out=out[start : start + n], mode="clip")
        return out.reshape(x.shape)


def compile_staircase(threshold, reset, weight, max_spikes=None, offset=0.0) -> Staircase:
    """The staircase of an FS neuron, from its tables, (K,) float32, and its value of silence.

    Take an interval of inputs that have spiked alike so far. On it v(t) came from x by the same
    float32 subtractions; rounding is monotone, so v(t) is a monotone function of x, and
    ``v(t) >= T(t)`` splits the interval at one float at most. Bisection over the ordered float32
    numbers finds it in 32 halvings. K steps of this give the whole staircase: nothing is sampled,
    so nothing is missed. ``ValueError`` for more than two million pieces.
    """
    infinity = int(_ordered_bits(np.array([np.inf], np.float32))[0])
    first = np.array([-infinity], np.int64)  # each interval: its first and its last float32,
    last = np.array([infinity], np.int64)  # as ordered integers
    fired = np.zeros((0, 1), bool)  # (steps so far, intervals)

    def potential(key, fired):
        v = _from_ordered_bits(key)
        for h, z in zip(reset, fired, strict=False):
            v = np.where(z, v - h, v)
        return v

    for t, T in enumerate(threshold):
        may_fire = np.ones(len(first), bool)
        if max_spikes is not None:
            may_fire = fired.sum(0) < max_spikes
        low = (potential(first, fired) >= T) & may_fire  # already the first float fires
        high = (potential(last, fired) >= T) & may_fire
        split = ~low & high
        # The largest silent and the smallest firing key of each interval that is split.
        silent, firing, past = first[split], last[split], fired[:, split]
        while np.any(firing - silent > 1):
            middle = (silent + firing) // 2
            fires = potential(middle, past) >= T
            firing = np.where(fires, middle, firing)
            silent = np.where(fires, silent, middle)
        cut = last.copy()
        cut[split] = silent
        # Halves in order: every interval up to its cut, then the split ones from the cut on.
        order = np.argsort(np.concatenate([first, firing]), kind="stable")
        fired = np.concatenate(
            [np.vstack([fired, high & ~split]), np.vstack([past, np.ones(len(firing), bool)])], 1
        )[:, order]
        last = np.concatenate([cut, last[split]])[order]
        first = np.concatenate([first, firing])[order]
        if len(first) > _MAX_PIECES:
            raise ValueError(
                f"the code has more than {_MAX_PIECES} pieces by time step {t + 1}; use encode and "
                "decode instead"
            )
    value = np.full(len(first), offset, np.float32)
    for d, z in zip(weight, fired, strict=True):
        value = np.where(z, value + d, value)
    count = fired.sum(0).astype(np.uint8)
    edge = np.append(True, (np.diff(value) != 0) | (np.diff(count) != 0))
    return Staircase(_from_ordered_bits(first[edge][1:]), value[edge], count[edge])


def _ordered_bits(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers in the order of the floats; -0.0 and +0.0 are both 0, neighbours differ by one."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def _from_ordered_bits(key: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = np.where(key >= 0, key, -key | 0x80000000)
    return bits.astype(np.uint32).view(np.float32)
