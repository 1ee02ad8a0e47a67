"""Which code a layer gets: from the pre-activations recorded there to a code and its scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import activations
from ..codes import SpikeCode, mixed_radix, soma
from ..fitting import (
    Design,
    Distribution,
    best_mixed_radix,
    best_scale,
    empirical,
    measure,
    mixed_radix_front,
    relu,
    round_scale,
)

__all__ = [
    "SPIKE_PENALTY",
    "choose",
    "code_front",
    "design_code",
    "design_mixed_radix",
    "family_front",
    "radix_front",
    "soma_front",
]

_POINTS = 4096
_OFFSET_UNIT = 2.0**-12  # offsets have few bits, like scales: sums stay exact

SPIKE_PENALTY = 0.003
"""What a spike per neuron may cost at most, in relative mean squared error, unless told."""


def design_code(
    family: Callable[[float], SpikeCode],
    x: NDArray[np.float32],
    *,
    snr: float | None = None,
    spike_penalty: float | None = None,
) -> Design:
    r"""The scale at which a code writes max(x, 0) best, and the code of that scale.

    .. math:: \min_\alpha \; \frac{\mathrm{E}(y - \hat y)^2}{\mathrm{E}\, y^2} + \lambda\, s,
              \qquad y = \max(x, 0)

    with s the mean spikes per neuron and :math:`\lambda` = ``spike_penalty``, by default 0: the
    least error. With ``snr`` instead, the fewest spikes that reach this signal-to-noise ratio.

    ``family``: from a scale to a code. ``x``: pre-activations, (N,), some of them positive.

    Raises ``ValueError`` if no activation is positive, and what
    :func:`~fsrepro.fitting.best_scale`, which searches the scales, raises.
    """
    criterion = _absolute(x, snr, 0.0 if spike_penalty is None else spike_penalty)
    return best_scale(family, relu, empirical(x, points=len(x)), **criterion)


def design_mixed_radix(
    x: NDArray[np.float32],
    steps: int,
    *,
    snr: float | None = None,
    spike_penalty: float | None = None,
) -> Design:
    """The mixed-radix code of K = ``steps`` that writes max(x, 0) best, digits and scale.

    Criteria as in :func:`design_code`; the penalty is :data:`SPIKE_PENALTY` by default, since
    without any the binary code, which has the most levels, would always win. All compositions
    are searched, see :func:`~fsrepro.fitting.best_mixed_radix`.

    Raises ``ValueError`` if no activation is positive, and what ``best_mixed_radix`` raises.
    """
    if not (x > 0).any():
        raise ValueError("no activation is positive; there is nothing to write in spikes")
    criterion = _absolute(x, snr, SPIKE_PENALTY if spike_penalty is None else spike_penalty)
    return best_mixed_radix(empirical(x, points=len(x)), steps, **criterion)


def radix_front(x: NDArray[np.float32], steps: int) -> pd.DataFrame:
    """The mixed-radix codes of K = ``steps`` among which a budget of spikes may choose.

    ``x``: pre-activations, (N,). Columns: ``code``, ``scale``, ``mse`` (in squared units of the
    activation) and ``spikes``; no row is worse than another in both.
    """
    front = mixed_radix_front(empirical(x, points=_POINTS), steps)
    codes = [mixed_radix(*row) for row in zip(front["digits"], front["scale"], strict=True)]
    return front.assign(code=codes)[["code", "scale", "mse", "spikes"]]


def family_front(family: Callable[[float], SpikeCode], x: NDArray[np.float32]) -> pd.DataFrame:
    """As :func:`radix_front`, of the codes of a family at all scales, eight to the octave."""
    scales = [round_scale(scale) for scale in x.max() * np.exp2(np.arange(-6, 8.01, 0.125))]
    source = empirical(x, points=_POINTS)
    rows = pd.concat([_measured(family(scale), source, scale) for scale in scales])
    rows = rows.sort_values(["spikes", "mse"], ignore_index=True)
    return rows[rows["mse"] < rows["mse"].cummin().shift(fill_value=np.inf)]


def code_front(code: SpikeCode, x: NDArray[np.float32]) -> pd.DataFrame:
    """As :func:`radix_front`, of one code: there is nothing to choose."""
    return _measured(code, empirical(x, points=_POINTS), scale=1.0)


def soma_front(
    front: Callable[[NDArray[np.float32]], pd.DataFrame], x: NDArray[np.float32], activation: str
) -> pd.DataFrame:
    r"""As :func:`radix_front`, of neurons whose soma computes f = ``activation``.

    ``front``: such a table from pre-activations of ReLUs, e.g. ``lambda x: radix_front(x, 8)``.
    The values of silence :math:`y_0` that are tried lie between the least activation and the
    median; each code writes :math:`f(x) - y_0`, and what is below is lost.
    """
    y = activations.get(activation)(x)
    parts = []
    for offset in _offsets(y):
        shifted = y - np.float32(offset)
        if not (shifted > 0).any():
            continue
        part = front(shifted)
        lost = float(np.mean(np.minimum(shifted, 0).astype(np.float64) ** 2))
        codes = [soma(code, activation, offset) for code in part["code"]]
        parts.append(part.assign(code=codes, mse=part["mse"] + lost))
    if not parts:
        raise ValueError(f"all {activation} activations are alike; there is nothing to write")
    rows = pd.concat(parts).sort_values(["spikes", "mse"], ignore_index=True)
    return rows[rows["mse"] < rows["mse"].cummin().shift(fill_value=np.inf)]


def choose(
    front: pd.DataFrame,
    power: float,
    *,
    snr: float | None = None,
    spike_penalty: float | None = None,
) -> tuple[SpikeCode, float]:
    """The code of a front that serves a criterion best, and its scale; see :func:`design_code`.

    ``power``: the mean squared activation. Raises ``ValueError`` if no code reaches the SNR.
    """
    if snr is not None:
        rows = front[front["mse"] <= power * 10 ** (-snr / 10)]
        if rows.empty:
            raise ValueError(f"no code tried reaches {snr} dB")
        row = rows.loc[rows["spikes"].idxmin()]
    else:
        row = front.loc[(front["mse"] / power + (spike_penalty or 0) * front["spikes"]).idxmin()]
    return row["code"], row["scale"]


def _measured(code: SpikeCode, source: Distribution, scale: float) -> pd.DataFrame:
    found = measure(code, activations.get(code.activation).function, source)
    return pd.DataFrame({"code": [code], "scale": scale, "mse": found.mse, "spikes": found.spikes})


def _offsets(y: NDArray[np.float32]) -> list[float]:
    """Values of silence to try, from the least activation to the median."""
    least = float(y.min())
    found = [least, *np.quantile(y, [0.05, 0.25, 0.5])]
    if least < 0 < y.max():
        found += [0.5 * least, 0.0]
    return sorted({round(value / _OFFSET_UNIT) * _OFFSET_UNIT for value in map(float, found)})


def _absolute(x, snr, spike_penalty) -> dict:
    """The criterion of `fsrepro.fitting`, whose penalty is in squared units of the activation."""
    if snr is not None:
        return {"snr": snr}
    return {"spike_penalty": spike_penalty * float(np.mean(relu(x.astype(np.float64)) ** 2))}
