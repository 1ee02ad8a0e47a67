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

from collections.abc import Mapping

import numpy as np

from ..fitting import Candidate, Front

__all__ = ["allocate", "spike_price"]

FILLED = 0.99
"""A budget is met when this share of it is spent: what is left would hardly buy a code."""


def allocate(
    fronts: Mapping[str, Front],
    neurons: Mapping[str, int],
    gain: Mapping[str, float],
    spikes_per_neuron: float,
) -> dict[str, Candidate]:
    """The code of each layer's front with which the network keeps its budget of spikes.

    Parameters
    ----------
    fronts, neurons, gain : mapping
        By layer, its front, n and G.
    spikes_per_neuron : float
        The budget, mean over all neurons, which the mean spikes of the codes do not exceed.

    Raises
    ------
    ValueError
        For a budget that even the cheapest codes exceed.
    """
    chosen = _choose(fronts, gain, spike_price(fronts, neurons, gain, spikes_per_neuron))
    return _filled(chosen, fronts, neurons, gain, spikes_per_neuron)


def _filled(chosen, fronts, neurons, gain, budget) -> dict[str, Candidate]:
    """``chosen`` with better codes where the rest of the budget allows them."""
    total = sum(neurons[name] for name in fronts)
    left = budget * total - sum(neurons[name] * found.spikes for name, found in chosen.items())
    while left > (1 - FILLED) * budget * total:
        best: tuple[float, str, Candidate] | None = None
        for name, front in fronts.items():
            now, n = chosen[name], neurons[name]
            more, less = front.spikes - now.spikes, now.mse - front.mse
            worth = np.full(len(front), -np.inf)
            fits = (more > 0) & (n * more <= left) & (less > 0)
            worth[fits] = gain[name] * less[fits] / more[fits]
            row = int(np.argmax(worth))
            if fits[row] and (best is None or worth[row] > best[0]):
                best = float(worth[row]), name, front[row]
        if best is None:
            break
        _, name, found = best
        left -= neurons[name] * (found.spikes - chosen[name].spikes)
        chosen[name] = found
    return chosen


def _choose(fronts, gain, price) -> dict[str, Candidate]:
    with np.errstate(divide="ignore"):  # nothing is too cheap for a layer that does not matter
        return {
            name: front.choose(price=price / np.float64(0.5 * gain[name]))
            for name, front in fronts.items()
        }


def spike_price(
    fronts: Mapping[str, Front],
    neurons: Mapping[str, int],
    gain: Mapping[str, float],
    spikes_per_neuron: float,
) -> float:
    r"""The :math:`\lambda` of :func:`allocate`: the loss that the last spike of a budget saves.

    Arguments and errors as there.
    """
    share = np.array([neurons[name] for name in fronts], float)
    share /= share.sum()

    def spent(price):
        return float(share @ [found.spikes for found in _choose(fronts, gain, price).values()])

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
