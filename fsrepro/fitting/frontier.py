"""The Pareto front of SNR, spikes and steps over families of codes, and its distance to the bound.

Everything here is for ReLU, whose codes fit any range by scaling. For another activation see
:func:`ratio_to_bound`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from fsrepro.codes import SpikeCode, binary

from .bound import bound, rate_distortion, spikes_for_rate
from .distributions import Distribution, relu
from .lloyd import any_decoder
from .measure import measure
from .search import check_steps, mixed_radix_front

__all__ = ["BINARY", "frontier", "ratio_to_bound"]

BINARY: Mapping[str, Callable[[int, float], SpikeCode]] = {
    "binary floor": binary,
    "binary round": lambda steps, scale: binary(steps, scale, rounding=True),
}
"""Families of codes, ``(steps, scale) -> code``."""


def frontier(
    distribution: Distribution,
    steps: Sequence[int],
    snr: Sequence[float] = (20.0, 25.0, 30.0, 35.0, 40.0),
    *,
    families: Mapping[str, Callable[[int, float], SpikeCode]] = BINARY,
    yardstick: bool = True,
) -> pd.DataFrame:
    """The fewest spikes of each family at each SNR within each number of steps.

    ``distribution`` of the pre-activation x; what is coded is max(x, 0). ``steps``: budgets K; a
    family may use fewer. ``snr``: targets, dB. ``families``: tried at all K and at scales 3 %
    apart, beside the mixed-radix codes, which are searched exhaustively (K up to 18).
    ``yardstick``: add :func:`any_decoder`, interpolated between its spike penalties.

    One row per family, K and SNR that can be reached. Columns: ``family``; ``code`` (its name);
    ``steps`` (the budget); ``snr_target`` and ``snr_db`` (reached); ``mse``; ``spikes`` (mean per
    neuron); ``bound`` (fewest spikes of any code of that K at ``snr_target``);
    ``ratio_to_bound`` (spikes over the bound at ``snr_db``); ``on_front``: no code with a linear
    decoder has as few spikes and steps at this target, and fewer of one. Sorted by ``steps``,
    ``snr_target``, ``spikes``.

    Raises ``ValueError`` for no steps or targets, steps outside 1..18, or targets not finite.
    """
    for K in steps:
        check_steps(K)
    if not np.isfinite(snr).all():
        raise ValueError(f"snr must be finite, in dB, got {list(snr)}")
    if not len(steps) or not len(snr):
        raise ValueError(
            f"steps and snr must name at least one value each, got {list(steps)} and {list(snr)}"
        )
    source = distribution.map(relu)
    power = source.mean(np.square)
    rates = _rates(source, power, snr)
    candidates = _candidates(distribution, max(steps), families, power)
    rows = []
    for K in sorted(set(steps)):
        allowed = candidates[candidates["steps"] <= K]
        free = _free(source, K) if yardstick else None
        for target in sorted(set(snr)):
            if rates(target) > K:
                continue
            lowest = spikes_for_rate(rates(target), K)
            good = allowed[allowed["snr_db"] >= target - 1e-9]
            for _, row in good.loc[good.groupby("family")["spikes"].idxmin()].iterrows():
                ratio = row["spikes"] / spikes_for_rate(rates(row["snr_db"]), K)
                rows.append(
                    row.to_dict()
                    | {"steps": K, "snr_target": target, "bound": lowest, "ratio_to_bound": ratio}
                )
            if free is not None and target <= free[0][-1]:
                spikes = float(np.interp(target, *free))
                rows.append(
                    {
                        "family": "any decoder",
                        "code": "Lloyd levels, fewest spikes",
                        "steps": K,
                        "snr_target": target,
                        "snr_db": target,
                        "mse": power / 10 ** (target / 10),
                        "spikes": spikes,
                        "bound": lowest,
                        "ratio_to_bound": spikes / lowest,
                    }
                )
    columns = ["family", "code", "steps", "snr_target", "snr_db", "mse", "spikes", "bound"]
    table = pd.DataFrame(rows, columns=[*columns, "ratio_to_bound"])
    table["on_front"] = _on_front(table)
    return table.sort_values(["steps", "snr_target", "spikes"], ignore_index=True)


def ratio_to_bound(code, f: Callable[[NDArray], NDArray], distribution: Distribution) -> float:
    """Mean spikes of ``code`` over the fewest that its K steps need for the SNR it has.

    ``code``: as in :func:`measure`, with ``steps``. ``f`` and ``distribution`` of its input x.
    Raises ``ValueError`` for a code without error, or one no better than no code at all.
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


def _candidates(distribution, most, families, power) -> pd.DataFrame:
    """Every family at every K up to ``most`` and every scale: family, code, steps, snr_db, ..."""
    x = relu(distribution.points)
    parts = []
    scales = np.geomspace(np.sqrt(power) * 0.8, 2 * x[-1], 120)
    for family, make in families.items():
        for k in range(1, most + 1):
            codes = [make(k, float(scale)) for scale in scales]
            found = [measure(code, relu, distribution) for code in codes]
            parts.append(
                pd.DataFrame(
                    {
                        "family": family,
                        "code": [code.name for code in codes],
                        "steps": k,
                        "snr_db": [m.snr for m in found],
                        "mse": [m.mse for m in found],
                        "spikes": [m.spikes for m in found],
                    }
                )
            )
    for k in range(1, most + 1):
        front = mixed_radix_front(distribution, k).rename(columns={"snr": "snr_db"})
        front["code"] = [f"mixed radix {digits}" for digits in front["digits"]]
        front = front.assign(family="mixed radix", steps=k)
        parts.append(front[["family", "code", "steps", "snr_db", "mse", "spikes"]])
    return pd.concat(parts, ignore_index=True)


def _rates(source, power, snr) -> Callable[[float], float]:
    """R(D) in bits as a smooth function of the SNR; nodes 2.5 dB apart at most."""
    low, high = min(snr), max(snr) + 2.5
    nodes = np.linspace(low, high, int(np.ceil((high - low) / 2.5)) + 1)
    return PchipInterpolator(
        nodes, [rate_distortion(source, power / 10 ** (node / 10)) for node in nodes]
    )


def _free(source, steps) -> tuple[NDArray, NDArray]:
    """SNR, ascending, and spikes of free decoders over a range of spike penalties."""
    penalties = source.mean(np.square) * np.geomspace(1, 1e-5, 18)
    found = [any_decoder(source, steps, penalty) for penalty in penalties]
    table = sorted((d.snr, d.spikes) for d in found)
    snr, spikes = np.array(table).T
    return snr, np.minimum.accumulate(spikes[::-1])[::-1]


def _on_front(table: pd.DataFrame) -> list[bool]:
    linear = table[table["family"] != "any decoder"]
    on = []
    for _, row in table.iterrows():
        rival = linear[linear["snr_target"] == row["snr_target"]]
        fewer = (rival["steps"] < row["steps"]) | (rival["spikes"] < row["spikes"])
        as_few = (rival["steps"] <= row["steps"]) & (rival["spikes"] <= row["spikes"])
        on.append(row["family"] != "any decoder" and not (fewer & as_few).any())
    return on
