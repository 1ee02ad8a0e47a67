r"""Activation functions that neurons can write: one definition for NumPy, one for Keras.

A neuron whose soma computes f does so **in double precision and rounds to float32** before it
compares with a threshold. So NumPy, Keras and a simulator agree on every spike, although their
exponentials differ in the last bit. The ReLU needs no soma: it emerges from the thresholds.

To register another activation (this one is not built in)::

    import keras, numpy as np
    from fsrepro import activations

    activations.register(
        "softplus", lambda x: np.logaddexp(0, x), keras.activations.softplus
    )
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Activation", "get", "names", "of_keras_function", "register"]

_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)
_GELU_UNITS = 2.0**32  # 1 + erf(x) loses its last digits for negative x, in every library others


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation function f.

    Parameters
    ----------
    name : str
        As it is registered.
    function : callable
        f for NumPy arrays, float64 -> float64, finite for every finite x.
    tensor_function : callable
        The same for Keras tensors.
    homogeneous : bool
        Whether f(a x) = a f(x) for all a > 0.
    selects : bool
        Whether every value is x or a constant of float32. Then float32 is as exact, and tensors
        are spared the way by float64, which takes as long as several time steps.
    """

    name: str
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    tensor_function: Callable
    homogeneous: bool = False
    selects: bool = False

    def __call__(self, x: ArrayLike) -> NDArray[np.float32]:
        """f(x), computed in float64 and rounded to float32. Shape of x.

        Infinities saturate; results below 1.2e-38 (subnormal numbers) are zero.
        """
        x = np.clip(np.asarray(x, np.float64), -_LARGEST, _LARGEST)
        with np.errstate(over="ignore"):
            y = self.function(x).astype(np.float32)
        return np.where(np.abs(y) < _SMALLEST, np.float32(0), y)

    def on_tensor(self, x):
        """f(x) of a Keras tensor, float32 -> float32, bit for bit as in NumPy."""
        from keras import ops

        x = ops.clip(x if self.selects else ops.cast(x, "float64"), -_LARGEST, _LARGEST)
        y = ops.cast(self.tensor_function(x), "float32")
        return ops.where(ops.abs(y) < _SMALLEST, 0.0, y)


def get(name: str) -> Activation:
    """The activation of that name: ``"relu"``, ``"silu"``, ``"leaky_relu(0.2)"``, ...

    ``ValueError`` for a name that is not registered.
    """
    found = re.fullmatch(r"(\w+)(?:\(([-+.\de]+)\))?", name)
    if found and found[2] is None and found[1] in _REGISTERED:
        return _REGISTERED[found[1]]
    if found and found[2] is not None and found[1] in _WITH_PARAMETER:
        return _WITH_PARAMETER[found[1]](float(found[2]))
    known = ", ".join([*_REGISTERED, *(f"{name}(a)" for name in _WITH_PARAMETER)])
    raise ValueError(
        f"unknown activation {name!r}; known are {known}. fsrepro.activations.register adds others"
    )


def names() -> list[str]:
    """The names of all registered activations without a parameter."""
    return list(_REGISTERED)


def of_keras_function(function: Callable) -> Activation | None:
    """The activation that a model means by a Keras function, or None."""
    import keras

    for name in _REGISTERED:
        if _KERAS_FUNCTIONS.get(name, getattr(keras.activations, name, None)) is function:
            return _REGISTERED[name]
    return None


def register(
    name: str,
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    keras_function: Callable,
) -> Activation:
    """Make an activation known by ``name``, for codes and for conversion; return it.

    Parameters
    ----------
    name : str
    function : callable
        f for NumPy arrays, in float64.
    keras_function : callable
        What models use as their activation (``Activation(keras_function)`` or
        ``activation=keras_function``); conversion knows f by it, and computes f with it in float64.

    Raises
    ------
    ValueError
        If the name is taken or no word, if f is not finite on [-20, 20], or if NumPy and Keras
        differ there in a single bit.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ValueError(f"an activation's name must be a word, got {name!r}")
    if name in _REGISTERED or name in _WITH_PARAMETER:
        raise ValueError(f"activation {name!r} is registered already; choose another name")
    activation = Activation(name, function, keras_function)
    _check(activation)
    _REGISTERED[name] = activation
    _KERAS_FUNCTIONS[name] = keras_function
    return activation


def _check(activation: Activation) -> None:
    from keras import ops

    x = np.linspace(-20, 20, 4001, dtype=np.float32)
    ours = activation(x)
    theirs = ops.convert_to_numpy(activation.on_tensor(ops.convert_to_tensor(x)))
    if ours.shape != x.shape or theirs.shape != x.shape or not np.isfinite([ours, theirs]).all():
        raise ValueError(f"activation {activation.name!r} must give one finite number for each x")
    if (ours != theirs).any():
        i = int(np.abs(ours - theirs).argmax())
        raise ValueError(
            f"the functions of activation {activation.name!r} differ: at x = {x[i]!r} NumPy gives "
            f"{ours[i]!r}, Keras {theirs[i]!r}. If only the last digits differ, "
            "write both functions so that they compute the same, in float64 throughout"
        )


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gelu(x):
    from scipy.special import erf

    return np.round(0.5 * x * (1 + erf(x / np.sqrt(2))) * _GELU_UNITS) / _GELU_UNITS


def _gelu_of_tensor(x):
    from keras import ops

    return ops.round(0.5 * x * (1 + ops.erf(x / np.sqrt(2))) * _GELU_UNITS) / _GELU_UNITS


def _of_keras(name: str) -> Callable:
    """``keras.activations.NAME``, imported on first use: codes alone need no Keras."""

    def function(x):
        import keras

        return getattr(keras.activations, name)(x)

    return function


def _leaky_relu(slope: float) -> Activation:
    def of_tensor(x):
        from keras import ops

        return ops.where(x >= 0, x, slope * x)

    return Activation(
        f"leaky_relu({slope:g})", lambda x: np.where(x >= 0, x, slope * x), of_tensor, True
    )


_REGISTERED = {
    activation.name: activation
    for activation in (
        Activation("relu", lambda x: np.maximum(x, 0), _of_keras("relu"), True, selects=True),
        Activation("relu6", lambda x: np.clip(x, 0, 6), _of_keras("relu6"), selects=True),
        Activation("silu", lambda x: x * _sigmoid(x), _of_keras("silu")),
        Activation("sigmoid", _sigmoid, _of_keras("sigmoid")),
        Activation("tanh", np.tanh, _of_keras("tanh")),
        Activation("gelu", _gelu, _gelu_of_tensor),
        Activation("hard_silu", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), _of_keras("hard_silu")),
        Activation("hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), _of_keras("hard_sigmoid")),
    )
}
# Of registered activations; the others have Keras's own names.
_KERAS_FUNCTIONS: dict[str, Callable] = {}
_WITH_PARAMETER = {"leaky_relu": _leaky_relu}
