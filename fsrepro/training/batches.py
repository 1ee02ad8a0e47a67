"""What an epoch sees: shuffled, augmented batches, a function of the seed alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..datasets import Dataset

__all__ = ["augment", "batches", "mix"]


def batches(
    data: Dataset, batch_size: int, augmentation: bool, seed
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The shuffled, augmented batches of one epoch; an incomplete last batch is left out."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.train))
    for start in range(0, len(order) - batch_size + 1, batch_size):
        batch = data.train[order[start : start + batch_size]]
        images = data.normalise(batch.images)
        if augmentation:  # after normalisation: a shift uncovers mean grey, not black
            images = augment(images, rng)
        yield images, batch.labels


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


def mix(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    r"""Blend each image of a batch, and its target, with another: mixup.

    ``images``: (N, H, W, C). ``targets``: (N, classes). One share for the batch is drawn from
    :math:`\mathrm{Beta}(\alpha, \alpha)`. Source: Zhang et al. (2018), equation 1.
    """
    share = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(images))
    return tuple(x + (1 - share) * (x[other] - x) for x in (images, targets))
