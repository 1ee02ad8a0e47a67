"""A trained network in normal form: linear layers with biases, each activation a layer of its own.

The output is the logits. Everything that has no such form is refused by name.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from .. import activations
from .graph import calls, flatten, rewrite, uses
from .kinds import LINEAR_LAYERS, POOLING_BY_MAXIMUM, PRODUCTS, WEIGHTED_LAYERS
from .population import Nonlinearity

__all__ = ["UnsupportedLayerError", "normal_form"]

ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.Softmax)
FIXED_SCALING = (layers.Rescaling, layers.Normalization)
"""What networks that take pixels as they are begin with."""

TRAINING_ONLY = (
    layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout,
)  # fmt: skip


class UnsupportedLayerError(ValueError):
    """A layer has no exact spiking form; the message names it and says what to do."""


def normal_form(model: keras.Model) -> keras.Model:
    """``model`` with batch norm folded and each activation a layer of its own.

    The result computes the same logits up to rounding (relative 1e-5 in float32).

    - Batch norm that follows a convolution or dense layer is folded into its weights:
      W' = W g / sqrt(var + eps), b' = (b - mean) g / sqrt(var + eps) + beta (Jacob et al. 2018,
      section 3.2). Elsewhere on feature maps it becomes a 1x1 depthwise convolution.
    - A softmax at the end is dropped: it does not change which logit is largest.
    - Max-pooling stays and acts on decoded values, and so do products of two branches (Multiply).
    - Rescaling and Normalization of the image become a 1x1 depthwise convolution.
    - A separable convolution becomes a depthwise one and a 1x1 convolution.
    - Models within the model are unfolded, and a layer called twice becomes two.
    - Dropout and noise layers are dropped: they act in training only.

    Parameters
    ----------
    model : keras.Model
        Built, functional or sequential, with one image input and one output; left as it is.

    Raises
    ------
    TypeError
        For what is not a functional or sequential Keras model.
    ValueError
        For a model that is not built, has several inputs or outputs, has no weights, or has NaN or
        infinite ones.
    UnsupportedLayerError
        For a layer or an activation that has no spiking form.
    """
    model = _functional(model)
    _refuse_unknown(model)
    graph = flatten(model)
    _check_weights(graph)
    used = uses(graph)
    producer: dict[int, keras.Layer] = {}  # by id of a call's output, the new layer that makes it

    def replace(call, *args, **kwargs):
        layer = call.operation
        x = args[0]
        if _activation_name(layer) == "softmax" and call.outputs[0] is not graph.outputs[0]:
            raise _unsupported(layer, "softmax", "it is supported only as the last layer")
        if isinstance(layer, TRAINING_ONLY):
            return x
        if isinstance(layer, FIXED_SCALING):
            return _depthwise(layer.name, x, *_input_scale_and_offset(layer))
        if isinstance(layer, layers.BatchNormalization):
            source = producer.get(id(call.input_tensors[0]))
            if source is None or used[id(call.input_tensors[0])] > 1:
                return _depthwise_batch_norm(layer, x)
            scale_outputs(source, *_scale_and_offset(layer))
            producer[id(call.outputs[0])] = source
            return x
        if isinstance(layer, ACTIVATIONS):
            return _activate(_activation_name(layer), x, layer.name)
        if isinstance(layer, layers.SeparableConv2D):
            x, layer = _separated(layer, x)
        if not isinstance(layer, WEIGHTED_LAYERS):
            return None
        activation = _activation_name(layer)
        output = _with_bias(layer, x)
        if activation == "linear":
            producer[id(call.outputs[0])] = output._keras_history.operation
            return output
        return _activate(activation, output, f"{layer.name}_act")

    return rewrite(graph, replace)


def _functional(model) -> keras.Model:
    if not isinstance(model, keras.Model):
        raise TypeError(f"expected a keras.Model, got {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"model {model.name!r} is not built; call it on an input or give it an Input layer"
        )
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    if not inputs or not outputs:
        raise TypeError(
            f"model {model.name!r} is a subclassed model without a graph; rewrite it with the "
            "functional API (inputs, outputs = ...; keras.Model(inputs, outputs))"
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(inputs)} inputs and {len(outputs)} outputs; conversion "
            "takes one of each"
        )
    return keras.Model(inputs, outputs, name=model.name)


def _check_weights(model) -> None:
    if not model.weights:
        raise ValueError(f"model {model.name!r} has no weights; there is nothing to convert")
    for layer in model.layers:
        for weight in layer.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
                raise ValueError(
                    f"weight {weight.name!r} of layer {layer.name!r} holds NaN or infinite values; "
                    "was the training interrupted or diverging?"
                )


def _refuse_unknown(model) -> None:
    """Before anything is copied: what has no normal form, here and in models within."""
    known = (
        *(*LINEAR_LAYERS, *POOLING_BY_MAXIMUM, *PRODUCTS, *TRAINING_ONLY, *ACTIVATIONS),
        *(*FIXED_SCALING, layers.BatchNormalization, layers.SeparableConv2D, Nonlinearity),
    )
    for call in calls(model):
        layer = call.operation
        kind = type(layer).__name__
        if isinstance(layer, keras.Model):
            _refuse_unknown(_functional(layer))
        # Exact types: a subclass may compute something else.
        elif type(layer) not in known:
            names = ", ".join(sorted(cls.__name__ for cls in known))
            raise _unsupported(layer, kind, f"supported are {names}")
        elif getattr(layer, "data_format", "channels_last") != "channels_last":
            raise _unsupported(layer, kind, "its data_format must be channels_last (NHWC)")
        elif len(call.outputs) != 1:
            raise _unsupported(layer, kind, "it must have one output")
        else:
            _activation_name(layer)


def _activation_name(layer) -> str:
    """``linear``, ``softmax`` or the name of an activation; others are refused by their name."""
    if isinstance(layer, Nonlinearity):
        return layer.function
    if isinstance(layer, layers.ReLU):
        return _kind_of_relu(layer)
    if isinstance(layer, layers.LeakyReLU):
        return f"leaky_relu({float(layer.negative_slope):g})"
    if isinstance(layer, layers.Softmax):
        return "softmax"
    function = getattr(layer, "activation", None)
    if function in (None, keras.activations.linear):
        return "linear"
    if function is keras.activations.softmax:
        return "softmax"
    if function is keras.activations.leaky_relu:
        return "leaky_relu(0.2)"  # the slope that Keras takes where none is given
    found = activations.of_keras_function(function)
    if found is not None:
        return found.name
    name = getattr(function, "__name__", type(function).__name__)
    raise _unsupported(
        layer,
        f"activation {name!r}",
        f"supported are {', '.join(activations.names())}, LeakyReLU layers, and softmax at the "
        "end. To add one, see fsrepro.activations.register",
    )


def _kind_of_relu(layer) -> str:
    limit, slope = layer.max_value, float(layer.negative_slope)
    if layer.threshold == 0 and limit is None:
        return f"leaky_relu({slope:g})" if slope else "relu"
    if layer.threshold == 0 and limit == 6 and not slope:
        return "relu6"
    raise _unsupported(
        layer,
        f"ReLU with max_value {limit}, negative_slope {slope:g}, threshold {layer.threshold}",
        "supported are a plain ReLU, one with max_value 6, and one with a negative_slope",
    )


def _unsupported(layer, what: str, hint: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"layer {layer.name!r} ({what}) has no spiking form; {hint}")


def _activate(activation: str, x, name: str):
    if activation in ("linear", "softmax"):
        return x
    return Nonlinearity(activation, name=name)(x)


def _separated(separable, x):
    """A separable convolution: its spatial half on ``x``, and the other half, a 1x1 convolution."""
    spatial, *others = separable.get_weights()
    shared = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    options = {key: getattr(separable, key) for key in shared}
    name = f"{separable.name}_depthwise"
    depthwise = layers.DepthwiseConv2D(**options, use_bias=False, name=name)
    output = depthwise(x)
    depthwise.set_weights([spatial])
    options = {key: getattr(separable, key) for key in ("filters", "use_bias", "activation")}
    pointwise = layers.Conv2D(**options, kernel_size=1, name=separable.name)
    pointwise.build(output.shape)
    pointwise.set_weights(others)
    return output, pointwise


def _with_bias(layer, x):
    """A copy of a weighted layer, linear and with a bias, called on ``x``."""
    copied = type(layer).from_config(
        {**layer.get_config(), "use_bias": True, "activation": "linear"}
    )
    output = copied(x)
    kernel, *bias = layer.get_weights()
    copied.set_weights([kernel, *(bias or [np.zeros(copied.bias.shape, np.float32)])])
    return output


def _scale_and_offset(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """Batch norm at inference as y = scale x + offset, per channel, in float64."""
    if norm.axis not in (-1, norm.input_spec.ndim - 1):
        raise _unsupported(norm, f"BatchNormalization, axis {norm.axis}", "the axis must be last")
    weights = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    gamma, beta, mean, variance = (
        default if weight is None else keras.ops.convert_to_numpy(weight).astype(np.float64)
        for weight, default in zip(weights, (1.0, 0.0, 0.0, 1.0), strict=True)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def scale_outputs(layer, scale: np.ndarray, offset: float | np.ndarray = 0.0) -> None:
    """Change the weights of a layer so that its outputs y become scale y + offset, per channel."""
    kernel, bias = (np.asarray(w, np.float64) for w in layer.get_weights())
    # Output channels: last axis of the kernel; of a depthwise kernel (h, w, C, M) the last two.
    channels = kernel.shape[2:] if isinstance(layer, layers.DepthwiseConv2D) else kernel.shape[-1:]
    layer.set_weights([kernel * scale.reshape(channels), bias * scale + offset])


def _depthwise_batch_norm(norm: layers.BatchNormalization, x):
    """Batch norm that nothing precedes to fold it into, as a 1x1 depthwise convolution."""
    scale, offset = _scale_and_offset(norm)
    if len(x.shape) != 4:
        raise _unsupported(
            norm,
            "BatchNormalization",
            "off feature maps it must directly follow a Dense layer, alone",
        )
    return _depthwise(norm.name, x, scale, offset)


def _depthwise(name: str, x, scale: np.ndarray, offset: np.ndarray):
    """y = scale x + offset, per channel of (N, H, W, C)."""
    layer = layers.DepthwiseConv2D(1, name=name)
    output = layer(x)
    layer.set_weights([scale.reshape(1, 1, -1, 1), offset])
    return output


def _input_scale_and_offset(layer) -> tuple[np.ndarray, np.ndarray]:
    """Rescaling and Normalization as y = scale x + offset, per channel, in float64."""
    shape = layer.input.shape
    if len(shape) != 4:
        raise _unsupported(layer, type(layer).__name__, "its input must be (N, H, W, C)")
    if isinstance(layer, layers.Rescaling):
        scale, offset = layer.scale, layer.offset
    else:
        if layer.invert:
            raise _unsupported(layer, "Normalization, invert", "only the usual direction is")
        mean = keras.ops.convert_to_numpy(layer.mean).astype(np.float64)
        deviation = np.sqrt(keras.ops.convert_to_numpy(layer.variance).astype(np.float64))
        scale = 1 / np.maximum(deviation, keras.config.epsilon())
        offset = -mean * scale
    values = (np.squeeze(np.asarray(value, np.float64)) for value in (scale, offset))
    try:
        scale, offset = (np.broadcast_to(value, shape[-1:]) for value in values)
        return scale, offset
    except ValueError:
        raise _unsupported(
            layer, f"{type(layer).__name__} along other axes", "one number per channel is"
        ) from None
