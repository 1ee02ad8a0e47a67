"""Files: written whole or not at all, read with one line for all that can be wrong, never shared.

Every file that the project writes is written in :func:`atomic`, every file that it reads is read in
:func:`reading`, and what several processes change is changed while :func:`locked`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DISK_FULL", "TABLES", "Refused", "atomic", "check_place", "file_sha256", "locked", "no_space",
    "one_line", "reading", "write_table", "write_text",
]  # fmt: skip

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAY = 86_400  # seconds
_LONGEST_LINE = 400
_MARK = ".partial-"
TABLES = (".csv", ".json")
"""Suffixes of the forms that :func:`write_table` writes."""


# --- writing -------------------------------------------------------------------------------------


def check_place(
    path: str | Path, *, suffixes: Collection[str] = (), overwrite: bool = True
) -> Path:
    """The file that will be written for ``path``: itself, or what it is a link to.

    What processes left in that folder that were killed a day ago or earlier is removed.

    Raises
    ------
    ValueError
        For another suffix than one of ``suffixes``, if there are any; for a device, a pipe or a
        loop of links.
    FileExistsError
        If the file exists, unless ``overwrite``.
    OSError
        If its folder does not exist, or takes no new file.
    """
    path = Path(path)
    if suffixes and path.suffix not in suffixes:
        raise ValueError(f"{path} must end in {' or '.join(suffixes)}")
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise ValueError(f"{path} is a link that leads back to itself; choose another name")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; choose the name of a file")
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is a device or a pipe, which nothing is written to")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; choose another name or pass overwrite=True")
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist; make it, or choose another")
    _remove_old_partials(folder)
    probe = _partial(target)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: nothing can be written to {path}") from None
    return target


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path``, moved there when the block is left without error.

    The name belongs to this call alone and keeps the suffixes, by which some writers choose their
    format. Before it is moved, what was written is on the disk. After an error nothing is left
    behind, and what was at ``path`` is unchanged; after a kill too, but that the temporary file
    stays, until something is written there a day later. A link stays a link: what it leads to is
    replaced. Raises what :func:`check_place` does; an ``OSError`` of a full disk names ``path``.
    """
    target = check_place(path)
    partial = _partial(target)
    try:
        with no_space(path):
            yield partial
            if target.exists():
                shutil.copymode(target, partial)
            _flush(partial)
            partial.replace(target)
            _flush(target.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def no_space(path: str | Path) -> Iterator[None]:
    """An error of a full disk says in one line that ``path`` is not written."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        message = f"{os.strerror(error.errno)}: {path} is as it was, nothing is written"
        raise OSError(error.errno, message) from None


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path``, see :func:`atomic`."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_table(table: pd.DataFrame, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a table to a .csv file, or to .json as a list of rows without their missing values.

    Raises what :func:`check_place` does.
    """
    path = Path(path)
    check_place(path, suffixes=TABLES, overwrite=overwrite)
    if path.suffix == ".csv":
        write_text(path, table.to_csv(index=False))
    else:
        rows = [row.dropna().to_dict() for _, row in table.astype(object).iterrows()]
        write_text(path, json.dumps(rows, indent=1, default=_plain) + "\n")
    return path


def _partial(target: Path) -> Path:
    suffix = "".join(target.suffixes[-2:])
    return target.with_name(_MARK + secrets.token_hex(8) + suffix[-40:])


def _remove_old_partials(folder: Path) -> None:
    """What killed processes left."""
    for left in folder.glob(_MARK + "*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY:
                left.unlink()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of disks that know no flush of a folder
            raise
    finally:
        os.close(handle)


def _plain(value):
    return value.item()  # a number of NumPy


# --- reading -------------------------------------------------------------------------------------


class Refused(Exception):
    """What a reader has against a file, in words that follow its name."""


@contextmanager
def reading(path: str | Path, what: str, remedy: str = "") -> Iterator[None]:
    """Whatever goes wrong inside becomes a ``ValueError`` of one line.

    It names the file, says that it is not ``what``, or what it was :class:`Refused` for, and what
    to do about it, if there is a ``remedy``. A file that is not there, or may not be read, raises
    the ``OSError`` that says so.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not {what}")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    after = f"; {remedy}" if remedy else ""
    try:
        yield
    except Refused as error:
        raise ValueError(f"{path} {one_line(error)}{after}") from None
    except (FileNotFoundError, PermissionError, ImportError):
        raise
    except Exception as error:  # damaged files make their readers raise nearly anything
        reason = one_line(error)
        raise ValueError(f"{path} is not {what}, or is damaged ({reason}){after}") from None


def file_sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(error: BaseException) -> str:
    """What an error says, in one line; of a long text both ends, where the reason may be."""
    text = " ".join(str(error).split()) or type(error).__name__
    half = _LONGEST_LINE // 2
    return text if len(text) <= _LONGEST_LINE else f"{text[:half]} ... {text[-half:]}"


# --- sharing -------------------------------------------------------------------------------------


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Keep other processes that do the same out, on all machines that share the disk.

    An empty hidden file ``.lock-NAME`` beside ``path`` stays behind.
    """
    path = Path(path)
    with FileLock(path.with_name(f".lock-{path.name}")):
        yield
