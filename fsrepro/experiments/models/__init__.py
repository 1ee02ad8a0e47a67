"""Networks in Keras 3, and the trained weights that the project keeps."""

import re

from ._efficientnet_lite import efficientnet_lite
from ._imagenet import ImageNetNetwork, imagenet
from ._import_torch import import_torch
from ._plain_cnn import plain_cnn
from ._published import PublishedNetwork, published
from ._resnet import resnet
from ._small_cnn import small_cnn
from .background import without_background
from .checkpoint import load_checkpoint, save_checkpoint
from .mobilenet_v3 import mobilenet_v3_small

__all__ = [
    "ImageNetNetwork",
    "PublishedNetwork",
    "build",
    "efficientnet_lite",
    "imagenet",
    "import_torch",
    "load_checkpoint",
    "mobilenet_v3_small",
    "plain_cnn",
    "published",
    "resnet",
    "save_checkpoint",
    "small_cnn",
    "without_background",
]


def build(name: str, image_shape: tuple[int, int, int], classes: int, **options):
    """An untrained network by name, as a notebook's parameter gives it.

    Parameters
    ----------
    name : str
        ``small_cnn``, ``plain_cnn``, or ``resnet8``, ``resnet14``, ``resnet20``, ...
    image_shape : tuple of int
    classes : int
    **options
        Go to the constructor.

    Raises
    ------
    ValueError
        For another name.
    """
    if name in ("small_cnn", "plain_cnn"):
        constructor = small_cnn if name == "small_cnn" else plain_cnn
        return constructor(image_shape, classes, **options)
    if match := re.fullmatch(r"resnet(\d+)", name):
        return resnet(int(match[1]), image_shape, classes, **options)
    raise ValueError(
        f"unknown network {name!r}; choose small_cnn, plain_cnn or resnet8, resnet14, ..."
    )
