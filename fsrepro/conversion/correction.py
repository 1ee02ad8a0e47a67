r"""Take the mean and the slope out of what the codes get wrong, layer after layer.

A code that saturates or silences values errs to one side, and the layers behind add these errors
up; and what it takes from large deviations from the mean, or adds to them, the layers behind
multiply. With a bar for the mean over calibration images and positions, every channel c of neurons
gets for its pre-activations x

.. math:: x_c \leftarrow \bar x_c^{\,\text{ANN}} + g_c\, (x_c - \bar x_c), \qquad
          g_c = \frac{\operatorname{var} x_c^{\text{ANN}}}
                     {\operatorname{cov}(x_c^{\text{ANN}}, x_c)}

by its weights and bias, from the first layer to the last, each seeing the corrected ones before. So
the regression of SNN on ANN has slope 1. (With the least squared error it would be less, and a
network of such codes fades from layer to layer.)

Source of the means: Nagel et al. (2019), section 4.2, with empirical means.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from ..codes import SpikeCode
from ..fitting import round_scale
from ..networks.graph import batch_slices, calls, uses
from ..networks.kinds import MERGING_LAYERS, WEIGHTED_LAYERS
from ._kernels import scale_outputs
from .population import Population

__all__ = ["correct_biases"]

_MOST = 1.5  # times larger or smaller weights: what needs more is beyond repair


def correct_biases(model: keras.Model, graph: keras.Model, images: np.ndarray) -> list[str]:
    """Correct means and slopes of a spiking network in place; return the names of the layers.

    Neurons are left as they are unless nothing but they read a weighted layer with a bias; the
    same holds for the outputs, of which only the means are corrected. What is added up with other
    signals keeps its slope, unless thresholds can take it up: of codes by channel, without a soma.

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

    def correct(old, new, population=None):
        layer = _source(new, reading, made_by)
        if layer is None:
            return
        before, after = ann[id(old)], snn[id(new)]
        axes = tuple(range(before.ndim - 1))
        wanted, found = (x.mean(axes, dtype=np.float64) for x in (before, after))
        slope = np.ones(len(wanted))
        if population is not None:
            slope = _slope(before, after)
            if made_by[id(new)].operation is not layer:  # an addition, of what others read too
                code = population.code
                if isinstance(code, SpikeCode) and code.threshold.ndim == 2 and not code.soma:
                    population.code = _stretched(code, slope)
                    wanted /= slope
                slope = np.ones(len(slope))
        change = (wanted - slope * found).astype(np.float32)
        scale_outputs(layer, slope, change)
        snn[id(new)] = after * slope.astype(np.float32) + change
        corrected.append(layer.name)

    slices = batch_slices(model, len(images))
    pairs = list(zip(calls(graph), calls(model), strict=True))
    for old, new in tqdm(pairs, desc="correct biases"):
        if isinstance(new.operation, Population):
            correct(old.input_tensors[0], new.input_tensors[0], new.operation)
        for call, values, left in ((old, ann, left_ann), (new, snn, left_snn)):
            values[id(call.outputs[0])] = _run(call, values, slices)
            for x in call.input_tensors:
                left[id(x)] -= 1
                if left[id(x)] == 0:
                    del values[id(x)]
        if id(new.outputs[0]) in outputs:
            correct(old.outputs[0], new.outputs[0])
    return corrected


def _slope(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each channel of pre-activations (N, ..., C), the factor with which they have slope 1."""
    channels = wanted.shape[-1]
    x, y = (values.reshape(-1, channels).astype(np.float64) for values in (wanted, found))
    x -= x.mean(0)
    power, common = np.einsum("ic,ic->c", x, x), np.einsum("ic,ic->c", x, y)
    factor = np.ones(channels)
    np.divide(power, common, out=factor, where=(common > 0) & (power > 0))
    return np.array([round_scale(g) for g in np.clip(factor, 1 / _MOST, _MOST)])


def _stretched(code: SpikeCode, slope: np.ndarray) -> SpikeCode:
    """Neurons that fire for x as ``code`` does for ``slope`` x, (C,)."""
    slope = slope.astype(np.float32)
    return replace(code, threshold=code.threshold / slope, reset=code.reset / slope)


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
