"""A sweep that survives a kill: every row of its tables is kept as soon as it is known."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

if TYPE_CHECKING:
    import distributed

__all__ = ["Sweep"]

_DRAWING = ("figures.py", "command_line.py")  # of the library, what no row depends on


class Sweep:
    """Tables that are computed row by row, and go on from where a killed run was.

    Parameters
    ----------
    path : str or Path or None
        The file that keeps the rows, one line of JSON each; None to keep nothing. One that holds
        something else is left unchanged, and raises ``ValueError``.
    **identity
        What all rows depend on (checksums of data and weights, seeds, ...); the code of the library
        is added. Rows that were kept for another identity are dropped, so a resumed sweep gives the
        table of an uninterrupted one.
    """

    def __init__(self, path: str | Path | None, **identity):
        self.path = None if path is None else Path(path)
        self._identity = json.dumps({**identity, "library": _library()}, sort_keys=True)
        self._rows, self.seconds_before = self._kept()

    seconds_before: float
    """What earlier runs took for the rows that were found."""

    def table(
        self,
        name: str,
        settings: Iterable[dict],
        compute: Callable[..., dict],
        *,
        shared: Mapping | None = None,
        client: distributed.Client | None = None,
    ) -> pd.DataFrame:
        """A row ``{**setting, **compute(**setting, **shared)}`` for each of ``settings``.

        Parameters
        ----------
        name : str
            Of this table in the sweep.
        settings : iterable of dict
        compute : callable
            Returns plain numbers and texts, and lists of them.
        shared : mapping
            Arguments that are the same for all rows.
        client : distributed.Client
            Of a Dask cluster, whose workers then compute the rows; a worker that dies costs the
            rows it was at, which others take over. ``compute`` must be a function of a module
            there, and futures among the shared arguments become what they stand for.
        """
        settings = list(settings)
        keys = [json.dumps([name, s], sort_keys=True, default=_plain) for s in settings]
        missing = {k: s for k, s in zip(keys, settings, strict=True) if k not in self._rows}
        run = _here if client is None else partial(_on_workers, client)
        with tqdm(total=len(keys), initial=len(keys) - len(missing), desc=name) as bar:
            for key, row, seconds in run(compute, missing, shared or {}):
                self._keep(key, row, seconds)
                bar.update()
        rows = [{**s, **self._rows[k]} for k, s in zip(keys, settings, strict=True)]
        return pd.DataFrame(rows)

    def finish(self) -> None:
        """Forget the rows: the result files have them now."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _kept(self) -> tuple[dict[str, dict], float]:
        if self.path is None or not self.path.exists():
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
        if self.path is None:
            return
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


def _timed(compute, setting: dict, shared: Mapping) -> tuple[dict, float]:
    start = time.perf_counter()
    row = compute(**setting, **shared)
    return row, time.perf_counter() - start


def _here(compute, settings: Mapping[str, dict], shared) -> Iterator[tuple[str, dict, float]]:
    for key, setting in settings.items():
        yield key, *_timed(compute, setting, shared)


def _on_workers(client, compute, settings, shared) -> Iterator[tuple[str, dict, float]]:
    from distributed import as_completed

    keys = {
        client.submit(_timed, compute, setting, dict(shared), pure=False): key
        for key, setting in settings.items()
    }
    for future in as_completed(keys):
        yield keys[future], *future.result()
        future.release()


def _plain(value):
    """NumPy's numbers as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a row of a sweep holds plain numbers and texts, got {type(value).__name__}")


@cache
def _library() -> str:
    """A checksum of the code and tables that rows depend on."""
    root = Path(__file__).parents[1]
    kinds = (".py", ".json", ".csv")
    files = [p for p in root.rglob("*") if p.suffix in kinds and p.name not in _DRAWING]
    contents = (str(p.relative_to(root)).encode() + p.read_bytes() for p in sorted(files))
    return hashlib.sha256(b"".join(contents)).hexdigest()
