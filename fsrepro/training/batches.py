"""What an epoch sees: shuffled, augmented batches of arrays, or a stream of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized

import numpy as np

from ..archive import checksum

__all__ = ["TrainingData", "augment", "mix"]


class TrainingData:
    """Batches for many epochs.

    Raises ``ValueError`` for arrays that do not fit together or a ``batch_size``, a stream without
    a length, and one that is to be augmented. A batch is images and labels, or None for these.

    Parameters
    ----------
    x, y : array
        Images (N, ...) as the network takes them, and labels (N, ...), or None; what an epoch sees
        is then a function of ``seed`` and its number alone, and an incomplete last batch is left
        out. Or ``x`` is a stream of (images, labels), or of images, with a length, such as a
        ``tf.data.Dataset``, gone through once an epoch, and ``y`` None: it has its own batches,
        order and augmentation.
    batch_size, seed : int
    augmentation : bool
        See :func:`augment`.
    cutout : int
        The side of the square that an augmented image loses, in pixels.
    """

    def __init__(self, x, y, batch_size: int, augmentation: bool, seed: int, cutout: int = 0):
        self.x, self.y, self.seed, self.cutout = x, y, seed, cutout
        self.batch_size, self.augmentation = batch_size, augmentation
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        if cutout < 0 or (cutout and not (augmentation or y is None)):
            raise ValueError(f"cutout must be 0, or positive with augmentation, got {cutout}")
        self.is_stream = y is None and not isinstance(x, np.ndarray)
        if self.is_stream:
            if not (isinstance(x, Iterable) and isinstance(x, Sized)):
                raise ValueError(
                    "without labels, the images must be a stream of (images, labels) that has a "
                    f"length, such as a tf.data.Dataset; got {type(x).__name__}"
                )
            if augmentation or cutout:
                raise ValueError("a stream has its own augmentation; leave augmentation out")
            self.steps = len(x)
            return
        self.x, self.y = np.asarray(x, np.float32), None if y is None else np.asarray(y)
        if self.y is not None and self.y.shape[:1] != self.x.shape[:1]:
            raise ValueError(f"{len(self.x)} images need as many labels, got {self.y.shape}")
        self.steps = len(self.x) // batch_size
        if self.steps < 1:
            raise ValueError(f"batch_size {batch_size} exceeds the {len(self.x)} training images")

    @property
    def identity(self) -> str:
        """A checksum of the arrays, for the recipe of a training; of a stream, its form."""
        if self.is_stream:
            form = getattr(self.x, "element_spec", type(self.x).__name__)
            return f"stream of {self.steps}: {form}"
        return checksum(self.x, *([] if self.y is None else [self.y]))

    def epoch(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """The batches of the epoch of that number."""
        if self.is_stream:
            for batch in self.x:
                images, labels = batch if isinstance(batch, (tuple, list)) else (batch, None)
                yield np.asarray(images), None if labels is None else np.asarray(labels)
            return
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.x))
        for step in range(self.steps):
            batch = order[step * self.batch_size :][: self.batch_size]
            images = self.x[batch]
            labels = None if self.y is None else self.y[batch]
            if self.augmentation:
                images = augment(images, rng, cutout=self.cutout)
            yield images, labels


def augment(
    images: np.ndarray, rng: np.random.Generator, *, shift: int = 4, cutout: int = 0
) -> np.ndarray:
    """Flip each of ``images``, (N, H, W, C), left to right with probability 1/2, and shift it.

    By up to ``shift`` pixels (He et al. 2016, 4.2); what a shift uncovers is zero. With ``cutout``
    a square of that side around a random pixel is zero (DeVries & Taylor 2017).
    """
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    rows = rng.integers(0, 2 * shift + 1, (n, 1)) + np.arange(height)  # (N, H)
    columns = rng.integers(0, 2 * shift + 1, (n, 1)) + np.arange(width)  # (N, W)
    flip = rng.random(n) < 0.5
    columns[flip] = columns[flip, ::-1]
    shifted = padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if cutout:

        def cut(size):  # (N, size)
            start = rng.integers(0, size, (n, 1)) - cutout // 2
            return (np.arange(size) >= start) & (np.arange(size) < start + cutout)

        shifted[cut(height)[:, :, None] & cut(width)[:, None, :]] = 0
    return shifted


def mix(
    images: np.ndarray, targets: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    r"""Blend each of ``images``, (N, H, W, C), and its target, (N, classes), with another: mixup.

    One share for the batch is drawn from :math:`\mathrm{Beta}(\alpha, \alpha)` (Zhang et al. 2018,
    equation 1).
    """
    share = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(images))
    blended, wanted = (x + (1 - share) * (x[other] - x) for x in (images, targets))
    return blended, wanted
