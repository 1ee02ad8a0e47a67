"""Walking and rewriting a functional Keras model, call by call.

The one place that knows how Keras keeps its graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import keras

__all__ = ["calls", "copy_layer", "retrace", "rewrite", "uses"]


def calls(model: keras.Model) -> Iterator[keras.src.ops.node.Node]:
    """Every call of a layer, in an order in which inputs come before outputs.

    Of a call, ``operation`` is the layer, ``input_tensors`` and ``outputs`` its symbolic tensors.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def uses(model: keras.Model) -> Counter:
    """How often each symbolic tensor, by ``id``, is used: by later calls and as model output."""
    counter = Counter(id(x) for call in calls(model) for x in call.input_tensors)
    counter.update(id(x) for x in model.outputs)
    return counter


def rewrite(model: keras.Model, replace: Callable) -> keras.Model:
    """A new model in which each call of a layer is what ``replace(call, *args, **kwargs)`` returns.

    ``replace`` gets the original call and the arguments of the new graph; it returns the new
    output tensor. Layers it calls must be new ones, see :func:`copy_layer`.
    """
    inputs, outputs = retrace(model, replace)
    return keras.Model(inputs, outputs, name=model.name)


def retrace(model: keras.Model, replace: Callable) -> tuple[list, list]:
    """The inputs and outputs of :func:`rewrite`, which need not be connected."""
    inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    new = {id(old): x for old, x in zip(model.inputs, inputs, strict=True)}
    for call in calls(model):
        args, kwargs = call.arguments.fill_in(new)
        new[id(call.outputs[0])] = replace(call, *args, **kwargs)
    return inputs, [new[id(x)] for x in model.outputs]


def copy_layer(layer: keras.layers.Layer, *args, **changes) -> keras.KerasTensor:
    """Call a copy of ``layer``, weights included, with ``changes`` to its configuration."""
    copied = type(layer).from_config({**layer.get_config(), **changes})
    output = copied(*args)
    copied.set_weights(layer.get_weights())
    return output
