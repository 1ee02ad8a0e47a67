"""What a kept result depends on, as checksums: the library, and a function of one's own."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import numpy as np

from ..archive import checksum

__all__ = ["library", "source_of"]

_DRAWING = ("figures.py", "command_line.py")  # of the library, what no row depends on
_LIBRARY = __name__.split(".")[0]


@functools.cache
def library() -> str:
    """A checksum of the code and tables of the library that rows depend on."""
    root = Path(__file__).parents[1]
    kinds = (".py", ".json", ".csv")
    files = [p for p in root.rglob("*") if p.suffix in kinds and p.name not in _DRAWING]
    contents = (str(p.relative_to(root)).encode() + p.read_bytes() for p in sorted(files))
    return hashlib.sha256(b"".join(contents)).hexdigest()


def source_of(function: Callable | None) -> str:
    """A checksum of what ``function`` does, wherever it was written: notebook, script or shell.

    It changes with the instructions of the function (comments apart) and of every function that it
    names, with their defaults, and with the numbers, texts, lists, dicts and arrays that they take
    from around them. Of a data class its fields count, of other objects the type, and a
    ``checksum`` that they have; functions of this library and of packages count by name, as
    :func:`library` and the results have their versions.
    """
    described = json.dumps(_described(function, []), sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def _described(value, seen: list):
    """Something that JSON can write, the same in every process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return [str(value.dtype), list(value.shape), checksum(np.asarray(value))]
    if any(value is known for known in seen):
        return "again"
    seen = [*seen, value]
    if isinstance(value, (list, tuple)):
        return [_described(item, seen) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_described(item, seen)) for item in value)
    if isinstance(value, dict):
        return sorted((str(key), _described(item, seen)) for key, item in value.items())
    if isinstance(value, functools.partial):
        return [_described(part, seen) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, MethodType):
        return [_described(part, seen) for part in (value.__func__, value.__self__)]
    if isinstance(value, CodeType):
        names = [value.co_names, value.co_varnames, value.co_freevars]
        return [value.co_code.hex(), *names, [_described(c, seen) for c in value.co_consts]]
    if isinstance(value, FunctionType) and _is_own(value):
        around = [[name, _described(item, seen)] for name, item in _around(value)]
        defaults = [_described(value.__defaults__, seen), _described(value.__kwdefaults__, seen)]
        return [_described(value.__code__, seen), defaults, around]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (type, FunctionType, ModuleType)):
        return [getattr(value, "__module__", ""), value.__name__]
    kind = [type(value).__module__, type(value).__qualname__]
    if isinstance(known := getattr(value, "checksum", None), str):
        return [*kind, known]
    if dataclasses.is_dataclass(value):  # its fields, not what it has computed and kept
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [*kind, _described(fields, seen)]
    call = type(value).__call__ if callable(value) else None
    if isinstance(call, FunctionType) and _is_own(call):
        return [*kind, _described(call, seen), _described(vars(value), seen)]
    return kind


def _is_own(function: FunctionType) -> bool:
    """Whether it is of neither this library nor a package nor Python."""
    if function.__module__.split(".")[0] == _LIBRARY:
        return False
    file = function.__code__.co_filename
    return "site-packages" not in file and not file.startswith(str(Path(inspect.__file__).parent))


def _around(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What it takes from around it, by name."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet filled
            yield name, None
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))
