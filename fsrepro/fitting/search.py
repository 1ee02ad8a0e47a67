r"""Search codes for a ReLU exhaustively: every mixed radix of K steps, every scale on a fine grid.

A mixed-radix code sees x only through n = round(x / q), q its least step: n decides the number of
spikes and how much e of n is left unwritten, zero in range. So one table (codes x levels) times
one of the levels' moments (levels x scales) gives spikes and error of every code at every scale.
A dead zone leaves out the least values of the last digit, and silences the next where x lies in a
part of its level: another such table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..codes import Code, compositions, mixed_radix
from ..codes._mixed_radix import coins_of, levels_of
from ..codes.checks import is_whole
from ._kernels import add_moments, keep_best
from ._measure import measure
from .distributions import Distribution, relu
from .front import Designer, Front, non_dominated

__all__ = ["measured", "mixed_radix_of", "power_of", "round_scale"]

MAX_SEARCH_STEPS = 18
_MAX_LEVELS = 2048
_PARTS = 4  # of a level, by which dead zones differ
_MOST_UNWRITTEN = 2  # dead zones of 0 to below 3 q are tried
_SPIKES_APART = 1 / 2048  # neighbours of a front, at least
_RATIO = 1.01  # between neighbouring scales
_ROWS = 2048  # compositions worked on at a time
_SLACK = 1e-4  # dB, for what float32 sums may err by
_SIGNIFICANT_BITS = 8
_LOWEST_SNR = 5.0  # dB; scales so coarse that they reach less are not tried


def mixed_radix_of(steps: int, *, dead_zones: bool = True) -> Designer:
    """The mixed-radix codes of K = ``steps``: :math:`2^{K-1}` compositions, dead zones, scales.

    ``dead_zones``: whether codes may have one, of less than three steps q.

    Without a criterion, the front over scales 1 % apart. With one, digits and dead zone are chosen
    on that grid, and their scale among finer ones close by; the least step q then has eight
    significant bits, see :func:`round_scale`, and all weights are whole multiples of it.

    ``ValueError`` for steps outside 1..18 (the search doubles with each), and, when it designs, for
    no positive activations and for an SNR out of reach of K steps.
    """
    steps = check_search_steps(steps)

    @Designer
    def design(source, **criterion):
        snr = criterion.get("snr")
        front = _front(_Grid(source, steps, snr, dead_zones=dead_zones), source, snr)
        if not criterion:
            return front
        slack = criterion if snr is None else {"snr": snr - _SLACK}
        row = front.table.iloc[front.position(**slack)]
        levels = levels_of(row["digits"], row["dead_zone"])
        near = rounded(row["scale"] / levels * np.exp(np.linspace(-2, 2, 41) * np.log(_RATIO)))
        scales = near * levels
        radix = partial(mixed_radix, row["digits"], dead_zone=row["dead_zone"])
        codes = [(radix(float(a)), float(a)) for a in scales]
        return Front(measured(codes, relu, source), front.power)

    return design


def _front(grid: _Grid, source: Distribution, snr: float | None) -> Front:
    """All compositions at all scales, or at those that may reach ``snr``; also their digits."""
    power = power_of(source)
    most = np.inf if snr is None else power / 10 ** ((snr - _SLACK) / 10)
    best = _Best(grid.steps)
    for rows, step, dead_zone, spikes, mse in grid.blocks():
        if snr is not None:  # no more spikes than the fewest of this block
            fewest = np.where(mse <= most, spikes, np.inf).min()
            mse = np.where((mse <= most) & (spikes <= fewest), mse, np.inf)
        best.take(mse, spikes, (rows, step, dead_zone))
    table = best.table()
    if table.empty:
        raise ValueError(
            f"no mixed radix of {grid.steps} steps reaches {snr:g} dB on {source.name}"
        )
    table["scale"] = table.pop("step") * [*map(levels_of, table["digits"], table["dead_zone"])]
    codes = [
        partial(mixed_radix, row.digits, row.scale, dead_zone=row.dead_zone)
        for row in table.itertuples(index=False)
    ]
    return Front(table.assign(code=codes), power)


class _Best:
    """The least error within each small interval of spikes, of all that was taken."""

    def __init__(self, steps: int):
        bins = int(steps / _SPIKES_APART) + 1
        self._mse, self._spikes = np.full(bins, np.inf), np.full(bins, np.inf)
        self._block, self._row, self._column = np.zeros((3, bins), np.int64)
        self._blocks: list[tuple] = []

    def take(self, mse: NDArray, spikes: NDArray, block: tuple) -> None:
        """Candidates (rows, columns), which ``block`` describes: digits, q and dead zone."""
        best = self._mse, self._spikes, self._block, self._row, self._column
        keep_best(mse, spikes, 1 / _SPIKES_APART, len(self._blocks), *best)
        self._blocks.append(block)

    def table(self) -> pd.DataFrame:
        """Those of them that none beats, by rising spikes."""
        found = np.flatnonzero(np.isfinite(self._mse))
        found = found[non_dominated(self._mse[found], self._spikes[found])] if len(found) else found
        rows = []
        for i in found:
            digits, step, dead_zone = self._blocks[self._block[i]]
            described = digits[self._row[i]], step[self._column[i]], dead_zone
            rows.append((*described, self._mse[i], self._spikes[i]))
        return pd.DataFrame(rows, columns=["digits", "step", "dead_zone", "mse", "spikes"])


def measured(
    codes: Sequence[tuple[Code, float]], f: Callable[[NDArray], NDArray], source: Distribution
) -> pd.DataFrame:
    """Rows of a front: ``code``, ``scale``, and what they make of f on ``source``."""
    rows = []
    for code, scale in codes:
        found = measure(code, f, source)
        rows.append((code, scale, found.mse, found.spikes))
    return pd.DataFrame(rows, columns=["code", "scale", "mse", "spikes"])


def power_of(source: Distribution) -> float:
    """E[max(x, 0)^2]."""
    return source.mean(lambda x: relu(x) ** 2)


def round_scale(scale: float) -> float:
    """``scale`` rounded to eight significant bits.

    Then thresholds and sums of weights of a code of up to 16 bits are exact in float32: any
    simulator gets the same value, whatever the order in which it adds.
    """
    mantissa, exponent = np.frexp(scale)
    whole = np.round(np.ldexp(mantissa, _SIGNIFICANT_BITS))
    return float(np.ldexp(whole, exponent - _SIGNIFICANT_BITS))


class _Grid:
    """Spikes and error of every composition (rows) at every scale (columns)."""

    def __init__(
        self, distribution: Distribution, steps: int, snr: float | None, *, dead_zones: bool
    ):
        x, w = distribution.points, distribution.weights
        self._x, self._w = x[x > 0], w[x > 0]
        if len(self._x) == 0:
            raise ValueError(f"{distribution.name} has no positive values to write in spikes")
        self.steps, self._dead_zones = steps, dead_zones
        self.step = rounded(_scales(self._x, self._w, steps, snr))  # q, (Q,)

    def blocks(self) -> Iterator[tuple]:
        """Blocks of (compositions, steps q, dead zone, spikes, mse)."""
        first, most = 0, _most_levels(self.steps)
        while first < len(self.step):  # an octave of scales at a time: each needs half the levels
            beyond = int(np.searchsorted(self.step, 2 * self.step[first]))
            moments = _Moments(self._x, self._w, self.step[first:beyond], most)
            for row in range(0, 2 ** (self.steps - 1), _ROWS):
                for rows, dead_zone, spikes, mse in _evaluated(self.steps, row, moments):
                    yield rows, moments.step, dead_zone, spikes, mse
                    if not self._dead_zones:
                        break
            first = beyond


class _Moments:
    """Of each level n (rows) at each scale (columns): P(n) and E[x - n q; n], of parts of it.

    The parts are its first quarter, half, three quarters, and all of it.
    """

    def __init__(self, x: NDArray, w: NDArray, step: NDArray, most: int):
        self.step = step
        self.levels = min(int(x[-1] / step[0]) + 2, most)
        probability, rounding = np.zeros((2, _PARTS, self.levels, len(step)))
        self.mse = np.zeros(len(step))  # of rounding alone
        add_moments(x, w, step, probability, rounding, self.mse)
        self.probability, self.rounding = (
            table.cumsum(0).astype(np.float32) for table in (probability, rounding)
        )


def _evaluated(steps: int, first: int, moments: _Moments) -> Iterator[tuple]:
    """For each dead zone: rows, it, and spikes and mean squared error, (rows, columns) each.

    The rows are those compositions from the ``first`` on.
    """
    q, probability, rounding = moments.step, moments.probability, moments.rounding
    for unwritten in range(_MOST_UNWRITTEN + 1):
        if 2 ** (steps - 1) <= _ROWS:
            rows, *tables = _kept_levels(steps, first, unwritten, _most_levels(steps))
        else:
            rows, *tables = _write_levels(steps, first, unwritten, moments.levels)
        if not rows:
            return
        fired, left, last = (table[:, : moments.levels] for table in tables)
        spikes = fired.astype(np.float32) @ probability[-1]
        mse = np.tile(moments.mse, (len(rows), 1))
        over = left.any(1)  # (x - q (n - e))^2 = (x - q n)^2 + 2 q e (x - q n) + q^2 e^2
        e = left[over].astype(np.float32)
        mse[over] += 2 * q * (e @ rounding[-1]) + q**2 * (e**2 @ probability[-1])
        yield rows, float(unwritten), spikes, mse
        digit = unwritten + 1
        silenced = (last == digit).astype(np.float32)
        for part in range(_PARTS - 1):  # of its level; all of it is the next of unwritten
            lost = silenced @ probability[part]
            error = 2 * digit * q * (silenced @ rounding[part]) + (digit * q) ** 2 * lost
            dead_zone = unwritten + (part + 1) / _PARTS
            yield rows, dead_zone, spikes - lost, mse + error


def _scales(x: NDArray, w: NDArray, steps: int, snr: float | None) -> NDArray:
    """Sizes q of the least significant step to try, finest first."""
    power = float(w @ x**2)
    if snr is None:
        low, high = 0.5 * _finest(x, w, steps), 2 * x[-1]
    else:
        # Rounding errs by q^2 / 12 at most on average, if any of it is uniform: take a wide berth.
        q = np.sqrt(12 * power / 10 ** (snr / 10))
        low, high = 0.35 * q, 3 * q / np.sqrt(w.sum())
    coarsest = 4 * np.sqrt(power / w.sum() / 10 ** (_LOWEST_SNR / 10))
    high = max(min(high, max(coarsest, 4 * low)), low * _RATIO)
    return np.geomspace(low, high, max(2, int(np.log(high / low) / np.log(_RATIO)) + 1))


def _finest(x: NDArray, w: NDArray, steps: int) -> float:
    """The q that is best for the largest of all codes, binary: finer ones clip too much."""
    q = x[-1] * np.exp2(np.arange(-steps - 12, 0.01, 0.125))
    tail = np.searchsorted(x, q * 2.0**steps)
    total, first, second = (
        np.append(np.cumsum((w * x**power)[::-1])[::-1], 0.0)[tail] for power in (0, 1, 2)
    )
    highest = q * 2.0**steps
    clipped = second - 2 * highest * first + highest**2 * total
    return float(q[np.argmin(w.sum() * q**2 / 12 + clipped)])


def rounded(steps: NDArray) -> NDArray:
    """:func:`round_scale` of each, in order, without repeats."""
    return np.unique([round_scale(step) for step in steps])


def _most_levels(steps: int) -> int:
    """Whatever is above the largest sum of a code is written as that: every step fires."""
    return min((2 + _MOST_UNWRITTEN) * 2 ** (steps - 1) + 2, _MAX_LEVELS)


@lru_cache(maxsize=2 * (_MOST_UNWRITTEN + 1))
def _digits_and_coins(
    steps: int, unwritten: int
) -> tuple[list[tuple[int, ...]], NDArray[np.int64]]:
    """Compositions, and what each of their steps is worth in multiples of q, (rows, K)."""
    rows = list(compositions(steps))
    if unwritten:  # of a small digit, too little would be left
        rows = [digits for digits in rows if digits[-1] > _MOST_UNWRITTEN]
    coins = [coins_of(row, unwritten=unwritten) for row in rows]
    return rows, np.array(coins, np.int64).reshape(len(rows), steps)


def _write_levels(
    steps: int, first: int, unwritten: int, levels: int
) -> tuple[list[tuple[int, ...]], NDArray, NDArray, NDArray]:
    """Compositions, and how each writes level n, (rows, levels): spikes, what is left, last digit.

    The last digit is 0 where it is silent, and where all words are too small.
    """
    every, coins = _digits_and_coins(steps, unwritten)
    part = slice(first, first + _ROWS)
    rows, coins = every[part], np.minimum(coins[part], levels).astype(np.int16)
    lowest = np.array([digits[-1] for digits in rows])
    left = np.tile(np.arange(levels, dtype=np.int16), (len(rows), 1))
    fired, last = np.zeros(left.shape, np.uint8), np.zeros(left.shape, np.int16)
    for t, coin in enumerate(coins.T[:, :, None]):
        fires = left >= coin
        fired += fires
        left -= coin * fires
        in_last = (steps - t <= lowest)[:, None]
        last = np.where(fires, coin * in_last, last)
    return rows, fired, left, np.where(left > 0, 0, last)


_kept_levels = lru_cache(maxsize=2 * (_MOST_UNWRITTEN + 1))(_write_levels)


def check_search_steps(steps: int) -> int:
    """``steps`` as an int, or ``ValueError`` if an exhaustive search is not to be had."""
    if not is_whole(steps, MAX_SEARCH_STEPS):
        raise ValueError(
            f"steps must be a whole number from 1 to {MAX_SEARCH_STEPS} for an exhaustive search, "
            f"got {steps}"
        )
    return int(steps)
