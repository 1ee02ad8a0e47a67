"""The tables that Stöckl & Maass (2021) published, as they published them (``published.json``)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .spike_code import SpikeCode

__all__ = ["details", "relu", "sigmoid", "silu"]


def relu() -> SpikeCode:
    """ReLU, K = 10, range 25: the setting of the ResNets of Stöckl & Maass (2021)."""
    return _code("relu")


def silu() -> SpikeCode:
    """SiLU (swish), x sigmoid(x), K = 16: found by gradient descent."""
    return _code("silu")


def sigmoid() -> SpikeCode:
    """The logistic sigmoid, K = 12: found by gradient descent."""
    return _code("sigmoid")


def details(function: str) -> dict:
    """Source, domain, K and the tables of ``"relu"``, ``"silu"`` or ``"sigmoid"``."""
    if function not in _tables():
        raise ValueError(f"no published table for {function!r}; there are {', '.join(_tables())}")
    return _tables()[function]


@cache
def _tables() -> dict[str, dict]:
    return json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))


@cache
def _code(function: str) -> SpikeCode:
    entry = details(function)
    return SpikeCode(
        entry["threshold"], entry["reset"], entry["weight"], name=f"published {function}",
        activation=function,
    )  # fmt: skip
