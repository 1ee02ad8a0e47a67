"""A trained network in normal form: linear layers with biases, each activation a layer of its own.

The output is the logits. Everything that has no such form is refused by name.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers

from ..networks.graph import calls, follow, plain_layers, rewrite, unique, uses
from ..networks.kinds import (
    AVERAGES,
    DEPTHWISE,
    GLOBAL_AVERAGES,
    POOLING_BY_MAXIMUM,
    WEIGHTED_LAYERS,
    UnsupportedLayerError,
    is_scaling,
    unsupported,
)
from ..networks.nonlinearity import Nonlinearity
from ..networks.self_check import check_same
from ._kernels import scale_inputs, scale_outputs
from .signals import write_in_spikes

__all__ = ["UnsupportedLayerError", "fold", "normal_form"]


def normal_form(
    model, images: np.ndarray | None = None, *, analog: str = "forbidden"
) -> keras.Model:
    """``model`` with batch norm folded and each activation a layer of its own.

    The result computes the same logits up to rounding (relative 1e-5 in float32).

    - Batch norm that follows a convolution or dense layer is folded into its weights:
      W' = W g / sqrt(var + eps), b' = (b - mean) g / sqrt(var + eps) + beta (Jacob et al. 2018,
      section 3.2); one between an activation and layers with weights into those. Elsewhere it
      becomes a 1x1 depthwise convolution, and so do other multiplications by constants.
    - An activation at the end (softmax, sigmoid, ...) is left out: the network's
      :class:`~fsrepro.tasks.Task` knows what its outputs mean.
    - Neurons of the identity are added wherever a layer with weights would read numbers, see
      :mod:`~fsrepro.conversion.signals`; a rising activation before max-pooling goes behind it.
    - A separable convolution becomes a depthwise one and a 1x1 convolution; PReLU with a slope for
      each channel becomes two ReLUs, of x and of -x.
    - Models within the model and layers of a user's own are unfolded, and a layer called twice
      becomes two.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, or path of an .onnx, .keras or .h5 file
        Trained, with one input and one output; left as it is.
    images : (N, ...) array, optional
        A few that it takes. They tell sizes that the model leaves open, and the result is held
        against the model on them.
    analog : "forbidden" or "allowed"
        ``"allowed"``: no neurons are added, and sums, products and maxima go on as numbers.

    Raises
    ------
    TypeError
        For what is no model of these kinds.
    ValueError
        For a model that is not built, has several inputs or outputs, has no weights, or has NaN or
        infinite ones; and if model and result differ on the images.
    UnsupportedLayerError
        For a layer or an activation that has no spiking form.
    """
    from ..frontends import read  # which needs what is here

    return fold(read(model, images).graph, images, analog=analog)


def fold(
    graph: keras.Model,
    images: np.ndarray | None = None,
    *,
    analog: str = "forbidden",
    spiking_input: bool = False,
) -> keras.Model:
    """The normal form of a graph of plain layers that ends in logits."""
    if analog not in ("forbidden", "allowed"):
        raise ValueError(f"analog must be 'forbidden' or 'allowed', got {analog!r}")
    if spiking_input and analog == "allowed":
        raise ValueError("spiking_input=True needs analog='forbidden'")
    folded = _folded(graph, images)
    if analog == "allowed":
        return folded
    return write_in_spikes(folded, images, spiking_input=spiking_input)


def _folded(graph: keras.Model, images: np.ndarray | None) -> keras.Model:
    with plain_layers():
        (old,) = graph.inputs
        x = keras.Input(old.shape[1:], dtype="float32", name=old._keras_history.operation.name)
        folding = _Folding(graph)
        new = follow(graph, [x], folding)
        folded = keras.Model(x, new[id(graph.outputs[0])], name=graph.name)
    final = _folded_forwards(folded)
    if images is not None:
        left = {layer.name for layer in final.layers}
        pairs = []
        for call in calls(graph):
            (old,) = call.outputs
            layer = new[id(old)]._keras_history.operation
            # What stands before the layers that took up a scale or an offset differs by design.
            if id(old) not in folding.changed and layer.name in left and not _passes(layer):
                pairs.append((call.operation.name, old, final.get_layer(layer.name).output))
        check_same(graph, final, images, pairs, what="its normal form")
    return final


class _Folding:
    """From a call of a plain layer to layers of the normal form."""

    def __init__(self, graph: keras.Model):
        self.used = uses(graph)
        self.names = {layer.name for layer in graph.layers}
        self.producer: dict[int, keras.Layer] = {}  # by id of an old tensor, the new layer
        self.changed: set[int] = set()  # old tensors that the new ones differ from by design

    def __call__(self, call, *args, **kwargs):
        layer, x = call.operation, args[0]
        (output,), inputs = call.outputs, call.input_tensors
        if isinstance(layer, layers.Softmax):
            raise unsupported(layer, "softmax", "it is supported only as the last layer")
        if isinstance(layer, (layers.BatchNormalization, layers.Rescaling)):
            return self.scaled(layer.name, x, *_scale_and_offset(layer), inputs[0], output)
        if isinstance(layer, layers.PReLU):
            return self.two_sided(layer, x)
        if isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
            x, layer = _separated(layer, x, unique(self.names, f"{layer.name}_depthwise"))
        if not isinstance(layer, WEIGHTED_LAYERS):
            return None
        y = _with_bias(layer, x)
        self.producer[id(output)] = y._keras_history.operation
        return y

    def scaled(self, name: str, x, scale, offset, old=None, new=None):
        """scale x + offset: by the weights of the layer before, if nothing else reads it."""
        scale, offset = (np.broadcast_to(a, x.shape[1:]) for a in (scale, offset))
        source = self.producer.get(id(old))
        if source is not None and self.used[id(old)] == 1 and _by_channel(scale, offset):
            scale_outputs(source, *(np.array(a[(0,) * (a.ndim - 1)]) for a in (scale, offset)))
            self.changed.add(id(old))
            if new is not None:
                self.producer[id(new)] = source
            return x
        return _elementwise(x, scale, offset, name, self.names)

    def two_sided(self, layer, x):
        """PReLU: relu(x) - a relu(-x)."""
        alpha = np.asarray(layer.alpha, np.float64)
        if (alpha == alpha.flat[0]).all():
            slope = float(str(np.float32(alpha.flat[0])))
            return Nonlinearity(f"leaky_relu({slope!r})", name=layer.name)(x)
        name = f"{layer.name}_negative"
        minus = self.scaled(f"{name}_input", x, -1.0, 0.0)
        below = Nonlinearity("relu", name=unique(self.names, name))(minus)
        below = self.scaled(f"{name}_slope", below, -alpha, 0.0)
        above = Nonlinearity("relu", name=layer.name)(x)
        return layers.Add(name=unique(self.names, f"{layer.name}_sum"))([above, below])


def _by_channel(*arrays: np.ndarray) -> bool:
    """Whether each is the same at all positions."""
    return all((a == a[(0,) * (a.ndim - 1)]).all() for a in arrays)


def _elementwise(x, scale: np.ndarray, offset: np.ndarray, name: str, names: set[str]):
    """scale x + offset as a 1x1 depthwise convolution, of channels or, where needed, of values."""
    shape = tuple(x.shape[1:])
    if not _by_channel(scale, offset):
        as_map = (1, 1, math.prod(shape))
    elif len(shape) == 3:
        as_map = shape
    else:
        as_map = (1, math.prod(shape[:-1]), shape[-1])
    depthwise = layers.DepthwiseConv2D(1, name=name)
    if as_map == shape:
        y = depthwise(x)
    else:
        y = depthwise(layers.Reshape(as_map, name=unique(names, f"{name}_as_map"))(x))
    channels = as_map[-1]
    weights = (np.reshape(np.broadcast_to(a, shape), (-1, channels))[0] for a in (scale, offset))
    kernel, bias = weights
    depthwise.set_weights([kernel.reshape(1, 1, -1, 1), bias])
    if as_map == shape:
        return y
    return layers.Reshape(shape, name=unique(names, f"{name}_back"))(y)


def _scale_and_offset(layer) -> tuple[np.ndarray, np.ndarray]:
    """A layer that normalises, at inference, as y = scale x + offset, in float64."""
    shape = layer.input.shape[1:]
    if isinstance(layer, layers.Rescaling):
        return np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    weights = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    gamma, beta, mean, variance = (
        default if weight is None else keras.ops.convert_to_numpy(weight).astype(np.float64)
        for weight, default in zip(weights, (1.0, 0.0, 0.0, 1.0), strict=True)
    )
    scale = gamma / np.sqrt(variance + layer.epsilon)
    along = [1] * len(shape)
    axis = layer.axis % (len(shape) + 1) - 1
    along[axis] = shape[axis]
    return np.reshape(scale, along), np.reshape(beta - mean * scale, along)


def _separated(separable, x, name: str):
    """A separable convolution: its spatial half on ``x``, and the other half, a 1x1 convolution."""
    spatial, *others = separable.get_weights()
    n = len(separable.kernel_size)
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    options = {key: getattr(separable, key) for key in shared}
    depthwise = DEPTHWISE[n - 1](**options, use_bias=False, name=name)
    output = depthwise(x)
    depthwise.set_weights([spatial])
    convolution = (layers.Conv1D, layers.Conv2D)[n - 1]
    options = {"filters": separable.filters, "use_bias": separable.use_bias}
    pointwise = convolution(**options, kernel_size=1, name=separable.name)
    pointwise.build(output.shape)
    pointwise.set_weights(others)
    return output, pointwise


def _with_bias(layer, x):
    """A copy of a weighted layer, linear and with a bias, called on ``x``."""
    copied = type(layer).from_config({**layer.get_config(), "use_bias": True})
    output = copied(x)
    kernel, *bias = layer.get_weights()
    copied.set_weights([kernel, *(bias or [np.zeros(copied.bias.shape, np.float32)])])
    return output


# --- what an activation is scaled by, in the weights behind it ------------------------------------


def _folded_forwards(graph: keras.Model) -> keras.Model:
    """``graph`` without depthwise convolutions of one weight that the layers behind can take up.

    Where activations are scaled, as by a batch norm behind a ReLU, the layers behind would
    otherwise read numbers and not spikes.
    """
    chosen = {}
    for call in calls(graph):
        layer = call.operation
        if is_scaling(layer) and _from_activation(graph, call.input_tensors[0]):
            readers = _weighted_readers(graph, call.outputs[0], layer)
            if readers:
                chosen[layer.name] = readers
    if not chosen:
        return graph

    def skip(call, *args, **kwargs):
        return args[0] if call.operation.name in chosen else None

    new = rewrite(graph, skip)
    for name, readers in chosen.items():
        for reader in readers:
            scale_inputs(new.get_layer(reader.name), *_weights_of(graph.get_layer(name)))
    return new


def _weights_of(scaling) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each channel."""
    kernel, *bias = (np.asarray(weight, np.float64) for weight in scaling.get_weights())
    return kernel.ravel(), bias[0] if bias else np.zeros(kernel.size)


def _from_activation(graph, tensor) -> bool:
    layer = tensor._keras_history.operation
    if isinstance(layer, (*AVERAGES, *POOLING_BY_MAXIMUM)):
        return _from_activation(graph, layer.input)
    return isinstance(layer, Nonlinearity)


def _weighted_readers(graph, tensor, scaling) -> list:
    """The weighted layers that read ``tensor``, if these are all and can take up its scale."""
    scale, offset = _weights_of(scaling)
    found = []
    for call in calls(graph):
        if not any(x is tensor for x in call.input_tensors):
            continue
        layer = call.operation
        if _passes(layer) and (not isinstance(layer, POOLING_BY_MAXIMUM) or (scale > 0).all()):
            behind = _weighted_readers(graph, call.outputs[0], scaling)
            if not behind:
                return []
            found += behind
        elif isinstance(layer, layers.Dense) or (
            isinstance(layer, WEIGHTED_LAYERS)
            and (not offset.any() or (layer.padding == "valid" and _slides(layer)))
        ):
            found.append(layer)
        else:
            return []
    return [] if any(tensor is x for x in graph.outputs) else found


def _passes(layer) -> bool:
    """Whether a scale of each channel may be taken behind a layer instead of before it."""
    return isinstance(layer, (*AVERAGES, *GLOBAL_AVERAGES, *POOLING_BY_MAXIMUM, layers.Flatten))


def _slides(layer) -> bool:
    return "Transpose" not in type(layer).__name__
