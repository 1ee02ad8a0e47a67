"""Calibration without labels: minutes on a few thousand images, between none and a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ..conversion import SpikingModel
from ..measures import evaluate
from .fine_tuning import fine_tune

__all__ = ["calibrate"]

_AVERAGED = 0.1  # of the epochs
_COUNTED = 512  # images


def calibrate(
    snn: SpikingModel,
    ann,
    images: np.ndarray,
    *,
    spikes_per_neuron: float | None = None,
    epochs: int = 40,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    batch_size: int = 64,
    learning_rate: float = 2e-4,
    mixup: float = 0.4,
    augmentation: bool = False,
    precision: str = "float32",
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> tuple[SpikingModel, pd.DataFrame]:
    """Bring the answers of a spiking network nearer to those of the ANN; no labels are needed.

    Weights, scales and dead zones are trained through the codes, by :func:`fine_tune` at a small
    learning rate, so that the answers to ``images`` and to blends of them are those of the ANN.
    What comes out is neither training-free nor fine-tuned on the data set: call it calibrated.

    Parameters
    ----------
    snn : SpikingModel
        Left unchanged; see :func:`fine_tune` for what it may be. Best one of
        ``convert(..., refit=True)``, to which less is left to learn.
    ann : keras.Model, torch.nn.Module, or path
        What ``snn`` was converted from.
    images : (N, ...) array
        Unlabelled, a few thousand, as the network takes them.
    spikes_per_neuron : float
        The budget; as many as ``snn`` fires on the first of the images unless given.
    epochs, validation, batch_size, learning_rate, mixup, augmentation, precision, seed, checkpoint
        As of :func:`fine_tune`; nothing is learned from the images of ``validation``. With
        ``augmentation`` the others are also flipped and shifted.

    Returns
    -------
    SpikingModel
    pandas.DataFrame
        The history, as of :func:`fine_tune`.

    Raises
    ------
    ValueError
        As :func:`fine_tune` does.
    """
    images = snn.check(images, "images to calibrate on")
    if spikes_per_neuron is None:
        spikes_per_neuron = evaluate(snn, images[:_COUNTED]).spikes_per_neuron
    return fine_tune(
        snn, images, teacher=ann, spikes_per_neuron=spikes_per_neuron, epochs=epochs,
        validation=validation, batch_size=batch_size, learning_rate=learning_rate, mixup=mixup,
        averaging=_AVERAGED * epochs, augmentation=augmentation, precision=precision,
        seed=seed, checkpoint=checkpoint,
    )  # fmt: skip
