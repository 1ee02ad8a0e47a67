"""The Pareto front of SNR, spikes and steps over families of codes, and its distance to the bound.

The front is for ReLU, whose codes fit any range by scaling; the ratio is for any activation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..codes import Code, SpikeCode, binary
from ._bound import bound, rates_within, spikes_for_rate
from ._measure import decibels, measure
from .distributions import Distribution, relu
from .front import Front, non_dominated
from .lloyd import any_decoder
from .search import check_search_steps, measured, mixed_radix_of

__all__ = ["frontier", "ratio_to_bound"]

_BINARY: Mapping[str, Callable[[int, float], SpikeCode]] = {
    "binary floor": binary,
    "binary round": lambda steps, scale: binary(steps, scale, rounding=True),
}


def frontier(
    distribution: Distribution,
    steps: Sequence[int],
    snr: Sequence[float] = (20.0, 25.0, 30.0, 35.0, 40.0),
) -> pd.DataFrame:
    """The fewest spikes of each family at each SNR within each number of steps.

    Families: binary codes at all K and at scales 3 % apart, mixed-radix codes searched
    exhaustively (K up to 18), and :func:`any_decoder`, interpolated between its spike penalties.

    Parameters
    ----------
    distribution : Distribution
        Of the pre-activation x; what is coded is max(x, 0).
    steps : sequence of int
        Budgets K; a family may use fewer.
    snr : sequence of float
        Targets, dB.

    Returns
    -------
    pandas.DataFrame
        One row per family, K and SNR that can be reached. Columns: ``family``; ``code`` (its name);
        ``steps`` (the budget); ``snr_target`` and ``snr_db`` (reached); ``mse``; ``spikes`` (mean
        per neuron); ``bound`` (fewest spikes of any code of that K at ``snr_target``);
        ``ratio_to_bound`` (spikes over the bound at ``snr_db``); ``on_front``: no code with a
        linear decoder has as few spikes and steps at this target, and fewer of one. Sorted by
        ``steps``, ``snr_target``, ``spikes``.

    Raises
    ------
    ValueError
        For no steps or targets, steps outside 1..18, or targets not finite.
    """
    for K in steps:
        check_search_steps(K)
    if not np.isfinite(snr).all():
        raise ValueError(f"snr must be finite, in dB, got {list(snr)}")
    if not len(steps) or not len(snr):
        raise ValueError(
            f"steps and snr must name at least one value each, got {list(steps)} and {list(snr)}"
        )
    source = distribution.map(relu)
    power = source.mean(np.square)
    rates = rates_within(source, min(snr), max(snr) + 2.5)
    tried = _tried(distribution, max(steps), power)
    rows = []
    for K in sorted(set(steps)):
        fronts = {f: Front(pd.concat(by_steps[:K]), power) for f, by_steps in tried.items()}
        free = _free(source, K)
        for target in sorted(set(snr)):
            if rates(target) > K:
                continue
            lowest = spikes_for_rate(rates(target), K)

            def row(family, code, reached, mse, spikes, K=K, target=target, lowest=lowest):
                at = lowest if reached == target else spikes_for_rate(rates(reached), K)
                return {
                    "family": family, "code": code, "steps": K, "snr_target": target,
                    "snr_db": reached, "mse": mse, "spikes": spikes, "bound": lowest,
                    "ratio_to_bound": spikes / at,
                }  # fmt: skip

            for family, front in fronts.items():
                try:
                    code, _, mse, spikes = front.choose(snr=target)
                except ValueError:  # out of reach
                    continue
                rows.append(row(family, code.name, decibels(power, mse), mse, spikes))
            if target <= free[0][-1]:
                spikes, mse = float(np.interp(target, *free)), power / 10 ** (target / 10)
                rows.append(row("any decoder", "Lloyd levels, fewest spikes", target, mse, spikes))
    columns = ["family", "code", "steps", "snr_target", "snr_db", "mse", "spikes", "bound"]
    table = pd.DataFrame(rows, columns=[*columns, "ratio_to_bound"])
    table["on_front"] = False
    for _, rivals in table[table["family"] != "any decoder"].groupby("snr_target"):
        best = non_dominated(rivals["steps"].to_numpy(), rivals["spikes"].to_numpy())
        table.loc[rivals.index[best], "on_front"] = True
    return table.sort_values(["steps", "snr_target", "spikes"], ignore_index=True)


def ratio_to_bound(
    code: Code, f: Callable[[NDArray], NDArray], distribution: Distribution
) -> float:
    """Mean spikes of ``code`` over the fewest that its K steps need for the SNR it has.

    ``code``, ``f`` and ``distribution`` are as for :func:`measure`. ``ValueError`` for a code
    without error, or one no better than no code at all.
    """
    found = measure(code, f, distribution)
    if not np.isfinite(found.snr) or found.snr <= 0:
        raise ValueError(
            f"code {code.name!r} has an SNR of {found.snr:.1f} dB on {distribution.name}; "
            "a ratio needs one that is finite and above 0"
        )
    lowest = bound(distribution.map(f), code.steps, found.snr)
    if lowest == 0:
        raise ValueError(f"an SNR of {found.snr:.1f} dB needs no spikes on {distribution.name}")
    return found.spikes / lowest


def _tried(distribution, most, power) -> dict[str, list[pd.DataFrame]]:
    """By family, the codes of 1, 2, ... ``most`` steps, at every scale."""
    scales = np.geomspace(np.sqrt(power) * 0.8, 2 * relu(distribution.points[-1]), 120)
    steps = range(1, most + 1)
    binaries = {
        family: [
            measured([(make(k, float(a)), float(a)) for a in scales], relu, distribution)
            for k in steps
        ]
        for family, make in _BINARY.items()
    }
    return binaries | {"mixed radix": [mixed_radix_of(k)(distribution).table for k in steps]}


def _free(source, steps) -> tuple[NDArray, NDArray]:
    """SNR, ascending, and spikes of free decoders over a range of spike penalties."""
    penalties = source.mean(np.square) * np.geomspace(1, 1e-5, 18)
    found = [any_decoder(source, steps, penalty) for penalty in penalties]
    table = sorted((d.snr, d.spikes) for d in found)
    snr, spikes = np.array(table).T
    return snr, np.minimum.accumulate(spikes[::-1])[::-1]
