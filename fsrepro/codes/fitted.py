"""Tables found by :func:`fsrepro.fitting.fit`, kept so that nobody need fit them again.

``benchmarks/fit_targets.py --write`` makes ``fitted.json`` anew: the same arguments and seed give
the same tables. All are fitted to N(0, 1.5^2) with a little of a uniform over [-8, 8]. What was
not fitted is a ``ValueError``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from .spike_code import SpikeCode

__all__ = ["details", "sigmoid", "silu"]


def silu(steps: int) -> SpikeCode:
    """SiLU (swish), x sigmoid(x), with K = 8 or 16."""
    return _code("silu", steps)


def sigmoid(steps: int) -> SpikeCode:
    """The logistic sigmoid with K = 12."""
    return _code("sigmoid", steps)


def details(function: str, steps: int) -> dict:
    """How a table was fitted, what was measured of it, and the table; for ``"silu"``, 16, say."""
    if (function, steps) not in _tables():
        raise ValueError(
            f"no fitted table for {function!r} with {steps} steps; there are "
            + ", ".join(f"{name} {K}" for name, K in _tables())
            + ". fsrepro.fitting.fit makes others"
        )
    return _tables()[function, steps]


@cache
def _tables() -> dict[tuple[str, int], dict]:
    entries = json.loads(Path(__file__).with_name("fitted.json").read_text(encoding="utf-8"))
    return {(entry["function"], entry["steps"]): entry for entry in entries}


@cache
def _code(function: str, steps: int) -> SpikeCode:
    entry = details(function, steps)
    return SpikeCode(
        entry["threshold"], entry["reset"], entry["weight"],
        name=f"fitted {function}, K = {steps}", activation=function,
    )  # fmt: skip
