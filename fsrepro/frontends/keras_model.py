"""A Keras model, whatever it is made of -> a functional graph of plain float32 layers."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

from ..files import reading
from ..hdf5 import checked
from ..networks.graph import (
    at_most,
    calls,
    check_array,
    follow,
    has_own_call,
    model_of,
    plain_layers,
    unique,
)
from ..networks.kinds import (
    LINEAR_LAYERS,
    POOLING_BY_MAXIMUM,
    PRODUCTS,
    WEIGHTED_LAYERS,
    UnsupportedLayerError,
    unsupported,
)
from ..networks.nonlinearity import Nonlinearity
from ..networks.self_check import answers, check_same
from ..wiring import borders
from .keras_activations import ACTIVATION_LAYERS, activation_of, apply
from .keras_operations import OPERATIONS, part, scaled

__all__ = ["from_keras", "read_keras"]

_FEW = 1024  # weights that Keras does not write

_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
_FOLDED = (layers.BatchNormalization, layers.PReLU, layers.Rescaling)
_KEPT = (*LINEAR_LAYERS, *POOLING_BY_MAXIMUM, *PRODUCTS, *_SEPARABLE, *_FOLDED, *ACTIVATION_LAYERS)
_WRITTEN_OUT = (layers.Average, layers.Normalization)
_KNOWN = (*_KEPT, *_WRITTEN_OUT)

_TRAINING_ONLY = (
    layers.ActivityRegularization, layers.AlphaDropout, layers.AugMix, layers.CutMix,
    layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.Identity, layers.MixUp,
    layers.RandAugment, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    *(getattr(layers, name) for name in dir(layers)
      if name.startswith("Random") and name != "RandomCrop"),  # that one crops at inference too
)  # fmt: skip

_ADAPTIVE = {
    getattr(layers, f"Adaptive{kind}Pooling{n}D"): (
        getattr(layers, f"{kind}Pooling{n}D"), getattr(layers, f"Global{kind}Pooling{n}D")
    )
    for n in (1, 2, 3) for kind in ("Average", "Max") if hasattr(layers, "AdaptiveMaxPooling1D")
}  # fmt: skip


def from_keras(
    model: keras.Model, images: np.ndarray | None = None, what: str = "images"
) -> keras.Model:
    """``model`` as a functional graph of plain float32 layers, each called once.

    - Models and layers of a user's own are unfolded: their ``call`` is followed with symbolic
      tensors. Operators (``a + b``, ``keras.ops``) become layers.
    - Weights are what layers multiply by: of quantised layers and of those with LoRA, too.
    - Every activation is a layer of its own, known by what it computes.
    - Regularisers, constraints and layers that act in training alone are left out.
    - Sizes left open are those of the images. Mixed precision, integer inputs and Keras's global
      settings leave no trace.

    Parameters
    ----------
    model : keras.Model
        Built; left as it is.
    images : (N, ...) array, optional
        As the model takes them; the graph is held against the model on a few.
    what : str
        What messages call the images.

    Raises
    ------
    TypeError
        For a model of which no graph can be had.
    ValueError
        For a model that is not built, has several inputs or outputs, no weights, or NaN or
        infinite ones, or leaves a size open while there are no images; for images that look like
        raw pixels where the model takes other numbers; and if model and graph differ.
    UnsupportedLayerError
        Naming the first layer or operation that has no such form.
    """
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built; call it on an input or give it an Input layer"
        )
    shape = None if images is None else np.shape(images)[1:]
    with plain_layers():
        graph = _graph_of(model, shape)
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise ValueError(
                f"model {model.name!r} has {len(graph.inputs)} inputs and {len(graph.outputs)} "
                "outputs; conversion takes one of each. For one output of several take "
                "keras.Model(model.inputs, model.outputs[0])"
            )
        if not model.weights:
            raise ValueError(f"model {model.name!r} has no weights; there is nothing to convert")
        (old,), (output,) = graph.inputs, graph.outputs
        sizes = tuple(old.shape[1:])
        if images is not None:
            images = check_array(sizes, images, what)
        if None in sizes and shape is None:
            raise ValueError(
                f"model {model.name!r} leaves sizes of its input open, {tuple(old.shape)}; pass "
                "images, whose sizes are taken"
            )
        name = old._keras_history.operation.name
        inputs = keras.Input(shape or sizes, dtype="float32", name=name)
        new = follow(graph, [inputs], _Plain(name))
        plain = keras.Model(inputs, new[id(output)], name=model.name)
    if images is not None:
        if "int" not in old.dtype:
            _refuse_pixels(plain, images, what)
        pairs = [
            (call.operation.name, call.outputs[0], new[id(call.outputs[0])])
            for call in calls(graph)
        ]
        expected = answers(model, images) if has_own_call(model) else None
        check_same(graph, plain, images, pairs, expected=expected, what="the graph read from it")
    return plain


def read_keras(path: Path) -> keras.Model:
    """The model in a file of Keras, ``.keras`` or ``.h5``; nothing in the file is run.

    ``ValueError`` for what Keras cannot read, or what declares more weights than it holds.
    """
    with reading(path, "a Keras model"):
        weights = checked(path)
        try:  # its loss tells what the outputs are, but may be unknown here
            return _load(path, weights, compiled=True)
        except Exception:
            model = _load(path, weights, compiled=False)
        if path.suffix != ".keras":
            with suppress(Exception):  # Keras does not find the short names of losses there
                with h5py.File(path) as file:
                    config = json.loads(file.attrs["training_config"])
                model.compile(loss=keras.losses.get(config["loss"]))
        return model


def _load(path: Path, weights: int, compiled: bool) -> keras.Model:
    with warnings.catch_warnings(action="ignore"), at_most(weights + _FEW):
        return keras.saving.load_model(path, compile=compiled)  # safe mode


def _refuse_pixels(graph: keras.Model, images: np.ndarray, what: str) -> None:
    """Refuse integers where the plain ``graph`` does not begin by scaling its input."""
    if not np.issubdtype(images.dtype, np.integer):
        return
    first, read = [], {id(graph.inputs[0])}
    for call in calls(graph):
        if any(id(x) in read for x in call.input_tensors):
            if isinstance(call.operation, layers.Permute):  # channels last, of PyTorch's pictures
                read.add(id(call.outputs[0]))
            else:
                first.append(call.operation)
    if not all(isinstance(layer, layers.Rescaling) for layer in first):
        raise ValueError(
            f"the {what} go from {images.min()} to {images.max()} ({images.dtype}), which looks "
            "like raw pixels; normalise them as for training, or, if the network takes them so, "
            'pass images.astype("float32") (--any-range on the command line)'
        )


def _graph_of(model: keras.Model, shape: tuple | None) -> keras.Model:
    """A functional model that computes what ``model`` does."""
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    if inputs and outputs and not has_own_call(model):
        return model_of(inputs, outputs, model.name)
    if shape is None and inputs:
        shape = inputs[0].shape[1:]
    if shape is None or None in shape:
        raise TypeError(
            f"model {model.name!r} is a subclassed model without a graph; pass images, whose sizes "
            "are needed to follow its call, or write it with the functional API (inputs, outputs "
            "= ...; keras.Model(inputs, outputs))"
        )
    try:
        return _followed(model, keras.Input(tuple(shape)))
    except _CannotFollow as error:
        raise TypeError(
            f"model {model.name!r} is a subclassed model whose call cannot be followed with "
            f"symbolic tensors ({error}); write it with Keras layers and keras.ops, or with the "
            "functional API (inputs, outputs = ...; keras.Model(inputs, outputs))"
        ) from None


class _CannotFollow(Exception):
    """Why a ``call`` says nothing to symbolic tensors."""


def _followed(layer, inputs) -> keras.Model:
    """What the ``call`` of a layer or model does to ``inputs`` at inference, as a graph."""
    takes = inspect.signature(layer.call).parameters
    try:
        outputs = layer.call(inputs, **({"training": False} if "training" in takes else {}))
        return model_of(keras.tree.flatten(inputs), keras.tree.flatten(outputs), layer.name)
    except Exception as error:  # whatever a user's code raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise _CannotFollow(lines[0]) from None


class _Plain:
    """From the call of a layer to that of a plain one, see :func:`.networks.graph.follow`."""

    def __init__(self, input_name: str):
        self.names = {input_name}

    def __call__(self, call, *args, **kwargs):
        if isinstance(call.operation, keras.layers.Layer):
            return self.layer(call.operation, _only_inputs(call.operation, args, kwargs))
        return self.operation(call.operation, args, kwargs)

    def name(self, wanted: str) -> str:
        return unique(self.names, wanted)

    def layer(self, layer, x):
        kind = _kind_of(layer)
        if isinstance(layer, keras.Model):
            return self.inner(_graph_of(layer, x.shape[1:]), layer, x)
        if kind in _TRAINING_ONLY:
            return x
        if kind in _WRITTEN_OUT:
            return self.written_out(layer, kind, x)
        if kind is layers.TimeDistributed:
            return self.over_time(layer, x)
        if kind in _ADAPTIVE:
            return self.adaptive(layer, x)
        if kind not in _KEPT:
            return self.custom(layer, x)
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise unsupported(layer, kind.__name__, "its data_format must be channels_last (NHWC)")
        if getattr(layer, "interpolation", "nearest") != "nearest":
            what = f"{kind.__name__}, {layer.interpolation}"
            raise unsupported(layer, what, "upsampling must be by nearest neighbours")
        within = _layer_within(layer)
        if within is not None and kind is layers.Activation:
            return self.layer(within, x)
        if isinstance(layer, ACTIVATION_LAYERS):
            activation = activation_of(layer)
            return x if activation == "linear" else apply(activation, x, self.name(layer.name))
        weights = _checked_weights(layer)
        config = _plain_config(layer, kind) | {"name": self.name(layer.name)}
        activation = "linear"
        if isinstance(layer, (*WEIGHTED_LAYERS, *_SEPARABLE)):
            activation = "linear" if within is not None else activation_of(layer)
            config["activation"] = None
            twice = kind is layers.Conv3D and layer.padding == "same" and _is_padding(x)
            if twice or config.get("padding") == "causal":
                x = self.padded(layer, x)
                config["padding"] = "valid"
        copied = kind.from_config(config)
        output = copied(x)
        copied.set_weights(weights)
        if within is not None:
            if not within.built:  # as it would be when the model first runs
                within.build(output.shape)
            return self.layer(within, output)
        if activation == "linear":
            return output
        return apply(activation, output, self.name(f"{layer.name}_act"))

    def padded(self, layer, x):
        """``x`` with the zeros around it that the layer's own padding would put there."""
        around = borders(layer, x.shape[1:-1])
        padding = getattr(layers, f"ZeroPadding{len(around)}D")
        name = self.name(f"{layer.name}_pad")
        return padding(around[0] if len(around) == 1 else around, name=name)(x)

    def written_out(self, layer, kind, x):
        """Layers that are sums and scales."""
        name = self.name(layer.name)
        if kind is layers.Normalization:
            return scaled(x, *_normalisation(layer), name)
        total = layers.Add(name=self.name(f"{layer.name}_sum"))(x)
        return scaled(total, 1 / len(x), 0, name)

    def inner(self, graph: keras.Model, layer, x):
        """The layers of a model, or of a layer of a user's own, in their place."""
        if len(graph.outputs) != 1:
            raise unsupported(layer, type(layer).__name__, "it must have one output")
        return follow(graph, keras.tree.flatten(x), self)[id(graph.outputs[0])]

    def custom(self, layer, x):
        what = type(layer).__name__
        known = ", ".join(sorted(kind.__name__ for kind in _KNOWN if kind is not Nonlinearity))
        if type(layer).__module__.startswith("keras."):
            raise unsupported(layer, what, f"supported are {known}")
        inputs = keras.tree.map_structure(lambda t: keras.Input(t.shape[1:], dtype=t.dtype), x)
        try:
            graph = _followed(layer, inputs)
        except _CannotFollow as error:
            raise unsupported(
                layer, what,
                f"its call cannot be followed with symbolic tensors ({error}); write it with Keras "
                f"layers and keras.ops. Supported are {known}",
            ) from None  # fmt: skip
        return self.inner(graph, layer, x)

    def over_time(self, wrapper, x):
        """Layers called once for every step, with the same weights."""
        steps = []
        for t in range(x.shape[1]):
            step = part(self.name, f"{wrapper.name}_{t}", x, 1, range(t, t + 1))
            name = self.name(f"{wrapper.name}_{t}_step")
            y = self.layer(wrapper.layer, layers.Reshape(x.shape[2:], name=name)(step))
            name = self.name(f"{wrapper.name}_{t}_stack")
            steps.append(layers.Reshape((1, *y.shape[1:]), name=name)(y))
        if len(steps) == 1:
            return steps[0]
        return layers.Concatenate(axis=1, name=self.name(wrapper.name))(steps)

    def adaptive(self, layer, x):
        windows, whole = _ADAPTIVE[type(layer)]
        sizes = np.array(x.shape[1:-1])
        wanted = np.broadcast_to(layer.output_size, sizes.shape)
        if (sizes % wanted).any():
            what = f"{type(layer).__name__} from {tuple(sizes)} to {tuple(wanted)}"
            raise unsupported(layer, what, "its windows must be of equal size")
        if (wanted == 1).all():
            return whole(keepdims=True, name=self.name(layer.name))(x)
        return windows(tuple(map(int, sizes // wanted)), name=self.name(layer.name))(x)

    def operation(self, operation, args, kwargs):
        kind = type(operation).__name__
        # By their kind: Keras counts operations up, and another trace must give the same names.
        wanted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
        if kind in OPERATIONS:
            found = OPERATIONS[kind](self.name, wanted, operation, *args, **kwargs)
            if found is not None:
                return found
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if keras.utils.is_keras_tensor(x)]
        if len(tensors) == 1:
            layer = layers.Activation(_of_one_tensor(operation, args, kwargs), name=operation.name)
            try:
                return apply(activation_of(layer), tensors[0], self.name(wanted))
            except UnsupportedLayerError:
                pass  # it is no activation: refused as the operation that it is
        raise unsupported(operation, f"operation {kind}", _HINT)


_HINT = (
    "supported are sums, products, quotients by constants, activations, pooling over all of space, "
    "and what moves, joins or selects values in steps forward"
)


def _kind_of(layer) -> type[keras.layers.Layer]:
    """The class of a layer, or that of Keras whose ``call`` it has inherited unchanged."""
    kind: type[keras.layers.Layer] = type(layer)
    for base in kind.__mro__:
        if base in _KNOWN or base in _TRAINING_ONLY:
            return base if kind.call is getattr(base, "call", None) else kind
    return kind


def _layer_within(layer) -> keras.layers.Layer | None:
    """A layer in the place of an activation function that is more than one, ``PReLU()`` say."""
    function = getattr(layer, "activation", None)
    is_layer = isinstance(function, keras.layers.Layer)
    return function if is_layer and type(function) not in ACTIVATION_LAYERS else None


def _is_padding(x) -> bool:
    """Whether ``x`` has zeros around it already.

    TensorFlow 2.20 moves these into a Conv3D that reads them, and then forgets the layer's own.
    """
    return isinstance(x._keras_history.operation, layers.ZeroPadding3D)


def _only_inputs(layer, args, kwargs):
    """What a layer is called on; a call with anything else is refused."""
    given = [*args, *(kwargs.pop(name) for name in ("inputs", "x") if name in kwargs)]
    meant = {name for name, value in kwargs.items() if value is not None and value is not False}
    kind = type(layer).__name__
    if "training" in meant:
        default = inspect.signature(layer.call).parameters["training"].default
        meant -= {"training"} if default is True else set()  # as layers of augmentation have it
    if "training" in meant:
        raise unsupported(layer, f"{kind} called with training=True", "call it without")
    if meant or len(given) != 1:
        what = ", ".join(sorted(meant)) or f"{len(given)} arguments"
        raise unsupported(layer, f"{kind} called with {what}", "call it on its input alone")
    return given[0]


def _of_one_tensor(operation, args, kwargs) -> Callable:
    """An operation as a function of the one tensor among its arguments."""

    def function(x):
        new = keras.tree.map_structure(
            lambda value: x if keras.utils.is_keras_tensor(value) else value, (list(args), kwargs)
        )
        return operation(*new[0], **new[1])

    return function


_TRAINING = ("_regularizer", "_constraint", "_initializer")


def _plain_config(layer, kind: type[keras.layers.Layer]) -> dict:
    """The configuration of a layer, in float32, without what acts in training alone."""
    # What a user wrote may have no configuration of its own: it is taken off meanwhile.
    kept = {key: value for key, value in vars(layer).items() if key.endswith(_TRAINING)}
    kept |= {"activation": layer.activation} if hasattr(layer, "activation") else {}
    try:
        for key in kept:
            setattr(layer, key, keras.activations.linear if key == "activation" else None)
        config = {**kind.get_config(layer), "dtype": "float32"}
    finally:
        for key, value in kept.items():
            setattr(layer, key, value)
    for key in config:
        if key.endswith("_initializer"):
            config[key] = "zeros"  # no need to draw numbers: its weights follow
    for key in ("lora_rank", "lora_alpha", "quantization_config"):
        config.pop(key, None)
    return config


def _normalisation(layer: layers.Normalization) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset; both broadcast against one value of the batch."""
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(value), np.float64)[0]
        for value in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)


def _checked_weights(layer) -> list[np.ndarray]:
    """The weights that ``layer`` computes with, by the variables of a plain one."""
    if getattr(layer, "quantization_mode", None) is not None:
        kernel = _measured_kernel(layer)
        found = {"kernel": kernel} | ({"bias": layer.bias} if layer.use_bias else {})
    elif getattr(layer, "lora_enabled", False):
        found = {"kernel": layer.kernel} | ({"bias": layer.bias} if layer.use_bias else {})
    else:
        within = _layer_within(layer)
        others = {id(weight) for weight in within.weights} if within is not None else set()
        found = {weight.path: weight for weight in layer.weights if id(weight) not in others}
    arrays = []
    for name, weight in found.items():
        array = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")))
        if not np.isfinite(array).all():
            raise ValueError(
                f"weight {name.split('/')[-1]!r} of layer {layer.name!r} holds NaN or infinite "
                "values; was the training interrupted or diverging?"
            )
        arrays.append(array)
    return arrays


_ROWS = 4096


def _measured_kernel(layer: layers.Dense) -> np.ndarray:
    """What a quantised layer makes of each input alone: however it is quantised, its kernel."""
    size = layer.input_spec.axes[-1]
    rows = []
    for start in range(0, size, _ROWS):
        ones = np.eye(size, dtype=np.float32)[start : start + _ROWS]
        rows.append(np.float32(_linear(layer, ones)) - np.float32(_linear(layer, 0 * ones[:1])))
    return np.concatenate(rows)


def _linear(layer, x):
    """The layer on ``x`` without its activation."""
    activation, layer.activation = layer.activation, None
    try:
        return keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))
    finally:
        layer.activation = activation
