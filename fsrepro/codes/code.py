"""What every spike code can do, whatever its decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_activations
from .staircase import Staircase

__all__ = ["Code"]


class Code(ABC):
    """A way to write an activation in spikes over K = ``steps`` time steps, and to read it back.

    ``encode`` and ``decode`` define a code. ``quantise`` and ``count`` are exact shortcuts for
    them, by the ``staircase``. All raise ``ValueError`` for NaN, ``decode`` for anything but K
    steps of zeros and ones.

    Attributes
    ----------
    name : str
    linear : bool
        Whether the code is decoded by a weighted sum, which synapses can apply; the others need a
        decoder for each sender.
    activation : str
        The function that the values stand for, see :mod:`fsrepro.activations`.
    """

    name: str
    linear: bool
    activation: str = "relu"

    @property
    @abstractmethod
    def steps(self) -> int:
        """K, the number of time steps."""

    @property
    @abstractmethod
    def staircase(self) -> Staircase:
        """The code as a step function of its input, compiled on first use."""

    @abstractmethod
    def encode(self, x: ArrayLike) -> NDArray[np.uint8]:
        r"""Write activations ``x``, any shape, in spikes of 0 and 1: (K, \*x.shape)."""

    @abstractmethod
    def decode(self, spikes: ArrayLike) -> NDArray[np.float32]:
        """Read the values from ``spikes``, (K, ...): (...)."""

    def quantise(self, x: ArrayLike) -> NDArray[np.float32]:
        """``decode(encode(x))``, bit for bit, looked up in the staircase. Shape of x."""
        return self.staircase.values_at(check_activations(x))

    def count(self, x: ArrayLike) -> NDArray[np.uint8]:
        """Spikes per element, ``encode(x).sum(0)``, looked up in the staircase. Shape of x."""
        return self.staircase.counts_at(check_activations(x))
