r"""Search codes for a ReLU exhaustively: every mixed radix of K steps, every scale on a fine grid.

A mixed-radix code sees x only through n = round(x / q), q its least step: n decides the number of
spikes and how much e of n is left unwritten, zero in range. So one table (codes x levels) times
one of the levels' moments (levels x scales) gives spikes and error of every code at every scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..codes import Code, compositions, mixed_radix
from ..codes.checks import is_whole
from ._measure import measure
from .distributions import Distribution, relu
from .front import Designer, Front, non_dominated

__all__ = ["measured", "mixed_radix_of", "power_of", "round_scale"]

MAX_SEARCH_STEPS = 18
_MAX_LEVELS = 2048
_RATIO = 1.01  # between neighbouring scales
_ROWS = 2048  # compositions worked on at a time
_SLACK = 1e-4  # dB, for what float32 sums may err by
_SIGNIFICANT_BITS = 8
_LOWEST_SNR = 5.0  # dB; scales so coarse that they reach less are not tried


def mixed_radix_of(steps: int) -> Designer:
    """The mixed-radix codes of K = ``steps``: all :math:`2^{K-1}` compositions, all scales.

    Without a criterion, the front over scales 1 % apart. With one, the digits are chosen on that
    grid, and their scale among finer ones close by; the least step q then has eight significant
    bits, see :func:`round_scale`, and all weights are whole multiples of it.

    ``ValueError`` for steps outside 1..18 (the search doubles with each), and, when it designs, for
    no positive activations and for an SNR out of reach of K steps.
    """
    steps = check_search_steps(steps)

    @Designer
    def design(source, **criterion):
        snr = criterion.get("snr")
        front = _front(source, steps, snr)
        if not criterion:
            return front
        slack = criterion if snr is None else {"snr": snr - _SLACK}
        row = front.table.iloc[front.position(**slack)]
        step = row["scale"] / _levels(row["digits"])
        near = rounded(step * np.exp(np.linspace(-2, 2, 41) * np.log(_RATIO)))
        scales = near * _levels(row["digits"])
        codes = [(mixed_radix(row["digits"], float(a)), float(a)) for a in scales]
        return Front(measured(codes, relu, source), front.power)

    return design


def _front(source: Distribution, steps: int, snr: float | None) -> Front:
    """All compositions at all scales, or at those that may reach ``snr``; also their digits."""
    grid, power = _Grid(source, steps, snr), power_of(source)
    most = np.inf if snr is None else power / 10 ** ((snr - _SLACK) / 10)
    kept = []
    for rows, spikes, mse in grid.blocks():
        possible = mse <= most
        if snr is not None and possible.any():  # no more spikes than the fewest of this block
            possible &= spikes <= spikes[possible].min()
        r, k = np.nonzero(possible)
        if len(r):
            best = non_dominated(mse[r, k], spikes[r, k])
            r, k = r[best], k[best]
            part = pd.DataFrame({"digits": [rows[i] for i in r]})
            part["scale"] = grid.step[k] * [_levels(digits) for digits in part["digits"]]
            kept.append(part.assign(mse=mse[r, k], spikes=spikes[r, k]))
    if not kept:
        raise ValueError(f"no mixed radix of {steps} steps reaches {snr:g} dB on {source.name}")
    table = pd.concat(kept, ignore_index=True)
    table = table.iloc[non_dominated(table["mse"].to_numpy(), table["spikes"].to_numpy())]
    codes = [mixed_radix(*row) for row in zip(table["digits"], table["scale"], strict=True)]
    return Front(table.assign(code=codes), power)


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

    def __init__(self, distribution: Distribution, steps: int, snr: float | None):
        x, w = distribution.points, distribution.weights
        x, w = x[x > 0], w[x > 0]
        if len(x) == 0:
            raise ValueError(f"{distribution.name} has no positive values to write in spikes")
        self.steps = steps
        self.step = rounded(_scales(x, w, snr))  # q, (Q,)
        last = float(x[min(np.searchsorted(np.cumsum(w), w.sum() - 1e-9), len(x) - 1)])
        self._levels = min(int(last / self.step[0]) + 2, _MAX_LEVELS)
        shape = (self._levels, len(self.step))
        self._probability = np.zeros(shape, np.float32)  # P(n = row)
        self._rounding = np.zeros(shape, np.float32)  # E[x - n q; n = row]
        self._mse = np.empty(len(self.step))  # of rounding alone
        for k, q in enumerate(self.step):
            n = np.minimum(np.floor(x / q + 0.5), self._levels - 1)
            level, error = n.astype(int), x - n * q
            self._probability[:, k] = np.bincount(level, w, self._levels)
            self._rounding[:, k] = np.bincount(level, w * error, self._levels)
            self._mse[k] = w @ error**2

    def blocks(self) -> Iterator[tuple[list[tuple[int, ...]], NDArray, NDArray]]:
        """Blocks of (compositions, spikes (rows, Q), mse (rows, Q))."""
        rows = list(compositions(self.steps))
        for a in range(0, len(rows), _ROWS):
            part = rows[a : a + _ROWS]
            yield part, *self._evaluate(part)

    def _evaluate(self, rows):
        fired, left = _write_levels(rows, self._levels)
        spikes = fired.astype(np.float32) @ self._probability
        mse = np.tile(self._mse, (len(rows), 1))
        over = left.any(1)  # (x - q (n - e))^2 = (x - q n)^2 + 2 q e (x - q n) + q^2 e^2
        q, e = self.step, left[over].astype(np.float32)
        mse[over] += 2 * q * (e @ self._rounding) + q**2 * (e**2 @ self._probability)
        return spikes, mse


def _scales(x: NDArray, w: NDArray, snr: float | None) -> NDArray:
    """Sizes q of the least significant step to try, finest first."""
    power = float(w @ x**2)
    if snr is None:
        low, high = x[-1] / (_MAX_LEVELS - 2), 2 * x[-1]
    else:
        # Rounding errs by q^2 / 12 at most on average, if any of it is uniform: take a wide berth.
        q = np.sqrt(12 * power / 10 ** (snr / 10))
        low, high = 0.35 * q, 3 * q / np.sqrt(w.sum())
    coarsest = 4 * np.sqrt(power / w.sum() / 10 ** (_LOWEST_SNR / 10))
    high = max(min(high, max(coarsest, 4 * low)), low * _RATIO)
    return np.geomspace(low, high, max(2, int(np.log(high / low) / np.log(_RATIO)) + 1))


def rounded(steps: NDArray) -> NDArray:
    """:func:`round_scale` of each, in order, without repeats."""
    return np.unique([round_scale(step) for step in steps])


def _write_levels(rows, levels: int) -> tuple[NDArray, NDArray]:
    """Spikes and what is left over, (rows, levels) each, when level n is written by each code."""
    coins = np.array([_coins(digits, levels) for digits in rows], np.int16)
    left = np.tile(np.arange(levels, dtype=np.int16), (len(rows), 1))
    fired = np.zeros(left.shape, np.uint8)
    for coin in coins.T[:, :, None]:
        fires = left >= coin
        fired += fires
        left -= coin * fires
    return fired, left


def _coins(digits: tuple[int, ...], levels: int) -> list[int]:
    """Weights in multiples of q, largest first; those out of reach are cut to ``levels``."""
    place, coins = 1, []
    for a in reversed(digits):
        coins += [min(place * j, levels) for j in range(1, a + 1)]
        place *= a + 1
    return coins[::-1]


def _levels(digits: tuple[int, ...]) -> float:
    return float(np.prod(np.asarray(digits, float) + 1))


def check_search_steps(steps: int) -> int:
    """``steps`` as an int, or ``ValueError`` if an exhaustive search is not to be had."""
    if not is_whole(steps, MAX_SEARCH_STEPS):
        raise ValueError(
            f"steps must be a whole number from 1 to {MAX_SEARCH_STEPS} for an exhaustive search, "
            f"got {steps}"
        )
    return int(steps)
