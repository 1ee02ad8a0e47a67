"""All kinds of codes side by side: what each needs to reach one SNR, and how far from the bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..codes import PrefixCode, entropy
from ._bound import rate_distortion, spikes_for_rate
from ._measure import measure
from .designers import level_weights
from .distributions import Distribution, relu
from .front import Designer

__all__ = ["compare"]


def compare(
    designers: Mapping[str, Designer], distribution: Distribution, snr: float
) -> pd.DataFrame:
    """Design every code for ``snr`` (dB) on ``distribution``, and hold it against the bound.

    Parameters
    ----------
    designers : mapping of str to Designer
        By name of the kind, see :func:`scaled`, :func:`mixed_radix_of`, :func:`words_of`.
    distribution : Distribution
        Of the pre-activation x; what is coded is max(x, 0).
    snr : float

    Returns
    -------
    pandas.DataFrame
        One row per kind, in the order given. Columns: ``kind``, ``code`` (its name), ``linear``,
        ``steps`` (K; of words, the longest), ``snr`` (reached, dB), ``spikes`` (mean per neuron),
        ``entropy`` (bits; NaN but for words), ``mean_latency`` (steps; K but for words),
        ``decoder_states``, ``bound``: the fewest spikes of any code of K steps with this SNR, and
        ``ratio_to_bound``. A kind that cannot reach the SNR has a row with ``spikes`` NaN and the
        reason as its ``code``.
    """
    value = distribution.map(relu)
    power = value.mean(np.square)
    return pd.DataFrame(
        [
            {"kind": kind, **_row(designer, distribution, value, power, snr)}
            for kind, designer in designers.items()
        ]
    )


def _row(designer, distribution, value, power, snr) -> dict:
    try:
        code = designer.best(distribution, snr=snr).code
    except ValueError as error:
        return {"code": str(error), "spikes": np.nan}
    found = measure(code, relu, distribution)
    rate = rate_distortion(value, power / 10 ** (found.snr / 10))
    lowest = spikes_for_rate(rate, code.steps)
    row = {
        "code": code.name,
        "linear": code.linear,
        "steps": code.steps,
        "snr": found.snr,
        "spikes": found.spikes,
        "entropy": np.nan,
        "mean_latency": float(code.steps),
        "decoder_states": 0,
        "bound": lowest,
        "ratio_to_bound": found.spikes / lowest,
    }
    if isinstance(code, PrefixCode):
        p = level_weights(code, distribution)
        row |= {
            "entropy": entropy(p),
            "mean_latency": code.mean_latency(p),
            "decoder_states": code.decoder_states,
        }
    return row
