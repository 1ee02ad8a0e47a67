"""The activation function that a Keras layer computes, by its name."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from .. import activations
from ..networks.kinds import unsupported
from ..networks.nonlinearity import Nonlinearity

__all__ = ["ACTIVATION_LAYERS", "activation_of", "apply"]

ACTIVATION_LAYERS = (
    layers.Activation, layers.ELU, layers.LeakyReLU, layers.ReLU, layers.Softmax, Nonlinearity,
)  # fmt: skip


def activation_of(layer) -> str:
    """``"linear"``, ``"softmax"`` or a name of :mod:`fsrepro.activations`.

    ``UnsupportedLayerError`` for an activation that is none of these.
    """
    if isinstance(layer, Nonlinearity):
        return layer.function
    if isinstance(layer, layers.Softmax):
        if layer.axis != -1 and not (layer._inbound_nodes and layer.axis == layer.input.ndim - 1):
            raise unsupported(layer, f"softmax, axis {layer.axis}", "the axis must be last")
        return "softmax"
    if isinstance(layer, layers.ELU):
        return _known(f"elu({float(layer.alpha)!r})", layer)
    if isinstance(layer, layers.LeakyReLU):
        return _known(f"leaky_relu({float(layer.negative_slope)!r})", layer)
    if isinstance(layer, layers.ReLU):
        return _kind_of_relu(layer)
    return _of_function(layer, getattr(layer, "activation", None))


def apply(activation: str, x, name: str):
    """``x`` through the activation of that name, as a layer of its own."""
    if activation == "linear":
        return x
    if activation == "softmax":
        return layers.Softmax(name=name)(x)
    return Nonlinearity(activation, name=name)(x)


def _kind_of_relu(layer) -> str:
    limit, slope, threshold = (
        float(value or 0.0) for value in (layer.max_value, layer.negative_slope, layer.threshold)
    )
    if layer.max_value is None and not threshold:
        return _known(f"leaky_relu({slope!r})", layer) if slope else "relu"
    if layer.max_value is None:
        limit = float("inf")
    if (limit, slope, threshold) == (6.0, 0.0, 0.0):
        return "relu6"
    return _known(f"relu({limit!r},{slope!r},{threshold!r})", layer)


def _known(name: str, layer) -> str:
    try:
        return activations.get(name).name
    except ValueError:
        hint = "its parameters make no function that neurons write"
        raise unsupported(layer, name, hint) from None


def _of_function(layer, function) -> str:
    if isinstance(function, keras.layers.Layer):  # activation=LeakyReLU(0.1)
        return activation_of(function)
    if function is None:
        return "linear"
    if function is keras.activations.softmax or _is_softmax(function):
        return "softmax"
    found = activations.of_function(function)
    if found is not None:
        return found.name
    name = getattr(function, "__name__", type(function).__name__)
    raise unsupported(
        layer,
        f"activation {name!r}",
        f"supported are {', '.join(activations.names())}, layers and functions like them with "
        "other slopes and limits, and softmax at the end. To add one, see "
        "fsrepro.activations.register",
    )


def _is_softmax(function) -> bool:
    x = np.array([[0.0, 1.0, -2.0], [3.0, 3.5, 4.0]], np.float32)
    try:
        y = ops.convert_to_numpy(function(ops.convert_to_tensor(x)))
    except Exception:  # whatever a function raises that is none
        return False
    return y.shape == x.shape and np.allclose(y, np.exp(x) / np.exp(x).sum(-1, keepdims=True))
