"""A sweep that survives a kill: every row of its tables is kept as soon as it is known.

The file has a line for each row, which ends in a checksum of it, and is changed under a lock: what
was cut off or damaged is computed again, and several processes may share it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
from tqdm import tqdm

from ..files import atomic, check_place, locked, no_space
from . import identity

if TYPE_CHECKING:
    import distributed

__all__ = ["Sweep"]

_BEGINNING = b'{"sweep": '
_HEADER = _BEGINNING + b"2}\n"
_DIGITS = 16  # of a checksum


class _Kept(NamedTuple):
    row: dict
    seconds: float


class Sweep:
    """Tables that are computed row by row, and go on from where a killed run was.

    Parameters
    ----------
    path : str or Path or None
        The file that keeps the rows; None to keep nothing. One that holds something else is left
        unchanged, and raises ``ValueError``; so does a place where no file can be.
    **identity
        What all rows depend on (checksums of data and weights, seeds, ...). It is part of the key
        of each row, with the code of the library and of the function that computes it, so a
        resumed sweep gives the table of an uninterrupted one.
    """

    def __init__(self, path: str | Path | None, **identity_of_rows):
        self.path = None if path is None else Path(path)
        whole = {**identity_of_rows, "library": identity.library()}
        self._identity = _short(json.dumps(whole, sort_keys=True, default=_plain).encode())
        self._rows: dict[str, _Kept] = {}
        self._state: tuple | None = None  # of the file, when it was read
        self.seconds_before = 0.0
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            check_place(self.path)
            self._read()
        self._at_start = set(self._rows)

    seconds_before: float
    """What earlier runs took for the rows that were found."""

    def table(
        self,
        name: str,
        settings: Iterable[dict],
        compute: Callable[..., dict],
        *,
        shared: Mapping | None = None,
        each: Callable[[dict], Mapping] | None = None,
        client: distributed.Client | None = None,
    ) -> pd.DataFrame:
        """A row ``{**setting, **compute(**setting, **shared)}`` for each of ``settings``.

        Rows that another process adds to the file in the meantime are taken from there.

        Parameters
        ----------
        name : str
            Of this table in the sweep.
        settings : iterable of dict
        compute : callable
            Returns plain numbers and texts, and lists of them.
        shared : mapping
            Arguments that are the same for all rows. A worker gets them once.
        each : callable
            From a setting to further arguments of ``compute``, which are no part of the row.
        client : distributed.Client
            Of a Dask cluster, whose workers then compute the rows; a worker that dies costs the
            rows it was at, which others take over. ``compute`` must be a function of a module
            there.
        """
        settings = list(settings)
        source = identity.source_of(compute)[:_DIGITS]
        keys = [self._key(name, setting, source) for setting in settings]
        self.seconds_before += sum(self._rows[key].seconds for key in keys if key in self._rows)
        missing = {k: s for k, s in zip(keys, settings, strict=True) if k not in self._rows}
        run = self._here if client is None else partial(_on_workers, client)
        with tqdm(total=len(keys), initial=len(keys) - len(missing), desc=name) as bar:
            for key, row, seconds in run(compute, missing, shared or {}, each or _nothing):
                if seconds is not None:
                    self._keep(key, row, seconds)
                bar.update()
        rows = [{**s, **self._rows[k].row} for k, s in zip(keys, settings, strict=True)]
        return pd.DataFrame(rows)

    def finish(self) -> None:
        """Forget the rows: the result files have them now.

        Rows that another sweep has added since this one began stay.
        """
        if self.path is None:
            return
        with locked(self.path):
            added = self._read_file(self.path) - self._at_start
            if others := {key for key in added if not self._is_mine(key)}:
                self._write_file(self.path, others)
            else:
                self.path.unlink(missing_ok=True)

    def _key(self, name: str, setting: dict, source: str) -> str:
        return json.dumps([self._identity, source, name, setting], sort_keys=True, default=_plain)

    def _here(self, compute, settings, shared, each):
        for key, setting in settings.items():
            self._read()
            if key in self._rows:  # by another process
                yield key, None, None
            else:
                yield key, *_timed(compute, setting, {**shared, **each(setting)})

    # --- the file: a header, and lines of JSON, a tab and a checksum -----------------------------

    def _read(self) -> None:
        if self.path is not None and self.path.exists() and _state(self.path) != self._state:
            with locked(self.path):
                self._read_file(self.path)

    def _read_file(self, path: Path) -> set[str]:
        """Take the rows of the file that are whole, and return their keys."""
        self._sound, found, damaged = True, {}, []
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""
        else:
            self._state = _state(path)
        header, *lines = content.splitlines(keepends=True) or [b""]
        if header != _HEADER:
            # Cut off in the first write, or of an earlier version.
            if header.strip(b"\0") and header[: len(_BEGINNING)] != _BEGINNING[: len(header)]:
                raise ValueError(f"{path} is not the file of a sweep; choose another name")
            self._sound = False
        for number, line in enumerate(lines, 2):
            text, _, digest = line.rpartition(b"\t")
            try:
                if digest != _short(text).encode() + b"\n":
                    raise ValueError("another checksum")
                key, row, seconds = json.loads(text)
                found[str(key)] = _Kept(dict(row), float(seconds))
            except (ValueError, TypeError, RecursionError):
                self._sound = False
                damaged.append(number)
        if damaged and (content.endswith(b"\n") or len(damaged) > 1):  # no kill in the last write
            numbers = ", ".join(map(str, damaged))
            warnings.warn(
                f"{path} is damaged in line {numbers}; what was there is computed again",
                stacklevel=2,
            )
        self._rows.update(found)
        return set(found)

    def _write_file(self, path: Path, keys: set[str]) -> None:
        lines = [_line(key, kept) for key, kept in self._rows.items() if key in keys]
        with atomic(path) as partial:
            partial.write_bytes(b"".join([_HEADER, *lines]))

    def _is_mine(self, key: str) -> bool:
        return json.loads(key)[0] == self._identity

    def _keep(self, key: str, row: dict, seconds: float) -> None:
        # Read back, so that a row is the same whether it was computed now or before.
        row = json.loads(json.dumps(row, default=_plain))
        self._rows[key] = _Kept(row, round(seconds, 3))
        if self.path is None:
            return
        with locked(self.path):
            there = self._read_file(self.path)
            needed = {known for known in self._rows if self._is_mine(known)}
            if self._sound and needed - there <= {key}:
                _append(self.path, _line(key, self._rows[key]))
            else:
                self._write_file(self.path, there | needed)
            self._state = _state(self.path)


def _line(key: str, kept: _Kept) -> bytes:
    text = json.dumps([key, *kept]).encode()
    return text + b"\t" + _short(text).encode() + b"\n"


def _append(path: Path, line: bytes) -> None:
    """Add a line, or leave the file as it was."""
    with path.open("rb+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            with no_space(path):
                left = memoryview(line)
                while left:  # a disk that becomes full takes a part
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _short(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def _state(path: Path) -> tuple:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _nothing(setting: dict) -> Mapping:
    return {}


def _timed(compute, setting: dict, others: Mapping) -> tuple[dict, float]:
    start = time.perf_counter()
    row = compute(**setting, **others)
    return row, time.perf_counter() - start


def _there(compute, setting: dict, each: Mapping, shared: Mapping) -> tuple[dict, float]:
    return _timed(compute, setting, {**shared, **each})


def _same(shared: dict) -> dict:
    """As a task, so that the cluster can make it again when the worker that holds it dies."""
    return shared


def _on_workers(client, compute, settings, shared, each) -> Iterator[tuple[str, dict, float]]:
    from distributed import as_completed

    held = client.submit(_same, dict(shared), pure=False)
    keys = {
        client.submit(_there, compute, setting, dict(each(setting)), held, pure=False): key
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
