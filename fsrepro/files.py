"""One way to write a file: whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic"]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary name in the same folder, moved to ``path`` when the block is left without error.

    The name keeps the suffix, by which some writers choose their format. After an error nothing
    is left behind, and what was at ``path`` is unchanged.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
