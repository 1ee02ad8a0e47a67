"""A code of its own for every channel, as one code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .spike_code import SpikeCode

__all__ = ["by_channel"]


def by_channel(codes: Sequence[SpikeCode]) -> SpikeCode:
    r"""The FS neurons of a layer whose channels are written in ``codes``, one for each.

    .. math:: z_c(t) = [\, v_c(t) \ge T_c(t) \,], \qquad v_c(t+1) = v_c(t) - h_c(t)\, z_c(t), \\
              y_c = y_{0,c} + \sum_{t=1}^{K} d_c(t)\, z_c(t)

    Synapses read every spike by a weight as before: what is new is that :math:`d_c(t)` depends on
    the channel of the sender.

    Parameters
    ----------
    codes : sequence of C SpikeCode
        Of as many time steps, for the same activation.

    Raises
    ------
    ValueError
        For no codes, and for codes that differ in anything but tables, offsets and names.
    TypeError
        For codes that are not :class:`SpikeCode`, or have channels of their own.
    """
    codes = list(codes)
    if not codes:
        raise ValueError("by_channel needs a code for every channel, got none")
    for code in codes:
        if not (isinstance(code, SpikeCode) and code.threshold.ndim == 1):
            raise TypeError(f"by_channel takes SpikeCodes with one table each, got {code!r}")
    shared: dict[str, set] = {
        "steps": {code.steps for code in codes},
        "max_spikes": {code.max_spikes for code in codes},
        "activation": {code.activation for code in codes},
        "soma": {code.soma for code in codes},
    }
    for what, found in shared.items():
        if len(found) > 1:
            raise ValueError(f"the codes of all channels must have the same {what}, got {found}")
    first, names = codes[0], {code.name for code in codes}
    offsets = np.array([code.offset for code in codes], np.float32)
    return SpikeCode(
        np.stack([code.threshold for code in codes], 1),
        np.stack([code.reset for code in codes], 1),
        np.stack([code.weight for code in codes], 1),
        max_spikes=first.max_spikes,
        name=first.name if len(names) == 1 else f"{len(names)} codes of K = {first.steps}",
        activation=first.activation,
        soma=first.soma,
        offset=offsets if offsets.any() else 0.0,
    )
