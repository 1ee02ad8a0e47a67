r"""What one layer may choose from, and the one rule by which it chooses.

A *designer* turns pre-activations into a *front*: candidate codes, of which none is beaten by
another in both error and spikes. A front is asked for one code by one of three criteria,

.. math::
    \min s \;\;\text{with}\;\; 10 \log_{10} \frac{\mathrm{E}\, y^2}{D} \ge \mathrm{SNR},
    \qquad \min D + \lambda\, s, \qquad \min \frac{D}{\mathrm{E}\, y^2} + \mu\, s

with D the mean squared error, s the mean spikes per neuron and y the value to be written. How many
values there are and what they are worth to a network is not known here: see
:mod:`fsrepro.conversion.allocation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..codes import Code
from ._measure import decibels
from .distributions import Distribution, empirical

__all__ = ["Candidate", "Designer", "Front", "made", "non_dominated"]

FRONT_POINTS = 4096
"""As many values stand for the samples of a layer where a whole front is made of them."""

_SLACK = 1e-9  # dB, for what sums may err by


class Candidate(NamedTuple):
    """A code, the scale it was made with, and how good it is.

    Parameters
    ----------
    code : Code
    scale : float
    mse : float
        Mean squared error, in squared units of the activation.
    spikes : float
        Mean per neuron.
    """

    code: Code
    scale: float
    mse: float
    spikes: float


@dataclass(frozen=True, eq=False, repr=False)
class Front:
    """Candidates that no other beats in both error and spikes.

    Parameters
    ----------
    table : pandas.DataFrame
        A row per candidate, with columns ``code``, ``scale``, ``mse`` and ``spikes`` as in
        :class:`Candidate`; given in any order with dominated rows, kept by rising spikes without
        them. For a code there may be a function without arguments that makes it: of thousands
        only the one that is chosen is needed.
    power : float
        The mean square of what is to be written, to which SNR and penalty refer.

    Raises
    ------
    ValueError
        For no candidates.
    """

    table: pd.DataFrame
    power: float

    def __post_init__(self):
        if self.table.empty:
            raise ValueError("a front needs at least one candidate, got none")
        kept = non_dominated(self.table["mse"].to_numpy(), self.table["spikes"].to_numpy())
        object.__setattr__(self, "table", self.table.iloc[kept].reset_index(drop=True))

    @cached_property
    def mse(self) -> NDArray:
        """Of every candidate, by rising spikes."""
        return self.table["mse"].to_numpy()

    @cached_property
    def spikes(self) -> NDArray:
        """Of every candidate, mean per neuron."""
        return self.table["spikes"].to_numpy()

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Candidate]:
        return map(self.__getitem__, range(len(self)))

    def choose(
        self, *, snr: float | None = None, penalty: float | None = None, price: float | None = None
    ) -> Candidate:
        """The candidate that serves one criterion best.

        Parameters
        ----------
        snr : float, optional
            The fewest spikes that reach this signal-to-noise ratio, in dB.
        penalty : float, optional
            As ``price``, with the error relative to the power.
        price : float, optional
            The least mean squared error plus this for each spike per neuron.

        Raises
        ------
        ValueError
            Unless exactly one of them is given and finite (a price may be infinite: the fewest
            spikes), for one below 0 that is no SNR, and for an SNR out of reach.
        """
        return self[self.position(snr=snr, penalty=penalty, price=price)]

    def position(self, **criterion: float | None) -> int:
        """The row of the table that :meth:`choose` takes."""
        ((kind, value),) = check_criterion(**criterion).items()
        if kind == "snr":
            enough = np.flatnonzero(self.mse <= self.power / 10 ** ((value - _SLACK) / 10))
            if not len(enough):
                best = decibels(self.power, float(self.mse.min()))
                raise ValueError(f"no code tried reaches {value:g} dB; the best has {best:.1f} dB")
            return int(enough[0])
        if np.isinf(value):
            return 0
        price = value * self.power if kind == "penalty" else value
        return int(np.argmin(self.mse + price * self.spikes))

    def __getitem__(self, row: int) -> Candidate:
        code = made(self.table["code"].iloc[row])
        scale, mse, spikes = (float(self.table[c].iloc[row]) for c in ("scale", "mse", "spikes"))
        return Candidate(code, scale, mse, spikes)

    def __repr__(self) -> str:
        s, best = self.spikes, decibels(self.power, float(self.mse.min()))
        return f"Front({len(self)} codes, {s[0]:.3g} to {s[-1]:.3g} spikes, up to {best:.1f} dB)"


def made(code: Code | Callable[[], Code]) -> Code:
    """A code of a front's table."""
    return code() if callable(code) else code


def non_dominated(mse: NDArray, spikes: NDArray) -> NDArray[np.intp]:
    """The places of candidates that none beats in both, by rising spikes; of equals, the first."""
    order = np.lexsort((mse, spikes))
    lowest = np.minimum.accumulate(mse[order])
    return order[np.append(True, lowest[1:] < lowest[:-1])]


def check_criterion(
    *, snr: float | None = None, penalty: float | None = None, price: float | None = None
) -> dict[str, float]:
    """The one criterion that is given, by name, or ``ValueError`` as in :meth:`Front.choose`."""
    every = {"snr": snr, "penalty": penalty, "price": price}
    chosen = {kind: value for kind, value in every.items() if value is not None}
    if len(chosen) != 1:
        got = " and ".join(f"{kind}={value}" for kind, value in chosen.items()) or "none"
        raise ValueError(f"give exactly one of snr, penalty and price, got {got}")
    ((kind, value),) = chosen.items()
    if kind == "snr" and not np.isfinite(value):
        raise ValueError(f"snr must be finite, in dB, got {value}")
    if kind == "penalty" and not (np.isfinite(value) and value >= 0):
        raise ValueError(f"penalty must be finite and at least 0, got {value}")
    if kind == "price" and not value >= 0:
        raise ValueError(f"price must be at least 0, got {value}")
    return chosen


@dataclass(frozen=True)
class Designer:
    """From pre-activations to a :class:`Front`; decorates the function that makes it.

    Parameters
    ----------
    design : callable
        Gets a :class:`Distribution` of pre-activations, and the criterion that the front will be
        asked by, if it is known: ``snr``, ``penalty`` or ``price``. It may then look closely where
        that criterion chooses, and leave the rest out.

    Examples
    --------
    >>> @Designer
    ... def eight_bits(source, **criterion):
    ...     best = scaled(lambda a: binary(8, a), lambda a: binary(8, a, rounding=True))
    ...     return best(source, **criterion)
    """

    design: Callable[..., Front]

    def __call__(
        self,
        x: Distribution | ArrayLike,
        *,
        snr: float | None = None,
        penalty: float | None = None,
        price: float | None = None,
    ) -> Front:
        """The front for pre-activations ``x``; without a criterion, a whole front.

        Parameters
        ----------
        x : Distribution or (N,) array_like
            For a whole front, many samples or points are thinned to :data:`FRONT_POINTS`.
        snr, penalty, price : float, optional
            As for :meth:`Front.choose`.

        Raises
        ------
        ValueError
            For more than one criterion, for samples that are none or not finite, and where the
            designer has no code for them.
        """
        criterion = {}
        if not snr is penalty is price is None:
            criterion = check_criterion(snr=snr, penalty=penalty, price=price)
        if not isinstance(x, Distribution):
            x = empirical(x, points=np.size(x))
            if not criterion:
                x = x.thin(FRONT_POINTS)
        elif not criterion and len(x.points) > 2 * FRONT_POINTS:
            x = x.thin(FRONT_POINTS)
        return self.design(x, **criterion)

    def best(self, x: Distribution | ArrayLike, **criterion: float | None) -> Candidate:
        """The one code for pre-activations ``x``: design a front, and choose from it."""
        return self(x, **criterion).choose(**criterion)
