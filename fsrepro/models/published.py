"""Networks that others trained and published, fetched once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ..datasets import IMAGENET_MEAN, IMAGENET_STD
from .import_torch import import_torch
from .resnet import resnet

__all__ = ["PublishedNetwork", "published"]

_CIFAR_RESNETS = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"
_CHECKPOINTS = {  # name -> depth, SHA-256 of the file
    "resnet20-12fca82f": (20, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8"),
}


@dataclass(frozen=True, eq=False)
class PublishedNetwork:
    """``model`` returns logits for images x given as (x / 255 - mean) / std, per channel."""

    model: keras.Model
    mean: np.ndarray
    std: np.ndarray
    source: str


def published(name: str) -> PublishedNetwork:
    """A network of others by name, with their weights and what it takes as its input.

    ``resnet20-12fca82f``: the ResNet-20 for CIFAR-10 of Y. Idelbayev (BSD-2 licence), with
    shortcuts by identity as in He et al. (2016); the publisher gives 91.73 % (8.27 % errors).

    The checkpoint is looked for in ``~/.keras/models`` and downloaded there (1 MB) if missing.

    Raises ``ValueError`` for another name; ``FileNotFoundError`` if the file is missing and
    cannot be downloaded, or is not the one published.
    """
    if name not in _CHECKPOINTS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(_CHECKPOINTS)}")
    depth, sha256 = _CHECKPOINTS[name]
    url = f"{_CIFAR_RESNETS}/{name}.th"
    model = resnet(depth, shortcut="identity", padding="symmetric", epsilon=1e-5)
    import_torch(model, _fetched(url, f"{name}.th", sha256))
    return PublishedNetwork(model, IMAGENET_MEAN, IMAGENET_STD, url)


def _fetched(url: str, file: str, sha256: str) -> Path:
    place = Path.home() / ".keras" / "models"
    try:
        return Path(
            keras.utils.get_file(
                file, url, file_hash=sha256, hash_algorithm="sha256", cache_dir=place.parent,
                cache_subdir="models",
            )
        )  # fmt: skip
    except Exception as error:  # Keras raises plain Exceptions and ValueErrors of its own
        raise FileNotFoundError(
            f"{file} is not in {place}, and {url} did not give the published file ({error}). "
            "Fetch it by other means and put it there."
        ) from None
