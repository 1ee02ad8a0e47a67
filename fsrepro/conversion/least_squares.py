r"""Refit the weights of a layer to what its inputs really carry.

Codes give a layer other inputs than the ANN has, and errors that no bias takes out. With u the
window of decoded values that a position of the layer meets, a 1 for the bias behind them, and
:math:`e = x^{\text{ANN}} - x` the error of the pre-activations there, the weights W change by

.. math:: \Delta W = \Bigl(\sum u u^\top + \lambda\, p\, I\Bigr)^{-1} \sum u\, e^\top,

summed over calibration images and positions, where p is the mean of :math:`\sum u_i^2` over the
inputs i, and the bias has no penalty. Every layer takes the :math:`\lambda` that leaves the least
squared error on every fourth image when fitted to the others, and stays as it is where none makes
that error less.

Sources: least squares to the outputs of a trained layer, He et al. (2017); weights calibrated layer
by layer for spikes, by gradients, Li et al. (2021).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from ..networks.kinds import CONVOLUTIONS, DEPTHWISE
from ..wiring import borders

__all__ = ["refit"]

_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 4  # every so many-th image
_FLOATS = 2**25  # of windows at once
_MOST_INPUTS = 2**13  # in a window: the sums are that large, squared


def refit(layer: layers.Layer, inputs: list, errors: list) -> list:
    """Change the weights of a layer in place; return what that adds to its outputs.

    Parameters
    ----------
    layer : keras.layers.Layer
        With a bias, without an activation. Left as it is unless it is a dense layer or a
        convolution, which may be grouped or depthwise, of fewer inputs than there are positions.
    inputs : list of (N, ..., C) tensors
        What it reads, batch by batch.
    errors : list of (N, ..., F) tensors
        What its outputs should have more.

    Returns
    -------
    list of (N, ..., F) tensors
        Empty where the layer is left as it is.
    """
    if not isinstance(layer, (layers.Dense, *CONVOLUTIONS, *DEPTHWISE)):
        return []
    (*places, channels, _), groups = layer.kernel.shape, getattr(layer, "groups", 1)
    if isinstance(layer, DEPTHWISE):
        channels, groups = 1, channels
    window = (math.prod(places), channels)  # of one group
    positions = sum(math.prod(e.shape[:-1]) for e in errors)
    if sum(map(len, inputs)) < 2 or math.prod(window) >= min(positions, _MOST_INPUTS):
        return []
    change = _fitted(*_sums(layer, groups, math.prod(window) + 1, inputs, errors))
    if change is None:
        return []
    old = layer.get_weights()
    kernel = change[:, :-1].reshape(groups, *window, -1).transpose(1, 2, 0, 3)
    new = [kernel.reshape(old[0].shape), change[:, -1].ravel()]
    layer.set_weights(new)
    added = [layer(x) for x in inputs]
    layer.set_weights([a + b for a, b in zip(old, new, strict=True)])
    return added


def _fitted(squares: NDArray, products: NDArray) -> NDArray | None:
    """The change of weights and biases, (groups, D + 1, F / groups); None where that is best."""
    changes = [_solved(squares[0], products[0], penalty) for penalty in _PENALTIES]
    errors = [_error(change, squares[1], products[1]) for change in changes]
    if not min(errors) < 0:
        return None
    return _solved(squares.sum(0), products.sum(0), _PENALTIES[np.argmin(errors)])


def _solved(squares: NDArray, products: NDArray, penalty: float) -> NDArray:
    power = np.einsum("gii->gi", squares)[:, :-1]
    of_inputs = np.append(np.ones(power.shape[1]), 0.0)
    return np.linalg.solve(squares + np.diag(penalty * (power.mean() or 1.0) * of_inputs), products)


def _error(change: NDArray, squares: NDArray, products: NDArray) -> float:
    """The squared error after a change, less that before."""
    return float(np.sum(change * (squares @ change - 2 * products)))


def _sums(layer, groups: int, size: int, inputs: list, errors: list) -> tuple[NDArray, NDArray]:
    """The sums of u u^T and u e^T of each group, of the images to fit to and of those held out."""
    squares = np.zeros((2, groups, size, size))
    products = np.zeros((2, groups, size, errors[0].shape[-1] // groups))
    images = itertools.count()
    for x, e in zip(inputs, errors, strict=True):
        x, e = (ops.convert_to_numpy(values) for values in (x, e))
        held_out = np.array([next(images) % _HELD_OUT == 0 for _ in x])
        floats = x.size // math.prod(x.shape[1:-1]) * math.prod(layer.kernel.shape[:-2])
        pieces = -(-floats * math.prod(e.shape[1:-1]) // _FLOATS)
        for i, part in enumerate((~held_out, held_out)):
            for some in filter(len, np.array_split(np.flatnonzero(part), pieces)):
                u = _windows(layer, groups, x[some])
                wanted = e[some].reshape(u.shape[1], groups, -1).transpose(1, 0, 2)
                squares[i] += u.mT @ u
                products[i] += u.mT @ wanted
    return squares, products


def _windows(layer, groups: int, x: NDArray) -> NDArray:
    """What each position of ``x``, (N, ..., C), meets, and 1: (groups, positions, D + 1)."""
    if isinstance(layer, layers.Dense):
        windows = x[..., None, :]
    else:
        x = np.pad(x, [(0, 0), *borders(layer, x.shape[1:-1]), (0, 0)])
        axes = zip(
            x.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
        )
        starts = [  # along each axis, where windows have each of their places
            [slice(k * step, size - (places - 1 - k) * step, stride) for k in range(places)]
            for size, places, stride, step in axes
        ]
        windows = np.stack([x[:, *place] for place in itertools.product(*starts)], axis=-2)
    *_, places, channels = windows.shape
    windows = windows.reshape(-1, places, groups, channels // groups).transpose(2, 0, 1, 3)
    windows = windows.reshape(groups, -1, places * channels // groups)
    return np.concatenate([windows, np.ones_like(windows[..., :1])], -1)
