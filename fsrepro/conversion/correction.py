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

import math
from dataclasses import replace

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from .. import activations
from ..codes import SpikeCode
from ..fitting import round_scale
from ..networks.compiled import compiled, traced
from ..networks.graph import calls, in_batches, uses
from ..networks.kinds import MERGING_LAYERS, POOLING_BY_MAXIMUM, WEIGHTED_LAYERS
from ..networks.population import Population
from ._kernels import scale_outputs
from .least_squares import refit

__all__ = ["correct_biases"]

_MANY = 2**24  # values of a layer: fewer are summed up before it is compiled how
_TINY = 1e-12
_MOST = 1.5  # times larger or smaller weights: what needs more is beyond repair


def correct_biases(
    model: keras.Model, graph: keras.Model, images: np.ndarray, *, weights: bool = False
) -> list[str]:
    """Correct means and slopes of a spiking network in place; return the names of the layers.

    Neurons are left as they are unless nothing but they, one population or a pair, read a weighted
    layer with a bias, or its maxima; the same holds for the outputs, of which only the means are
    corrected. What is added up with other signals keeps its slope, unless thresholds can take it
    up: of codes by channel, without a soma.

    Parameters
    ----------
    model : keras.Model
        The spiking network, made from ``graph`` by :func:`populate`.
    graph : keras.Model
        The ANN in normal form.
    images : (N, H, W, C) array
        A thousand are enough, and all their activations of a few layers are held in memory.
    weights : bool
        Refit the weights of these layers first, but of outputs and behind maxima, see
        :mod:`~fsrepro.conversion.least_squares`.
    """
    readers = _readers(model)
    ways = _ways(model, readers)
    left_ann, left_snn = uses(graph), uses(model)
    batches = [*map(ops.convert_to_tensor, in_batches(model, images))]
    ann, snn = {id(graph.inputs[0]): batches}, {id(model.inputs[0]): batches}
    read = {}  # what layers read whose weights are refitted
    if weights:
        read = {
            x: way[0].input_tensors[0]
            for x, way in ways.items()
            if x in readers and not any(map(_is_maximum, way))
        }
        for x in read.values():
            left_snn[id(x)] += 1
    corrected = []

    def correct(old, new):
        """What populations read, and nothing else does, or an output."""
        first, *then = ways[id(new)]
        layer = first.operation
        target, values = ann[id(old)], snn[id(new)]
        if id(new) in read:
            errors = [wanted - x for wanted, x in zip(target, values, strict=True)]
            if added := refit(layer, snn[id(read[id(new)])], errors):
                values = [x + more for x, more in zip(values, added, strict=True)]
        wanted, found, slope = _moments(target, values)
        if id(new) not in readers:
            slope = np.ones(len(slope))
        elif not all(map(_is_maximum, then)):  # an addition, of what others read too
            populations: list = readers[id(new)]
            if all(_can_stretch(population.code) for population in populations):
                for population in populations:
                    population.code = _stretched(population.code, slope)
                wanted = wanted / slope
            slope = np.ones(len(slope))
        change = (wanted - slope * found).astype(np.float32)
        scale_outputs(layer, slope, change)
        snn[id(new)] = [x * slope.astype(np.float32) + change for x in values]
        corrected.append(layer.name)

    def release(x, values, left):
        left[id(x)] -= 1
        if left[id(x)] == 0:
            del values[id(x)]

    pairs = list(zip(calls(graph), calls(model), strict=True))
    for old, new in tqdm(pairs, desc="correct biases"):
        x = new.input_tensors[0]
        if id(x) in ways and readers[id(x)][0] is new.operation:  # of a pair, the first
            correct(old.input_tensors[0], x)
            if id(x) in read:
                release(read[id(x)], snn, left_snn)
        for call, values, left in ((old, ann, left_ann), (new, snn, left_snn)):
            values[id(call.outputs[0])] = _run(call, values)
            for x in call.input_tensors:
                release(x, values, left)
        y = new.outputs[0]
        if id(y) in ways and id(y) not in readers:
            correct(old.outputs[0], y)
    return corrected


def _ways(model: keras.Model, readers) -> dict[int, list]:
    """By id of what may be corrected: the calls from the weighted layer to it."""
    made_by = {id(call.outputs[0]): call for call in calls(model)}
    reading = uses(model)
    alone = {id(x): 1 for x in model.outputs} | {x: len(found) for x, found in readers.items()}
    ways = {x: _way(x, reading, made_by) for x, count in alone.items() if reading[x] == count}
    return {x: way for x, way in ways.items() if way}


def _moments(wanted: list, found: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each channel of batches (N, ..., C), both means, and the factor that brings slope 1."""
    of_images = [
        [ops.reshape(x, (x.shape[0], -1, x.shape[-1])) for x in batches]
        for batches in (wanted, found)
    ]
    many = sum(math.prod(x.shape) for x in of_images[0]) > _MANY
    sums = [
        [ops.convert_to_numpy(part).sum(0) for part in (_many_sums if many else _sums)(*pair)]
        for pair in zip(*of_images, strict=True)
    ]
    positions = sum(math.prod(x.shape[:-1]) for x in of_images[0])
    x, y, xx, xy = np.sum(sums, 0) / positions
    power, common = xx - x * x, xy - x * y
    factor = np.ones(len(x))
    vary = (power > _TINY * xx) & (common > _TINY * np.abs(xy))  # more than differences round by
    np.divide(power, common, out=factor, where=vary)
    return x, y, np.array([round_scale(g) for g in np.clip(factor, 1 / _MOST, _MOST)])


@traced
def _sums(x, y):
    """Of x, y, x^2 and xy, (images, positions, channels), over positions in double precision."""
    return _double_sums(x, y)


@compiled
def _many_sums(x, y):
    return _double_sums(x, y)


def _double_sums(x, y):
    x, y = (ops.cast(values, "float64") for values in (x, y))
    return [ops.sum(values, axis=1) for values in (x, y, x * x, x * y)]


def _readers(model: keras.Model) -> dict[int, list[Population]]:
    """By id of a tensor, the populations that read it."""
    found: dict[int, list[Population]] = {}
    for call in calls(model):
        if isinstance(call.operation, Population):
            found.setdefault(id(call.input_tensors[0]), []).append(call.operation)
    return found


def _can_stretch(code) -> bool:
    """Whether neurons that have a table for each channel could take up a factor before them."""
    if not isinstance(code, SpikeCode) or code.threshold.ndim != 2:
        return False
    if not code.soma:
        return True
    return activations.get(code.activation).homogeneous and not np.any(code.offset)


def _stretched(code: SpikeCode, slope: np.ndarray) -> SpikeCode:
    """Neurons that fire for x as ``code`` does for ``slope`` x, (C,)."""
    slope = slope.astype(np.float32)
    return replace(code, threshold=code.threshold / slope, reset=code.reset / slope)


def _way(x: int, reading, made_by) -> list:
    """From a weighted layer, whose bias shifts this tensor and nothing else, to it; or nothing."""
    if x not in made_by:
        return []
    call = made_by[x]
    layer, inputs = call.operation, call.input_tensors
    if isinstance(layer, WEIGHTED_LAYERS):
        return [call] if layer.use_bias else []
    if isinstance(layer, keras.layers.Subtract):
        inputs = inputs[:1]
    elif not isinstance(layer, (keras.layers.Add, *POOLING_BY_MAXIMUM)):
        return []
    found = (_way(id(x), reading, made_by) for x in inputs if reading[id(x)] == 1)
    way = next(filter(None, found), [])
    return way and [*way, call]


def _is_maximum(call) -> bool:
    return isinstance(call.operation, POOLING_BY_MAXIMUM)


def _run(call, values) -> list:
    """What a layer gives, batch by batch."""
    inputs = zip(*(values[id(x)] for x in call.input_tensors), strict=True)
    merged = isinstance(call.operation, MERGING_LAYERS)
    return [call.operation(list(batch) if merged else batch[0]) for batch in inputs]
