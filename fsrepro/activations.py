r"""Activation functions that neurons can write: one definition for NumPy, one for Keras.

A neuron whose soma computes f does so **in double precision and rounds to float32** before it
compares with a threshold. So NumPy, Keras and a simulator agree on every spike, although their
exponentials differ in the last bit. The ReLU needs no soma: it emerges from the thresholds.

To register another activation (this one is not built in)::

    import keras, numpy as np
    from fsrepro import activations

    activations.register(
        "squareplus", lambda x: (x + np.sqrt(x**2 + 4)) / 2, keras.activations.squareplus
    )
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Activation", "get", "names", "of_function", "register"]

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
        Whether every value is x, -x or a constant of float32. Then float32 is as exact, and tensors
        are spared the way by float64, which takes as long as several time steps.
    """

    name: str
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    tensor_function: Callable
    homogeneous: bool = False
    selects: bool = False

    def __call__(self, x: ArrayLike) -> NDArray[np.float32]:
        """f(x), computed in float64 and rounded to float32. Shape of x.

        Infinities saturate; numbers below 1.2e-38 (subnormal ones) are zero.
        """
        x = np.clip(np.asarray(x, np.float64), -_LARGEST, _LARGEST)
        x = np.where(np.abs(x) < _SMALLEST, 0.0, x)
        with np.errstate(over="ignore"):
            y = np.clip(self.function(x), -_LARGEST, _LARGEST).astype(np.float32)
        return np.where(np.abs(y) < _SMALLEST, np.float32(0), y)

    @property
    def rising(self) -> bool:
        """Whether f never falls, so that the maximum of f(x) is f of the maximum."""
        return bool((np.diff(self(np.linspace(-30, 30, 60_001))) >= 0).all())

    def on_tensor(self, x):
        """f(x) of a Keras tensor, float32 -> float32, bit for bit as in NumPy."""
        from keras import ops

        x = ops.clip(x if self.selects else ops.cast(x, "float64"), -_LARGEST, _LARGEST)
        y = self.tensor_function(x)
        if not self.selects:
            y = ops.cast(ops.clip(y, -_LARGEST, _LARGEST), "float32")
        return ops.where(ops.abs(y) < _SMALLEST, 0.0, y)


def get(name: str) -> Activation:
    """The activation of that name: ``"relu"``, ``"silu"``, ``"leaky_relu(0.2)"``, ...

    Those with parameters, in the order and with the meaning of Keras's layers of that name:
    ``relu(max_value, negative_slope, threshold)`` (later ones may be left out),
    ``leaky_relu(negative_slope)``, ``elu(alpha)``. ``ValueError`` for an unknown name.
    """
    found = re.fullmatch(r"(\w+)(?:\(([-+.,\w]+)\))?", name)
    if found and found[2] is None and found[1] in _REGISTERED:
        return _REGISTERED[found[1]]
    if found and found[2] is not None and found[1] in _WITH_PARAMETERS:
        with suppress(ValueError, TypeError):
            return _WITH_PARAMETERS[found[1]](*map(float, found[2].split(",")))
    known = ", ".join([*_REGISTERED, *(f"{name}(a)" for name in _WITH_PARAMETERS)])
    raise ValueError(
        f"unknown activation {name!r}; known are {known}. fsrepro.activations.register adds others"
    )


def names() -> list[str]:
    """The names of all registered activations without a parameter."""
    return list(_REGISTERED)


def of_function(function: Callable) -> Activation | None:
    """The activation that ``function`` computes, of tensors, or None; of x, ``"linear"``.

    Known by what it gives, so ``keras.activations.relu``, ``tf.nn.relu`` and ``lambda x:
    keras.ops.maximum(x, 0)`` are the same to it.
    """
    import keras
    from keras import ops

    for name in _REGISTERED:  # the usual ones at once
        if _KERAS_FUNCTIONS.get(name, getattr(keras.activations, name, None)) is function:
            return _REGISTERED[name]
    x = np.concatenate([np.linspace(-8, 8, 321), *np.outer([-1, 1], np.geomspace(1e-3, 1e3, 80))])
    x = x.astype(np.float32)
    try:  # twice, because an activation does not look at neighbours
        with warnings.catch_warnings(action="ignore"):
            rows, columns = (
                ops.convert_to_numpy(function(ops.convert_to_tensor(x.reshape(shape)))).ravel()
                for shape in ((1, -1), (13, -1))
            )
    except Exception:  # whatever a function raises that is no activation
        return None
    if rows.shape != x.shape or not np.array_equal(rows, columns):
        return None
    for activation in (*_REGISTERED.values(), *_guesses(x, rows)):
        y = activation(x)
        if np.allclose(rows, y, rtol=1e-5, atol=1e-6):
            return activation
    return None


def _guesses(x: NDArray, y: NDArray) -> list[Activation]:
    """Activations with parameters that may give ``y``."""
    below, above = (float(y[np.flatnonzero(x == end)[0]]) for end in (x.min(), x.max()))
    slope = float(y[x == -1][0]) / -1
    guesses = [
        (_leaky_relu, (slope,)),
        (_elu, (-below,)),
        (_relu, (above,)),
        (_relu, (above, slope)),
    ]
    found = []
    for family, values in guesses:
        with suppress(ValueError):
            found.append(family(*map(_shortest, values)))
    return found


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
    if name in _REGISTERED or name in _WITH_PARAMETERS:
        raise ValueError(f"activation {name!r} is registered already; choose another name")
    activation = Activation(name, function, keras_function)
    _check(activation)
    _REGISTERED[name] = activation
    _KERAS_FUNCTIONS[name] = keras_function
    return activation


def _check(activation: Activation) -> None:
    from keras import ops

    x = np.linspace(-20, 20, 4001, dtype=np.float32)
    exact = activation.function(x.astype(np.float64))
    ours = activation(x)
    theirs = ops.convert_to_numpy(activation.on_tensor(ops.convert_to_tensor(x)))
    if ours.shape != x.shape or theirs.shape != x.shape or not np.isfinite(exact).all():
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

    return _rounded(0.5 * x * (1 + ops.erf(x / np.sqrt(2))) * _GELU_UNITS) / _GELU_UNITS


def _of_keras(name: str) -> Callable:
    """``keras.activations.NAME``, imported on first use: codes alone need no Keras."""

    def function(x):
        import keras

        return getattr(keras.activations, name)(x)

    return function


def _shortest(value: float) -> float:
    """The decimal with the fewest digits that is the same float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value)))


def _parameters(*values: float) -> str:
    if not np.isfinite(values).all():
        raise ValueError(f"parameters of an activation must be finite, got {values}")
    return f"({','.join(map(_shown, values))})"


def _shown(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))


def _leaky_relu(slope: float) -> Activation:
    def of_tensor(x):
        from keras import ops

        return ops.where(x >= 0, x, slope * x)

    name = f"leaky_relu{_parameters(slope)}"
    return Activation(name, lambda x: np.where(x >= 0, x, slope * x), of_tensor, True)


def _relu(limit: float, slope: float = 0.0, threshold: float = 0.0) -> Activation:
    """ReLU as Keras's layer has it, with an upper limit, which may be infinite."""
    given = [limit, slope, threshold]
    while len(given) > 1 and given[-1] == 0:
        given.pop()
    if not limit > max(threshold, 0):
        raise ValueError(f"the limit of a ReLU must be above its threshold, got {given}")
    shown = ",".join(_shown(value) for value in given)
    limit, slope, threshold = (float(np.float32(value)) for value in (limit, slope, threshold))

    def of_array(x):
        return np.where(x >= limit, limit, np.where(x >= threshold, x, slope * (x - threshold)))

    def of_tensor(x):
        from keras import ops

        below = slope * (x - threshold)
        return ops.where(x >= limit, limit, ops.where(x >= threshold, x, below))

    return Activation(f"relu({shown})", of_array, of_tensor, selects=slope == 0)


def _elu(alpha: float) -> Activation:
    def of_tensor(x):
        from keras import ops

        return ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0)))

    def of_array(x):
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    return Activation(f"elu{_parameters(alpha)}", of_array, of_tensor, alpha == 0)


def _identity(x):
    return x


def _negative_part_of_tensor(x):
    from keras import ops

    return ops.relu(-x)


def _selu(x, expm1, where, minimum):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * where(x > 0, x, alpha * expm1(minimum(x, 0)))


def _selu_of_tensor(x):
    from keras import ops

    return _selu(x, ops.expm1, ops.where, ops.minimum)


def _rounded(x):
    """Rounded, with the gradient of x: sensitivities come through."""
    from keras import ops

    return ops.stop_gradient(ops.round(x)) + (x - ops.stop_gradient(x))


def _gelu_tanh(x, tanh=np.tanh, round=np.round):
    inner = tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x)))
    return round(0.5 * x * (1 + inner) * _GELU_UNITS) / _GELU_UNITS


def _gelu_tanh_of_tensor(x):
    from keras import ops

    return _gelu_tanh(x, ops.tanh, _rounded)


def _mish_of_tensor(x):
    from keras import ops

    return x * ops.tanh(ops.logaddexp(x, 0.0))


def _softplus_of_tensor(x):
    from keras import ops

    return ops.logaddexp(x, 0.0)


def _softsign_of_tensor(x):
    from keras import ops

    return x / (1 + ops.abs(x))


_REGISTERED = {
    activation.name: activation
    for activation in (
        Activation("relu", lambda x: np.maximum(x, 0), _of_keras("relu"), True, selects=True),
        Activation("relu6", lambda x: np.clip(x, 0, 6), _of_keras("relu6"), selects=True),
        Activation("silu", lambda x: x * _sigmoid(x), _of_keras("silu")),
        Activation("sigmoid", _sigmoid, _of_keras("sigmoid")),
        Activation("tanh", np.tanh, _of_keras("tanh")),
        Activation("gelu", _gelu, _gelu_of_tensor),
        Activation("gelu_tanh", _gelu_tanh, _gelu_tanh_of_tensor),
        Activation("hard_silu", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), _of_keras("hard_silu")),
        Activation("hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), _of_keras("hard_sigmoid")),
        Activation("hard_tanh", lambda x: np.clip(x, -1, 1), _of_keras("hard_tanh"), selects=True),
        Activation("selu", lambda x: _selu(x, np.expm1, np.where, np.minimum), _selu_of_tensor),
        Activation("softplus", lambda x: np.logaddexp(x, 0.0), _softplus_of_tensor),
        Activation("softsign", lambda x: x / (1 + np.abs(x)), _softsign_of_tensor),
        Activation("mish", lambda x: x * np.tanh(np.logaddexp(x, 0.0)), _mish_of_tensor),
        Activation("linear", _identity, _identity, True, selects=True),
        Activation(
            "negative_part",
            lambda x: np.maximum(-x, 0),
            _negative_part_of_tensor,
            True,
            selects=True,
        ),
    )
}
_KERAS_FUNCTIONS: dict[str, Callable] = {}  # of those that users registered
_WITH_PARAMETERS: dict[str, Callable[..., Activation]] = {
    "leaky_relu": _leaky_relu, "elu": _elu, "relu": _relu,
}  # fmt: skip
