"""Activation functions in GeNN's C: what a soma computes, in double precision, rounded to float."""

from __future__ import annotations

import re

from ..codes import SpikeCode

__all__ = ["soma_code"]

_FUNCTIONS = {  # as in fsrepro.activations, operation by operation
    "relu": "fmax(u, 0.0d)",
    "relu6": "fmin(fmax(u, 0.0d), 6.0d)",
    "silu": "u * (1.0d / (1.0d + exp(-u)))",
    "sigmoid": "1.0d / (1.0d + exp(-u))",
    "tanh": "tanh(u)",
    "gelu": (
        "rint((0.5d * u * (1.0d + erf(u / 1.4142135623730951d))) * 4294967296.0d) / 4294967296.0d"
    ),
    "hard_silu": "u * fmin(fmax((u / 6.0d) + 0.5d, 0.0d), 1.0d)",
    "hard_sigmoid": "fmin(fmax((u / 6.0d) + 0.5d, 0.0d), 1.0d)",
}
_SMALLEST = "1.1754943508222875e-38d"


def soma_code(code: SpikeCode) -> str:
    """Statements that set ``V`` from ``x``, v(1) of ``code``; ``ValueError`` if f has no C here."""
    if not code.soma:
        return "V = x;"
    f = _FUNCTIONS.get(code.activation)
    if leaky := re.fullmatch(r"leaky_relu\((.+)\)", code.activation):
        f = f"(u >= 0.0d) ? u : ({float(leaky[1])!r}d * u)"
    if f is None:
        raise ValueError(
            f"code {code.name!r}: {code.activation} has no C code for GeNN; add it to "
            'fsrepro/genn/soma.py, or evaluate with simulator="keras"'
        )
    return f"""
                const double u = x;
                const double f = {f};
                V = (fabs(f) < {_SMALLEST}) ? 0.0f : (float)f;
                V -= {float(code.offset)!r}f;"""
