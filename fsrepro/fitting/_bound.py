"""A lower bound on spikes: what no code of K steps can beat, whatever its encoder and decoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from ..codes.checks import check_steps
from .distributions import Distribution

__all__ = ["bound", "rate_distortion", "rates_within", "spikes_at", "spikes_for_rate"]

_BITS = 1 / np.log(2)
_RESOLUTION = 4.0  # reproductions within the root of the mean squared error
_TOLERANCE = 1e-3  # in nats, of the bound


def bound(distribution: Distribution, steps: int, snr: float) -> float:
    r"""Fewest mean spikes per neuron that K = ``steps`` time steps need to reach ``snr`` (dB).

    The mean squared error of y allowed is :math:`D = \mathrm{E}[y^2]\, 10^{-\mathrm{SNR}/10}`. The
    bound is the least s with

    .. math:: K\, H_b(s / K) \ge R(D), \qquad H_b(p) = -p \log_2 p - (1 - p) \log_2 (1 - p)

    It holds for one neuron at a time; encoding many jointly could only approach R(D).

    Parameters
    ----------
    distribution : Distribution
        Of the value y = f(x) to be conveyed, e.g. ``gaussian(-0.3, 1).map(relu)``.
    steps : int
        K, from 1 to 64.
    snr : float

    Raises
    ------
    ValueError
        For steps outside 1..64, an SNR that is not finite, and one that needs more than K bits.

    Notes
    -----
    *Derivation.* Let :math:`Z = (Z_1, \dots, Z_K)` be the spike train and :math:`\hat y` what any
    decoder makes of it, with :math:`\mathrm{E}(y - \hat y)^2 \le D`. Then

    1. :math:`R(D) \le I(y; \hat y) \le I(y; Z) \le H(Z)`: the definition of the rate-distortion
       function R as the least mutual information, and data processing;
    2. :math:`H(Z) \le \sum_t H(Z_t) = \sum_t H_b(p_t)`, with :math:`p_t` the chance of a spike at
       step t: dependence between letters only lowers the entropy;
    3. :math:`\sum_t H_b(p_t) \le K H_b(s / K)` with :math:`s = \sum_t p_t`, the mean number of
       spikes: :math:`H_b` is concave.

    :math:`H_b(s/K)` grows up to s = K/2, so the least s solves it with equality there.

    References
    ----------
    Shannon (1959); Cover & Thomas, Elements of Information Theory, chapters 2 and 10.
    """
    return spikes_at(distribution, steps, snr, rate_distortion)


def spikes_at(
    distribution: Distribution, steps: int, snr: float, rate: Callable[[Distribution, float], float]
) -> float:
    """Fewest mean spikes per neuron that carry ``rate(distribution, mse)``, at ``snr`` (dB)."""
    steps = check_steps(steps)
    if not np.isfinite(snr):
        raise ValueError(f"snr must be finite, in dB, got {snr}")
    power = distribution.mean(np.square)
    return spikes_for_rate(rate(distribution, power / 10 ** (snr / 10)), steps)


def spikes_for_rate(rate: float, steps: int) -> float:
    """The least mean number of spikes s with K H_b(s / K) >= ``rate``, in bits per neuron.

    ``ValueError`` for a rate above K = ``steps`` bits.
    """
    if rate <= 0:
        return 0.0
    if not rate <= steps:
        raise ValueError(f"{steps} time steps carry at most {steps} bits, {rate:.3f} are needed")

    def missing(p):
        return steps * _BITS * -(p * np.log(p) + (1 - p) * np.log1p(-p)) - rate

    if missing(0.5) <= 0:
        return steps / 2
    return steps * brentq(missing, 1e-300, 0.5, xtol=1e-15)


def rate_distortion(distribution: Distribution, mse: float) -> float:
    r"""R(D) in bits: what must be known of y to reproduce it with a mean squared error D = ``mse``.

    .. math:: R(D) = \min_{p(\hat y | y)} I(y; \hat y)
              \quad\text{with}\quad \mathrm{E}(y - \hat y)^2 \le D

    ``ValueError`` for an mse that is not positive and finite.

    Notes
    -----
    For any slope s > 0 and any distribution q of the reproductions, in nats,

    .. math:: R(D) \ge -s D - \sum_i p_i \ln A_i - \ln \max_j c_j, \\
       A_i = \sum_j q_j e^{-s (y_i - \hat y_j)^2}, \qquad
       c_j = \sum_i \frac{p_i}{A_i} e^{-s (y_i - \hat y_j)^2}

    The Blahut-Arimoto step :math:`q_j \leftarrow q_j c_j` closes the gap; the right side, a line
    under R, is what is returned, so stopping early (when ln max c is below 0.001) errs on the safe
    side. The reproductions lie :math:`g = \sqrt D / 4` apart, four times closer for the maximum of
    c. The source is merged into the means of cells of width g, which hides at most
    :math:`g^2/12` of variance: 4 thousandths of a bit.

    References
    ----------
    Shannon (1959); Blahut (1972); Arimoto (1972); Cover & Thomas, section 10.8.
    """
    if not (np.isfinite(mse) and mse > 0):
        raise ValueError(f"mse must be positive and finite, got {mse}")
    mean = distribution.mean()
    if mse >= distribution.mean(lambda y: (y - mean) ** 2):
        return 0.0  # the mean alone will do
    grid = np.sqrt(mse) / _RESOLUTION
    y, p = _merged(distribution, grid)
    reproductions = _near(y, grid, 9 * np.sqrt(mse))
    fine = _near(reproductions, grid / 4, grid)
    best, q, slope = 0.0, np.full(len(reproductions), 1 / len(reproductions)), 0.5 / mse
    known: list[tuple[float, float]] = []
    for _ in range(12):
        q = 0.9 * q + 0.1 / len(q)  # what another slope ruled out may be wanted at this one
        q, A, distortion = _blahut_arimoto(y, p, reproductions, slope, q)
        c = _kernel(fine, y, slope) @ (p / A)
        best = max(best, float(-slope * mse - p @ np.log(A) - np.log(c.max())))
        known.append((np.log(slope), np.log(distortion / mse)))
        if abs(known[-1][1]) < 0.02:  # the line touches R close to D
            break
        slope = np.exp(_next(known))
    return best * _BITS


def rates_within(distribution: Distribution, low: float, high: float) -> Callable[[float], float]:
    """:func:`rate_distortion` as a smooth function of the SNR, in dB, from ``low`` to ``high``.

    Through nodes 2.5 dB apart at most, far less than it takes to bend.
    """
    power = distribution.mean(np.square)
    nodes = np.linspace(low, high, max(2, int(np.ceil((high - low) / 2.5)) + 1))
    rates = [rate_distortion(distribution, power / 10 ** (node / 10)) for node in nodes]
    curve = PchipInterpolator(nodes, rates)
    return lambda snr: float(curve(snr))


def _blahut_arimoto(y, p, reproductions, slope, q) -> tuple[NDArray, NDArray, float]:
    kernel = _kernel(y, reproductions, slope)
    transposed = kernel.T.tocsr()
    for _ in range(3000):
        A = kernel @ q
        c = transposed @ (p / A)
        if np.log(c.max()) < _TOLERANCE:
            break
        q = q * c
    squared = kernel.copy()
    squared.data *= -np.log(kernel.data) / slope
    return q, A, float((p / A) @ (squared @ q))


def _kernel(y, reproductions, slope) -> sparse.csr_array:
    """exp(-slope (y_i - r_j)^2), (len(y), len(r)), without what is below e^-40."""
    reach = np.sqrt(40 / slope)
    first = np.searchsorted(reproductions, y - reach)
    length = np.searchsorted(reproductions, y + reach) - first
    start = np.append(0, np.cumsum(length))
    column = np.arange(start[-1]) + np.repeat(first - start[:-1], length)
    value = np.exp(-slope * (np.repeat(y, length) - reproductions[column]) ** 2)
    return sparse.csr_array((value, column, start), shape=(len(y), len(reproductions)))


def _merged(distribution, grid) -> tuple[NDArray, NDArray]:
    y, p = distribution.points, distribution.weights
    y, p = y[p > 0], p[p > 0]
    _, cell = np.unique(np.floor(y / grid + 0.5), return_inverse=True)
    weight = np.bincount(cell, p)
    return np.bincount(cell, p * y) / weight, weight


def _near(y, grid, reach) -> NDArray:
    """Multiples of ``grid`` between the least and the greatest y, no further than ``reach``."""
    cell = np.floor(y / grid + 0.5).astype(np.int64)
    offsets = np.arange(-int(reach / grid), int(reach / grid) + 1)
    cells = np.unique(cell[:, None] + offsets)
    return grid * cells[(cells >= cell[0]) & (cells <= cell[-1])]


def _next(known) -> float:
    """Secant step to ln(distortion / mse) = 0 over ln slope; distortion ~ 1 / slope at first."""
    (s, d), gradient = known[-1], -1.0
    if len(known) > 1 and s != known[-2][0]:
        gradient = min((d - known[-2][1]) / (s - known[-2][0]), -0.1)
    return s + float(np.clip(-d / gradient, -1.5, 1.5))
