r"""Codes for all layers of a network under one budget of spikes.

What an error of variance D in a layer's activations does to the answers is
:math:`\tfrac12 n\, G D`: n neurons, G their :func:`~fsrepro.conversion.sensitivity`. A budget of
spikes is best spent where the last spike of every layer buys the same, so

.. math:: \min \sum_l n_l \bigl( \tfrac12 G_l D_l(c_l) + \lambda\, s_l(c_l) \bigr)

chooses code :math:`c_l` of each layer alone, and :math:`\lambda` is found at which the spikes
:math:`\sum n_l s_l / \sum n_l` meet the budget. In a budget of synaptic operations a spike costs
the fan-out :math:`f_l` of its neuron: then :math:`\lambda f_l` is its price, and
:math:`\sum n_l f_l s_l` meets the budget. The codes that a price can choose lie on the convex
hull of each front, so that a few layers may leave much of a budget; the rest is spent greedily, one
layer at a time, where it saves most for each spike.

Source: Lagrangian bit allocation, Shoham & Gersho (1988).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from ..fitting import Candidate, Front

__all__ = ["allocate"]

FILLED = 0.99
"""A budget is met when this share of it is spent: what is left would hardly buy a code."""


Part = TypeVar("Part", bound=Hashable)


def allocate(
    fronts: Mapping[Part, Front],
    neurons: Mapping[Part, float],
    gain: Mapping[Part, float],
    budget: float,
    cost: Mapping[Part, float] | None = None,
) -> dict[Part, Candidate]:
    """The code of each layer's front with which the network keeps its budget.

    Parameters
    ----------
    fronts, neurons, gain : mapping
        By layer, or part of one, such as a channel: its front, n and G.
    budget : float
        Spikes per neuron, mean over all neurons; or whatever the ``cost`` is counted in. What the
        codes spend does not exceed it.
    cost : mapping
        What is spent if every neuron of a layer sends one spike; by default its share of the
        neurons.

    Raises
    ------
    ValueError
        For a budget that even the cheapest codes exceed.
    """
    if cost is None:
        total = sum(neurons[name] for name in fronts)
        cost = {name: neurons[name] / total for name in fronts}
    parts = {
        name: _Part(front, 0.5 * gain[name] * neurons[name], cost[name])
        for name, front in fronts.items()
    }
    rows = _filled(_chosen(parts, budget), parts, budget)
    return {name: front[rows[name]] for name, front in fronts.items()}


class _Part(NamedTuple):
    front: Front
    harm: float  # of a squared error of 1 in all its neurons
    cost: float

    def row(self, price: float) -> int:
        """The row of the front that serves a price of what the budget is in."""
        with np.errstate(divide="ignore"):  # nothing is too cheap for what does not matter
            return self.front.position(price=price * self.cost / np.float64(self.harm))


def _chosen(parts: Mapping[Part, _Part], budget: float) -> dict[Part, int]:
    """The rows of the fronts at the lowest price that keeps the budget."""

    def spent(price):
        return sum(p.cost * p.front.spikes[p.row(price)] for p in parts.values())

    low, high = 1e-30, 1e30  # prices: too much is spent, little enough
    if spent(low) <= budget:
        high = low
    elif spent(high) > budget:
        raise ValueError(f"{budget:g} is too little: the cheapest codes take {spent(high):.3g}")
    while high / low >= 1 + 1e-9:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= budget else (middle, high)
    return {name: part.row(high) for name, part in parts.items()}


def _filled(rows: dict[Part, int], parts: Mapping[Part, _Part], budget: float) -> dict[Part, int]:
    """``rows`` of the fronts with better codes where the rest of the budget allows them."""
    rows = dict(rows)
    left = budget - sum(part.cost * part.front.spikes[rows[name]] for name, part in parts.items())
    while left > (1 - FILLED) * budget:
        best: tuple | None = None
        for name, (front, harm, cost) in parts.items():
            now = rows[name]
            more = cost * (front.spikes - front.spikes[now])
            less = harm * (front.mse[now] - front.mse)
            worth = np.full(len(front), -np.inf)
            fits = (more > 0) & (more <= left) & (less > 0)
            worth[fits] = less[fits] / more[fits]
            row = int(np.argmax(worth))
            if fits[row] and (best is None or worth[row] > best[0]):
                best = worth[row], name, row, more[row]
        if best is None:
            break
        _, name, rows[name], spent = best
        left -= spent
    return rows
