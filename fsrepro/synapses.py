"""The synapses of a spiking network, counted once: fan-out, multiplications, latency.

What is a synapse is a convention, and this is ours. A spike passes unchanged through layers
without weights of their own (pooling, flattening, padding, concatenation); pooling is thus merged
into the synapses that follow it. It then meets

- every weight of the next convolution or dense layer that reads it: one synapse each;
- the neuron or output behind an addition (a skip connection): one synapse;
- a product with another branch (the gates of squeeze-and-excite): one synapse.

A weighted layer that reads analog values, such as the first one, which reads the image, is not
event-driven: each of its weights is a multiplication for every image. So it is behind neurons
with decoders, which pass numbers on, and behind products: a product takes one multiplication for
each of its values, and what comes out is no longer a spike.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import reduce

import keras
import numpy as np

from .conversion.population import Population
from .conversion.spiking_model import SpikingModel
from .networks.graph import calls
from .networks.kinds import (
    AVERAGES,
    GLOBAL_AVERAGES,
    POOLING_BY_MAXIMUM,
    PRODUCTS,
    WEIGHTED_LAYERS,
)
from .wiring import routes, windows

__all__ = ["Synapses", "count_synapses"]

_POOLING = (*AVERAGES, *GLOBAL_AVERAGES, *POOLING_BY_MAXIMUM)

_PADDING, _SPIKES, _VALUES = range(3)
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
    macs : int
        Multiplications per image in products and in layers that read analog values.
    ann_macs : int
        Multiplications per image of the same network as an ANN.
    latency_steps : int
        Time steps from the image to the output, layers computing one after another.
    """

    fan_out: dict[str, np.ndarray]
    macs: int
    ann_macs: int
    latency_steps: int


def count_synapses(snn: SpikingModel) -> Synapses:
    """Count the synapses of ``snn`` by the convention at the top of this module."""
    model = snn.keras_model
    return Synapses(
        _fan_out(model),
        _multiplications(model, spikes_are_analog=False),
        _multiplications(model, spikes_are_analog=True),
        _latency(model),
    )


def _fan_out(model: keras.Model) -> dict[str, np.ndarray]:
    """From the outputs backwards: how many synapses a spike meets that is a value of a tensor."""
    met: dict = defaultdict(float)  # by id of the tensor, in its shape; exact up to 2^53
    met.update((id(x), 1.0) for x in model.outputs)
    found = {}
    for call in reversed([*calls(model)]):
        layer, shapes = call.operation, [x.shape[1:] for x in call.input_tensors]
        behind = np.broadcast_to(met[id(call.outputs[0])], call.outputs[0].shape[1:])
        if isinstance(layer, Population):
            fan_out = (behind * layer.code.linear).astype(np.int64)
            alike = (fan_out == fan_out[..., :1]).all()
            found[layer.name] = fan_out[..., 0] if alike else fan_out
        if isinstance(layer, (Population, *PRODUCTS)):
            before = [1.0] * len(shapes)
        elif isinstance(layer, WEIGHTED_LAYERS):
            before = [_weights_met(layer, shapes[0])]
        elif isinstance(layer, _POOLING):
            axes = [axis.backwards() for axis in windows(layer, shapes[0])]
            sizes = [axis.size_in for axis in axes]
            before = [_through(axes, behind.reshape(*sizes, -1), np.add)]
        else:
            before = [
                _unrouted(route, behind, shape)
                for route, shape in zip(routes(layer, shapes), shapes, strict=True)
            ]
        for x, synapses in zip(call.input_tensors, before, strict=True):
            met[id(x)] = met[id(x)] + synapses
    return dict(reversed(found.items()))


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


def _multiplications(model: keras.Model, *, spikes_are_analog: bool) -> int:
    """Weights met by analog values, and products."""
    held = {id(x): np.full(x.shape[1:], _VALUES, np.int8) for x in model.inputs}
    total = 0
    for call in calls(model):
        layer, shape = call.operation, call.outputs[0].shape[1:]
        given = [held[id(x)] for x in call.input_tensors]
        found = np.full(shape, _VALUES, np.int8)
        if isinstance(layer, WEIGHTED_LAYERS):
            total += int(_weights_met(layer, given[0].shape)[given[0] == _VALUES].sum())
        elif isinstance(layer, PRODUCTS):
            total += found.size
        elif isinstance(layer, Population):
            found[:] = _VALUES if spikes_are_analog or not layer.code.linear else _SPIKES
        elif isinstance(layer, _POOLING):
            found = _through(windows(layer, given[0].shape), given[0], np.maximum).reshape(shape)
            # In a channel of values it puts out one also where all that it reads is padding.
            values = (given[0] == _VALUES).any(axis=tuple(range(given[0].ndim - 1)))
            found[(found == _PADDING) & values] = _VALUES
        else:
            moved = zip(given, routes(layer, [x.shape for x in given]), strict=True)
            found = np.max([np.append(x, np.int8(_PADDING))[route] for x, route in moved], axis=0)
        held[id(call.outputs[0])] = found
    return total


def _latency(model: keras.Model) -> int:
    done = {id(x): 0 for x in model.inputs}
    for call in calls(model):
        steps = call.operation.code.steps if isinstance(call.operation, Population) else 0
        ready = max(done[id(x)] for x in call.input_tensors)
        done[id(call.outputs[0])] = ready + steps
    return max(done[id(x)] for x in model.outputs)
