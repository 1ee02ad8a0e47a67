"""Which code a layer gets: from the pre-activations recorded there to a code and its scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..codes import SpikeCode
from ..fitting import Design, best_mixed_radix, best_scale, empirical, relu

__all__ = ["SPIKE_PENALTY", "design_code", "design_mixed_radix"]

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


def _absolute(x, snr, spike_penalty) -> dict:
    """The criterion of `fsrepro.fitting`, whose penalty is in squared units of the activation."""
    if snr is not None:
        return {"snr": snr}
    return {"spike_penalty": spike_penalty * float(np.mean(relu(x.astype(np.float64)) ** 2))}
