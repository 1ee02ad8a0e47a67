r"""Which signals of a network are numbers, and the neurons that write them in spikes.

Spikes go unchanged through layers without weights: averages, paddings, concatenations, additions.
A weighted layer makes *sums* of them, membrane potentials, and so does the picture, which the first
layer reads as a constant current. A *product* of two branches and a *maximum* over a window are
what a soma computes, once, of the sums it has received. None of these is a spike. So each gets
neurons of its own before a layer with weights reads it: its function is the identity.

Neurons write positive numbers. A signal of both signs is written by a pair of populations,

.. math:: x = \max(x, 0) - \max(-x, 0),

of which at most one speaks at a time. A signal whose negative values hardly count is written by one
population, from an offset on (:func:`~fsrepro.codes.soma`).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import IntEnum

import keras
import numpy as np
from keras import layers

from .. import activations
from ..networks.graph import (
    calls,
    copy_layer,
    in_batches,
    model_of,
    outputs_of,
    plain_layers,
    retrace,
    rewrite,
    unique,
    uses,
)
from ..networks.kinds import (
    GLOBAL_AVERAGES,
    POOLING_BY_MAXIMUM,
    PRODUCTS,
    ROUTING,
    WEIGHTED_LAYERS,
    ZERO_PADDING,
    is_scaling,
)
from ..networks.nonlinearity import Nonlinearity
from ..synapses import ann_macs, synapses_behind

__all__ = ["write_in_spikes"]

PAIR_SHARE = 0.03
"""Of the power of a signal, below zero. From here on a pair needs clearly fewer spikes; with less
it may save some, for twice the neurons."""

SAVED_SHARE = 0.05
"""Of the ANN's multiplications: means get neurons where they save so many synaptic events."""

IMAGES = 32  # that tell signs


class _Kind(IntEnum):
    """What a tensor holds; where several meet, the last of them."""

    SPIKES = 0
    PICTURE = 1
    BOTH = 2  # of these, added or side by side
    SUMS = 3
    SOMA = 4  # a product or a maximum


def write_in_spikes(
    graph: keras.Model,
    images: np.ndarray | None = None,
    *,
    spiking_input: bool = False,
    like: Collection[str] | None = None,
) -> keras.Model:
    """A normal form in which no layer with weights reads anything but spikes and the picture.

    It computes the same. Neurons with the identity as their function are added wherever a sum, a
    product or a maximum is read by a layer with weights or goes on to one: as the latest sum of
    several, before what only moves values. An activation that reads a sum, a product or a maximum
    has it in its own soma; a rising one behind which there is nothing but a maximum is moved behind
    it. Averages are linear and need no neurons. Those of whole maps get some if these save at least
    :data:`SAVED_SHARE` of the ANN's multiplications in synaptic events: one neuron sends the mean
    to all synapses behind it, instead of each neuron of the map.

    Parameters
    ----------
    graph : keras.Model
        A normal form.
    images : (N, ...) array, optional
        A few that it takes, which tell whether a signal has both signs; without them, all have.
    spiking_input : bool
        Give the picture neurons too.
    like : collection of str
        Names of populations of a network that was made before, which tell it instead of images.
    """
    graph = _maxima_first(graph)
    written, kinds = _signals(graph, spiking_input)
    outputs = {id(x) for x in graph.outputs if kinds[id(x)] == _Kind.SOMA}
    graph = _with_neurons(graph, written, outputs, images, like)
    return _with_neurons(graph, _worthwhile_averages(graph), set(), images, like)


def _signals(graph: keras.Model, spiking_input: bool) -> tuple[set[int], dict[int, _Kind]]:
    """By id, the tensors that get neurons, and what each tensor holds."""
    made_by = {id(call.outputs[0]): call for call in calls(graph)}
    written: set[int] = set()
    kinds = {id(x): _Kind.PICTURE for x in graph.inputs}

    def kind(x) -> _Kind:
        return _Kind.SPIKES if id(x) in written else kinds[id(x)]

    def is_number(found: _Kind) -> bool:
        return found >= (_Kind.PICTURE if spiking_input else _Kind.SUMS)

    def joins(found: _Kind, others: list[_Kind]) -> bool:
        """Whether a picture that is to be in spikes meets something else."""
        return spiking_input and found == _Kind.PICTURE and set(others) != {found}

    def write(x):
        call = made_by.get(id(x))
        if call is None or not isinstance(call.operation, ROUTING):
            written.add(id(x))
            return
        for part in call.input_tensors:  # neurons stand before what only moves values
            if is_number(kind(part)):
                write(part)

    def one_more() -> bool:
        for call in calls(graph):
            layer, given = call.operation, [kind(x) for x in call.input_tensors]
            weighted = isinstance(layer, WEIGHTED_LAYERS)
            is_soma = isinstance(layer, (*PRODUCTS, *POOLING_BY_MAXIMUM))
            of_picture = set(given) == {_Kind.PICTURE} and (is_soma or is_scaling(layer))
            if isinstance(layer, Nonlinearity):
                result = _Kind.SPIKES
            elif of_picture:
                result = _Kind.PICTURE
            else:
                for x, found in zip(call.input_tensors, given, strict=True):
                    number = weighted and is_number(found)
                    if found == _Kind.SOMA or number or joins(found, given):
                        write(x)
                        return True
                result = _Kind.SUMS if weighted else _Kind.SOMA if is_soma else max(given)
                if set(given) == {_Kind.SPIKES, _Kind.PICTURE} and not is_soma:
                    result = _Kind.BOTH
            kinds[id(call.outputs[0])] = result
        left = {id(x) for x in graph.outputs if kind(x) == _Kind.SOMA}
        written.update(left)
        return bool(left)

    while one_more():
        pass
    return written, kinds


def _with_neurons(graph, written: set[int], outputs: set[int], images, like) -> keras.Model:
    """``graph`` with neurons for the tensors ``written``, which all but activations read.

    Of the outputs of the network only those named give what the neurons write.
    """
    if not written:
        return graph
    signed = _signed(graph, written, images, like)
    names = {layer.name for layer in graph.layers}
    spikes: dict[int, keras.KerasTensor] = {}

    def read(old, new):
        if id(old) not in written:
            return new
        if id(old) not in spikes:
            spikes[id(old)] = _neurons(new, signed[id(old)], names)
        return spikes[id(old)]

    def replace(call, *args, **kwargs):
        if isinstance(call.operation, Nonlinearity):
            return None
        several = isinstance(args[0], (list, tuple))
        new = zip(call.input_tensors, args[0] if several else args, strict=True)
        given = [read(*pair) for pair in new]
        return copy_layer(call.operation, given if several else given[0])

    inputs, found = retrace(graph, replace)
    found = [
        read(old, new) if id(old) in outputs else new
        for old, new in zip(graph.outputs, found, strict=True)
    ]
    return model_of(inputs, found, graph.name)


def _neurons(x, signed: bool, names: set[str]):
    """The identity in neurons, called on ``x``."""
    name = x._keras_history.operation.name
    with plain_layers():
        if not signed:
            return Nonlinearity("linear", name=unique(names, f"{name}_spikes"))(x)
        above = Nonlinearity("relu", name=unique(names, f"{name}_positive"))(x)
        below = Nonlinearity("negative_part", name=unique(names, f"{name}_negative"))(x)
        return layers.Subtract(name=unique(names, f"{name}_signed"))([above, below])


def _signed(graph, written: set[int], images, like) -> dict[int, bool]:
    """Whether a pair is better: where the negative values count."""
    tensors = [*graph.inputs, *(x for call in calls(graph) for x in call.outputs)]
    tensors = [x for x in tensors if id(x) in written]
    if like is not None:
        return {id(x): f"{x._keras_history.operation.name}_negative" in like for x in tensors}
    if images is None:
        return dict.fromkeys(written, True)
    probe, few = keras.Model(graph.inputs, tensors), np.asarray(images[:IMAGES], np.float32)
    power = np.zeros((2, len(tensors)))
    for found in outputs_of(probe, in_batches(graph, few)):
        for i, values in enumerate(found):
            power[0, i] += np.square(values, dtype=np.float64).sum()
            power[1, i] += np.square(np.minimum(values, 0), dtype=np.float64).sum()
    shares = zip(tensors, *power, strict=True)
    return {id(x): bool(negative > PAIR_SHARE * every) for x, every, negative in shares}


def _maxima_first(graph: keras.Model) -> keras.Model:
    """``graph`` with rising activations behind the maximum that is taken of them."""
    used, made_by = uses(graph), {id(call.outputs[0]): call for call in calls(graph)}
    moved = {}  # by id of what the pooling gives, the activation
    for call in calls(graph):
        if not isinstance(call.operation, POOLING_BY_MAXIMUM):
            continue
        x, padded = call.input_tensors[0], False
        while used[id(x)] == 1 and id(x) in made_by:
            before = made_by[id(x)]
            if isinstance(before.operation, Nonlinearity):
                f = activations.get(before.operation.function)
                if f.rising and not (padded and f(0.0) != 0):
                    moved[id(call.outputs[0])] = before.operation
            if not isinstance(before.operation, ZERO_PADDING):
                break
            x, padded = before.input_tensors[0], True
    names = {layer.name for layer in moved.values()}

    def replace(call, *args, **kwargs):
        if call.operation.name in names:
            return args[0]
        activation = moved.get(id(call.outputs[0]))
        return activation and copy_layer(activation, copy_layer(call.operation, *args))

    return rewrite(graph, replace) if moved else graph


def _worthwhile_averages(graph: keras.Model) -> set[int]:
    """The averages of spikes whose neurons save synaptic events."""
    _, kinds = _signals(graph, spiking_input=False)
    behind, enough = synapses_behind(graph), SAVED_SHARE * ann_macs(graph)
    found = set()
    for call in calls(graph):
        (x,), (mean,) = call.input_tensors[:1], call.outputs
        if isinstance(call.operation, GLOBAL_AVERAGES) and kinds[id(x)] == _Kind.SPIKES:
            met, sent = behind[id(mean)], math.prod(x.shape[1:])
            window = sent / math.prod(mean.shape[1:])
            if met.sum() * (window - 1) - sent >= enough:
                found.add(id(mean))
    return found
