"""Which code a layer gets: from the pre-activations recorded there to a code and its scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..codes import SpikeCode, mixed_radix
from ..fitting import (
    Design,
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
    "code_front",
    "design_code",
    "design_mixed_radix",
    "family_front",
    "radix_front",
]

_POINTS = 4096

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
    rows = pd.concat([code_front(family(scale), x, scale) for scale in scales])
    rows = rows.sort_values(["spikes", "mse"], ignore_index=True)
    return rows[rows["mse"] < rows["mse"].cummin().shift(fill_value=np.inf)]


def code_front(code: SpikeCode, x: NDArray[np.float32], scale: float = 1.0) -> pd.DataFrame:
    """As :func:`radix_front`, of one code: there is nothing to choose."""
    found = measure(code, relu, empirical(x, points=_POINTS))
    return pd.DataFrame({"code": [code], "scale": scale, "mse": found.mse, "spikes": found.spikes})


def _absolute(x, snr, spike_penalty) -> dict:
    """The criterion of `fsrepro.fitting`, whose penalty is in squared units of the activation."""
    if snr is not None:
        return {"snr": snr}
    return {"spike_penalty": spike_penalty * float(np.mean(relu(x.astype(np.float64)) ** 2))}
