"""Silence as a value other than 0, by thresholds alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .spike_code import SpikeCode

__all__ = ["above"]


def above(code: SpikeCode, offset: float, activation: str = "relu") -> SpikeCode:
    r"""What x exceeds :math:`y_0` by, written in ``code``.

    .. math:: T'(t) = T(t) + y_0, \qquad y = y_0 + \sum_t d(t)\, z(t)

    For ReLUs that are hardly ever silent: values around :math:`y_0` cost no spike, and what is
    below is lost. For the identity, ``"linear"``, :math:`y_0` may be negative. The potential stays
    x itself, so no soma is needed (cf. :func:`~fsrepro.codes.soma`).

    Parameters
    ----------
    code : SpikeCode
        Of max(x, 0), without a soma.
    offset : float
        :math:`y_0`, at least 0 for ReLU; receivers add it to their bias.
    activation : "relu" or "linear"
        What the neurons are to write.

    Raises
    ------
    ValueError
        For an offset that is negative or not finite, for a code with a soma, and for another
        activation.
    """
    if activation not in ("relu", "linear"):
        raise ValueError(f"thresholds write relu or linear, not {activation!r}; see soma()")
    if not (np.isfinite(offset) and (offset >= 0 or activation == "linear")):
        raise ValueError(f"the offset must be at least 0 and finite, got {offset}")
    if code.soma:
        raise ValueError(f"code {code.name!r} has a soma; give it the offset, see soma()")
    if offset == 0 and activation == code.activation:
        return code
    name = f"{code.name} above {offset:.4g}" if offset else code.name
    return replace(
        code,
        threshold=code.threshold + np.float32(offset),
        offset=code.offset + offset,
        activation=activation,
        name=name,
    )
