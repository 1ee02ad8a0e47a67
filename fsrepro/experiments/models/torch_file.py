"""Tensors out of a PyTorch checkpoint, without PyTorch and without running anything in it.

``torch.save`` writes a pickle, and a pickle may call any function when it is read. This reader
admits the few names that tensors are made of, stands its own harmless objects for them, and
refuses a file that names anything else.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .checkpoint import existing

__all__ = ["read_tensors"]

_MAGIC = 0x1950A86A20F9469CFC6C  # of the format before PyTorch 1.6
_DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip


def read_tensors(path: str | Path) -> dict[str, NDArray]:
    """The tensors of the state dict in ``path`` by name, as arrays of their shape.

    Reads what ``torch.save(model.state_dict(), path)`` writes, in either format (a zip since
    PyTorch 1.6; see ``torch/serialization.py`` of PyTorch), also inside a dict under
    ``"state_dict"`` or ``"model"``. What is not a tensor is left out. The prefix ``module.`` of
    data-parallel training is removed. Raises ``FileNotFoundError`` if ``path`` is no file, and
    ``ValueError`` for a file that is damaged, is no checkpoint, or names anything but tensors: then
    nothing of it has been run.
    """
    path = existing(path)
    try:
        content = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except _Refused as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle makes its reader raise nearly anything
        detail = str(error) or type(error).__name__
        raise ValueError(f"{path} is no PyTorch checkpoint, or is damaged ({detail})") from None
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no state dict; save model.state_dict(), not the model")
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, np.ndarray)
    }
    if not tensors:
        raise ValueError(f"{path} holds a dict without tensors")
    return tensors


class _Refused(Exception):
    """The file names something that is no tensor."""


@dataclass(frozen=True)
class _Type:
    """Stands for ``torch.FloatStorage`` and its kin."""

    dtype: np.dtype


@dataclass(frozen=True)
class _Lazy:
    """A tensor whose numbers are read after the pickle: ``shape`` and ``stride`` into a storage."""

    storage: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self, data: bytes) -> NDArray:
        numbers = np.frombuffer(data, self.dtype)
        if any(size < 0 for size in (*self.shape, *self.stride, self.offset)):
            raise ValueError("a tensor has a negative shape, stride or offset")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if not math.prod(self.shape):
            return np.zeros(self.shape, self.dtype)
        if last >= len(numbers):
            raise ValueError(f"a tensor of shape {self.shape} is larger than its storage")
        strides = [s * self.dtype.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


def _tensor(storage, offset, shape, stride, *_) -> _Lazy:
    key, dtype = storage
    return _Lazy(key, dtype, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


_ADMITTED: dict[tuple[str, str], Callable | _Type] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    **{("torch", name): _Type(np.dtype(dtype)) for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Knows the names of ``_ADMITTED`` alone, and remembers the storages that tensors need."""

    def __init__(self, file):
        super().__init__(file)
        self.itemsize: dict[str, int] = {}

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise _Refused(
                f"names {module}.{name}, which is no tensor: refused, and nothing was run. Save "
                "the state dict alone, with tensors as its values"
            )
        return _ADMITTED[module, name]

    def persistent_load(self, reference):
        kind, storage_type, key, *_ = reference
        if kind != "storage" or not isinstance(storage_type, _Type):
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        self.itemsize[str(key)] = storage_type.dtype.itemsize
        return str(key), storage_type.dtype


def _read_zip(path: Path):
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("a zip without one data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            order = archive.read(f"{folder}byteorder")
            if order != b"little":
                raise ValueError(f"byte order {order!r} is not supported")
        with archive.open(names[0]) as file:
            content = _Unpickler(file).load()
        return _filled(content, lambda key: archive.read(f"{folder}data/{key}"))


def _read_legacy(path: Path):
    with path.open("rb") as file:
        if _Unpickler(file).load() != _MAGIC:
            raise ValueError("no magic number")
        for _ in ("protocol version", "system"):
            _Unpickler(file).load()
        reader = _Unpickler(file)
        content, keys = reader.load(), _Unpickler(file).load()
        storages = {}
        for key in map(str, keys):
            (numel,) = struct.unpack("<q", file.read(8))
            length = numel * reader.itemsize.get(key, 1)
            storages[key] = file.read(length) if length >= 0 else b""
            if len(storages[key]) != length:
                raise EOFError("it ends before its tensors do")
        return _filled(content, storages.__getitem__)


def _filled(content, data: Callable[[str], bytes]):
    if isinstance(content, _Lazy):
        return content.array(data(content.storage))
    if isinstance(content, dict):
        return {key: _filled(value, data) for key, value in content.items()}
    return content
