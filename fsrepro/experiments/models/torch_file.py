"""Tensors out of a PyTorch checkpoint, without PyTorch and without running anything in it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...archive import check_memory, check_sizes
from ...files import Refused, reading
from .tensor_pickle import Tensor, load

__all__ = ["read_tensors"]

_MAGIC = 0x1950A86A20F9469CFC6C  # of the format before PyTorch 1.6


def read_tensors(path: str | Path) -> dict[str, NDArray]:
    """The tensors of the state dict in ``path`` by name, as arrays of their shape.

    Reads what ``torch.save(model.state_dict(), path)`` writes, in either format (a zip since
    PyTorch 1.6; see ``torch/serialization.py`` of PyTorch), also inside a dict under
    ``"state_dict"`` or ``"model"``. What is not a tensor is left out. The prefix ``module.`` of
    data-parallel training is removed. Raises ``FileNotFoundError`` if ``path`` is no file, and
    ``ValueError`` for a file that is damaged, is no checkpoint, or names anything but tensors: then
    nothing of it has been run. Values that are not finite are refused too.
    """
    path = Path(path)
    with reading(path, "a PyTorch checkpoint", "save model.state_dict() again"):
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)


def _read_zip(path: Path) -> dict[str, NDArray]:
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive, path.stat().st_size)
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("a zip without one data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            order = archive.read(f"{folder}byteorder")
            if order != b"little":
                raise ValueError(f"byte order {order!r} is not supported")
        with archive.open(names[0]) as file:
            content = load(file)
        return _arrays(content, lambda key: archive.read(f"{folder}data/{key}"))


def _read_legacy(path: Path) -> dict[str, NDArray]:
    with path.open("rb") as file:
        if load(file) != _MAGIC:
            raise ValueError("no magic number")
        for _ in ("protocol version", "system"):
            load(file)
        content, keys = load(file), load(file)
        itemsize = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in _in(content)}
        storages = {}
        for key in map(str, keys):
            (numel,) = struct.unpack("<q", file.read(8))
            length = numel * itemsize.get(key, 1)
            left = path.stat().st_size - file.tell()
            if not 0 <= length <= left:
                raise EOFError("it ends before its tensors do")
            storages[key] = file.read(length)
        return _arrays(content, storages.__getitem__)


def _state_dict(content) -> dict:
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise Refused("holds no state dict; save model.state_dict(), not the model")
    return content


def _in(content) -> list[Tensor]:
    return [value for value in _state_dict(content).values() if isinstance(value, Tensor)]


def _arrays(content, data: Callable[[str], bytes]) -> dict[str, NDArray]:
    check_memory(sum(tensor.nbytes for tensor in _in(content)))
    arrays = {}
    for name, value in _state_dict(content).items():
        if isinstance(value, Tensor):
            array = arrays[str(name).removeprefix("module.")] = value.array(data(value.storage.key))
            if not np.isfinite(array).all():
                raise Refused(f"holds tensor {name!r} with NaN or infinite values")
    if not arrays:
        raise Refused("holds a dict without tensors")
    return arrays
