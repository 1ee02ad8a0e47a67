"""Pictures as a stream of arrays: they are too many to be one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .pictures import Pictures

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Batch", "arrays", "batches"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures, decoded.

    ``images``, (n, H, W, C), are as preprocessed; ``labels`` and ``index``, (n,) int64, say what
    they are, and where in the :class:`Pictures`. ``unreadable``: file and reason of each picture of
    this batch that is not in ``images`` because it could not be decoded.
    """

    images: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    unreadable: tuple[tuple[Path, str], ...]


def batches(
    pictures: Pictures,
    preprocess: Callable[[Image], np.ndarray],
    batch_size: int,
    workers: int | None = None,
) -> Iterator[Batch]:
    """All pictures in order, ``batch_size`` at a time; the same for any number of ``workers``.

    They are decoded in parallel; at most one batch, or two pictures per worker, is read ahead, so
    that memory does not depend on their number.

    Grey and palette pictures become RGB; CMYK by Pillow's plain formula, without a colour profile;
    transparent pixels are laid on white. EXIF orientation is ignored, as in the usual ImageNet
    evaluations. A picture that Pillow cannot decode whole, that has more than 8 bits per channel,
    or more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``, is left out of its batch, which is then
    smaller, and reported in it. Less than one picture per batch or worker raises ``ValueError``.

    Parameters
    ----------
    pictures : Pictures
    preprocess : callable
        From a picture in RGB to an array (H, W, C), the same shape for all. What it raises is
        passed on.
    batch_size : int
    workers : int
        So many threads call ``preprocess``; by default one per processor.
    """
    workers = os.cpu_count() or 1 if workers is None else workers
    if batch_size < 1 or workers < 1:
        raise ValueError(
            f"batch_size and workers must be at least 1, got {batch_size} and {workers}"
        )
    return _stream(pictures, preprocess, batch_size, workers)


def arrays(
    pictures: Pictures, preprocess: Callable[[Image], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """All that can be read, (N, H, W, C), and their labels, (N,): where memory holds them."""
    every = ((batch.images, batch.labels) for batch in batches(pictures, preprocess, 16))
    images, labels = zip(*every, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _stream(pictures, preprocess, batch_size, workers) -> Iterator[Batch]:
    pool = ThreadPoolExecutor(workers)  # Pillow decodes and resizes without the interpreter's lock
    jobs = (pool.submit(_read, file, preprocess) for file in pictures.files)
    ahead = deque(islice(jobs, max(batch_size, 2 * workers)))
    try:
        for start in range(0, len(pictures), batch_size):
            images: dict[int, np.ndarray] = {}
            unreadable = []
            for i in range(start, min(start + batch_size, len(pictures))):
                read = ahead.popleft().result()
                ahead.extend(islice(jobs, 1))
                if isinstance(read, str):
                    unreadable.append((pictures.files[i], read))
                else:
                    images[i] = read
            index = np.array(list(images), np.int64)
            stacked = np.stack(list(images.values())) if images else _no_images(preprocess)
            yield Batch(stacked, pictures.labels[index], index, tuple(unreadable))
    finally:
        pool.shutdown(cancel_futures=True)


def _read(file: Path, preprocess) -> np.ndarray | str:
    """The array, or why the picture cannot be decoded."""
    try:
        picture = _decode(file)
    except Exception as error:  # Pillow's readers raise nearly anything on a broken file
        return f"{type(error).__name__}: {error}"
    try:
        return preprocess(picture)
    except Exception as error:
        error.add_note(f"in preprocessing {file}")
        raise


def _decode(file: Path) -> Image:
    from PIL import Image

    with Image.open(file) as picture:
        width, height = picture.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"{width} x {height} pixels are more than {Image.MAX_IMAGE_PIXELS}")
        if picture.mode.startswith(("I", "F")):  # Pillow would clip it to 8 bits
            raise ValueError(f"mode {picture.mode} has more than 8 bits per channel")
        if picture.has_transparency_data:
            white = Image.new("RGBA", picture.size, "white")
            return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        return picture.convert("RGB")


def _no_images(preprocess) -> np.ndarray:
    """No images, of the shape and type that ``preprocess`` gives: (0, H, W, C)."""
    from PIL import Image

    return np.stack([preprocess(Image.new("RGB", (256, 256)))])[:0]
