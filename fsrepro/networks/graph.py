"""Walking and rewriting a functional Keras model, call by call.

The one place that knows how Keras keeps its graph.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count

import keras
import numpy as np
from keras import ops

__all__ = [
    "at_most", "batch_slices", "calls", "check_array", "copy_layer", "follow", "has_own_call",
    "in_batches", "model_of", "outputs_of", "plain_layers", "predict", "predict_list", "retrace",
    "rewrite", "unique", "uses",
]  # fmt: skip

_FLOATS_AT_ONCE = 2**28  # all activations of a batch: 1 GiB
_MOST_IMAGES = 250
_BUILDING = threading.Lock()


def calls(model: keras.Model) -> Iterator[keras.src.ops.node.Node]:
    """Every call of a layer, in an order in which inputs come before outputs.

    Of a call, ``operation`` is the layer, ``input_tensors`` and ``outputs`` its symbolic tensors.
    """
    if isinstance(model, keras.Sequential):  # it has no graph of its own, but its tensors do
        model = keras.Model(model.inputs, model.outputs)
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def has_own_call(model: keras.Model) -> bool:
    """Whether calling ``model`` may be more than walking its graph: a subclass may do anything."""
    kind, inputs = type(model), keras.Input((1,))
    graphs = keras.Sequential, type(keras.Model(inputs, inputs))
    return kind.call not in {graph.call for graph in graphs}


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
    return model_of(inputs, outputs, model.name)


def model_of(inputs: list, outputs: list, name: str | None = None) -> keras.Model:
    """A model that takes one array, and gives one, where there is one input, one output."""
    return keras.Model(*(x[0] if len(x) == 1 else x for x in (inputs, outputs)), name=name)


def retrace(model: keras.Model, replace: Callable) -> tuple[list, list]:
    """The inputs and outputs of :func:`rewrite`, which need not be connected."""
    with plain_layers():
        inputs = [
            keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name)
            for x in model.inputs
        ]
        new = follow(model, inputs, replace)
        return inputs, [new[id(x)] for x in model.outputs]


def follow(model: keras.Model, inputs: list, replace: Callable) -> dict[int, keras.KerasTensor]:
    """By ``id`` of each tensor of ``model`` the new one, with ``inputs`` in the place of its own.

    ``replace`` as in :func:`rewrite`; of a call with several outputs it returns a list.
    """
    new = {id(old): x for old, x in zip(model.inputs, inputs, strict=True)}
    for call in calls(model):
        args, kwargs = call.arguments.fill_in(new)
        output = replace(call, *args, **kwargs)
        if output is None:
            output = copy_layer(call.operation, *args)
        outputs = output if isinstance(output, list) else [output]
        new.update((id(old), x) for old, x in zip(call.outputs, outputs, strict=True))
    return new


@contextmanager
def plain_layers() -> Iterator[None]:
    """New layers are of float32 and NHWC here, whatever the user has set for all of Keras."""
    policy, layout = keras.config.dtype_policy(), keras.config.image_data_format()
    float_type = keras.config.floatx()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_floatx(float_type)
        keras.config.set_dtype_policy(policy)
        keras.config.set_image_data_format(layout)


@contextmanager
def at_most(weights: int) -> Iterator[None]:
    """This thread makes so many weights at most; ``ValueError`` before memory is taken for more.

    A network read from a file must not need more than the file holds, whatever it declares.
    """
    genuine, reader, left = keras.layers.Layer.add_weight, threading.get_ident(), weights

    def add_weight(layer, shape=None, *args, **kwargs):
        nonlocal left
        if threading.get_ident() == reader:
            left -= math.prod(shape or ())
            if left < 0:
                raise ValueError(f"layer {layer.name!r} declares more weights than there are")
        return genuine(layer, shape, *args, **kwargs)

    with _BUILDING:
        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = genuine


def check_array(sizes: tuple[int | None, ...], images, what: str) -> np.ndarray:
    """``images`` as a finite array, N of ``sizes`` (``None``: of any), or ``ValueError``."""
    images = np.asarray(images)
    if images.ndim != 1 + len(sizes) or any(
        size not in (None, found) for size, found in zip(sizes, images.shape[1:], strict=True)
    ):
        shape = ", ".join(str(size) for size in ("N", *sizes))
        raise ValueError(f"the {what} must have shape ({shape}), got {images.shape}")
    if len(images) == 0:
        raise ValueError(f"the {what} are empty")
    if np.issubdtype(images.dtype, np.complexfloating) or images.dtype.kind not in "biuf":
        raise ValueError(f"the {what} must be real numbers, got {images.dtype}")
    if not np.isfinite(images).all():
        raise ValueError(f"the {what} hold NaN or infinite values")
    return images


def outputs_of(model: keras.Model, batches: Sequence) -> Iterator[list[np.ndarray]]:
    """All outputs of ``model`` for each of the ``batches``, (N, ...), as arrays (N, ...).

    A single batch goes from layer to layer: to trace a graph first would take longer.
    """
    traced = len(batches) > 1
    for batch in batches:
        if traced:
            found = model.predict_on_batch(batch)
        else:
            found = model(ops.convert_to_tensor(batch), training=False)
        yield [ops.convert_to_numpy(x) for x in keras.tree.flatten(found)]


def predict_list(model: keras.Model, batch) -> list[np.ndarray]:
    """All outputs of ``model`` for a single batch."""
    return next(outputs_of(model, [batch]))


def predict(model: keras.Model, images, batch_size: int | None = None) -> np.ndarray:
    """The output of ``model`` for all ``images``, batch by batch."""
    batches = in_batches(model, images, batch_size)
    return np.concatenate([found for (found,) in outputs_of(model, batches)])


def in_batches(model: keras.Model, images, batch_size: int | None = None) -> list:
    """``images`` cut up as by :func:`batch_slices`."""
    return [images[part] for part in batch_slices(model, len(images), batch_size)]


def batch_slices(model: keras.Model, images: int, batch_size: int | None = None) -> list[slice]:
    """So many images, cut into batches.

    Without ``batch_size``, of as many as leave all activations of ``model`` within 1 GiB: 250
    small pictures, a few large ones.
    """
    if batch_size is None:
        floats = sum(math.prod(x.shape[1:]) for call in calls(model) for x in call.outputs)
        batch_size = max(1, min(_MOST_IMAGES, _FLOATS_AT_ONCE // floats))
    return [slice(start, start + batch_size) for start in range(0, images, batch_size)]


def copy_layer(layer: keras.layers.Layer, *args) -> keras.KerasTensor:
    """Call a copy of ``layer``, weights included."""
    copied = type(layer).from_config(layer.get_config())
    output = copied(*args)
    copied.set_weights(layer.get_weights())
    return output


def unique(names: set[str], wanted: str) -> str:
    """``wanted``, with a number if it is among ``names`` already, which it joins."""
    every = chain([wanted], (f"{wanted}_{number}" for number in count(2)))
    name = next(name for name in every if name not in names)
    names.add(name)
    return name
