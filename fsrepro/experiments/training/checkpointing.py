"""A run that survives a kill: weights, optimizer state, recipe and history in one file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pandas as pd
from tqdm import tqdm

from ...files import atomic
from .batches import TrainingData

__all__ = ["resume", "run", "save"]


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
    with atomic(path) as partial:
        model.save_weights(partial)
        with h5py.File(partial, "a") as file:
            file.attrs["recipe"] = json.dumps(recipe)
            file.attrs["history"] = json.dumps(history)


def resume(model, path: str | Path | None, recipe: dict) -> list[dict]:
    """The history of the run in ``path``, its state put into ``model``; empty if there is none.

    Raises ``ValueError`` if the file is no checkpoint, or that of another run.
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
