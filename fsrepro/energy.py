"""What operation counts would cost under stated models. Counts are measured; energies are not.

Energy per operation in 45 nm, in pJ: Horowitz (2014), figure 1.1.9. Only arithmetic is counted:
moving data costs more than computing (same source), and a chip that computes sparse events moves
it differently from one that multiplies matrices. So the figures compare models, not chips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from .measures import Report

__all__ = ["PICOJOULES", "energy", "energy_ratio"]

PICOJOULES = {
    "float32 multiplication": 3.7,
    "float32 addition": 0.9,
    "int8 multiplication": 0.2,
    "int32 addition": 0.1,
}
"""Per operation, 45 nm, 0.9 V (Horowitz 2014)."""

_MODELS = {
    # arithmetic: (multiply and accumulate, accumulate)
    "32-bit floats": ("float32 multiplication", "float32 addition"),
    "8-bit weights and activations, 32-bit sums": ("int8 multiplication", "int32 addition"),
}


def energy_ratio(
    synops: float,
    macs: float,
    ann_macs: float,
    arithmetic: str = "32-bit floats",
    updates: float = 0,
) -> float:
    """SNN / ANN by the formula of :func:`energy`, from counts per image."""
    multiplication, addition = (PICOJOULES[kind] for kind in _MODELS[arithmetic])
    both = multiplication + addition
    return ((synops + updates) * addition + macs * both) / (ann_macs * both)


def energy(report: Report) -> pd.DataFrame:
    r"""Energy per image of the ANN and of the SNN, a row per model of arithmetic.

    .. math:: E_\text{ANN} = M_\text{ANN} (e_\times + e_+), \qquad
              E_\text{SNN} = S e_+ + M (e_\times + e_+)

    .. math:: E_\text{neurons} = U e_+

    S: synaptic operations; M: multiplications that are left; :math:`M_\text{ANN}`: those of the
    ANN; U: neuron updates; e: :data:`PICOJOULES`. In an update a neuron compares its potential with
    its threshold and lowers it if it fires: the price of an addition, whether it fires or not. The
    ANN's activations are not counted against it.

    Returns
    -------
    pandas.DataFrame
        With the columns ``arithmetic``, ``ann_nj``, ``snn_nj``, ``ratio`` (SNN / ANN), as most of
        the field counts; ``updates_nj``, of the neurons, and ``ratio_with_updates``. The second
        row is the honest one: an ANN of 8 bits loses next to nothing.
    """
    rows = []
    for arithmetic, (multiplication, addition) in _MODELS.items():
        add = PICOJOULES[addition]
        both = PICOJOULES[multiplication] + add
        ann = 1e-3 * report.ann_macs_per_image * both
        snn = 1e-3 * (report.synops_per_image * add + report.macs_per_image * both)
        updates = 1e-3 * report.neuron_updates * add
        rows.append(
            {
                "arithmetic": arithmetic, "ann_nj": ann, "snn_nj": snn, "ratio": snn / ann,
                "updates_nj": updates, "ratio_with_updates": (snn + updates) / ann,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
