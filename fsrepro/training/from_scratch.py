"""Training a network: seeded, with a progress bar, and resumable after a kill.

What an epoch sees depends on ``(seed, epoch)`` alone, and a checkpoint holds weights, optimizer
state and history, so an interrupted run ends where an uninterrupted one would.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from ..archive import checksum
from ..conversion import check_images
from ..networks.graph import predict
from ..tasks import Task
from .batches import TrainingData
from .checkpointing import resume, run
from .objective import Objective
from .schedules import SCHEDULES
from .twin import bring_back, twin

__all__ = ["accuracy", "check_settings", "held_out_accuracy", "train"]


def train(
    model: keras.Model,
    x: np.ndarray | Iterable,
    y: np.ndarray | None = None,
    *,
    epochs: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    schedule: str = "cosine",
    label_smoothing: float = 0.0,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    augmentation: bool = False,
    cutout: int = 0,
    precision: str = "float32",
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> pd.DataFrame:
    """Train ``model`` (which returns logits) in place; return one row per epoch.

    SGD with Nesterov momentum and cross-entropy, after He et al. (2016), section 4.2.

    Parameters
    ----------
    model : keras.Model
    x, y : array
        Images (N, H, W, C) as the network takes them, and classes (N,); or ``x`` is a stream of
        batches of both, see :class:`~fsrepro.training.TrainingData`.
    epochs, batch_size, seed : int
    validation : pair of arrays
        Held-out images and classes, to be classified after every epoch.
    learning_rate, momentum : float
    schedule : "cosine", "one cycle", "restarts" or "step"
        See :mod:`~fsrepro.training.schedules`.
    label_smoothing : float
        The share of a target that is spread over all classes (Szegedy et al. 2016).
    weight_decay : float
        The factor of 1/2 ||w||^2 in the loss, for kernels only.
    augmentation : bool
    cutout : int
        See :func:`~fsrepro.training.augment`.
    precision : str
        What the training computes in, held-out images included; see
        :func:`~fsrepro.training.twin.twin`.
    checkpoint : str or Path
        A file written after every epoch; if it exists, training goes on from there.

    Returns
    -------
    pandas.DataFrame
        With the columns epoch (from 1), loss and accuracy (percent) on the augmented training
        images, calibration_accuracy (percent of the held-out images; NaN without), learning_rate
        of the last batch, seconds. The settings are in ``attrs["recipe"]``.

    Raises
    ------
    ValueError
        For impossible settings, labels that are no classes, and if the checkpoint is damaged, or
        belongs to another network, recipe or data set.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be from 0 to below 1, got {label_smoothing}")
    data = TrainingData(x, y, batch_size, augmentation, seed, cutout)
    check_settings(model, data, validation, epochs, learning_rate)
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    rate = SCHEDULES[schedule](learning_rate, epochs * data.steps)
    # Keras decays by rate * weight_decay outside the momentum; the loss term of the papers
    # passes through it, which multiplies its effect by 1 / (1 - momentum).
    optimizer = keras.optimizers.SGD(
        rate, momentum=momentum, nesterov=True, weight_decay=weight_decay / (1 - momentum)
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    trained = twin(model, precision)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    trained.compile(optimizer, loss, metrics=["accuracy"])
    optimizer.build(trained.trainable_variables)
    recipe = {
        "model": model.name, "weights": checksum(*trained.get_weights()), "data": data.identity,
        "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate,
        "schedule": schedule, "label_smoothing": label_smoothing, "momentum": momentum,
        "weight_decay": weight_decay,
        "augmentation": augmentation, "cutout": cutout, "precision": precision, "seed": seed,
    }  # fmt: skip
    history = resume(trained, checkpoint, recipe)
    bring_back(trained, model)

    classes = Objective(Task(), model.output_shape[1:], None, 0.0)

    def learn(epoch, batches):
        logs = []
        for images, labels in batches:
            trained.reset_metrics()
            targets = classes.targets(labels, len(images))
            logs.append(trained.train_on_batch(images, targets, return_dict=True))
        bring_back(trained, model)
        mean = pd.DataFrame(logs).astype(float).mean()
        held_out = held_out_accuracy(trained, validation)
        measured = {"loss": mean["loss"], "accuracy": 100 * mean["accuracy"]}
        return {**measured, "calibration_accuracy": held_out}

    return run(
        f"train {model.name}", trained, data, learn, rate=rate, recipe=recipe, history=history,
        checkpoint=checkpoint, status="calibration={calibration_accuracy:.2f} %",
    )  # fmt: skip


def accuracy(model: keras.Model, x: np.ndarray, y: np.ndarray, *, batch_size: int = 500) -> float:
    """Percent of the images ``x`` that ``model`` classifies as ``y``."""
    return 100 * float((predict(model, x, batch_size).argmax(1) == y).mean())


def held_out_accuracy(model: keras.Model, validation) -> float:
    """As :func:`accuracy`, of a pair of held-out images and classes; NaN for None."""
    return math.nan if validation is None else accuracy(model, *validation)


def check_settings(model, data, validation, epochs, learning_rate) -> None:
    """Raise ``ValueError`` for settings with which nothing can be trained."""
    if epochs < 1 or not learning_rate > 0:
        raise ValueError(
            f"epochs and learning_rate must be positive, got {epochs} and {learning_rate}"
        )
    if not data.is_stream:
        check_images(model, data.x, "training images")
    if validation is not None:
        check_images(model, validation[0], "held-out images")
