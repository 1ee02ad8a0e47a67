"""The synapses of a spiking network, counted once: fan-out, multiplications, latency.

What is a synapse is a convention, and this is ours. A spike passes unchanged through layers
without weights of their own (pooling, flattening, padding, concatenation); pooling is thus merged
into the synapses that follow it. It then meets

- every weight of the next convolution or dense layer that reads it: one synapse each, for every
  population that reads the sum;
- the neuron or output behind an addition (a skip connection): one synapse, also of a pair of
  neurons, which read one sum;
- a soma that multiplies it with another branch (the gates of squeeze-and-excite), or takes a
  maximum: one synapse for each soma that it reaches.

A weighted layer that reads analog values, such as the first one, which reads the picture, is not
event-driven: each of its weights is a multiplication for every image. So it is behind neurons with
decoders, which pass numbers on, and behind sums and products that no neuron writes, see
:mod:`fsrepro.conversion.signals`. A product takes one multiplication for each of its values.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import keras
import numpy as np

from .networks.graph import calls
from .networks.kinds import (
    AVERAGES,
    DEPTHWISE,
    GLOBAL_AVERAGES,
    POOLING_BY_MAXIMUM,
    PRODUCTS,
    WEIGHTED_LAYERS,
    is_scaling,
)
from .networks.nonlinearity import Nonlinearity
from .networks.population import Population
from .wiring import routes, windows

if TYPE_CHECKING:
    from .conversion import SpikingModel

__all__ = ["Synapses", "ann_macs", "count_synapses", "fan_out", "synapses_behind"]

_POOLING = (*AVERAGES, *GLOBAL_AVERAGES, *POOLING_BY_MAXIMUM)
_NEURONS = (Population, Nonlinearity)

_PADDING, _SPIKES, _PICTURE, _VALUES = range(4)
"""What a tensor holds; where several things meet, it is the last of them."""


@dataclass(frozen=True)
class Synapses:
    """What :func:`count_synapses` counts.

    Parameters
    ----------
    fan_out : dict of int64 arrays
        By spiking layer, synapses per neuron: (H, W), () for vectors, or whatever the shape is
        without channels, where all channels are alike; else the full shape, (H, W, C). Zero for
        neurons with decoders.
    analog : dict of int
        By layer, the multiplications per image that are left: in layers with weights that read
        analog values, and in products, one for each value.
    first : tuple of str
        Those of these layers that read the picture, and nothing else that is analog.
    ann_macs : int
        Multiplications per image of the same network as an ANN.
    latency_steps : int
        Time steps from the image to the output, layers computing one after another.
    """

    fan_out: dict[str, np.ndarray]
    analog: dict[str, int]
    first: tuple[str, ...]
    ann_macs: int
    latency_steps: int

    @property
    def macs(self) -> int:
        """All multiplications per image that are left."""
        return sum(self.analog.values())

    @property
    def first_macs(self) -> int:
        """Those of the layers that read the picture."""
        return sum(self.analog[name] for name in self.first)


def count_synapses(snn: SpikingModel) -> Synapses:
    """Count the synapses of ``snn`` by the convention at the top of this module."""
    model = snn.keras_model
    analog, first = _multiplications(model)
    return Synapses(fan_out(model), analog, first, ann_macs(model), _latency(model))


def fan_out(model: keras.Model) -> dict[str, np.ndarray]:
    """As in :class:`Synapses`, of a spiking network, or of a normal form as if it spiked."""
    behind, found = synapses_behind(model), {}
    for call in calls(model):
        if isinstance(call.operation, _NEURONS):
            met = (behind[id(call.outputs[0])] * _is_read(call.operation)).astype(np.int64)
            alike = (met == met[..., :1]).all()
            found[call.operation.name] = met[..., 0] if alike else met
    return found


def ann_macs(model: keras.Model) -> int:
    """As in :class:`Synapses`."""
    return sum(_multiplications(model, spikes_are_analog=True)[0].values())


def _is_read(neurons) -> bool:
    """Whether synapses can read their spikes."""
    return not isinstance(neurons, Population) or neurons.code.linear


def synapses_behind(model: keras.Model) -> dict[int, np.ndarray]:
    """From the outputs backwards: how many synapses a spike meets that is a value of a tensor.

    By id of the tensor, in its shape.
    """
    dendrites = _backwards(model, lambda layer, shape: np.zeros(shape))

    def weights(layer, shape):
        """Each, for every dendrite that reads what it adds to; a number that is read, for one."""
        read = np.maximum(dendrites[id(layer.output)], 1.0)
        groups = shape[-1] if isinstance(layer, DEPTHWISE) else getattr(layer, "groups", 1)
        read = read.reshape(*read.shape[:-1], groups, -1).sum(-1)
        axes = [axis.backwards() for axis in windows(layer, shape)]
        met = _through(axes, read.reshape(*(axis.size_in for axis in axes), groups), np.add)
        return np.repeat(met, shape[-1] // groups, -1).reshape(shape)

    return _backwards(model, weights)


def _backwards(model: keras.Model, weights: Callable) -> dict[int, np.ndarray]:
    """What lies behind every value of every tensor: one for each dendrite, and ``weights`` for a
    layer that has some.

    The two neurons of a pair have one dendrite.
    """
    halves = {
        id(call.input_tensors[0]) for call in calls(model) if _function(call.operation) == "relu"
    }
    met: dict = defaultdict(float)  # by id of the tensor, in its shape; exact up to 2^53
    met.update((id(x), 1.0) for x in model.outputs)
    found = {}
    for call in reversed([*calls(model)]):
        layer, shapes = call.operation, [x.shape[1:] for x in call.input_tensors]
        behind = np.broadcast_to(met[id(call.outputs[0])], call.outputs[0].shape[1:])
        found[id(call.outputs[0])] = behind
        if isinstance(layer, PRODUCTS):
            behind = np.ones(behind.shape)  # whatever the soma sends on
        if isinstance(layer, _NEURONS):
            second = _function(layer) == "negative_part" and id(call.input_tensors[0]) in halves
            before = [float(not second)]
        elif isinstance(layer, WEIGHTED_LAYERS):
            before = [weights(layer, shapes[0])]
        elif isinstance(layer, _POOLING):
            axes = [axis.backwards() for axis in windows(layer, shapes[0])]
            sizes = [axis.size_in for axis in axes]
            before = [_through(axes, behind.reshape(*sizes, -1), np.add)]
        else:
            before = [
                _unrouted(route, behind, shape)
                for route, shape in zip(routes(layer, shapes), shapes, strict=True)
            ]
        once: dict = {}  # what is added to itself reaches one dendrite, with twice the weight
        for x, synapses in zip(call.input_tensors, before, strict=True):
            once[id(x)] = np.maximum(once.get(id(x), 0.0), synapses)
        for x, synapses in once.items():
            met[x] = met[x] + synapses
    return found


def _function(layer) -> str:
    """What neurons write."""
    if isinstance(layer, Population):
        return getattr(layer.code, "activation", "")
    return layer.function if isinstance(layer, Nonlinearity) else ""


def _weights_met(layer, shape):
    """How many weights read each value of the input of a weighted layer."""
    reached = [np.bincount(axis.inputs, minlength=axis.size_in) for axis in windows(layer, shape)]
    per_channel = math.prod(layer.kernel.shape[-2:]) // shape[-1]
    return reduce(np.multiply.outer, [*reached, np.full(shape[-1], per_channel)])


def _unrouted(route, behind, shape):
    """For each value of the input, the sum of what lies behind the outputs that take it."""
    found = np.bincount(route.ravel() + 1, behind.ravel(), minlength=math.prod(shape) + 1)
    return found[1:].reshape(shape)


def _through(axes, x, gather):
    """What ``gather``, a sum or a maximum, makes of what windows along ``axes`` hold of ``x``."""
    for n, axis in enumerate(axes):
        rows = np.moveaxis(x, n, 0)
        found = np.zeros((axis.size_out, *rows.shape[1:]), x.dtype)
        gather.at(found, axis.outputs, rows[axis.inputs])
        x = np.moveaxis(found, 0, n)
    return x


def _multiplications(
    model: keras.Model, *, spikes_are_analog: bool = False
) -> tuple[dict[str, int], tuple[str, ...]]:
    """By layer, weights met by analog values, and products; and which read the picture alone."""
    held = {id(x): np.full(x.shape[1:], _PICTURE, np.int8) for x in model.inputs}
    analog, first = {}, []
    for call in calls(model):
        layer, shape = call.operation, call.outputs[0].shape[1:]
        given = [held[id(x)] for x in call.input_tensors]
        found = np.full(shape, _VALUES, np.int8)
        if isinstance(layer, WEIGHTED_LAYERS):
            numbers = given[0] >= _PICTURE
            if numbers.any():
                analog[layer.name] = int(_weights_met(layer, given[0].shape)[numbers].sum())
            if given[0].max() == _PICTURE:
                first.append(layer.name)
                if is_scaling(layer):
                    found[:] = _PICTURE
        elif isinstance(layer, PRODUCTS):
            analog[layer.name] = found.size
        elif isinstance(layer, _NEURONS):
            spikes = _is_read(layer) and not spikes_are_analog
            found[:] = _SPIKES if spikes else _VALUES
        elif isinstance(layer, _POOLING):
            found = _through(windows(layer, given[0].shape), given[0], np.maximum).reshape(shape)
            # In a channel of values it puts out one also where all that it reads is padding.
            most = given[0].max(axis=tuple(range(given[0].ndim - 1)))
            found = np.where((found == _PADDING) & (most >= _PICTURE), most, found)
        else:
            moved = zip(given, routes(layer, [x.shape for x in given]), strict=True)
            found = np.max([np.append(x, np.int8(_PADDING))[route] for x, route in moved], axis=0)
        held[id(call.outputs[0])] = found
    return analog, tuple(first)


def _latency(model: keras.Model) -> int:
    done = {id(x): 0 for x in model.inputs}
    for call in calls(model):
        steps = call.operation.code.steps if isinstance(call.operation, Population) else 0
        ready = max(done[id(x)] for x in call.input_tensors)
        done[id(call.outputs[0])] = ready + steps
    return max(done[id(x)] for x in model.outputs)
