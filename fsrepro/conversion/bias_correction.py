r"""Take the mean out of what the codes get wrong: one bias per channel, layer after layer.

A code that saturates or silences values errs to one side, and the layers behind add these errors
up. With a bar for the mean over calibration images and positions, every channel c of neurons gets

.. math:: b_c \leftarrow b_c + \bar x_c^{\,\text{ANN}} - \bar x_c^{\,\text{SNN}}

for its pre-activations x, from the first layer to the last, each seeing the corrected ones before.

Source: Nagel et al. (2019), section 4.2, with empirical means.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from ..networks.graph import batch_slices, calls, uses
from ..networks.kinds import MERGING_LAYERS, WEIGHTED_LAYERS
from .population import Population

__all__ = ["correct_biases"]


def correct_biases(model: keras.Model, graph: keras.Model, images: np.ndarray) -> list[str]:
    """Correct the biases of a spiking network in place; return the names of corrected layers.

    Neurons are left as they are unless nothing but they read a weighted layer with a bias; the
    same holds for the outputs.

    Parameters
    ----------
    model : keras.Model
        The spiking network, made from ``graph`` by :func:`populate`.
    graph : keras.Model
        The ANN in normal form.
    images : (N, H, W, C) array
        A thousand are enough, and all their activations of a few layers are held in memory.
    """
    reading, outputs = uses(model), {id(x) for x in model.outputs}
    made_by = {id(call.outputs[0]): call for call in calls(model)}
    left_ann, left_snn = uses(graph), uses(model)
    ann = {id(graph.inputs[0]): images}
    snn = {id(model.inputs[0]): images}
    corrected = []

    def correct(old, new):
        layer = _source(new, reading, made_by)
        if layer is None:
            return
        before, after = ann[id(old)], snn[id(new)]
        axes = tuple(range(before.ndim - 1))
        change = before.mean(axes, dtype=np.float64) - after.mean(axes, dtype=np.float64)
        change = change.astype(np.float32)
        layer.bias.assign(layer.bias + change)
        snn[id(new)] = after + change
        corrected.append(layer.name)

    slices = batch_slices(model, len(images))
    pairs = list(zip(calls(graph), calls(model), strict=True))
    for old, new in tqdm(pairs, desc="correct biases"):
        if isinstance(new.operation, Population):
            correct(old.input_tensors[0], new.input_tensors[0])
        for call, values, left in ((old, ann, left_ann), (new, snn, left_snn)):
            values[id(call.outputs[0])] = _run(call, values, slices)
            for x in call.input_tensors:
                left[id(x)] -= 1
                if left[id(x)] == 0:
                    del values[id(x)]
        if id(new.outputs[0]) in outputs:
            correct(old.outputs[0], new.outputs[0])
    return corrected


def _source(tensor, reading, made_by):
    """The weighted layer whose bias shifts ``tensor`` and nothing else, or None."""
    if reading[id(tensor)] != 1 or id(tensor) not in made_by:
        return None
    call = made_by[id(tensor)]
    layer = call.operation
    if isinstance(layer, WEIGHTED_LAYERS):
        return layer if layer.use_bias else None
    if isinstance(layer, keras.layers.Add):
        found = (_source(x, reading, made_by) for x in call.input_tensors)
        return next(filter(None, found), None)
    return None


def _run(call, values, slices) -> np.ndarray:
    inputs = [values[id(x)] for x in call.input_tensors]
    parts = []
    for part in slices:
        batch = [ops.convert_to_tensor(x[part]) for x in inputs]
        merged = isinstance(call.operation, MERGING_LAYERS)
        parts.append(ops.convert_to_numpy(call.operation(batch if merged else batch[0])))
    return np.concatenate(parts)
