"""One way to write a file, whole or not at all, and one for tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["atomic", "check_table_path", "write_table"]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary name in the same folder, moved to ``path`` when the block is left without error.

    The name keeps the suffix, by which some writers choose their format. After an error nothing
    is left behind, and what was at ``path`` is unchanged.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_table_path(path: str | Path, *, overwrite: bool = False) -> Path:
    """``path``, or ``ValueError``, ``FileExistsError`` if no table may be written there."""
    path = Path(path)
    if path.suffix not in (".csv", ".json"):
        raise ValueError(f"{path} must end in .csv or .json, the forms that a table is written in")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass overwrite=True")
    return path


def write_table(table: pd.DataFrame, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a table to a .csv file, or to .json as a list of rows without their missing values."""
    path = check_table_path(path, overwrite=overwrite)
    with atomic(path) as partial:
        if path.suffix == ".csv":
            table.to_csv(partial, index=False)
        else:
            rows = [row.dropna().to_dict() for _, row in table.astype(object).iterrows()]
            partial.write_text(json.dumps(rows, indent=1, default=_plain) + "\n")
    return path


def _plain(value):
    return value.item()  # a number of NumPy
