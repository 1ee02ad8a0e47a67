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
    them, by the ``staircase``.

    Attributes
    ----------
    name : str
    steps : int
        The number K of time steps.
    linear : bool
        Whether the code is decoded by a weighted sum, which synapses can apply; the others need a
        decoder for each sender.
    activation : str
        The function that the values stand for, see :mod:`fsrepro.activations`.
    staircase : Staircase
        The code as a function of x.
    """

    name: str
    steps: int
    linear: bool
    activation: str = "relu"
    staircase: Staircase

    @abstractmethod
    def encode(self, x: ArrayLike) -> NDArray[np.uint8]:
        r"""Write activations in spikes.

        Parameters
        ----------
        x : array_like, any shape

        Returns
        -------
        (K, \*x.shape) uint8
            0 or 1.
        """

    @abstractmethod
    def decode(self, spikes: ArrayLike) -> NDArray[np.float32]:
        """Read the values from spikes.

        Parameters
        ----------
        spikes : (K, ...) array_like

        Returns
        -------
        (...) float32
        """

    def quantise(self, x: ArrayLike) -> NDArray[np.float32]:
        """``decode(encode(x))``, bit for bit, looked up in the staircase. Shape of x.

        Raises
        ------
        ValueError
            For NaN.
        """
        return self.staircase.values_at(check_activations(x))

    def count(self, x: ArrayLike) -> NDArray[np.uint8]:
        """Spikes per element, ``encode(x).sum(0)``, looked up in the staircase. Shape of x.

        Raises
        ------
        ValueError
            For NaN.
        """
        return self.staircase.counts_at(check_activations(x))
