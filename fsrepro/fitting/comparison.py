"""All kinds of codes side by side: what each needs to reach one SNR, and how far from the bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fsrepro.codes import Code, PrefixCode, SpikeCode, entropy, uniform_levels

from .bound import rate_distortion, spikes_for_rate
from .distributions import Distribution, relu
from .fit import fit
from .measure import decibels, measure
from .search import best_mixed_radix, best_scale, round_scale

__all__ = ["Designer", "compare", "fitted_to", "mixed_radix_of", "scaled", "words_of"]

Designer = Callable[[Distribution, float], Code]
"""From a distribution of pre-activations and an SNR in dB to a code for ReLU that reaches it.

Raises ``ValueError`` if its kind of code cannot.
"""


def compare(
    designers: Mapping[str, Designer], distribution: Distribution, snr: float
) -> pd.DataFrame:
    """Design every code for ``snr`` (dB) on ``distribution``, and hold it against the bound.

    ``designers``: by name of the kind, see :func:`scaled`, :func:`mixed_radix_of`,
    :func:`words_of`. ``distribution`` of the pre-activation x; what is coded is max(x, 0).

    One row per kind, in the order given. Columns: ``kind``, ``code`` (its name), ``linear``,
    ``steps`` (K; of words, the longest), ``snr`` (reached, dB), ``spikes`` (mean per neuron),
    ``entropy`` (bits) and ``mean_latency`` (steps) of words, ``decoder_states``, ``bound``: the
    fewest spikes of any code of K steps with this SNR, and ``ratio_to_bound``. A kind that cannot
    reach the SNR has a row with ``spikes`` NaN and the reason as its ``code``.
    """
    value = distribution.map(relu)
    power = value.mean(np.square)
    return pd.DataFrame(
        [
            {"kind": kind, **_row(designer, distribution, value, power, snr)}
            for kind, designer in designers.items()
        ]
    )


def _row(designer, distribution, value, power, snr) -> dict:
    try:
        code = designer(distribution, snr)
    except ValueError as error:
        return {"code": str(error), "spikes": np.nan}
    found = measure(code, relu, distribution)
    rate = rate_distortion(value, power / 10 ** (found.snr / 10))
    lowest = spikes_for_rate(rate, code.steps)
    row = {
        "code": code.name,
        "linear": code.linear,
        "steps": code.steps,
        "snr": found.snr,
        "spikes": found.spikes,
        "entropy": np.nan,
        "mean_latency": float(code.steps),
        "decoder_states": 0,
        "bound": lowest,
        "ratio_to_bound": found.spikes / lowest,
    }
    if isinstance(code, PrefixCode):
        p = _level_weights(code, distribution)
        row |= {
            "entropy": entropy(p),
            "mean_latency": code.mean_latency(p),
            "decoder_states": code.decoder_states,
        }
    return row


def scaled(*families: Callable[[float], Code]) -> Designer:
    """Of one or more families, scale -> code, the code and scale of fewest spikes."""

    def designer(distribution, snr):
        designs, reasons = [], []
        for family in families:
            try:
                designs.append(best_scale(family, relu, distribution, snr=snr))
            except ValueError as error:
                reasons.append(error)
        if not designs:
            raise reasons[0]
        return min(designs, key=lambda design: design.measure.spikes).code

    return designer


def mixed_radix_of(steps: int) -> Designer:
    """The best mixed radix of K = ``steps``."""
    return lambda distribution, snr: best_mixed_radix(distribution, steps, snr=snr).code


def words_of(
    words: Callable[[NDArray], Sequence[str]], *, rarest: float = 2**-12, name: str
) -> Designer:
    r"""Words for the levels 0, q, 2q, ... up to the largest activation, by their probability.

    q is the coarsest step, of eight significant bits, with which rounding reaches the SNR.
    ``words``: from probabilities, (L,), to words. They are made as if no level were rarer than
    ``rarest``, which bounds the longest word (a whole layer waits for it) at a small cost to the
    mean.
    """

    def designer(distribution, snr):
        x, w = relu(distribution.points), distribution.weights
        step = _coarsest_step(x, w, snr)
        count = int(x[-1] / step + 0.5) + 1
        levels = uniform_levels(count, step * count)
        plain = PrefixCode(
            [f"{i:0{max(1, (count - 1).bit_length())}b}" for i in range(count)], levels
        )
        p = np.maximum(_level_weights(plain, distribution), rarest)
        return PrefixCode(words(p / p.sum()), levels, name=name)

    return designer


def fitted_to(steps: int, *, seconds: float, seed: int = 0) -> Designer:
    """Free thresholds, resets and weights: :func:`fit`, started from the best mixed radix."""

    def designer(distribution, snr):
        start = best_mixed_radix(distribution, steps, snr=snr)
        # Where the mixed radix is best for this penalty, the fit stays close to its SNR.
        finer = best_mixed_radix(distribution, steps, snr=snr + 1).measure
        penalty = (start.measure.mse - finer.mse) / (finer.spikes - start.measure.spikes)
        for share in (1.0, 0.7, 0.5, 0.35):
            code = fit(
                relu, steps, distribution, spike_penalty=share * penalty, seconds=seconds,
                seed=seed, start=start.code, progress=False,
            )  # fmt: skip
            if measure(code, relu, distribution).snr >= snr:
                break
        near = np.geomspace(0.8, 1.25, 91)
        designs = [
            best_scale(c.scaled, relu, distribution, near, snr=snr)
            for c in (start.code, code)
            if measure(c, relu, distribution).snr >= snr
        ]
        best = min(designs, key=lambda design: design.measure.spikes).code
        return SpikeCode(best.threshold, best.reset, best.weight, name=f"fitted ReLU, K = {steps}")

    return designer


def _level_weights(code: PrefixCode, distribution: Distribution) -> NDArray[np.float64]:
    """The probability of each level of ``code``, (L,)."""
    x = distribution.points.astype(np.float32)
    level = np.searchsorted(code.breakpoints, x, side="right")
    return np.bincount(level, distribution.weights, len(code.levels))


def _coarsest_step(x, w, snr) -> float:
    """The largest of the steps tried, 1 % apart, with which rounding x reaches the SNR."""
    power = float(w @ x**2)
    widest = 4 * np.sqrt(power / max(w[x > 0].sum(), 1e-12))
    for step in widest * 1.01 ** -np.arange(1000.0):
        step = round_scale(step)
        if decibels(power, float(w @ (x - step * np.floor(x / step + 0.5)) ** 2)) >= snr:
            return step
    raise ValueError(f"no step tried reaches {snr} dB")
