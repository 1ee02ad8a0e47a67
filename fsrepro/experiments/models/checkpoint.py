"""Trained weights on disk: one HDF5 file of tensors, and a card beside it that says what it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import keras

from ...files import atomic

__all__ = ["existing", "file_sha256", "load_checkpoint", "save_checkpoint"]


def save_checkpoint(model: keras.Model, path: str | Path, card: dict) -> Path:
    """Write ``path`` (``NAME.weights.h5``: tensors only) and then its card ``NAME.json``.

    The card says data, recipe, seed, duration and accuracy; the SHA-256 of the weights is added.
    """
    path, card_path = _paths(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        model.save_weights(partial)
    with atomic(card_path) as partial:
        whole = {**card, "weights_sha256": file_sha256(path)}
        partial.write_text(json.dumps(whole, indent=2) + "\n")
    return path


def load_checkpoint(model: keras.Model, path: str | Path) -> dict:
    """Load the weights ``path`` into ``model`` in place and return the card.

    Raises ``FileNotFoundError`` if weights or card are missing, and ``ValueError`` if the weights
    are not the ones the card describes or do not fit the model.
    """
    path, card_path = _paths(path)
    for needed in (path, card_path):
        if not needed.is_file():
            raise FileNotFoundError(
                f"{needed} is missing; weights and card belong together in {path.parent}"
            )
    card = json.loads(card_path.read_text())
    if file_sha256(path) != card["weights_sha256"]:
        raise ValueError(f"{path} does not match the SHA-256 in {card_path.name}")
    try:
        model.load_weights(path)
    except ValueError as error:
        raise ValueError(f"{path} does not fit model {model.name!r}: {error}") from None
    return card


def _paths(path: str | Path) -> tuple[Path, Path]:
    """Of the weights and of the card."""
    path = Path(path)
    name = path.name.removesuffix(".weights.h5")
    if name == path.name:
        raise ValueError(f"a checkpoint's name ends in .weights.h5, got {path.name}")
    return path, path.with_name(f"{name}.json")


def existing(path: str | Path) -> Path:
    """``path``, or ``FileNotFoundError`` if it is no file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    return path


def file_sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
