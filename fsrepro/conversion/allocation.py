r"""Codes for all layers of a network under one budget of spikes.

To second order, what an error of variance D in a layer's activations does to the answers is
:math:`\tfrac12 n\, G D`: n neurons, G the mean squared gradient of the loss (here: of the
divergence between the answers of ANN and SNN) at one of them. A budget of spikes is best spent
where the last spike of every layer buys the same, so

.. math:: \min \sum_l n_l \bigl( \tfrac12 G_l D_l(c_l) + \lambda\, s_l(c_l) \bigr)

chooses code :math:`c_l` of each layer alone, and :math:`\lambda` is found at which the spikes
:math:`\sum n_l s_l / \sum n_l` meet the budget.

Source: Lagrangian bit allocation, Shoham & Gersho (1988); the Fisher information as sensitivity
of layers to quantisation, e.g. Choi, El-Khamy & Lee (2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm import tqdm

from ..codes import SpikeCode
from .graph import batch_slices
from .population import activation_layers

__all__ = ["Plan", "allocate", "channel_sensitivity", "sensitivity", "spike_price"]

_HALVINGS = 60


@dataclass(frozen=True)
class Plan:
    """Everything that dividing a budget of spikes among the layers of a network needs.

    Made by :func:`~fsrepro.conversion.plan`, once for many budgets. ``fronts``: by layer, a table
    of codes with columns ``code``, ``scale``, ``mse`` and ``spikes``. ``neurons`` and ``gain``: by
    layer, see :func:`allocate`.
    """

    fronts: Mapping[str, pd.DataFrame]
    neurons: Mapping[str, int]
    gain: Mapping[str, float]

    def rows(self, spikes_per_neuron: float) -> dict[str, pd.Series]:
        """The chosen row of each layer's table; raises what :func:`allocate` raises."""
        return allocate(self.fronts, self.neurons, self.gain, spikes_per_neuron)

    def price(self, spikes_per_neuron: float) -> float:
        """What a spike is worth under this budget, see :func:`spike_price`."""
        return spike_price(self.fronts, self.neurons, self.gain, spikes_per_neuron)

    def codes(self, spikes_per_neuron: float) -> dict[str, SpikeCode]:
        """The code of each layer, for ``convert(..., code=...)``."""
        return {name: row["code"] for name, row in self.rows(spikes_per_neuron).items()}


def sensitivity(
    graph: keras.Model,
    images: np.ndarray,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, float]:
    r"""G of every activation layer: the mean squared gradient of the loss at one activation.

    ``graph``: in normal form, outputs are logits. ``images``: (N, H, W, C). The loss is the
    cross-entropy for a label drawn from the network's own answer, so that no labels are needed
    and :math:`\mathrm{E}\, g g^T` is the Fisher information: half of the second derivative's
    quadratic form is the Kullback-Leibler divergence that a small error causes.
    """
    found = channel_sensitivity(graph, images, batch_size=batch_size, seed=seed, progress=progress)
    return {name: float(gain.mean()) for name, gain in found.items()}


def channel_sensitivity(
    graph: keras.Model,
    images: np.ndarray,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """As :func:`sensitivity`, for each channel of each layer: (C,)."""
    import tensorflow as tf

    names = activation_layers(graph)
    probe = keras.Model(
        graph.inputs, [*(graph.get_layer(name).output for name in names), *graph.outputs]
    )
    rng = np.random.default_rng(seed)

    @tf.function
    def squared_gradients(batch, chance):
        with tf.GradientTape() as tape:
            *activations, logits = probe(batch, training=False)
            below = ops.cumsum(ops.softmax(ops.stop_gradient(logits)), axis=-1) < chance[:, None]
            label = ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), logits.shape[-1] - 1)
            loss = ops.sum(
                keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
            )
        gradients = tape.gradient(loss, activations)
        return [ops.mean(g**2, axis=tuple(range(len(g.shape) - 1))) for g in gradients]

    total = dict.fromkeys(names, 0.0)
    slices = batch_slices(graph, len(images), batch_size)
    for part in tqdm(slices, desc="sensitivity", disable=not progress):
        batch = images[part]
        found = squared_gradients(batch, rng.random(len(batch)).astype(np.float32))
        for name, g in zip(names, found, strict=True):
            total[name] = total[name] + len(batch) / len(images) * np.asarray(g, np.float64)
    return total


def allocate(
    fronts: Mapping[str, pd.DataFrame],
    neurons: Mapping[str, int],
    gain: Mapping[str, float],
    spikes_per_neuron: float,
) -> dict[str, pd.Series]:
    """The row of each layer's front with which the network keeps its budget of spikes.

    ``fronts``: by layer, candidate codes with columns ``mse`` and ``spikes`` (mean per neuron).
    ``neurons`` n, ``gain`` G: by layer. ``spikes_per_neuron``: the budget, mean over all neurons.
    The mean spikes of the rows are at most the budget.

    Raises ``ValueError`` for a budget that even the cheapest codes exceed.
    """
    price = spike_price(fronts, neurons, gain, spikes_per_neuron)
    return _choose(fronts, gain, price)


def _choose(fronts, gain, price) -> dict[str, pd.Series]:
    return {
        name: front.iloc[int(np.argmin(0.5 * gain[name] * front["mse"] + price * front["spikes"]))]
        for name, front in fronts.items()
    }


def spike_price(
    fronts: Mapping[str, pd.DataFrame],
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
        return float(share @ [row["spikes"] for row in _choose(fronts, gain, price).values()])

    low, high = 1e-30, 1e30  # prices: too many spikes, few enough
    if spent(low) <= spikes_per_neuron:
        high = low
    elif spent(high) > spikes_per_neuron:
        raise ValueError(
            f"{spikes_per_neuron:g} spikes per neuron are too few: the cheapest codes take "
            f"{spent(high):.3g}"
        )
    for _ in range(_HALVINGS):
        if high / low < 1 + 1e-9:
            break
        middle = np.sqrt(low * high)
        low, high = (low, middle) if spent(middle) <= spikes_per_neuron else (middle, high)
    return high
