"""What the neurons here are made from: any object with these attributes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Tables", "Words"]


class Tables(Protocol):
    """A code of K time steps whose spikes are worth a fixed number each, by time step.

    ``threshold``, ``reset``, ``weight``: T, h and d, (K,) float32, or (K, C) of C channels, which
    come fastest in a population. ``offset``: the value of silence, y_0, one number or (C,).
    ``max_spikes``: of a neuron in a period, or None. ``soma``: whether the neuron computes
    ``activation`` before it writes; else that emerges from the tables.
    """

    @property
    def name(self) -> str: ...
    @property
    def threshold(self) -> np.ndarray: ...
    @property
    def reset(self) -> np.ndarray: ...
    @property
    def weight(self) -> np.ndarray: ...
    @property
    def offset(self) -> float | np.ndarray: ...
    @property
    def max_spikes(self) -> int | None: ...
    @property
    def activation(self) -> str: ...
    @property
    def soma(self) -> bool: ...


class Words(Protocol):
    """A code of words that are looked up, of at most K steps, for L ``levels``.

    ``breakpoints``, (L - 1,): where levels change. ``encode``: from values, (L,), to spikes,
    (K, L). ``payload``: what each of them is worth, (K, L).
    """

    @property
    def steps(self) -> int: ...
    @property
    def levels(self) -> np.ndarray: ...
    @property
    def breakpoints(self) -> np.ndarray: ...
    def encode(self, x: np.ndarray, /) -> np.ndarray: ...
    def payload(self, spikes: np.ndarray, /) -> np.ndarray: ...
