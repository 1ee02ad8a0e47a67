"""Trained weights on disk: one HDF5 file of tensors that says what it is, and the same beside it.

Weights of eight bits take eight, see :mod:`~fsrepro.networks.few_bits`.

The card (data, recipe, seed, duration, accuracy) is in the file of the weights, so that a kill
leaves old weights with their card or new weights with theirs; ``NAME.json`` beside it is for
readers. The file ends in a checksum of all before, so that nothing damaged reaches HDF5.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from ...files import Refused, atomic, file_sha256, no_space, reading, write_text
from ...hdf5 import numbers_in
from ...networks import few_bits

__all__ = ["existing", "load_checkpoint", "save_checkpoint"]

_SEAL = b"sha256:"
_SEALED = len(_SEAL) + 64


def save_checkpoint(model: keras.Model, path: str | Path, card: dict) -> Path:
    """Write ``path`` (``NAME.weights.h5``: tensors and card) and then the card, ``NAME.json``.

    The card says data, recipe, seed, duration and accuracy; in ``NAME.json`` the SHA-256 of the
    weights is added.
    """
    path, card_path = _paths(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with no_space(path), tempfile.TemporaryDirectory() as scratch:  # HDF5 leaves open what failed
        draft = Path(scratch, path.name)
        model.save_weights(draft)
        kept = _rewritten(draft, _packed)
        with h5py.File(kept, "a") as file:
            file.attrs["card"] = json.dumps(card)
        content = kept.read_bytes() + _SEAL + file_sha256(kept).encode()
    whole = {**card, "weights_sha256": hashlib.sha256(content).hexdigest()}
    with atomic(path) as partial:
        partial.write_bytes(content)
    write_text(card_path, json.dumps(whole, indent=2) + "\n")
    return path


def load_checkpoint(model: keras.Model, path: str | Path) -> dict:
    """Load the weights ``path`` into ``model`` in place and return the card.

    Raises ``FileNotFoundError`` if the weights are missing, or have their card beside them alone
    and that is missing, and ``ValueError`` if the weights are damaged, are not the ones that the
    card describes, or do not fit the model.
    """
    path, card_path = _paths(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; see checkpoints/train.py for how it is made")
    with reading(path, "a checkpoint", "restore it, or train the network again"):
        content = path.read_bytes()  # once: another process may put a new one in its place
        sha256 = hashlib.sha256(content).hexdigest()
        card = {} if _is_sealed(content) else _card_beside(path, card_path, sha256)
        with h5py.File(io.BytesIO(content)) as file:
            numbers_in(file)
            if "card" in file.attrs:
                card = json.loads(file.attrs["card"])
        with tempfile.TemporaryDirectory() as scratch:
            draft = Path(scratch, path.name)
            draft.write_bytes(content)
            draft = _rewritten(draft, _unpacked)
            try:
                model.load_weights(draft)
            except ValueError as error:
                raise Refused(f"does not fit model {model.name!r}: {error}") from None
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise Refused("holds NaN or infinite weights")
        return {**card, "weights_sha256": sha256}


def _rewritten(draft: Path, change: Callable[[h5py.Dataset], dict]) -> Path:
    """A copy of a file of HDF5 beside it, its data sets and their attributes as ``change`` says."""
    copy = draft.with_name(f"copy.{draft.name}")
    with h5py.File(draft) as source, h5py.File(copy, "w") as target:

        def write(name: str, found) -> None:
            if isinstance(found, h5py.Dataset):
                changed = change(found)
                new = target.create_dataset(name, data=changed.pop("data"))
                new.attrs.update({**found.attrs, **changed})
            else:
                target.require_group(name).attrs.update(found.attrs)

        target.attrs.update(source.attrs)
        source.visititems(write)
    return copy


def _packed(found: h5py.Dataset) -> dict:
    data = found[()]
    if data.dtype == np.float32 and (packed := few_bits.pack(data)):
        return dict(zip(("data", "step"), packed, strict=True))
    return {"data": data}


def _unpacked(found: h5py.Dataset) -> dict:
    data, step = found[()], found.attrs.get("step")
    return {"data": data if step is None else few_bits.unpack(data, step)}


def _is_sealed(content: bytes) -> bool:
    """Whether a file ends in the checksum of all before; ``Refused`` if in another."""
    body, seal = content[:-_SEALED], content[-_SEALED:]
    if not seal.startswith(_SEAL):
        return False
    if hashlib.sha256(body).hexdigest().encode() != seal.removeprefix(_SEAL):
        raise Refused("is damaged: it does not match the SHA-256 at its end")
    return True


def _card_beside(path: Path, card_path: Path, sha256: str) -> dict:
    """Of weights that have no card within."""
    if not card_path.is_file():
        raise FileNotFoundError(
            f"{card_path} is missing; weights and card belong together in {path.parent}"
        )
    card = json.loads(card_path.read_text(encoding="utf-8"))
    if not isinstance(card, dict) or "weights_sha256" not in card:
        raise Refused(f"has a card, {card_path.name}, without weights_sha256")
    if sha256 != card["weights_sha256"]:
        raise Refused(f"does not match the SHA-256 in {card_path.name}")
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
