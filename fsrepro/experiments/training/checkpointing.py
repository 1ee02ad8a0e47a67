"""A run that survives a kill: weights, optimizer state, recipe and history in one file."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from ...files import atomic

__all__ = ["resume", "save"]


def save(model, path: Path, recipe: dict, history: list[dict]) -> None:
    """Write the checkpoint of a finished epoch to ``path``, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        model.save_weights(partial)
        with h5py.File(partial, "a") as file:
            file.attrs["recipe"] = json.dumps(recipe)
            file.attrs["history"] = json.dumps(history)


def resume(model, path: str | Path | None, recipe: dict) -> list[dict]:
    """The history of the run in ``path``, its state put into ``model``; empty if there is none.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or that of another run.
    """
    if path is None or not Path(path).exists():
        return []
    try:
        with h5py.File(path) as file:
            found = json.loads(file.attrs["recipe"])
            history = json.loads(file.attrs["history"])
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{path} is not a training checkpoint ({error}); delete it to start afresh"
        ) from None
    differing = [key for key in recipe if found.get(key) != recipe[key]]
    if differing:
        detail = "; ".join(f"{key}: {found.get(key)} there, {recipe[key]} now" for key in differing)
        raise ValueError(f"{path} belongs to another run ({detail}); delete it or change its name")
    model.load_weights(path)
    return history
