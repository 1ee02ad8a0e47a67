"""The part of Python's pickle that PyTorch writes tensors in, and nothing else.

A pickle is a program; Python's reader lets it call functions, change objects that others use too,
and take memory and time without end. This one knows the few instructions that a state dict is
written with, makes numbers, texts, lists, tuples, dicts and :class:`Tensor` of them, and refuses
every other name and instruction.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...files import Refused

__all__ = ["Storage", "Tensor", "load"]

_MOST_INSTRUCTIONS = 1_000_000  # a second; a tensor takes about 50
_DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip
_CALLS = {
    ("collections", "OrderedDict"): "dict",
    ("torch._utils", "_rebuild_tensor"): "tensor",
    ("torch._utils", "_rebuild_tensor_v2"): "tensor",
    ("torch._utils", "_rebuild_parameter"): "parameter",
}


class Storage(NamedTuple):
    """Numbers outside of the pickle, by the name they have there."""

    key: str
    dtype: np.dtype


@dataclass(frozen=True)
class Tensor:
    """Numbers of a storage, seen from ``offset`` on in this shape with these strides."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self, data: bytes) -> NDArray:
        dtype = self.storage.dtype
        numbers = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
        if any(size < 0 for size in (*self.shape, *self.stride, self.offset)):
            raise ValueError("a tensor has a negative shape, stride or offset")
        size = math.prod(self.shape)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        if size and (size > len(numbers) or last >= len(numbers)):
            raise ValueError(f"a tensor of shape {self.shape} is larger than its storage")
        if not size:
            return np.zeros(self.shape, dtype)
        strides = [s * dtype.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class _Name(NamedTuple):
    module: str
    name: str


class _Mark:
    """Where a list of arguments begins."""


def load(file: IO[bytes]):
    """What the pickle at the place where ``file`` is describes; ``Refused`` if no tensors."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > _MOST_INSTRUCTIONS:
            raise ValueError("its pickle is too long for tensors")
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.run(opcode.name, argument)
    raise EOFError("its pickle has no end")


_VALUES = (
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = ("PROTO", "FRAME")
_FIXED_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    def __init__(self):
        self.stack: list = []
        self.memo: dict[int, object] = {}

    def run(self, name: str, argument) -> None:
        stack = self.stack
        if name in _IGNORED:
            return
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in _FIXED_TUPLES:
            stack.append(tuple(self._last(_FIXED_TUPLES[name])))
        elif name == "MARK":
            stack.append(_Mark)
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("APPEND", "APPENDS"):
            self._extend([stack.pop()] if name == "APPEND" else self._since_mark())
        elif name in ("SETITEM", "SETITEMS"):
            self._set(self._last(2) if name == "SETITEM" else self._since_mark())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            known = argument.split(" ", 1) if name == "GLOBAL" else self._last(2)
            stack.append(_admitted(_Name(*known)))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            call, arguments = self._last(2)
            stack.append(_called(call, arguments))
        elif name == "BUILD":  # what PyTorch notes about a state dict
            stack.pop()
        else:
            raise Refused(f"has the instruction {name}, which no tensor needs: refused")

    def _last(self, count: int) -> list:
        if len(self.stack) < count:
            raise ValueError("its pickle takes what is not there")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _since_mark(self) -> list:
        taken: list = []
        while (value := self.stack.pop()) is not _Mark:
            taken.append(value)
        return taken[::-1]

    def _extend(self, values: list) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("its pickle appends to what is no list")
        target.extend(values)

    def _set(self, pairs: list) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise ValueError("its pickle fills what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, (str, int)):  # others may take for ever to compare
                raise ValueError("it has a dict whose names are no texts or numbers")
            target[key] = value


def _admitted(name: _Name) -> _Name:
    if name in _CALLS or (name.module == "torch" and name.name in _DTYPES):
        return name
    raise Refused(
        f"names {name.module}.{name.name}, which is no tensor: refused, and nothing was run. Save "
        "the state dict alone, with tensors as its values"
    )


def _storage(reference) -> Storage:
    kind, storage_type, key, *_ = reference
    if kind != "storage" or not isinstance(storage_type, _Name) or storage_type.module != "torch":
        raise ValueError("it refers to what is no storage")
    return Storage(str(key), np.dtype(_DTYPES[storage_type.name]))


def _called(call, arguments):
    kind = _CALLS.get(call) if isinstance(call, _Name) else None
    if kind == "dict" and arguments == ():
        return {}
    if kind == "parameter" and isinstance(arguments[0], Tensor):
        return arguments[0]
    if kind == "tensor" and isinstance(arguments[0], Storage):
        storage, offset, shape, stride, *_ = arguments
        return Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))
    raise ValueError("it makes a tensor of what is none")
