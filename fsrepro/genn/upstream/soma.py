"""Activation functions in GeNN's C: what a soma computes, in double precision, rounded to float."""

from __future__ import annotations

import re

import numpy as np

from .tables import Tables

__all__ = ["soma_code"]

_FUNCTIONS = {
    "relu": "fmax(u, 0.0d)",
    "linear": "u",
    "negative_part": "fmax(-u, 0.0d)",
    "relu6": "fmin(fmax(u, 0.0d), 6.0d)",
    "silu": "u * (1.0d / (1.0d + exp(-u)))",
    "sigmoid": "1.0d / (1.0d + exp(-u))",
    "tanh": "tanh(u)",
    "gelu": (
        "rint((0.5d * u * (1.0d + erf(u / 1.4142135623730951d))) * 4294967296.0d) / 4294967296.0d"
    ),
    "hard_silu": "u * fmin(fmax((u / 6.0d) + 0.5d, 0.0d), 1.0d)",
    "hard_sigmoid": "fmin(fmax((u / 6.0d) + 0.5d, 0.0d), 1.0d)",
    "hard_tanh": "fmin(fmax(u, -1.0d), 1.0d)",
    "gelu_tanh": (
        "rint((0.5d * u * (1.0d + tanh(0.7978845608028654d * (u + (0.044715d * (u * u * u)))))) "
        "* 4294967296.0d) / 4294967296.0d"
    ),
    "selu": (
        "1.0507009873554805d * ((u > 0.0d) ? u : (1.6732632423543772d * expm1(fmin(u, 0.0d))))"
    ),
    "softplus": "fmax(u, 0.0d) + log1p(exp(-fabs(u)))",
    "softsign": "u / (1.0d + fabs(u))",
    "mish": "u * tanh(fmax(u, 0.0d) + log1p(exp(-fabs(u))))",
}
_WITH_PARAMETERS = {
    "leaky_relu": "(u >= 0.0d) ? u : ({0}d * u)",
    "elu": "(u > 0.0d) ? u : ({0}d * expm1(fmin(u, 0.0d)))",
    "relu": "(u >= {0}d) ? {0}d : ((u >= {2}d) ? u : ({1}d * (u - {2}d)))",
}
_SMALLEST = "1.1754943508222875e-38d"
_LARGEST = "3.4028234663852886e+38d"


def _bounded(value: str) -> str:
    return f"fmin(fmax({value}, -{_LARGEST}), {_LARGEST})"


def soma_code(code: Tables, mark: str = "") -> str:
    """Statements that set ``V`` from ``x``, v(1) of ``code``; ``ValueError`` if f has no C here.

    ``mark`` is added to the names of variables and tables.
    """
    if not code.soma:
        return f"V{mark} = x;"
    f = _FUNCTIONS.get(code.activation)
    if given := re.fullmatch(r"(\w+)\((.+)\)", code.activation):
        values = [*map(float, given[2].split(",")), 0.0, 0.0]
        if given[1] == "relu":
            values = [min(float(np.float32(value)), 1e39) for value in values]  # C has no inf
        f = _WITH_PARAMETERS[given[1]].format(*map(repr, values))
    if f is None:
        raise ValueError(
            f"code {code.name!r}: {code.activation} has no C code for GeNN; add it to soma.py, or "
            "choose another simulator"
        )
    each = np.ndim(code.offset) == 1
    offset = f"y0{mark}[id % {np.size(code.offset)}]" if each else f"{code.offset!r}f"
    return f"""
                const double u = (fabs(x) < {_SMALLEST}) ? 0.0d : {_bounded("(double)x")};
                const double g = {f};
                const double f = {_bounded("g")};
                V{mark} = (fabs(f) < {_SMALLEST}) ? 0.0f : (float)f;
                V{mark} -= {offset};"""
