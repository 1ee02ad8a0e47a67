"""What is done to a picture before a network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """A picture -> what a network takes: a square from the centre, resized, y = (x - mean)/scale.

    The square has round(crop * shorter side) pixels and is cut before it is resized, as
    EfficientNet was evaluated (Tan & Le 2019). Impossible values raise ``ValueError``.

    Parameters
    ----------
    size : int
        Side of the result in pixels.
    crop : float
        Side of the square as a fraction of the picture's shorter side, such as 224/256; 1 keeps all
        of it.
    mean, scale : float or tuple of float
        On the scale 0..255, one number or one per channel of the result.
    bgr : bool
        Blue first.
    interpolation : "bicubic" or "bilinear"
        Pillow's, hence over all pixels that are covered (antialiased).
    """

    size: int
    crop: float = 1.0
    mean: float | tuple[float, float, float] = 0.0
    scale: float | tuple[float, float, float] = 1.0
    bgr: bool = False
    interpolation: str = "bicubic"

    def __post_init__(self):
        if not (isinstance(self.size, int) and self.size >= 1):
            raise ValueError(f"size must be a whole number of pixels from 1, got {self.size!r}")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop must be above 0 and at most 1, got {self.crop}")
        for name in ("mean", "scale"):
            value = np.asarray(getattr(self, name), float)
            if value.shape not in ((), (3,)) or not np.isfinite(value).all():
                raise ValueError(f"{name} must be one number, or one per channel, got {value}")
        if np.min(self.scale) <= 0:
            raise ValueError(f"scale must be above 0, got {self.scale}")
        if self.interpolation not in ("bicubic", "bilinear"):
            raise ValueError(
                f"interpolation must be 'bicubic' or 'bilinear', got {self.interpolation!r}"
            )

    def __call__(self, picture: Image) -> np.ndarray:
        """Of ``picture``, in RGB: float32, (size, size, 3)."""
        from PIL.Image import Resampling

        side = max(1, round(min(picture.size) * self.crop))
        left, top = ((length - side) // 2 for length in picture.size)
        square = picture.crop((left, top, left + side, top + side))
        resized = square.resize((self.size, self.size), Resampling[self.interpolation.upper()])
        x = np.asarray(resized, np.float32)
        if self.bgr:
            x = x[..., ::-1]
        return (x - np.asarray(self.mean, np.float32)) / np.asarray(self.scale, np.float32)
