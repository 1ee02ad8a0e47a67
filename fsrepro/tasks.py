r"""What the outputs of a network are: its task, and all that depends on it.

A spiking network is read out by the membrane potentials of its last layer, *logits*, before the
activation that the trained network ends in: its *head* (softmax, sigmoid, ...). A task says what
answer they give, what an error in them costs, and by what a network is measured.

======================  =====================  ============================  =====================
task                    outputs                answer                        measures
======================  =====================  ============================  =====================
``"classification"``    (N, classes)           the largest                   accuracy
``"binary"``            (N,) or (N, outputs)   1 where the logit is >= 0     accuracy
``"segmentation"``      (N, H, W, classes)     the same at every pixel       accuracy, mean IoU
``"regression"``        any                    the values                    RMSE, R²
======================  =====================  ============================  =====================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import activations

__all__ = ["TASKS", "Task", "task_of"]

TASKS = ("classification", "binary", "segmentation", "regression")

_LOSSES = {  # of a compiled Keras model, by a part of their name
    "binary_crossentropy": "binary", "binary_focal": "binary", "hinge": "binary",
    "categorical": "classification", "mean_": "regression", "mse": "regression",
    "mae": "regression", "huber": "regression", "log_cosh": "regression",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What the outputs of a network mean.

    Parameters
    ----------
    name : str
        One of :data:`TASKS`.
    head : str
        The activation behind the logits: ``"linear"``, ``"softmax"`` or one of
        :mod:`fsrepro.activations`.

    Raises
    ------
    ValueError
        For another task.
    """

    name: str = "classification"
    head: str = "linear"

    def __post_init__(self):
        if self.name not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {self.name!r}")
        if self.head not in ("linear", "softmax"):
            activations.get(self.head)

    def yes_or_no(self, outputs: int) -> bool:
        """Whether an answer is 0 or 1 for each output, and not a class."""
        return self.name == "binary" or (self.name == "segmentation" and outputs == 1)

    def answers(self, logits: NDArray) -> NDArray:
        """What the network answers: classes, int64, or 0 and 1, int64, or values, float32.

        The axis of classes goes, and so does one of a single output.
        """
        if self.name == "regression":
            return _squeezed(self.values(logits))
        if self.yes_or_no(logits.shape[-1]):
            return _squeezed((logits >= 0).astype(np.int64))
        return logits.argmax(-1)

    def values(self, logits: NDArray) -> NDArray[np.float32]:
        """What the trained network itself gives: the head of the logits."""
        if self.head == "softmax":
            powers = np.exp(logits - logits.max(-1, keepdims=True))
            return powers / powers.sum(-1, keepdims=True)
        return logits if self.head == "linear" else activations.get(self.head)(logits)

    def tensor_values(self, logits):
        """The same of a Keras tensor."""
        from keras import ops

        if self.head == "softmax":
            return ops.softmax(logits)
        return (
            logits if self.head == "linear" else activations.get(self.head).tensor_function(logits)
        )

    def check(self, answers, logits: tuple[int, ...], what: str) -> NDArray:
        """Labels, or answers, for outputs of the shape ``logits``, as :meth:`answers` gives them.

        Classes may also come as (N, 1) or one-hot, and numbers of any type that are whole.
        ``ValueError``, naming ``what``, for others.
        """
        found = np.asarray(answers)
        keeps = self._keeps_outputs(logits) and logits[-1] != 1
        wanted = logits if keeps else logits[:-1]
        if logits[-1] > 1 and found.shape == logits and self.name in _WITH_CLASSES:
            found = _from_one_hot(found, what)
        if found.shape == (*wanted, 1):
            found = found[..., 0]
        if found.shape != wanted:
            raise ValueError(
                f"{logits[0]} images need as many {what}, of shape {wanted} for {self.name}, got "
                f"shape {found.shape}"
            )
        if self.name == "regression":
            found = found.astype(np.float32)
            if not np.isfinite(found).all():
                raise ValueError(f"the {what} hold NaN or infinite values")
            return found
        largest = 1 if self.yes_or_no(logits[-1]) else logits[-1] - 1
        kind = np.dtype(found.dtype).kind
        if kind not in "iub" and not (kind == "f" and (found == np.rint(found)).all()):
            raise ValueError(f"{what} must be integers from 0 to {largest}, got {found.dtype}")
        if found.min() < 0 or found.max() > largest:
            hint = "" if largest > 1 else f"; for classes or values pass task= ({', '.join(TASKS)})"
            raise ValueError(
                f"{what} must be from 0 to {largest}, got {found.min():g} to {found.max():g}{hint}"
            )
        return found.astype(np.int64)

    def _keeps_outputs(self, logits) -> bool:
        return self.name == "regression" or self.yes_or_no(logits[-1])

    def measures(self, answers: NDArray, truth: NDArray) -> dict[str, float]:
        """By name, how well ``answers`` meet the ``truth``: percent, RMSE in units of the outputs.

        R² is the share of the truth's variance that the answers explain, in percent.
        """
        if self.name == "regression":
            error, spread = (
                np.mean(np.square(answers - truth, dtype=float)),
                np.var(truth, 0).mean(),
            )
            r2 = 100 * (1 - error / spread) if spread else float("nan")
            return {"rmse": float(np.sqrt(error)), "r2": float(r2)}
        found = {"accuracy": 100 * float(np.mean(answers == truth))}
        if self.name == "segmentation":
            found["mean_iou"] = _mean_iou(answers, truth)
        return found

    def loss_of_quality(self, answers, reference, truth) -> tuple[str, float]:
        """What ``answers`` lose against a ``reference``: the name of the loss, and how much."""
        ours, best = self.measures(answers, truth), self.measures(reference, truth)
        if self.name == "regression":
            return "rmse_added", ours["rmse"] - best["rmse"]
        return "accuracy_lost", best["accuracy"] - ours["accuracy"]

    def agreement(self, answers: NDArray, reference: NDArray) -> float:
        """Percent of answers that are the reference's; in regression, of its variance explained."""
        found = self.measures(answers, reference)
        return found["r2"] if self.name == "regression" else found["accuracy"]

    def draws(self, logits: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the random numbers that :meth:`loss` asks for."""
        return logits if self._keeps_outputs(logits) else logits[:-1]

    def loss(self, logits, chance):
        r"""A tensor whose squared gradients are on average the curvature of what an error costs.

        For classes and for yes or no: cross-entropy for an answer drawn from the network's own,
        which makes :math:`\mathrm{E}\, g g^T` the Fisher information. In regression, the values
        with random signs, which makes it :math:`J^T J`, the curvature of half the squared error.
        ``chance``: uniform between 0 and 1.
        """
        import keras
        from keras import ops

        if self.name == "regression":
            values = self.tensor_values(logits)
            return ops.sum(ops.where(chance < 0.5, -values, values))
        fixed = ops.stop_gradient(logits)
        if self.yes_or_no(logits.shape[-1]):
            label = ops.cast(chance < ops.sigmoid(fixed), logits.dtype)
            return ops.sum(ops.softplus(logits) - label * logits)
        below = ops.cumsum(ops.softmax(fixed), axis=-1) < chance[..., None]
        label = ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), logits.shape[-1] - 1)
        return ops.sum(
            keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
        )


_WITH_CLASSES = ("classification", "segmentation")


def task_of(told: str | None, head: str, logits: tuple[int | None, ...], loss=None) -> Task:
    """The task that was ``told``, or else what head, outputs and a compiled loss say.

    Maps are segmentation, if they have several channels or end in softmax or sigmoid; a single
    output, or a map of one, is binary if it ends in a sigmoid, else regression; several outputs
    are classes, unless they end in another activation than softmax: sigmoids are binary, others
    regression. A loss of Keras that is known decides between these before.

    Raises
    ------
    ValueError
        For a task that is unknown or does not fit the outputs.
    """
    is_map, outputs = len(logits) > 2, logits[-1]
    if told is not None:
        task = Task(told, head)
        if told == "segmentation" and not is_map:
            raise ValueError(
                f"segmentation needs maps as outputs, (N, H, W, classes), got {logits}"
            )
        if told == "classification" and (is_map or outputs == 1):
            other = "segmentation" if is_map else "binary or regression"
            raise ValueError(
                f"classification needs outputs (N, classes) of at least two, got {logits}; is it "
                f"{other}?"
            )
        if told == "binary" and is_map:
            raise ValueError(
                f"binary needs outputs (N, outputs), got {logits}; is it segmentation?"
            )
        return task
    name = _task_of_loss(loss)
    if name is None:
        if head == "softmax" or (head == "linear" and outputs != 1):
            name = "classification"
        else:
            name = "binary" if head == "sigmoid" else "regression"
    if name == "classification" and outputs == 1:
        name = "regression"
    if is_map and name != "regression":
        name = "segmentation"
    return Task(name, head)


def _task_of_loss(loss) -> str | None:
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple):
        return _task_of_loss(loss[0]) if len(loss) == 1 else None
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    name = name.lower().removeprefix("sparse_") if isinstance(name, str) else ""
    return next((task for part, task in _LOSSES.items() if name.startswith(part)), None)


def _squeezed(values: NDArray) -> NDArray:
    return values[..., 0] if values.shape[-1] == 1 else values


def _from_one_hot(found: NDArray, what: str) -> NDArray:
    if not (((found == 0) | (found == 1)).all() and (found.sum(-1) == 1).all()):
        raise ValueError(f"{what} of shape {found.shape} must be one-hot: a single 1, else 0")
    return found.argmax(-1)


def _mean_iou(answers: NDArray, truth: NDArray) -> float:
    """Percent: intersection over union of each class that occurs, their mean."""
    shares = []
    for label in np.union1d(answers, truth):
        a, b = answers == label, truth == label
        shares.append(np.sum(a & b) / np.sum(a | b))
    return 100 * float(np.mean(shares))
