"""Networks that others trained and published, fetched once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from ..datasets import IMAGENET_MEAN, IMAGENET_STD
from ..download import fetched
from ._import_torch import import_torch
from ._resnet import resnet

__all__ = ["PublishedNetwork", "published"]

_CIFAR_RESNETS = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models"
_CHECKPOINTS = {  # name -> depth, SHA-256 of the file, what PyTorch answers to _RAMP
    "resnet20-12fca82f": (
        20,
        "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
        (2.5538, -1.8530, -0.0286, 6.5765, -2.4049, 2.5155, 0.7414, -1.9863, -1.5445, -4.5860),
    ),
}
_RAMP = np.linspace(-2, 2, 32 * 32 * 3, dtype=np.float32).reshape(1, 32, 32, 3)


@dataclass(frozen=True, eq=False)
class PublishedNetwork:
    """``model`` returns logits for images x given as (x / 255 - mean) / std, per channel, (C,)."""

    model: keras.Model
    mean: np.ndarray
    std: np.ndarray
    source: str


def published(name: str) -> PublishedNetwork:
    """A network of others by name, with their weights and what it takes as its input.

    ``resnet20-12fca82f``: the ResNet-20 for CIFAR-10 of Y. Idelbayev (BSD-2 licence), with
    shortcuts by identity as in He et al. (2016); the publisher gives 91.73 % (8.27 % errors).
    Another name raises ``ValueError``.

    The checkpoint is looked for in ``~/.keras/models`` and downloaded there (1 MB) if missing;
    ``FileNotFoundError`` if it cannot be, or is not the one published.
    """
    if name not in _CHECKPOINTS:
        raise ValueError(f"unknown network {name!r}; choose one of {', '.join(_CHECKPOINTS)}")
    depth, sha256, reference = _CHECKPOINTS[name]
    url = f"{_CIFAR_RESNETS}/{name}.th"
    model = resnet(depth, shortcut="identity", padding="symmetric", epsilon=1e-5)
    place = Path.home() / ".keras" / "models"
    import_torch(model, fetched(url, place, f"sha256:{sha256}"))
    # Other paddings or shortcuts take the same weights, and answer a point less well.
    if np.abs(model.predict_on_batch(_RAMP) - reference).max() > 1e-3:
        raise ValueError(f"the network built for {name} does not answer as PyTorch's")
    return PublishedNetwork(model, IMAGENET_MEAN, IMAGENET_STD, url)
