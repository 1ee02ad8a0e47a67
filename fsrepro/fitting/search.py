r"""Search codes for a ReLU exhaustively: every mixed radix of K steps, every scale on a fine grid.

A mixed-radix code sees x only through n = round(x / q), q its least step: n decides the number of
spikes and how much e of n is left unwritten, zero in range. So one table (codes x levels) times
one of the levels' moments (levels x scales) gives spikes and error of every code at every scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fsrepro.codes import Code, compositions, mixed_radix
from fsrepro.codes.checks import is_whole

from .distributions import Distribution, apply, relu
from .measure import Measure, decibels, measure

__all__ = ["Design", "best_mixed_radix", "best_scale", "mixed_radix_front", "round_scale"]

MAX_SEARCH_STEPS = 18
_MAX_LEVELS = 2048
_RATIO = 1.01  # between neighbouring scales
_ROWS = 2048  # compositions worked on at a time
_SLACK = 1e-4  # dB, for what float32 sums may err by
_SIGNIFICANT_BITS = 8
_LOWEST_SNR = 5.0  # dB; scales so coarse that they reach less are not tried


class Design(NamedTuple):
    """A code, its scale (a range, or whatever its family scales by), and how good it is."""

    code: Code
    scale: float
    measure: Measure


def best_mixed_radix(
    distribution: Distribution,
    steps: int,
    *,
    snr: float | None = None,
    spike_penalty: float | None = None,
) -> Design:
    r"""The mixed-radix code of K = ``steps`` with the fewest spikes for ReLU.

    Of all :math:`2^{K-1}` compositions and all scales: with ``snr`` (dB), the one with the fewest
    mean spikes that reaches this SNR; with ``spike_penalty`` :math:`\lambda`, the one of least
    MSE + :math:`\lambda` x spikes. ``distribution`` is of the pre-activation x, which may be
    negative; SNR and MSE are of max(x, 0). The least step q has eight significant bits, see
    :func:`round_scale`, and all weights are whole multiples of it.

    Raises ``ValueError`` for steps outside 1..18 (the search doubles with each), unless exactly
    one of ``snr`` and ``spike_penalty`` is given and finite, for a negative penalty, and for an
    SNR out of reach of K steps.
    """
    cost = _cost(snr and snr + _SLACK, spike_penalty, _power(distribution))
    grid = _Grid(distribution, check_steps(steps), snr)
    found, best = None, np.inf
    for rows, spikes, mse in grid.blocks():
        J = cost(mse, spikes)
        r, k = np.unravel_index(np.argmin(J), J.shape)
        if J[r, k] < best:
            best, found = J[r, k], (rows[r], grid.step[k])
    if found is None:
        raise ValueError(f"no mixed radix of {steps} steps reaches {snr} dB on {distribution.name}")
    digits, step = found
    near = _rounded(step * np.exp(np.linspace(-2, 2, 41) * np.log(_RATIO)))
    return best_scale(
        lambda scale: mixed_radix(digits, scale),
        relu,
        distribution,
        near * _levels(digits),
        snr=snr,
        spike_penalty=spike_penalty,
    )


def mixed_radix_front(distribution: Distribution, steps: int) -> pd.DataFrame:
    """All mixed-radix codes of K = ``steps`` that no other beats in both SNR and spikes.

    One row per code, SNR ascending. Columns: ``digits`` (tuple) and ``scale``, the arguments of
    :func:`~fsrepro.codes.mixed_radix`; ``mse``, ``snr`` (dB), ``spikes``. Figures are for
    max(x, 0); scales are 1 % apart. Raises ``ValueError`` for steps outside 1..18.
    """
    grid = _Grid(distribution, check_steps(steps), None)
    kept = []
    for rows, spikes, mse in grid.blocks():
        r, k = np.unravel_index(_non_dominated(mse.ravel(), spikes.ravel()), mse.shape)
        digits = [rows[i] for i in r]
        part = pd.DataFrame({"digits": digits})
        part["scale"] = grid.step[k] * [_levels(a) for a in digits]
        kept.append(part.assign(mse=mse[r, k], spikes=spikes[r, k]))
    front = pd.concat(kept, ignore_index=True)
    front = front.iloc[_non_dominated(front["mse"].to_numpy(), front["spikes"].to_numpy())]
    power = _power(distribution)
    front.insert(2, "snr", [decibels(power, mse) for mse in front["mse"]])
    return front.sort_values("snr", ignore_index=True)


def best_scale(
    family: Callable[[float], Code],
    f: Callable[[NDArray], NDArray],
    distribution: Distribution,
    scales: NDArray | None = None,
    *,
    snr: float | None = None,
    spike_penalty: float | None = None,
) -> Design:
    """The scale at which ``family(scale)`` serves ``f`` best; criteria: :func:`best_mixed_radix`.

    ``family``: e.g. ``lambda a: binary(8, a)``. ``scales``: the ones to try; by default a geometric
    grid over twenty octaves around the largest value, then a finer one around its best, both of
    eight significant bits (:func:`round_scale`). Scales far above the activations are tried
    because they leave the first steps silent for good: a shorter code.

    Raises ``ValueError`` if no scale reaches the SNR, if f is zero everywhere and no scales are
    given, and for criteria that are refused in :func:`best_mixed_radix` too.
    """
    values = apply(f, distribution.points)
    cost = _cost(snr, spike_penalty, float(distribution.weights @ values**2))

    def best(scales):
        best, least = None, np.inf
        for scale in scales:
            code = family(float(scale))
            found = measure(code, f, distribution)
            J = float(cost(found.mse, found.spikes))
            if least > J:
                best, least = Design(code, float(scale), found), J
        if best is None:
            raise ValueError(f"no scale tried reaches {snr} dB on {distribution.name}")
        return best

    if scales is not None:
        return best(scales)
    largest = float(np.abs(values).max())
    if not largest > 0:
        raise ValueError("no activation is positive; there is nothing to write in spikes")
    octaves = 1.01 if spike_penalty == 0 else 10.01  # a shorter code has no smaller error
    coarse = best(_rounded(largest * np.exp2(np.arange(-10, octaves, 0.25))))
    return best(_rounded(coarse.scale * np.exp2(np.linspace(-0.25, 0.25, 17))))


def round_scale(scale: float) -> float:
    """``scale`` rounded to eight significant bits.

    Then thresholds and sums of weights of a code of up to 16 bits are exact in float32: any
    simulator gets the same value, whatever the order in which it adds.
    """
    mantissa, exponent = np.frexp(scale)
    return float(
        np.ldexp(np.round(np.ldexp(mantissa, _SIGNIFICANT_BITS)), exponent - _SIGNIFICANT_BITS)
    )


class _Grid:
    """Spikes and error of every composition (rows) at every scale (columns)."""

    def __init__(self, distribution: Distribution, steps: int, snr: float | None):
        x = relu(distribution.points)
        w = distribution.weights[x > 0]
        x = x[x > 0]
        if len(x) == 0:
            raise ValueError(f"{distribution.name} has no positive values to write in spikes")
        self.steps = steps
        self.step = _rounded(_scales(x, w, snr))  # q, (Q,)
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

    def blocks(self):
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
        e = left[over].astype(np.float32)
        mse[over] += 2 * self.step * (e @ self._rounding) + self.step**2 * (
            e**2 @ self._probability
        )
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


def _rounded(steps: NDArray) -> NDArray:
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


def _non_dominated(mse: NDArray, spikes: NDArray) -> NDArray[np.intp]:
    order = np.lexsort((mse, spikes))
    lowest = np.minimum.accumulate(mse[order])
    return order[np.append(True, lowest[1:] < lowest[:-1])]


def _power(distribution: Distribution) -> float:
    return distribution.mean(lambda x: relu(x) ** 2)


def _cost(snr: float | None, spike_penalty: float | None, power: float) -> Callable:
    """(mse, spikes) -> what to minimise, elementwise; infinite where the SNR is missed."""
    if (snr is None) == (spike_penalty is None):
        raise ValueError(
            f"give either snr or spike_penalty, got snr={snr} and spike_penalty={spike_penalty}"
        )
    if snr is not None:
        if not np.isfinite(snr):
            raise ValueError(f"snr must be finite, in dB, got {snr}")
        return lambda mse, spikes: np.where(mse <= power / 10 ** (snr / 10), spikes, np.inf)
    if not (np.isfinite(spike_penalty) and spike_penalty >= 0):
        raise ValueError(f"spike_penalty must be finite and at least 0, got {spike_penalty}")
    return lambda mse, spikes: mse + spike_penalty * spikes


def check_steps(steps: int) -> int:
    """``steps`` as an int, or ``ValueError`` if an exhaustive search is not to be had."""
    if not is_whole(steps, MAX_SEARCH_STEPS):
        raise ValueError(
            f"steps must be a whole number from 1 to {MAX_SEARCH_STEPS} for an exhaustive search, "
            f"got {steps}"
        )
    return int(steps)
