"""Initial weights that depend on one seed, without touching any global random state."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

__all__ = ["he_normal"]


def he_normal(seed: int) -> Iterator[keras.initializers.Initializer]:
    """An endless stream of independent He-normal initialisers (He et al. 2015), one per layer."""
    rng = np.random.default_rng(seed)
    while True:
        yield keras.initializers.HeNormal(seed=int(rng.integers(2**31)))
