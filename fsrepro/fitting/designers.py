"""Designers: from pre-activations to the codes that a layer may choose from.

Each is a function that returns a :class:`~fsrepro.fitting.Designer`. To add one, decorate a
function with it; :func:`~fsrepro.fitting.compare` and :func:`~fsrepro.conversion.convert` take it
at once. The exhaustive one, :func:`~fsrepro.fitting.mixed_radix_of`, is in ``search``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import activations
from ..codes import Code, PrefixCode, SpikeCode, above, soma, uniform_levels
from ._fit import fit
from ._kernels import measure_scaled
from ._measure import decibels, measure
from .distributions import Distribution, empirical, relu
from .front import FRONT_POINTS, Designer, Front, made, non_dominated
from .search import measured, mixed_radix_of, power_of, round_scale, rounded

__all__ = ["fitted_to", "given", "level_weights", "rescaled", "scaled", "with_soma", "words_of"]

_MOST_CODES, _FACTORS = 24, np.exp2(np.arange(-12, 13) / 6)  # of a front that is rescaled
_OFFSET_BITS = 12  # few, like those of scales: sums stay exact


def given(code: Code) -> Designer:
    """One code, whatever its error: there is nothing to choose."""

    @Designer
    def design(source, **criterion):
        f = activations.get(code.activation).function
        return Front(measured([(code, math.nan)], f, source), source.mean(lambda x: f(x) ** 2))

    return design


def scaled(*families: Callable[[float], Code]) -> Designer:
    """Codes for ReLU at many scales, of one family, scale -> code, or several.

    Without a criterion, scales are eight to the octave, from six octaves below the largest
    activation to eight above. With one, a geometric grid over twenty octaves around it is tried
    (with penalty 0, it ends one octave above it), then a finer one around its best. Scales far
    above the activations are tried because they leave the first steps silent for good: a shorter
    code. All have eight significant bits (:func:`round_scale`).
    """

    @Designer
    def design(source, **criterion):
        largest = float(source.points[-1])
        if not largest > 0:
            raise ValueError("no activation is positive; there is nothing to write in spikes")
        power = power_of(source)

        def at(family, scales):
            return measured([(family(float(a)), float(a)) for a in scales], relu, source)

        if not criterion:
            grid = rounded(largest * np.exp2(np.arange(-6, 8.01, 0.125)))
            return Front(pd.concat([at(family, grid) for family in families]), power)
        octaves = 1.01 if criterion.get("penalty") == 0 else 10.01  # no error is less if shorter
        grid = rounded(largest * np.exp2(np.arange(-10, octaves, 0.25)))
        found, reasons = [], []
        for family in families:
            try:
                scale = Front(at(family, grid), power).choose(**criterion).scale
            except ValueError as error:
                reasons.append(error)
                continue
            found.append(at(family, rounded(scale * np.exp2(np.linspace(-0.25, 0.25, 17)))))
        if not found:
            raise reasons[0]
        return Front(pd.concat(found), power)

    return design


def rescaled(front: Front) -> Designer:
    """The codes of a front at other scales: quick, for parts of what it was designed for.

    Of the :class:`SpikeCode` s that a price may choose, up to 24 evenly over the front, each at
    scales six to the octave from a quarter to four times its own. They write ReLU, whatever the
    soma of those of the front; what no price would choose is left out.
    """
    rows = _hull(front.mse, front.spikes)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_CODES).round().astype(int))]
    bases, scales = [], front.table["scale"].to_numpy()[rows]
    for row in rows:
        code = front[int(row)].code
        assert isinstance(code, SpikeCode)
        bases.append(replace(code, activation="relu", soma=False, offset=0.0))
    factors = np.array([_factors(code) for code in bases])

    @Designer
    def design(source, **criterion):
        x, w, y = source.points, source.weights, relu(source.points)
        mse, spikes = np.empty((2, *factors.shape))
        for i, code in enumerate(bases):
            stairs = code.staircase.breakpoint, code.staircase.value, code.staircase.count
            measure_scaled(x, y, w, *stairs, factors[i], mse[i], spikes[i])
        kept = non_dominated(mse.ravel(), spikes.ravel())
        kept = kept[_hull(mse.ravel()[kept], spikes.ravel()[kept])]
        chosen = [(i, factors[i, j]) for i, j in zip(*np.divmod(kept, len(_FACTORS)), strict=True)]
        table = pd.DataFrame(
            {
                "code": [partial(bases[i].scaled, factor) for i, factor in chosen],
                "scale": [scales[i] * factor for i, factor in chosen],
                "mse": mse.ravel()[kept],
                "spikes": spikes.ravel()[kept],
            }
        )
        return Front(table, power_of(source))

    return design


def _factors(code: SpikeCode) -> list[float]:
    """Those of :data:`_FACTORS`, such that the least weight has eight significant bits."""
    unit = float(np.abs(code.weight).min()) or 1.0
    return [round_scale(unit * factor) / unit for factor in _FACTORS]


def _hull(mse: NDArray, spikes: NDArray) -> NDArray[np.intp]:
    """The rows that a price may choose, of a front by rising spikes: its lower convex hull."""
    hull: list[int] = []
    for row in range(len(mse)):
        while len(hull) > 1:
            a, b = hull[-2:]
            slope = (mse[row] - mse[a]) * (spikes[b] - spikes[a])
            if (mse[b] - mse[a]) * (spikes[row] - spikes[a]) < slope:
                break
            hull.pop()
        hull.append(row)
    return np.array(hull)


def with_soma(designer: Designer, activation: str) -> Designer:
    """Codes of ``designer`` for neurons whose soma computes f = ``activation``.

    The values of silence :math:`y_0` that are tried are the least activation, quantiles up to the
    median and, where values of both signs occur, half the least and 0; of the negative part only 0.
    Each code writes :math:`f(x) - y_0`, and what is below is lost. ReLU and the identity need no
    soma for that, see :func:`~fsrepro.codes.above`.

    Parameters
    ----------
    designer : Designer
        Makes whole fronts for ReLU.
    activation : str

    Raises
    ------
    ValueError
        For an unknown activation.
    """
    activations.get(activation)  # refuses what is unknown
    return _WithSoma(designer, activation=activation)


@dataclass(frozen=True)
class _WithSoma(Designer):
    design: Designer
    activation: str = field(kw_only=True)

    def __call__(self, x, **criterion) -> Front:
        f = activations.get(self.activation)
        x = x if isinstance(x, Distribution) else empirical(x, points=np.size(x))
        y = Distribution.collect(f(x.points), x.weights)  # float32, as the soma has it

        parts = []
        # Where x is above zero, the negative half of a pair has to be silent for 0.
        for offset in [0.0] if self.activation == "negative_part" else _offsets(y):
            shifted = y.points - offset
            if not (shifted > 0).any():
                continue
            part = self.design(Distribution.collect(shifted, y.weights).thin(FRONT_POINTS)).table
            lost = float(y.weights @ np.minimum(shifted, 0) ** 2)
            codes = [partial(_from, code, offset, self.activation) for code in part["code"]]
            parts.append(part.assign(code=codes, mse=part["mse"] + lost))
        if not parts:
            raise ValueError(
                f"all {self.activation} activations are alike; there is nothing to write"
            )
        return Front(pd.concat(parts), y.mean(np.square))


def _from(code, offset: float, activation: str) -> SpikeCode:
    """``code``, or what it makes, for what exceeds an offset."""
    found = made(code)
    assert isinstance(found, SpikeCode)  # of a designer for somas
    if activation in ("relu", "linear"):
        return above(found, offset, activation)
    return soma(found, activation, offset)


def _offsets(y: Distribution) -> list[float]:
    """Values of silence to try, see :func:`with_soma`."""
    least, largest = y.points[[0, -1]]
    at = np.searchsorted(np.cumsum(y.weights), [0.05, 0.25, 0.5])
    found = [least, *y.points[np.minimum(at, len(y.points) - 1)]]
    if least < 0 < largest:
        found += [0.5 * least, 0.0]
    # In units of the range, if that is small; below 1 they would be coarse otherwise.
    unit = 2.0 ** (min(0, math.floor(math.log2(max(largest - least, 1e-30)))) - _OFFSET_BITS)
    return sorted({round(value / unit) * unit for value in map(float, found)})


def words_of(
    words: Callable[[NDArray], Sequence[str]], *, rarest: float = 2**-12, name: str
) -> Designer:
    """Words for the levels 0, q, 2q, ... up to the largest activation, by their probability.

    Designs for an SNR: q is the coarsest step, of eight significant bits, with which rounding
    reaches it.

    Parameters
    ----------
    words : callable
        From probabilities, (L,), to words.
    rarest : float
        Words are made as if no level were rarer, which bounds the longest word (a whole layer
        waits for it) at a small cost to the mean.
    name : str
    """

    @Designer
    def design(source, **criterion):
        step = _coarsest_step(source, _snr(criterion, name))
        count = int(relu(source.points[-1]) / step + 0.5) + 1
        levels = uniform_levels(count, step * count)
        plain = PrefixCode(
            [f"{i:0{max(1, (count - 1).bit_length())}b}" for i in range(count)], levels
        )
        p = np.maximum(level_weights(plain, source), rarest)
        code = PrefixCode(words(p / p.sum()), levels, name=name)
        return Front(measured([(code, step * count)], relu, source), power_of(source))

    return design


def fitted_to(steps: int, *, seconds: float, seed: int = 0) -> Designer:
    """Free thresholds, resets and weights: :func:`fit`, started from the best mixed radix.

    Designs for an SNR.

    Parameters
    ----------
    steps, seconds, seed
        As for :func:`fit`.
    """
    radix, name = mixed_radix_of(steps), f"fitted ReLU, K = {steps}"

    @Designer
    def design(source, **criterion):
        snr = _snr(criterion, name)
        start = radix.best(source, snr=snr)
        assert isinstance(start.code, SpikeCode)  # as every mixed radix
        # Where the mixed radix is best for this penalty, the fit stays close to its SNR.
        finer = radix.best(source, snr=snr + 1)
        penalty = (start.mse - finer.mse) / (finer.spikes - start.spikes)
        for share in (1.0, 0.7, 0.5, 0.35):
            code = fit(
                relu, steps, source, spike_penalty=share * penalty, seconds=seconds, seed=seed,
                start=start.code,
            )  # fmt: skip
            if measure(code, relu, source).snr >= snr:
                break
        near = np.geomspace(0.8, 1.25, 91)
        reach = [c for c in (start.code, code) if measure(c, relu, source).snr >= snr]
        codes = [(replace(c.scaled(a), name=name), float(a)) for c in reach for a in near]
        return Front(measured(codes, relu, source), power_of(source))

    return design


def level_weights(code: PrefixCode, distribution: Distribution) -> NDArray:
    """The probability of each level of ``code``, (L,)."""
    x = distribution.points.astype(np.float32)
    level = np.searchsorted(code.breakpoints, x, side="right")
    return np.bincount(level, distribution.weights, len(code.levels))


def _coarsest_step(source: Distribution, snr: float) -> float:
    """The largest of the steps tried, 1 % apart, with which rounding x reaches the SNR."""
    x, w = relu(source.points), source.weights
    power = float(w @ x**2)
    widest = 4 * np.sqrt(power / max(w[x > 0].sum(), 1e-12))
    for step in widest * 1.01 ** -np.arange(1000.0):
        step = round_scale(step)
        if decibels(power, float(w @ (x - step * np.floor(x / step + 0.5)) ** 2)) >= snr:
            return step
    raise ValueError(f"no step tried reaches {snr} dB")


def _snr(criterion: dict[str, float], name: str) -> float:
    if "snr" not in criterion:
        raise ValueError(f"{name!r} is designed for one SNR; pass snr")
    return criterion["snr"]
