"""The checks of input that codes share; each names what was given and what was expected."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MAX_STEPS", "check_activations", "check_scale", "check_spikes", "check_steps", "is_whole",
]  # fmt: skip

MAX_STEPS = 64
_LARGEST = float(np.finfo(np.float32).max)


def is_whole(number: float, most: float = np.inf) -> bool:
    """Whether ``number`` is 1, 2, 3, ... and at most ``most``; NaN and infinity are not."""
    return float(number).is_integer() and 1 <= number <= most


def check_steps(steps: int) -> int:
    """``steps`` as an int; ``ValueError`` unless it is a whole number from 1 to 64."""
    if not (_is_number(steps) and is_whole(steps, MAX_STEPS)):
        raise ValueError(f"steps must be a whole number from 1 to {MAX_STEPS}, got {steps!r}")
    return int(steps)


def check_scale(scale: float) -> float:
    """``scale`` itself; ``ValueError`` unless it is positive and finite in float32."""
    if not (_is_number(scale) and 0 < scale <= _LARGEST):
        raise ValueError(f"scale must be positive and finite, got {scale!r}")
    return float(scale)


def _is_number(given) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)


def check_activations(x: ArrayLike) -> NDArray[np.float32]:
    """``x`` as float32; ``ValueError`` if any of it is NaN."""
    x = np.asarray(x, np.float32)
    if x.size and np.isnan(x.min()):  # min() hands on NaN, and needs no temporary array
        raise ValueError(f"activations must not be NaN; {np.isnan(x).sum()} of {x.size} are")
    return x


def check_spikes(spikes: ArrayLike, steps: int, name: str) -> NDArray:
    """``spikes`` as an array; ``ValueError`` unless it holds ``steps`` rows of 0 and 1."""
    spikes = np.asarray(spikes)
    if spikes.ndim == 0 or len(spikes) != steps:
        raise ValueError(
            f"code {name!r} has {steps} time steps, got spikes of shape {spikes.shape}; time is "
            "the first axis"
        )
    if not ((spikes == 0) | (spikes == 1)).all():
        raise ValueError("spikes must be 0 or 1")
    return spikes
