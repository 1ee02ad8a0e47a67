"""Activation functions in PyTorch: what a soma computes, in float64, rounded to float32."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

__all__ = ["function", "in_float64"]


def in_float64(f: Callable, x: torch.Tensor) -> torch.Tensor:
    """f(x), float32 -> float32, as :class:`~fsrepro.activations.Activation` computes it."""
    numbers = torch.finfo(torch.float32)
    x = torch.where(x.abs() < numbers.tiny, 0.0, x).double()
    y = f(x.clamp(numbers.min, numbers.max)).clamp(numbers.min, numbers.max).float()
    return torch.where(y.abs() < numbers.tiny, 0.0, y)


def function(name: str) -> Callable:
    """The activation of that name, of a tensor of float64; ``ValueError`` if it is not here."""
    found = re.fullmatch(r"(\w+)(?:\((.+)\))?", name)
    if found and found[2] and found[1] in _WITH_PARAMETERS:
        return _WITH_PARAMETERS[found[1]](*map(float, found[2].split(",")))
    if name not in _FUNCTIONS:
        raise ValueError(
            f"{name} has no PyTorch code; add it to fsrepro/export/torch_activations.py"
        )
    return _FUNCTIONS[name]


def _sigmoid(x):
    return 1 / (1 + torch.exp(-x))


def _hard_sigmoid(x):
    return (x / 6 + 0.5).clamp(0, 1)


def _gelu(x):
    return _in_units(0.5 * x * (1 + torch.erf(x / 2**0.5)))


def _gelu_tanh(x):
    inner = torch.tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x)))
    return _in_units(0.5 * x * (1 + inner))


def _in_units(y):
    return torch.round(y * 2.0**32) / 2.0**32


def _softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def _leaky_relu(slope):
    return lambda x: torch.where(x >= 0, x, slope * x)


def _elu(alpha):
    return lambda x: torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def _relu(limit, slope=0.0, threshold=0.0):
    limit, slope, threshold = (float(np.float32(value)) for value in (limit, slope, threshold))

    def of_tensor(x):
        below = torch.where(x >= threshold, x, slope * (x - threshold))
        return torch.where(x >= limit, limit, below)

    return of_tensor


_FUNCTIONS: dict[str, Callable] = {  # as in fsrepro.activations, operation by operation
    "relu": lambda x: x.clamp(min=0),
    "linear": lambda x: x,
    "negative_part": lambda x: (-x).clamp(min=0),
    "relu6": lambda x: x.clamp(0, 6),
    "silu": lambda x: x * _sigmoid(x),
    "sigmoid": _sigmoid,
    "tanh": torch.tanh,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": lambda x: x.clamp(-1, 1),
    "selu": lambda x: 1.0507009873554805 * _elu(1.6732632423543772)(x),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + x.abs()),
    "mish": lambda x: x * torch.tanh(_softplus(x)),
}
_WITH_PARAMETERS: dict[str, Callable] = {"leaky_relu": _leaky_relu, "elu": _elu, "relu": _relu}
