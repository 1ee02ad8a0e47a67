"""What calibration images tell of a network, whatever its codes: computed once, when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from numpy.typing import NDArray

from ..fitting import Distribution
from ..tasks import Task
from . import calibration
from ._sensitivity import sensitivity

__all__ = ["Measured"]

SENSITIVITY_IMAGES = 2500


@dataclass(frozen=True, eq=False)
class Measured:
    """An ANN in normal form, what its outputs mean, and calibration images, (N, ...) float32."""

    graph: keras.Model
    images: NDArray[np.float32]
    task: Task
    seed: int = 0

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """By layer, see :func:`~fsrepro.conversion.distributions`."""
        return calibration.distributions(self.graph, self.images, seed=self.seed)

    @cached_property
    def channel_samples(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float64]]]:
        """By layer, see :func:`~fsrepro.conversion.calibration.channel_samples`."""
        return calibration.channel_samples(self.graph, self.images, seed=self.seed)

    @cached_property
    def sensitivity(self) -> dict[str, NDArray[np.float64]]:
        """By layer, (C,), see :func:`~fsrepro.conversion.sensitivity`."""
        images = self.images[:SENSITIVITY_IMAGES]
        return sensitivity(self.graph, images, task=self.task, seed=self.seed)
