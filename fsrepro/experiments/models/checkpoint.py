"""Trained weights on disk: one HDF5 file of tensors, and a card beside it that says what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import keras

from ...files import atomic

__all__ = ["file_sha256", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(model: keras.Model, path: str | Path, card: dict) -> Path:
    """Write ``path`` (``NAME.weights.h5``: tensors only) and its card ``NAME.json``.

    The weights are written first, both to a temporary name that is then moved into place.

    Parameters
    ----------
    model : keras.Model
    path : str or Path
    card : dict
        Data, recipe, seed, duration and accuracy; the SHA-256 of the weights is added.
    """
    path = _weights_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        model.save_weights(partial)
    with atomic(_card_path(path)) as partial:
        whole = {**card, "weights_sha256": file_sha256(path)}
        partial.write_text(json.dumps(whole, indent=2) + "\n")
    return path


def load_checkpoint(model: keras.Model, path: str | Path) -> dict:
    """Load the weights ``path`` into ``model`` in place and return the card.

    Raises
    ------
    FileNotFoundError
        If weights or card are missing.
    ValueError
        If the weights are not the ones the card describes or do not fit the model.
    """
    path = _weights_path(path)
    for needed in (path, _card_path(path)):
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed} is missing; weights and card belong together in {path.parent}"
            )
    card = json.loads(_card_path(path).read_text())
    if file_sha256(path) != card["weights_sha256"]:
        raise ValueError(f"{path} does not match the SHA-256 in {_card_path(path).name}")
    try:
        model.load_weights(path)
    except ValueError as error:
        raise ValueError(f"{path} does not fit model {model.name!r}: {error}") from None
    return card


def _weights_path(path: str | Path) -> Path:
    path = Path(path)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"a checkpoint's name ends in .weights.h5, got {path.name}")
    return path


def _card_path(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".weights.h5") + ".json")


def file_sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
