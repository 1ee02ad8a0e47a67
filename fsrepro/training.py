"""Training a network: seeded, with a progress bar, and resumable after a kill.

What an epoch sees depends on ``(seed, epoch)`` alone, and a checkpoint holds weights, optimizer
state and history, so an interrupted run ends where an uninterrupted one would.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from .datasets import Dataset, Part

__all__ = [
    "accuracy",
    "augment",
    "cosine_schedule",
    "restarts_schedule",
    "step_schedule",
    "train",
]


def train(
    model: keras.Model,
    data: Dataset,
    *,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    schedule: str = "cosine",
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    augmentation: bool = True,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> pd.DataFrame:
    """Train ``model`` (which returns logits) in place; return one row per epoch.

    SGD with Nesterov momentum and cross-entropy, after He et al. (2016), section 4.2.

    ``schedule``: ``"cosine"`` (to zero over all epochs), ``"restarts"`` (the same over a third of
    the epochs, and once more over the others) or ``"step"`` (a tenth after half and again after
    three quarters of the epochs). ``weight_decay``: the factor of 1/2 ||w||^2 in the
    loss, for kernels only. ``augmentation``: see :func:`augment`. ``checkpoint``: a file
    ``*.weights.h5`` written after every epoch; if it exists, training goes on from there.

    Columns: epoch (from 1), loss and accuracy (percent) on the augmented training images,
    calibration_accuracy (percent), learning_rate at the end of the epoch, seconds. The settings
    are in ``attrs["recipe"]``.

    Raises ``ValueError`` for impossible settings, and if the checkpoint belongs to another model,
    recipe or data set.
    """
    steps_per_epoch = len(data.train) // batch_size
    _check_settings(model, data, epochs, batch_size, learning_rate, steps_per_epoch)
    schedules = {
        "cosine": cosine_schedule,
        "restarts": restarts_schedule,
        "step": step_schedule,
    }
    if schedule not in schedules:
        raise ValueError(f"schedule must be one of {', '.join(schedules)}, got {schedule!r}")
    rate = schedules[schedule](learning_rate, epochs * steps_per_epoch)
    # Keras decays by rate * weight_decay outside the momentum; the loss term of the papers
    # passes through it, which multiplies its effect by 1 / (1 - momentum).
    optimizer = keras.optimizers.SGD(
        rate, momentum=momentum, nesterov=True, weight_decay=weight_decay / (1 - momentum)
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    optimizer.build(model.trainable_variables)
    recipe = {
        "model": model.name,
        "parameters": model.count_params(),
        "data_sha256": data.checksum,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "augmentation": augmentation,
        "seed": seed,
    }
    checkpoint = Path(checkpoint) if checkpoint else None
    history = _resume(model, checkpoint, recipe) if checkpoint and checkpoint.exists() else []
    with tqdm(
        total=epochs * steps_per_epoch,
        initial=len(history) * steps_per_epoch,
        desc=f"train {model.name}",
        unit="batch",
    ) as bar:
        for epoch in range(len(history) + 1, epochs + 1):
            start = time.perf_counter()
            logs = []
            for images, labels in _epoch(data, batch_size, augmentation, [seed, epoch]):
                model.reset_metrics()
                logs.append(model.train_on_batch(images, labels, return_dict=True))
                bar.update()
            mean = pd.DataFrame(logs).astype(float).mean()
            history.append(
                {
                    "epoch": epoch,
                    "loss": mean["loss"],
                    "accuracy": 100 * mean["accuracy"],
                    "calibration_accuracy": accuracy(model, data, data.calibration),
                    "learning_rate": float(rate(epoch * steps_per_epoch)),
                    "seconds": time.perf_counter() - start,
                }
            )
            bar.set_postfix(calibration=f"{history[-1]['calibration_accuracy']:.2f} %")
            if checkpoint:
                _save(model, checkpoint, recipe, history)
    table = pd.DataFrame(history)
    table.attrs["recipe"] = recipe
    return table


def accuracy(model: keras.Model, data: Dataset, part: Part, *, batch_size: int = 500) -> float:
    """Percent of the images of ``part`` that ``model`` classifies rightly."""
    right = 0
    for start in range(0, len(part), batch_size):
        batch = part[start : start + batch_size]
        logits = model.predict_on_batch(data.normalise(batch.images))
        right += int((logits.argmax(1) == batch.labels).sum())
    return 100 * right / len(part)


def augment(images: np.ndarray, rng: np.random.Generator, *, shift: int = 4) -> np.ndarray:
    """Flip each image left to right with probability 1/2, and shift it by up to ``shift`` pixels.

    ``images``: (N, H, W, C). What a shift uncovers is zero. Source: He et al. (2016), 4.2.
    """
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    rows = rng.integers(0, 2 * shift + 1, n)[:, None] + np.arange(height)  # (N, H)
    columns = rng.integers(0, 2 * shift + 1, n)[:, None] + np.arange(width)  # (N, W)
    flip = rng.random(n) < 0.5
    columns[flip] = columns[flip, ::-1]
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def cosine_schedule(learning_rate: float, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """From ``learning_rate`` to zero along half a cosine (Loshchilov & Hutter 2017)."""
    return keras.optimizers.schedules.CosineDecay(learning_rate, steps)


def restarts_schedule(
    learning_rate: float, steps: int
) -> keras.optimizers.schedules.CosineDecayRestarts:
    """Two halves of a cosine, the second twice as long (Loshchilov & Hutter 2017, T_mult = 2)."""
    return keras.optimizers.schedules.CosineDecayRestarts(learning_rate, steps // 3, t_mul=2.0)


def step_schedule(
    learning_rate: float, steps: int
) -> keras.optimizers.schedules.PiecewiseConstantDecay:
    """A tenth after half of the steps and again after three quarters (He et al. 2016)."""
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps // 2, steps * 3 // 4], [learning_rate, learning_rate / 10, learning_rate / 100]
    )


def _check_settings(model, data, epochs, batch_size, learning_rate, steps_per_epoch):
    if epochs < 1 or batch_size < 1 or not learning_rate > 0:
        raise ValueError(
            "epochs, batch_size and learning_rate must be positive, got "
            f"{epochs}, {batch_size}, {learning_rate}"
        )
    if steps_per_epoch < 1:
        raise ValueError(f"batch_size {batch_size} exceeds the {len(data.train)} training images")
    if tuple(model.input_shape[1:]) != data.image_shape:
        raise ValueError(
            f"model {model.name!r} takes images of shape {tuple(model.input_shape[1:])}, data set "
            f"{data.name!r} has {data.image_shape}"
        )


def _epoch(data: Dataset, batch_size: int, augmentation: bool, seed):
    """The shuffled, augmented batches of one epoch; an incomplete last batch is left out."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.train))
    for start in range(0, len(order) - batch_size + 1, batch_size):
        batch = data.train[order[start : start + batch_size]]
        images = data.normalise(batch.images)
        if augmentation:  # after normalisation: a shift uncovers mean grey, not black
            images = augment(images, rng)
        yield images, batch.labels


def _save(model, path: Path, recipe: dict, history: list[dict]) -> None:
    partial = path.with_name(f".partial-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save_weights(partial)
    with h5py.File(partial, "a") as file:
        file.attrs["recipe"] = json.dumps(recipe)
        file.attrs["history"] = json.dumps(history)
    partial.replace(path)


def _resume(model, path: Path, recipe: dict) -> list[dict]:
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
