"""Networks in Keras 3, and the trained weights that the project keeps."""

import re
from collections.abc import Callable
from functools import partial

from ._efficientnet_lite import efficientnet_lite
from ._imagenet import ImageNetNetwork, imagenet
from ._import_torch import import_torch
from ._plain_cnn import plain_cnn, small_cnn, vgg16
from ._published import PublishedNetwork, published
from ._resnet import resnet
from .background import without_background
from .checkpoint import load_checkpoint, save_checkpoint
from .mobilenet_v3 import mobilenet_v3_small

__all__ = [
    "ImageNetNetwork", "PublishedNetwork", "build", "efficientnet_lite", "imagenet", "import_torch",
    "load_checkpoint", "mobilenet_v3_small", "plain_cnn", "published", "resnet", "save_checkpoint",
    "small_cnn", "vgg16", "without_background",
]  # fmt: skip


def build(name: str, image_shape: tuple[int, int, int], classes: int, **options):
    """An untrained network by name, as a notebook's parameter gives it.

    Parameters
    ----------
    name : str
        ``small_cnn``, ``plain_cnn``, ``vgg16``, or ``resnet8``, ``resnet14``, ``resnet20``, ...;
        others raise ``ValueError``.
    image_shape, classes, **options
        Go to the constructor.
    """
    constructors: dict[str, Callable] = {
        network.__name__: network for network in (small_cnn, plain_cnn, vgg16)
    }
    if match := re.fullmatch(r"resnet(\d+)", name):
        constructors[name] = partial(resnet, int(match[1]))
    if name not in constructors:
        raise ValueError(
            f"unknown network {name!r}; choose small_cnn, plain_cnn, vgg16 or resnet8, ..."
        )
    return constructors[name](image_shape, classes, **options)
