"""Files of HDF5, in which Keras keeps weights, before anything in them is believed."""

from __future__ import annotations

import math

import h5py

from .archive import check_memory

__all__ = ["numbers_in"]

_PACKING = 1032  # to one is the most that deflate can pack


def numbers_in(file: h5py.File) -> int:
    """How many numbers all data sets hold; ``ValueError`` for what the file cannot hold."""
    numbers = size = 0

    def add(name: str, found) -> None:
        nonlocal numbers, size
        if not isinstance(found, h5py.Dataset):
            return
        stored = found.id.get_storage_size() * (_PACKING if found.chunks else 1)
        if found.nbytes > stored:
            raise ValueError(
                f"it declares {found.shape} numbers in {name!r}, which it does not hold"
            )
        numbers += math.prod(found.shape)
        size += found.nbytes

    file.visititems(add)
    check_memory(size)
    return numbers
