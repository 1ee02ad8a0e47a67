r"""One code for channels of different scales: is every channel written well, not only the largest?

The MSE of a layer is that of its largest channels. A channel sixteen times smaller may be lost and
hardly be missed in the sum, though weights behind it may be sixteen times larger. Here every
channel counts by its own noise-to-signal ratio,

.. math:: \mathrm{SNR} = -10 \log_{10} \frac1C \sum_c
          \frac{\mathrm{E}[(x_c - y_c)^2]}{\mathrm{E}[x_c^2]} ,

which is what the next layer hears when its weights undo the scales.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..codes import SpikeCode, mixed_radix
from ._measure import decibels
from .distributions import Distribution, relu
from .front import Front, non_dominated
from .search import check_search_steps, round_scale

__all__ = ["Spread", "mixed_radices", "spread_front"]

Family = Callable[[float], SpikeCode]
"""From a scale to a code, e.g. ``lambda a: binary(8, a)``."""

_POINTS = 512
_OCTAVES = (-4.0, 8.0)  # of the largest activation over the scale, among those tried


@dataclass(frozen=True, eq=False)
class Spread:
    """Channels whose activations are :math:`s_c` times those of ``distribution``.

    The same channels stand for one layer whose scale is known up to a factor S.

    Parameters
    ----------
    distribution : Distribution
        Of the pre-activation x (thinned to 512 points).
    factor : float
        S: the scales :math:`s_c` are spaced evenly in the logarithm from 1/S to S; S = 1 is one
        channel.
    channels : int
        The number of scales.

    Raises
    ------
    ValueError
        For a factor below 1 or not finite, fewer than two channels where S > 1, and a
        distribution without positive values.
    """

    distribution: Distribution
    factor: float
    channels: int = 7

    def __post_init__(self):
        if not (np.isfinite(self.factor) and self.factor >= 1):
            raise ValueError(f"factor must be finite and at least 1, got {self.factor}")
        if self.factor > 1 and self.channels < 2:
            raise ValueError(f"a spread needs at least two channels, got {self.channels}")
        if not self.distribution.points[-1] > 0:
            raise ValueError(f"{self.distribution.name} has no positive values to write in spikes")
        object.__setattr__(self, "distribution", self.distribution.thin(_POINTS))

    @property
    def scales(self) -> NDArray[np.float64]:
        """Of the channels, (C,), ascending."""
        if self.factor == 1:
            return np.ones(1)
        return np.geomspace(1 / self.factor, self.factor, self.channels)

    def measure(self, code: SpikeCode) -> pd.DataFrame:
        """One row per channel: ``scale``, ``noise`` (over signal), ``snr`` (dB), ``spikes``."""
        noise, spikes = _noise_and_spikes(code, self.distribution, self.scales)
        snr = [decibels(1.0, n) for n in noise]
        return pd.DataFrame({"scale": self.scales, "noise": noise, "snr": snr, "spikes": spikes})


def spread_front(families: Sequence[Family], spread: Spread) -> Front:
    """Codes for the channels of ``spread``; errors are relative, so that silence has 1 (0 dB).

    ``families`` are functions of a scale. The scales tried are at least four to the octave, from
    four octaves above the largest activation to eight below, rounded to eight bits. Codes no better
    than silence are left out; ``ValueError`` if none is left.
    """
    tried = [_tried(family, spread) for family in families]
    spikes, noise, scale = np.concatenate(tried, 1)
    family = np.repeat(np.arange(len(tried)), [part.shape[1] for part in tried])
    rows = []
    for i in non_dominated(noise, spikes):
        a = round_scale(scale[i])
        code = families[family[i]](a)
        found = spread.measure(code)
        rows.append((code, a, found["noise"].mean(), found["spikes"].mean(), found["snr"].min()))
    table = pd.DataFrame(rows, columns=["code", "scale", "mse", "spikes", "worst_snr"])
    return Front(table[table["mse"] < 1], power=1.0)


def mixed_radices(steps: int) -> list[Family]:
    """Mixed radices of K = ``steps`` worth trying: digits that grow towards the last.

    The exhaustive search of :func:`~fsrepro.fitting.mixed_radix_of` finds codes of this form or
    close to it, and there are far fewer of them. ``ValueError`` for steps outside 1..18.
    """
    return [partial(mixed_radix, digits) for digits in _partitions(check_search_steps(steps))]


def _partitions(total: int, least: int = 1) -> Iterator[tuple[int, ...]]:
    yield (total,)
    for first in range(least, total // 2 + 1):
        for rest in _partitions(total - first, first):
            yield (first, *rest)


def _tried(family: Family, spread: Spread) -> NDArray[np.float64]:
    """Spikes, noise and scale, (3, scales).

    A code of twice the scale does to a channel what the code itself does to one half as large. So
    one code is run on a fine grid of channels, and a spread is a window on that grid.
    """
    octaves = 2 * np.log2(spread.factor)
    windows = len(spread.scales)
    between = max(1, int(np.ceil(4 * octaves / max(windows - 1, 1))))  # scales between channels
    step = octaves / (windows - 1) / between if windows > 1 else 0.25
    low, high = np.array(_OCTAVES) - np.log2(spread.distribution.points[-1] * spread.factor)
    grid = np.arange(low - octaves / 2, high + octaves / 2 + step / 2, step)
    noise, spikes = _noise_and_spikes(family(1.0), spread.distribution, np.exp2(grid))
    window = np.arange(windows) * between
    first = np.arange(len(grid) - window[-1])
    index = first[:, None] + window
    scale = np.exp2(-(grid[first] + octaves / 2))
    return np.stack([spikes[index].mean(1), noise[index].mean(1), scale])


def _noise_and_spikes(code, distribution, scales) -> tuple[NDArray, NDArray]:
    """Noise-to-signal ratio and mean spikes of each channel, (C,) each."""
    x, w = np.outer(scales, distribution.points), distribution.weights
    z = code.encode(x)
    target = relu(x)
    error = target - code.decode(z)
    return error**2 @ w / (target**2 @ w), z.sum(0) @ w
