"""All kinds of codes side by side: what each needs to reach one SNR, and how far from the bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..codes import PrefixCode, entropy
from ._bound import rates_within, spikes_for_rate
from ._measure import measure
from .designers import level_weights, mixed_radix_of, with_soma
from .distributions import Distribution, relu
from .front import Designer

__all__ = ["compare", "pair_or_one"]


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
    rows = [{"kind": k, **_row(designer, distribution, snr)} for k, designer in designers.items()]
    reached = [row["snr"] for row in rows if np.isfinite(row.get("snr", np.nan))]
    rates = rates_within(value, min(reached), max(reached) + 0.1) if reached else None
    for row in rows:
        if rates is not None and row.get("snr") in reached:
            row["bound"] = spikes_for_rate(rates(row["snr"]), row["steps"])
            row["ratio_to_bound"] = row["spikes"] / row["bound"]
    return pd.DataFrame(rows)


def _row(designer, distribution, snr) -> dict:
    try:
        code = designer.best(distribution, snr=snr).code
    except ValueError as error:
        return {"code": str(error), "spikes": np.nan}
    found = measure(code, relu, distribution)
    row = {
        "code": code.name,
        "linear": code.linear,
        "steps": code.steps,
        "snr": found.snr,
        "spikes": found.spikes,
        "entropy": np.nan,
        "mean_latency": float(code.steps),
        "decoder_states": 0,
    }
    if isinstance(code, PrefixCode):
        p = level_weights(code, distribution)
        row |= {
            "entropy": entropy(p),
            "mean_latency": code.mean_latency(p),
            "decoder_states": code.decoder_states,
        }
    return row


def pair_or_one(x: Distribution, steps: int, snr: float) -> dict[str, float]:
    """What a signed signal costs in a pair of populations, and in one.

    A pair writes max(x, 0) and max(-x, 0), each in a mixed radix of its own; one population what
    exceeds an offset. NaN for what does not reach the SNR.

    Parameters
    ----------
    x : Distribution
        Of the signal.
    steps : int
        K.
    snr : float
        In dB, of x itself.

    Returns
    -------
    dict of float
        ``negative_power``: the share below zero of the power of x; ``pair`` and ``one``: spikes
        per value.
    """
    designer = mixed_radix_of(steps)
    functions = ("relu", "negative_part", "linear")
    above, below, one = (with_soma(designer, function)(x) for function in functions)
    power, negative = x.mean(np.square), x.mean(lambda x: np.square(np.minimum(x, 0)))
    allowed = power / 10 ** (snr / 10)
    spikes = np.add.outer(above.spikes, below.spikes)
    enough = spikes[np.add.outer(above.mse, below.mse) <= allowed]
    alone = one.spikes[one.mse <= allowed]
    return {
        "negative_power": negative / power,
        "pair": float(enough.min()) if enough.size else np.nan,
        "one": float(alone.min()) if alone.size else np.nan,
    }
