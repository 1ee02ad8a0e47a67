"""A network and what was made of it answer the same images: else the first layer that differs."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .graph import model_of

__all__ = ["answers", "check_same"]

_IMAGES = 4  # are enough: a layer read wrongly is wrong on every one

_TOLERANCES = {"float16": 2e-2, "bfloat16": 1e-1}  # of the largest output; else:
_TOLERANCE = 1e-3
_QUANTISED = 1e-1  # activations rounded to 8 bits between layers, which no graph of floats does


def check_same(
    old: keras.Model,
    new: keras.Model,
    images: np.ndarray,
    pairs: Sequence[tuple[str, keras.KerasTensor, keras.KerasTensor]],
    *,
    expected: np.ndarray | None = None,
    what: str,
) -> None:
    """Refuse ``new`` with ``ValueError`` unless it answers some ``images`` as ``old`` does.

    ``pairs``: by name of a layer, tensors of the two that are to be equal, in order. ``expected``:
    the answers, if they are not those of ``old``. ``what``: for the message, what was made.
    """
    images = np.asarray(images)[:_IMAGES]
    if expected is None:
        expected = _run(old, images)[0]
    if not np.isfinite(expected).all():
        return  # there is nothing to compare with; what overflows is named by those who need it
    (found,) = _run(new, images)
    tolerance = tolerance_of(old)
    if _differ(expected, found) <= tolerance:
        return
    olds = _run(model_of(old.inputs, [x for _, x, _ in pairs]), images)
    news = _run(model_of(new.inputs, [x for _, _, x in pairs]), images)
    first = next(
        (
            f"first at layer {name!r}"
            for (name, _, _), a, b in zip(pairs, olds, news, strict=True)
            if _differ(a, b) > tolerance
        ),
        "in no single layer, so in a call of the model's own",
    )
    raise ValueError(
        f"model {old.name!r} and {what} differ by {_differ(expected, found):.1e} of the largest "
        f"output, {first}. Nothing was converted: please report the layer, or write it with others"
    )


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What ``model`` itself gives for the images that :func:`check_same` looks at."""
    return _run(model, images[:_IMAGES])[0]


def tolerance_of(model: keras.Model) -> float:
    """What its own rounding may make two runs of a network differ by."""
    found = [_TOLERANCE]
    for layer in model._flatten_layers():
        found.append(_TOLERANCES.get(getattr(layer, "compute_dtype", ""), 0.0))
        if getattr(layer, "quantization_mode", None):
            found.append(_QUANTISED)
    return max(found)


def _run(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    found = model(images, training=False)
    return [ops.convert_to_numpy(ops.cast(x, "float32")) for x in keras.tree.flatten(found)]


def _differ(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest difference, in units of the largest value."""
    if expected.shape != found.shape:
        return float("inf")
    return float(np.abs(expected - found).max() / max(np.abs(expected).max(), 1e-30))
