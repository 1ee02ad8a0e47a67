"""A sweep that survives a kill: every row of its tables is kept as soon as it is known."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pandas as pd
from tqdm import tqdm

__all__ = ["Sweep"]

_DRAWING = ("figures.py", "command_line.py")  # of the library, what no row depends on


class Sweep:
    """Tables that are computed row by row, and go on from where a killed run was.

    ``path``: the file that keeps the rows, one line of JSON each. ``identity``: what all rows
    depend on (checksums of data and weights, seeds, ...); the code of the library is added. Rows
    that were kept for another identity are dropped, so a resumed sweep gives the table of an
    uninterrupted one.

    Raises ``ValueError`` if ``path`` holds something else than a sweep; it is left unchanged.
    """

    def __init__(self, path: str | Path, **identity):
        self.path = Path(path)
        self._identity = json.dumps({**identity, "library": _library()}, sort_keys=True)
        self._rows, self.seconds_before = self._kept()

    seconds_before: float
    """What earlier runs took for the rows that were found."""

    def table(
        self, name: str, settings: Iterable[dict], compute: Callable[..., dict]
    ) -> pd.DataFrame:
        """A row ``{**setting, **compute(**setting)}`` for each of ``settings``, with progress.

        ``name``: of this table in the sweep. ``compute`` returns plain numbers and texts.
        """
        rows = []
        for setting in tqdm(list(settings), desc=name):
            key = json.dumps([name, setting], sort_keys=True, default=_plain)
            if key not in self._rows:
                start = time.perf_counter()
                row = compute(**setting)
                self._keep(key, row, time.perf_counter() - start)
            rows.append({**setting, **self._rows[key]})
        return pd.DataFrame(rows)

    def finish(self) -> None:
        """Forget the rows: the result files have them now."""
        self.path.unlink(missing_ok=True)

    def _kept(self) -> tuple[dict[str, dict], float]:
        if not self.path.exists():
            return {}, 0.0
        first, *lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            identity = json.loads(first)["sweep"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.path} is not the file of a sweep; choose another name"
            ) from None
        if identity != self._identity:
            return {}, 0.0
        # Behind the last line end is what a kill cut off.
        kept = [json.loads(line) for line in lines[:-1]]
        return {key: row for key, row, _ in kept}, sum(seconds for *_, seconds in kept)

    def _keep(self, key: str, row: dict, seconds: float) -> None:
        # Read back, so that a row is the same whether it was computed now or before.
        line = json.dumps([key, row, round(seconds, 3)], default=_plain)
        self._rows[key] = json.loads(line)[1]
        if len(self._rows) == 1:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"sweep": self._identity}) + "\n", encoding="utf-8")
        with self.path.open("rb+") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.seek(whole)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _plain(value):
    """NumPy's numbers as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a row of a sweep holds plain numbers and texts, got {type(value).__name__}")


@cache
def _library() -> str:
    """A checksum of the code and tables that rows depend on."""
    root = Path(__file__).parent
    files = [p for p in root.rglob("*") if p.suffix in (".py", ".json") and p.name not in _DRAWING]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()
