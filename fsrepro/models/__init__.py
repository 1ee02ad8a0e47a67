"""Networks in Keras 3, and the trained weights that the project keeps."""

from .checkpoint import load_checkpoint, save_checkpoint
from .resnet import resnet
from .small_cnn import small_cnn

__all__ = ["load_checkpoint", "resnet", "save_checkpoint", "small_cnn"]
