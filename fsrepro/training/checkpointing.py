"""A run that survives a kill: weights, optimizer state, recipe and history in one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from .. import archive
from ..archive import checksum
from ..files import Refused, reading
from .batches import TrainingData

__all__ = ["resume", "run", "save"]

_FORMAT = "fsrepro training 1"


def run(
    title: str,
    model,
    data: TrainingData,
    learn: Callable[[int, Iterator], dict],
    *,
    rate: Callable,
    recipe: dict,
    history: list[dict],
    checkpoint: str | Path | None,
    status: str,
    state: Callable[[], dict] = dict,
) -> pd.DataFrame:
    """Go on from ``history`` to the end of the recipe, with a progress bar; return its table.

    An epoch is ``learn(number, batches)``. Its row holds what that measures, the learning rate,
    which is ``rate(step)``, its seconds, and the ``state`` to go on from. ``status``: a format for
    the row, shown behind the bar. The ``checkpoint``, if any, is written after every epoch.
    """
    epochs, steps = recipe["epochs"], data.steps
    done = len(history)
    with tqdm(total=epochs * steps, initial=done * steps, desc=title, unit="batch") as bar:

        def shown(batches: Iterator) -> Iterator:
            for batch in batches:
                yield batch
                bar.update()

        for epoch in range(done + 1, epochs + 1):
            start = time.perf_counter()
            row = {
                "epoch": epoch,
                **learn(epoch, shown(data.epoch(epoch))),
                "learning_rate": float(rate(epoch * steps - 1)),
                "seconds": time.perf_counter() - start,
                **state(),
            }
            history.append(row)
            bar.set_postfix_str(status.format(**row))
            if checkpoint:
                save(model, Path(checkpoint), recipe, history)
    table = pd.DataFrame(history)
    table.attrs["recipe"] = recipe
    return table


def save(model, path: Path, recipe: dict, history: list[dict]) -> None:
    """Write the checkpoint of a finished epoch to ``path``, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reached = checksum(*model.get_weights())
    header = {"format": _FORMAT, "recipe": recipe, "history": history, "reached": reached}
    arrays = {f"array_{i}": np.asarray(variable) for i, variable in enumerate(_state(model))}
    archive.write(path, header, arrays)


def resume(model, path: str | Path | None, recipe: dict) -> list[dict]:
    """The history of the run in ``path``, its state put into ``model``; empty if there is none.

    The run may have begun from the weights in the recipe, or have reached them. Raises
    ``ValueError`` if the file is no checkpoint, or that of another run.
    """
    if path is None or not Path(path).exists():
        return []
    with reading(path, "a training checkpoint", "delete it to start afresh, or change its name"):
        header, arrays = archive.read(path)
        if header.get("format") != _FORMAT:
            raise Refused(f"has format {header.get('format')!r}, expected {_FORMAT!r}")
        found, history = header["recipe"], list(header["history"])
        differing = [key for key in recipe if found.get(key) != recipe[key]]
        if differing == ["weights"] and header["reached"] == recipe["weights"]:
            differing, recipe["weights"] = [], found["weights"]
        if differing:
            pairs = (f"{key}: {found.get(key)} there, {recipe[key]} now" for key in differing)
            raise Refused(f"belongs to another run ({'; '.join(pairs)})")
        state = [arrays[f"array_{i}"] for i in range(len(arrays))]
        for variable, value in zip(_state(model), state, strict=True):
            if value.shape != tuple(variable.shape) or not np.isfinite(value).all():
                raise Refused(f"holds {value.shape} numbers for {variable.name}")
        for variable, value in zip(_state(model), state, strict=True):
            variable.assign(value)
        return history


def _state(model) -> list:
    return [*model.weights, *model.optimizer.variables]
