"""What a spiking network is trained towards: labels, and the answers of the ANN, for any task."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from scipy.special import expit, softmax

from ..networks.graph import predict
from ..tasks import Task

__all__ = ["Objective"]


class Objective:
    """The targets of a batch, the loss for them, and how good answers are.

    Of classes, also for each pixel, it is the cross-entropy; of yes or no the binary one; in
    regression the squared error over ``variance``, of the targets.

    Parameters
    ----------
    task : Task
    outputs : tuple of int
        The shape of the logits of one image.
    teacher : keras.Model, optional
        Returns logits.
    distillation : float
        The weight of the teacher's answers in the targets; the labels have the rest. Without
        labels, all.
    """

    def __init__(
        self, task: Task, outputs: tuple[int, ...], teacher: keras.Model | None, distillation: float
    ):
        self.task, self.outputs, self.teacher = task, outputs, teacher
        self.distillation = distillation if teacher is not None else 0.0
        self.variance = 1.0

    def targets(self, labels: np.ndarray | None, count: int) -> np.ndarray:
        """What the labels of so many images say, as outputs, (N, ...); without labels, nothing.

        ``ValueError`` where there is no teacher either.
        """
        shape = (count, *self.outputs)
        if labels is None:
            if self.teacher is None:
                raise ValueError("without labels a teacher is needed, usually the ANN: teacher=ann")
            self.distillation = 1.0
            return np.zeros(shape, np.float32)
        found = self.task.check(labels, shape, "training labels")
        if self.task.name == "regression" or self.task.yes_or_no(self.outputs[-1]):
            return found.reshape(shape).astype(np.float32)
        return np.eye(self.outputs[-1], dtype=np.float32)[found]

    def taught(self, images: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The targets, with what the teacher answers to these images."""
        if self.teacher is None or self.distillation == 0:
            return wanted
        answers = self._probable(self.teacher.predict_on_batch(images))
        return wanted + np.float32(self.distillation) * (answers - wanted)

    def _probable(self, logits: np.ndarray) -> np.ndarray:
        if self.task.name == "regression":
            return self.task.values(logits)
        if self.task.yes_or_no(self.outputs[-1]):
            return expit(logits)
        return softmax(logits, axis=-1)

    @property
    def loss(self) -> Callable:
        if self.task.name == "regression":
            return self._squared_error
        if self.task.yes_or_no(self.outputs[-1]):
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def _squared_error(self, wanted, logits):
        values = self.task.tensor_values(logits)
        return ops.mean(ops.square(values - wanted)) / self.variance

    def quality(self, model: keras.Model, held_out) -> float:
        """Percent of held-out answers that are right; in regression, of the variance explained."""
        if held_out is None:
            return float("nan")
        images, labels = held_out
        truth = self.task.check(labels, (len(images), *self.outputs), "held-out labels")
        answers = self.task.answers(predict(model, np.asarray(images, np.float32), 500))
        found = self.task.measures(answers, truth)
        return found.get("accuracy", found.get("r2", float("nan")))
