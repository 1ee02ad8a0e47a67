"""A new run of some experiments held against published results, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["TOLERANCES", "compare", "compare_tables"]

TOLERANCES = {
    "accuracy": (0.1, 0.0), "ann_accuracy": (0.1, 0.0), "agreement": (0.2, 0.0),
    "spikes_per_neuron": (0.0, 0.005), "inner_spikes": (0.0, 0.005),
    "synops_per_image": (0.0, 0.005), "spikes": (0.0, 0.005),
    "snr": (0.05, 0.0), "worst_snr": (0.05, 0.0), "mse": (0.0, 0.02),
    "ratio_to_bound": (0.0, 0.005), "entropy": (0.0, 0.005),
    "macs_per_image": (0.0, 0.0), "neurons": (0.0, 0.0),
}  # fmt: skip
"""By column, how far two runs may differ (absolute, and as a share of the published value).

Accuracy and agreement are in percentage points, SNR in dB. The codes are exact, the sums before
them are not: another processor adds in another order, and a value next to a threshold may then fall
on its other side.
"""

_COLUMNS = ["table", "column", "rows", "alone", "difference", "tolerance", "within"]


def compare(
    found: str | Path, published: str | Path, experiment: str, keys: Mapping[str, Iterable[str]]
) -> pd.DataFrame:
    """The tables of ``experiment`` in two folders, see :func:`compare_tables`.

    ``FileNotFoundError`` for a table that one of the folders does not have.

    Parameters
    ----------
    found, published : str or Path
        The folders.
    experiment : str
    keys : mapping
        By suffix of a table ("" for ``NAME.csv``), the columns that tell its rows apart.
    """
    parts = []
    for suffix, columns in keys.items():
        name = f"{experiment}_{suffix}" if suffix else experiment
        paths = [Path(folder) / f"{name}.csv" for folder in (found, published)]
        for path in paths:
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing: nothing to compare {name} with")
        new, old = map(pd.read_csv, paths)
        parts.append(compare_tables(new, old, list(columns)).assign(table=name))
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def compare_tables(found: pd.DataFrame, published: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A row for each column of :data:`TOLERANCES` that both tables have.

    ``found`` may be a part of ``published``: rows are matched by the columns ``keys``. The result
    says

    - ``rows``, ``alone``: how many rows were compared, and how many found have no partner;
    - ``difference``: the largest, as a share of what is tolerated for that value (above 1: too
      much); infinite where one value is missing or the other should be zero;
    - ``tolerance``: in words; ``within``: whether all rows are.

    Raises ``ValueError`` if keys are missing or do not tell rows apart, or no row has a partner.
    """
    for name, table in (("found", found), ("published", published)):
        if missing := [key for key in keys if key not in table]:
            raise ValueError(f"the {name} table has no column {', '.join(missing)}")
        if (twice := table.duplicated(keys)).any():
            raise ValueError(
                f"the {name} table has more than one row with {keys} = "
                f"{table.loc[twice.idxmax(), keys].tolist()}"
            )
    both = _with_texts(found, keys).merge(
        _with_texts(published, keys), on=keys, suffixes=("_found", "_published")
    )
    if both.empty:
        raise ValueError(f"no row that was found is among those published (matched by {keys})")
    rows = []
    for column, (absolute, relative) in TOLERANCES.items():
        if column in keys or column not in found or column not in published:
            continue
        new, old = (both[f"{column}_{run}"].to_numpy(float) for run in ("found", "published"))
        excess = _excess(new, old, absolute + relative * np.abs(old))
        tolerance = f"{absolute:g}" if absolute or not relative else f"{relative:.1%}"
        largest, within = float(excess.max()), bool((excess <= 1).all())
        counts = len(both), len(found) - len(both)
        rows.append((column, *counts, largest, tolerance, within))
    return pd.DataFrame(rows, columns=_COLUMNS[1:])


def _with_texts(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Keys as texts: a column of whole numbers becomes one of floats where a value is missing."""
    texts = {key: [k if isinstance(k, str) else f"{k:g}" for k in table[key]] for key in keys}
    return table.assign(**texts)


def _excess(new: np.ndarray, old: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """How many times the allowed difference; a value that only one side has is infinitely off."""
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.where(new == old, 0.0, np.abs(new - old) / allowed)
    excess[np.isnan(new) & np.isnan(old)] = 0.0
    return np.where(np.isnan(excess), np.inf, excess)
