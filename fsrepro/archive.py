"""Plain arrays in a file: ``.npy``, ``.npz``, and a header of JSON with arrays, no pickles.

What a file declares is checked before memory is taken for it: a few bytes can declare terabytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .files import atomic, reading

__all__ = ["PACKING", "check_memory", "check_sizes", "checksum", "read", "read_arrays", "write"]

PACKING = 1032
"""To one is the most that deflate can pack."""

_HEADER = "header"
_LONGEST_END = 22 + 2**16  # bytes, with a comment
_END = b"PK\5\6"  # of a zip: then the numbers of the disk, of this one, and of entries, twice


def checksum(*arrays: np.ndarray) -> str:
    """The SHA-256 of what is in ``arrays``, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write(path: str | Path, header: Mapping, arrays: Mapping[str, NDArray]) -> None:
    """Write a header of plain values and arrays to one file, see :func:`~fsrepro.files.atomic`."""
    if _HEADER in arrays:
        raise ValueError(f"no array may be called {_HEADER!r}")
    content: dict[str, Any] = {_HEADER: np.array(json.dumps(header)), **arrays}
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **content)


def read(path: str | Path) -> tuple[dict, dict[str, NDArray]]:
    """The header and the arrays that :func:`write` wrote; in a block of :func:`reading`."""
    arrays = _read(Path(path))
    if not isinstance(arrays, dict):
        raise ValueError("it is a single array")
    text = arrays.pop(_HEADER, None)
    if text is None or text.shape or text.dtype.kind != "U":
        raise ValueError("it has no header")
    header = json.loads(str(text))
    if not isinstance(header, dict):
        raise ValueError("its header has no names")
    return header, arrays


def read_arrays(path: str | Path) -> dict[str, NDArray] | NDArray:
    """The array of an ``.npy`` file, or those of an ``.npz`` file by name.

    Raises ``FileNotFoundError``, or ``ValueError`` for a file that is damaged, holds objects, or
    more than this machine's memory.
    """
    path = Path(path)
    with reading(path, "a file of plain arrays", "write it with numpy.savez"):
        return _read(path)


def _read(path: Path):
    with path.open("rb") as file:  # once: another process may put a new one in its place
        size = os.fstat(file.fileno()).st_size
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _check_count(archive, file, size)
                return _members(archive, size)
        file.seek(0)
        if file.read(2) == b"PK":  # as zip files begin
            raise ValueError("its end is missing")
        file.seek(0)
        return _array(file, size)


def _check_count(archive: zipfile.ZipFile, file: IO[bytes], size: int) -> None:
    """A directory that is damaged may swallow entries; its end has their number."""
    file.seek(max(0, size - _LONGEST_END))
    end = file.read().rpartition(_END)[2]
    (number,) = struct.unpack_from("<H", end, 6)
    if number not in (len(archive.infolist()), 0xFFFF):  # or too many for this field
        raise ValueError(f"it declares {number} arrays and lists {len(archive.infolist())}")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, NDArray]:
    check_sizes(archive, size)
    arrays = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise ValueError(f"it holds two arrays {name!r}")
        with archive.open(member) as file:
            arrays[name] = _array(file, member.file_size)
            if file.read(1):  # also has the checksum compared
                raise ValueError(f"it holds more than array {name!r} should")
    return arrays


def check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """``ValueError`` for a zip that declares more than its ``size``, or memory, can hold."""
    members = archive.infolist()
    if any(m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in members):
        raise ValueError("it is packed in a way that is not used for arrays")
    packed = sum(member.compress_size for member in members)
    whole = sum(member.file_size for member in members)
    bombs = (m.file_size > PACKING * (m.compress_size + 1) for m in members)
    if packed > size or any(bombs):
        raise ValueError("it declares more than it can hold")
    check_memory(whole)


def check_memory(size: int) -> None:
    """``ValueError`` for more bytes than this machine has."""
    if size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise ValueError(f"it holds {size / 1e9:.3g} GB, more than the memory of this machine")


def _array(file: IO[bytes], size: int) -> NDArray:
    """The array in ``file``, which has ``size`` bytes."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has arrays of version {version}, which holds no plain numbers")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"it declares an array of shape {shape}, more than it holds")
    length = math.prod(shape) * dtype.itemsize
    content = file.read(length)
    if len(content) != length:
        raise ValueError("it ends before its arrays do")
    array = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
    return array.reshape(shape, order="F" if fortran_order else "C")
