r"""How much the answers of a network depend on each of its activations.

To second order, an error of variance D in n activations changes the answers by
:math:`\tfrac12 n\, G D`, in units of the loss whose mean squared gradient is G. The loss here is
the divergence between the answers of ANN and SNN; in regression, half their squared difference.

Source: the Fisher information as sensitivity of layers to quantisation, e.g. Choi, El-Khamy & Lee
(2017).
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from tqdm import tqdm

from ..networks.graph import in_batches
from ..networks.population import activation_layers
from ..tasks import Task

__all__ = ["sensitivity"]


def sensitivity(
    graph: keras.Model, images: np.ndarray, *, task: Task | None = None, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    r"""G of every channel of every activation layer of a normal form: by its name, (C,).

    The mean squared gradient of the loss at one activation; that of the layer is their mean. The
    loss is that of the task, see :meth:`~fsrepro.tasks.Task.loss`: for classes the cross-entropy
    for a label drawn from the network's own answer, so that no labels are needed and
    :math:`\mathrm{E}\, g g^T` is the Fisher information: half of the second derivative's quadratic
    form is the Kullback-Leibler divergence that a small error causes.

    Parameters
    ----------
    graph : keras.Model
        Its outputs are logits.
    images : (N, H, W, C) array
    task : Task
        What they mean; classes unless told.
    seed : int
    """
    import tensorflow as tf

    task = task or Task()
    names = activation_layers(graph)
    probe = keras.Model(
        graph.inputs, [*(graph.get_layer(name).output for name in names), *graph.outputs]
    )
    rng = np.random.default_rng(seed)

    @tf.function
    def squared_gradients(batch, chance):
        batch = tf.convert_to_tensor(batch)
        with tf.GradientTape() as tape:
            tape.watch(batch)  # else what is before the first weight leaves no trace
            *activations, logits = probe(batch, training=False)
            loss = task.loss(logits, chance)
        zeros = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, activations, unconnected_gradients=zeros)
        return [ops.mean(g**2, axis=tuple(range(len(g.shape) - 1))) for g in gradients]

    total: dict[str, NDArray[np.float64]] = dict.fromkeys(names, np.zeros(()))
    for batch in tqdm(in_batches(graph, images), desc="sensitivity"):
        chance = rng.random(task.draws((len(batch), *graph.output_shape[1:])))
        found = squared_gradients(batch, chance.astype(np.float32))
        for name, g in zip(names, found, strict=True):
            total[name] = total[name] + len(batch) / len(images) * np.asarray(g, np.float64)
    return total
