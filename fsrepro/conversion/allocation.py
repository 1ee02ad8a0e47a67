r"""Codes for all layers of a network under one budget of spikes.

What an error of variance D in a layer's activations does to the answers is
:math:`\tfrac12 n\, G D`: n neurons, G their :func:`~fsrepro.conversion.sensitivity`. A budget of
spikes is best spent where the last spike of every layer buys the same, so

.. math:: \min \sum_l n_l \bigl( \tfrac12 G_l D_l(c_l) + \lambda\, s_l(c_l) \bigr)

chooses code :math:`c_l` of each layer alone, and :math:`\lambda` is found at which the spikes
:math:`\sum n_l s_l / \sum n_l` meet the budget. The codes that a price can choose lie on the convex
hull of each front, so that a few layers may leave much of a budget; the rest is spent greedily, one
layer at a time, where it saves most for each spike.

Source: Lagrangian bit allocation, Shoham & Gersho (1988).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from ..fitting import Candidate, Front

__all__ = ["allocate", "spike_price"]

FILLED = 0.99
"""A budget is met when this share of it is spent: what is left would hardly buy a code."""


Part = TypeVar("Part", bound=Hashable)


def allocate(
    fronts: Mapping[Part, Front],
    neurons: Mapping[Part, float],
    gain: Mapping[Part, float],
    spikes_per_neuron: float,
) -> dict[Part, Candidate]:
    """The code of each layer's front with which the network keeps its budget of spikes.

    Parameters
    ----------
    fronts, neurons, gain : mapping
        By layer, or part of one, such as a channel: its front, n and G.
    spikes_per_neuron : float
        The budget, mean over all neurons, which the mean spikes of the codes do not exceed.

    Raises
    ------
    ValueError
        For a budget that even the cheapest codes exceed.
    """
    rows = _choose(fronts, gain, spike_price(fronts, neurons, gain, spikes_per_neuron))
    rows = _filled(rows, fronts, neurons, gain, spikes_per_neuron)
    return {name: front[rows[name]] for name, front in fronts.items()}


def _filled(rows, fronts, neurons, gain, budget) -> dict:
    """``rows`` of the fronts with better codes where the rest of the budget allows them."""
    rows, total = dict(rows), sum(neurons[name] for name in fronts)
    left = budget * total - sum(
        neurons[name] * front.spikes[rows[name]] for name, front in fronts.items()
    )
    while left > (1 - FILLED) * budget * total:
        best: tuple | None = None
        for name, front in fronts.items():
            now, n = rows[name], neurons[name]
            more, less = front.spikes - front.spikes[now], front.mse[now] - front.mse
            worth = np.full(len(front), -np.inf)
            fits = (more > 0) & (n * more <= left) & (less > 0)
            worth[fits] = gain[name] * less[fits] / more[fits]
            row = int(np.argmax(worth))
            if fits[row] and (best is None or worth[row] > best[0]):
                best = worth[row], name, row, n * more[row]
        if best is None:
            break
        _, name, rows[name], cost = best
        left -= cost
    return rows


def _choose(fronts, gain, price) -> dict:
    """The row of each front that serves a price of a spike."""
    with np.errstate(divide="ignore"):  # nothing is too cheap for a layer that does not matter
        return {
            name: front.position(price=price / np.float64(0.5 * gain[name]))
            for name, front in fronts.items()
        }


def spike_price(
    fronts: Mapping[Part, Front],
    neurons: Mapping[Part, float],
    gain: Mapping[Part, float],
    spikes_per_neuron: float,
) -> float:
    r"""The :math:`\lambda` of :func:`allocate`: the loss that the last spike of a budget saves.

    Arguments and errors as there.
    """
    share = np.array([neurons[name] for name in fronts], float)
    share /= share.sum()

    def spent(price):
        rows = _choose(fronts, gain, price)
        return float(share @ [front.spikes[rows[name]] for name, front in fronts.items()])

    low, high = 1e-30, 1e30  # prices: too many spikes, few enough
    if spent(low) <= spikes_per_neuron:
        high = low
    elif spent(high) > spikes_per_neuron:
        raise ValueError(
            f"{spikes_per_neuron:g} spikes per neuron are too few: the cheapest codes take "
            f"{spent(high):.3g}"
        )
    while high / low >= 1 + 1e-9:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= spikes_per_neuron else (middle, high)
    return float(high)
