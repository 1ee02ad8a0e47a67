"""The few-spikes (FS) neuron: a spike code as three tables of numbers, one entry per time step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import activations
from .checks import MAX_STEPS, check_activations, check_spikes, is_whole
from .code import Code
from .staircase import Staircase, compile_staircase

__all__ = ["SpikeCode", "Trace"]


class Trace(NamedTuple):
    r"""One presentation, time step by time step.

    Parameters
    ----------
    membrane : (K, \*x.shape) float32
        v(t) as compared with the threshold at step t.
    spikes : (K, \*x.shape) uint8
    """

    membrane: NDArray[np.float32]
    spikes: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class SpikeCode(Code):
    r"""An FS neuron: how an activation x becomes spikes z(1..K), and how they are read.

    .. math::

        v(1) = x, \qquad z(t) = [\, v(t) \ge T(t) \,], \qquad v(t+1) = v(t) - h(t)\, z(t), \\
        y = y_0 + \sum_{t=1}^{K} d(t)\, z(t)

    The neuron **fires when v >= T**. All arithmetic is float32, in the order of the equations:
    this is the specification that every faster path is tested against. (TensorFlow takes numbers
    below 1.2e-38, the subnormal ones, for zero; that shows only where a threshold is zero.) x is
    rounded to float32; infinities saturate.

    Parameters
    ----------
    threshold, reset, weight : (K,) or (K, C) float32
        T, h and d, in units of the activation; of (K, C), a column for each channel, which is the
        last axis of x.
    max_spikes : int or None
        The neuron falls silent after that many spikes (``None``: no limit).
    name : str
        For tables and figures; two codes with equal tables are equal whatever their names.
    activation : str
        The name of the function that the neuron stands for, see :mod:`fsrepro.activations`.
    soma : bool
        Whether the neuron computes its activation function f once, before the first step, and then
        writes the result: :math:`v(1) = f(x) - y_0`. Otherwise f emerges from the tables.
    offset : float or (C,) float32
        :math:`y_0`, the value of silence; receivers add it to their bias.

    Raises
    ------
    ValueError
        For tables that are empty, of unequal shapes, longer than 64 steps or not finite, for
        ``max_spikes`` that is not a whole number above 0, for an offset that is not finite or not
        one for each channel, and for a soma with an activation that is not known.

    References
    ----------
    Stöckl & Maass (2021), equations 1 to 3; there the neuron fires when v > T, silence means 0,
    and there is no soma.
    """

    threshold: NDArray[np.float32]
    reset: NDArray[np.float32]
    weight: NDArray[np.float32]
    max_spikes: int | None = None
    name: str = "code"
    activation: str = "relu"
    soma: bool = False
    offset: float | NDArray = 0.0

    linear = True

    def __post_init__(self):
        for field in ("threshold", "reset", "weight"):
            object.__setattr__(self, field, _table(field, getattr(self, field)))
        shapes = {f: getattr(self, f).shape for f in ("threshold", "reset", "weight")}
        if len(set(shapes.values())) > 1:
            detail = ", ".join(
                f"{field} {' x '.join(map(str, shape))}" for field, shape in shapes.items()
            )
            raise ValueError(f"the three tables must have one entry per time step, got {detail}")
        if self.steps > MAX_STEPS:
            raise ValueError(f"at most {MAX_STEPS} time steps are supported, got {self.steps}")
        if self.max_spikes is not None and not is_whole(self.max_spikes):
            raise ValueError(
                f"max_spikes must be a whole number of at least 1 or None, got {self.max_spikes}"
            )
        if not isinstance(self.name, str):
            raise ValueError(f"the name must be a text, got {self.name!r}")
        object.__setattr__(self, "offset", _offset(self.offset, self.threshold.shape[1:]))
        if self.soma:
            activations.get(self.activation)

    @property
    def steps(self) -> int:
        return len(self.threshold)

    def first_potential(self, x: ArrayLike) -> NDArray[np.float32]:
        """v(1), the shape of x; ``ValueError`` for NaN, and for other channels than the code's."""
        x = check_activations(x)
        self._check_channels(x.shape)
        return activations.get(self.activation)(x) - np.float32(self.offset) if self.soma else x

    def trace(self, x: ArrayLike) -> Trace:
        """Run the neuron on ``x`` (any shape) and keep every membrane potential and spike."""
        v = self.first_potential(x)
        membrane = np.empty((self.steps, *v.shape), np.float32)
        spikes = np.empty((self.steps, *v.shape), np.uint8)
        fired = np.zeros(v.shape, np.uint8)
        for t in range(self.steps):
            membrane[t] = v
            z = v >= self.threshold[t]
            if self.max_spikes is not None:
                z &= fired < self.max_spikes
            v = np.where(z, v - self.reset[t], v)
            fired += z
            spikes[t] = z
        return Trace(membrane, spikes)

    def encode(self, x: ArrayLike) -> NDArray[np.uint8]:
        return self.trace(x).spikes

    def decode(self, spikes: ArrayLike) -> NDArray[np.float32]:
        spikes = check_spikes(spikes, self.steps, self.name)
        self._check_channels(spikes.shape[1:])
        y = np.full(spikes.shape[1:], self.offset, np.float32)
        for d, z in zip(self.weight, spikes, strict=True):
            y = np.where(z, y + d, y)
        return y

    @cached_property
    def channels(self) -> tuple[SpikeCode, ...]:
        """The code of each channel; this one alone if all have the same."""
        if self.threshold.ndim == 1:
            return (self,)
        tables = np.stack([self.threshold, self.reset, self.weight], -1)  # (K, C, 3)
        offsets = np.broadcast_to(self.offset, tables.shape[1])
        return tuple(
            replace(self, threshold=T, reset=h, weight=d, offset=float(y_0))
            for (T, h, d), y_0 in zip(tables.transpose(1, 2, 0), offsets, strict=True)
        )

    @cached_property
    def staircase(self) -> Staircase:
        """The neuron as a step function of v(1), compiled on first use.

        ``ValueError`` for a code with a column for each channel: each of its :attr:`channels` has
        one.
        """
        if self.threshold.ndim == 2:
            raise ValueError(
                f"code {self.name!r} has {len(self.channels)} channels, each a step function of "
                "its own; ask its channels"
            )
        tables = self.threshold, self.reset, self.weight
        return compile_staircase(*tables, self.max_spikes, np.float32(self.offset))

    def quantise(self, x: ArrayLike) -> NDArray[np.float32]:
        return self._look_up(x, np.float32, lambda staircase: staircase.values_at)

    def count(self, x: ArrayLike) -> NDArray[np.uint8]:
        return self._look_up(x, np.uint8, lambda staircase: staircase.counts_at)

    def _look_up(self, x, dtype, table) -> NDArray:
        v = self.first_potential(x)
        if self.threshold.ndim == 1:
            return table(self.staircase)(v)
        found = np.empty(v.shape, dtype)
        for c, channel in enumerate(self.channels):
            found[..., c] = table(channel.staircase)(v[..., c])
        return found

    def _check_channels(self, shape: tuple[int, ...]) -> None:
        if self.threshold.ndim == 2 and shape[-1:] != self.threshold.shape[1:]:
            raise ValueError(
                f"code {self.name!r} has {self.threshold.shape[1]} channels, the last axis, got "
                f"shape {shape}"
            )

    def scaled(self, factor: float) -> SpikeCode:
        """The same code for activations ``factor`` times as large.

        ``ValueError`` unless the factor is positive and finite and the activation homogeneous.
        """
        if not activations.get(self.activation).homogeneous:
            raise ValueError(f"code {self.name!r} writes {self.activation}, which has no scale")
        if not (np.isfinite(factor) and factor > 0):
            raise ValueError(f"the factor must be positive and finite, got {factor}")
        a = np.float32(factor)
        T, h, d = self.threshold * a, self.reset * a, self.weight * a
        return replace(self, threshold=T, reset=h, weight=d, offset=self.offset * np.float64(a))

    @property
    def _identity(self) -> tuple:
        tables = (table.tobytes() for table in (self.threshold, self.reset, self.weight))
        offset = np.asarray(self.offset, np.float32).tobytes()
        shape = self.threshold.shape
        return (*tables, shape, self.max_spikes, self.activation, self.soma, offset)

    def __eq__(self, other) -> bool:
        return self._identity == other._identity if isinstance(other, SpikeCode) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        limit = "" if self.max_spikes is None else f", max_spikes={self.max_spikes}"
        soma = f", soma={self.activation}" if self.soma else ""
        channels = "" if self.threshold.ndim == 1 else f", channels={self.threshold.shape[1]}"
        return f"SpikeCode({self.name!r}, steps={self.steps}{channels}{limit}{soma})"


def _table(field: str, values: ArrayLike) -> NDArray[np.float32]:
    table = np.array(values, dtype=np.float32)  # a copy, so that it can be frozen
    if table.ndim not in (1, 2) or table.size == 0:
        raise ValueError(
            f"{field} must be a list of K >= 1 numbers, or (K, channels), got shape {table.shape}"
        )
    if not np.isfinite(table).all():
        raise ValueError(f"{field} must be finite in float32, got {np.asarray(values)}")
    table.setflags(write=False)
    return table


def _offset(given: ArrayLike, channels: tuple[int, ...]) -> float | NDArray:
    offset = np.array(given, np.float32) + np.float32(0)  # no -0
    if not np.isfinite(offset).all():
        raise ValueError(f"the offset must be finite, got {given!r}")
    if offset.shape not in ((), channels):
        raise ValueError(
            f"the offset must be one number{', or one for each channel' * bool(channels)}, got "
            f"shape {offset.shape}"
        )
    if offset.ndim == 0:
        return float(offset)
    offset.setflags(write=False)
    return offset
