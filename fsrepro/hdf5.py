"""Files of HDF5, in which Keras keeps weights, before anything in them is believed.

python -m fsrepro.hdf5 model.keras      # how many numbers it holds
"""

from __future__ import annotations

import io
import math
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py

from .archive import PACKING, check_memory, check_sizes

__all__ = ["checked", "numbers_in"]

_PATIENCE = 10  # seconds, and one more for each
_BYTES_A_SECOND = 20e6
_WEIGHTS = "model.weights.h5"  # in a .keras file


def checked(path: Path) -> int:
    """How many numbers a .keras or HDF5 file holds; ``ValueError`` if it cannot be read whole.

    Looked at in a process of its own: of a damaged file HDF5 may die, or find no end.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_sizes(archive, path.stat().st_size)
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} in it does not match its checksum")
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    patience = _patience(path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(places)},
            capture_output=True, text=True, timeout=patience,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ValueError("HDF5 finds no end to it") from None
    if done.returncode < 0:
        raise ValueError("HDF5 cannot read it")
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("\n")[2])
    return int(done.stdout)


def _patience(path: Path) -> float:
    return _PATIENCE + path.stat().st_size / _BYTES_A_SECOND


def numbers_in(file: h5py.File) -> int:
    """How many numbers all data sets hold; ``ValueError`` for what the file cannot hold."""
    numbers = size = 0

    def add(name: str, found) -> None:
        nonlocal numbers, size
        dict(found.attrs)
        if not isinstance(found, h5py.Dataset):
            return
        stored = found.id.get_storage_size() * (PACKING if found.chunks else 1)
        if found.nbytes > stored:
            raise ValueError(f"it does not hold what it declares, {found.shape} in {name!r}")
        numbers += math.prod(found.shape)
        size += found.nbytes
        check_memory(size)
        found[()]

    dict(file.attrs)
    file.visititems(add)
    return numbers


def _numbers_of(path: Path) -> int:
    if not zipfile.is_zipfile(path):
        with h5py.File(path) as file:
            return numbers_in(file)
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, path.stat().st_size)
        with h5py.File(io.BytesIO(archive.read(_WEIGHTS))) as file:
            return numbers_in(file)


if __name__ == "__main__":
    try:
        # Should whoever waits be killed, this does not go on for ever.
        limit = int(_patience(Path(sys.argv[1]))) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        print(_numbers_of(Path(sys.argv[1])))
    except Exception as error:
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
