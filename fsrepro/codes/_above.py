"""Silence as a value other than 0, by thresholds alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .spike_code import SpikeCode

__all__ = ["above"]


def above(code: SpikeCode, offset: float) -> SpikeCode:
    r"""What x exceeds :math:`y_0` by, written in ``code``.

    .. math:: T'(t) = T(t) + y_0, \qquad y = y_0 + \sum_t d(t)\, z(t)

    For ReLUs that are hardly ever silent: values around :math:`y_0` cost no spike, and what is
    below is lost. The potential stays x itself, so no soma is needed (cf.
    :func:`~fsrepro.codes.soma`).

    Parameters
    ----------
    code : SpikeCode
        Of max(x, 0), without a soma.
    offset : float
        :math:`y_0`, at least 0; receivers add it to their bias.

    Raises
    ------
    ValueError
        For an offset that is negative or not finite, and for a code with a soma.
    """
    if not (np.isfinite(offset) and offset >= 0):
        raise ValueError(f"the offset must be at least 0 and finite, got {offset}")
    if code.soma:
        raise ValueError(f"code {code.name!r} has a soma; give it the offset, see soma()")
    if offset == 0:
        return code
    threshold = code.threshold + np.float32(offset)
    name = f"{code.name} above {offset:.4g}"
    return replace(code, threshold=threshold, offset=code.offset + offset, name=name)
