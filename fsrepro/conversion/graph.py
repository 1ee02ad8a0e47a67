"""Walking and rewriting a functional Keras model, call by call.

The one place that knows how Keras keeps its graph.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, count

import keras
import numpy as np

__all__ = [
    "batch_slices", "calls", "copy_layer", "flatten", "predict", "predict_list", "retrace",
    "rewrite", "uses",
]  # fmt: skip

_FLOATS_AT_ONCE = 2**28  # all activations of a batch: 1 GiB
_MOST_IMAGES = 250


def calls(model: keras.Model) -> Iterator[keras.src.ops.node.Node]:
    """Every call of a layer, in an order in which inputs come before outputs.

    Of a call, ``operation`` is the layer, ``input_tensors`` and ``outputs`` its symbolic tensors.
    """
    if isinstance(model, keras.Sequential):  # it has no graph of its own, but its tensors do
        model = keras.Model(model.inputs, model.outputs)
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def uses(model: keras.Model) -> Counter:
    """How often each symbolic tensor, by ``id``, is used: by later calls and as model output."""
    counter = Counter(id(x) for call in calls(model) for x in call.input_tensors)
    counter.update(id(x) for x in model.outputs)
    return counter


def rewrite(model: keras.Model, replace: Callable) -> keras.Model:
    """A new model in which each call of a layer is what ``replace(call, *args, **kwargs)`` returns.

    ``replace`` gets the original call and the arguments of the new graph, and returns the new
    output tensor, or None for a copy of the layer. Layers it calls must be new ones.
    """
    inputs, outputs = retrace(model, replace)
    return keras.Model(inputs, outputs, name=model.name)


def retrace(model: keras.Model, replace: Callable) -> tuple[list, list]:
    """The inputs and outputs of :func:`rewrite`, which need not be connected."""
    inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    return inputs, _follow(model, inputs, replace)


def predict_list(model: keras.Model, batch) -> list:
    """``model.predict_on_batch(batch)``, a list also where Keras gives a single array."""
    found = model.predict_on_batch(batch)
    return found if isinstance(found, list) else [found]


def predict(model: keras.Model, images, batch_size: int | None = None) -> np.ndarray:
    """The output of ``model`` for all ``images``, batch by batch."""
    slices = batch_slices(model, len(images), batch_size)
    return np.concatenate([model.predict_on_batch(images[part]) for part in slices])


def batch_slices(model: keras.Model, images: int, batch_size: int | None = None) -> list[slice]:
    """So many images, cut into batches.

    Without ``batch_size``, of as many as leave all activations of ``model`` within 1 GiB: 250
    small pictures, a few large ones.
    """
    if batch_size is None:
        floats = sum(math.prod(x.shape[1:]) for call in calls(model) for x in call.outputs)
        batch_size = max(1, min(_MOST_IMAGES, _FLOATS_AT_ONCE // floats))
    return [slice(start, start + batch_size) for start in range(0, images, batch_size)]


def flatten(model: keras.Model) -> keras.Model:
    """``model`` with the layers of models within it in their place, and every layer called once.

    A layer that was called several times becomes as many layers, of the same weights. Layers keep
    their names; where two would clash, the later one gets a number.
    """
    taken = {x.name for x in model.inputs}

    def place(call, *args, **kwargs):
        layer = call.operation
        args = args or (kwargs["inputs"],)
        if isinstance(layer, keras.Model):
            inner = keras.Model(layer.inputs, layer.outputs)
            return _follow(inner, keras.tree.flatten(args), place)[0]
        names = chain([layer.name], (f"{layer.name}_{number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        return copy_layer(layer, *args, name=name)

    return rewrite(model, place)


def _follow(model: keras.Model, inputs: list, replace: Callable) -> list:
    """The outputs of ``model`` with ``inputs`` in the place of its own."""
    new = {id(old): x for old, x in zip(model.inputs, inputs, strict=True)}
    for call in calls(model):
        args, kwargs = call.arguments.fill_in(new)
        output = replace(call, *args, **kwargs)
        if output is None:
            output = copy_layer(call.operation, *args, **kwargs)
        new[id(call.outputs[0])] = output
    return [new[id(x)] for x in model.outputs]


def copy_layer(layer: keras.layers.Layer, *args, **changes) -> keras.KerasTensor:
    """Call a copy of ``layer``, weights included, with ``changes`` to its configuration."""
    copied = type(layer).from_config({**layer.get_config(), **changes})
    output = copied(*args)
    copied.set_weights(layer.get_weights())
    return output
