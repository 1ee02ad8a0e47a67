"""Conversion: every activation of a trained network becomes a population of FS neurons."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers

from ..codes import SpikeCode, binary
from .few_spikes import FewSpikes
from .graph import copy_layer, rewrite
from .normal_form import normal_form
from .scales import best_scale, record, round_scale
from .spiking_model import SpikingModel

__all__ = ["check_images", "convert"]

ScaledCode = Callable[[float], SpikeCode]


def convert(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    code: str | SpikeCode | ScaledCode = "binary",
    steps: int = 8,
    scale: str | float | Mapping[str, float] = "mse",
    batch_size: int = 250,
    seed: int = 0,
    progress: bool = True,
) -> SpikingModel:
    """Convert a trained Keras model into a spiking one with the same answers.

    Batch norm is folded, biases are kept (see :func:`normal_form`), and every ReLU becomes a
    layer of FS neurons. The first layer receives the image as an analog input current; the
    outputs are the membrane potentials of the last layer, which does not spike.

    ``model``: functional or sequential, built, trained; left unchanged.
    ``calibration``: images as the network takes them, (N, H, W, C), from which the scales come.
    ``code``: ``"binary"`` (rounding) or ``"binary_floor"`` with K = ``steps``; or a function from
    a scale to a :class:`SpikeCode`; or a :class:`SpikeCode`, used as it is in every layer.
    ``scale``: ``"mse"``, per layer the scale of least mean squared error on the calibration
    images; ``"max"``, per layer the largest activation seen (both rounded to eight significant
    bits); a number for all layers (25 with ``"binary_floor"`` and 10 steps is the setting of
    Stöckl & Maass 2021); or one for each layer by name.

    Raises what :func:`normal_form` raises, and ``ValueError`` for calibration images that are
    missing, constant, not finite or of the wrong shape, for an unknown code or scale, and for a
    network without any ReLU.
    """
    scaled_code = _scaled_code(code, steps)
    _check_scale_rule(scale)
    graph = normal_form(model)
    sites = [layer.name for layer in graph.layers if isinstance(layer, layers.Activation)]
    if not sites:
        raise ValueError(f"model {model.name!r} has no ReLU; there is nothing to replace by spikes")
    calibration = check_images(graph, calibration, "calibration images")
    if calibration.min() == calibration.max():
        raise ValueError("the calibration images are constant; scales need real images")

    if isinstance(scale, Mapping):
        scales = _named_scales(scale, sites)
    elif isinstance(code, SpikeCode):
        scales = dict.fromkeys(sites, 1.0)
    elif isinstance(scale, str):
        recorded = record(graph, calibration, batch_size=batch_size, seed=seed, progress=progress)
        scales = {name: _fitted_scale(name, x, scaled_code, scale) for name, x in recorded.items()}
    else:
        scales = dict.fromkeys(sites, float(scale))

    def replace(call, *args, **kwargs):
        layer = call.operation
        if isinstance(layer, layers.Activation):
            return FewSpikes(scaled_code(scales[layer.name]), name=layer.name)(*args, **kwargs)
        return copy_layer(layer, *args, **kwargs)

    return SpikingModel(rewrite(graph, replace), scales)


def check_images(model: keras.Model, images, what: str) -> np.ndarray:
    """``images`` as float32 if ``model`` can take them, else ``ValueError`` that names ``what``."""
    images = np.asarray(images)
    expected = tuple(model.input_shape[1:])
    if images.ndim != 1 + len(expected) or any(
        size not in (None, found) for size, found in zip(expected, images.shape[1:], strict=True)
    ):
        shape = ", ".join(str(size) for size in ("N", *expected))
        raise ValueError(f"the {what} must have shape ({shape}), got {images.shape}")
    if len(images) == 0:
        raise ValueError(f"the {what} are empty")
    images = images.astype(np.float32, copy=False)
    if not np.isfinite(images).all():
        raise ValueError(f"the {what} hold NaN or infinite values")
    return images


def _scaled_code(code, steps: int) -> ScaledCode:
    families = {
        "binary": lambda scale: binary(steps, scale, rounding=True),
        "binary_floor": lambda scale: binary(steps, scale),
    }
    if isinstance(code, SpikeCode):
        return lambda scale: code
    if isinstance(code, str):
        if code not in families:
            raise ValueError(f"unknown code {code!r}; choose one of {', '.join(families)}")
        code = families[code]
    elif not callable(code):
        raise TypeError(
            f"code must be a name, a SpikeCode or a function of a scale, got {type(code).__name__}"
        )
    if not isinstance(code(1.0), SpikeCode):
        raise TypeError(f"code(1.0) must return a SpikeCode, got {code(1.0)!r}")
    return code


def _check_scale_rule(scale) -> None:
    if isinstance(scale, str):
        if scale not in ("mse", "max"):
            raise ValueError(f"scale must be 'mse', 'max' or a number, got {scale!r}")
    elif not isinstance(scale, Mapping) and not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive and finite, got {scale}")


def _named_scales(scale: Mapping[str, float], sites: list[str]) -> dict[str, float]:
    missing, unknown = set(sites) - set(scale), set(scale) - set(sites)
    if missing or unknown:
        raise ValueError(
            f"scale must name every activation layer; missing {sorted(missing)}, unknown "
            f"{sorted(unknown)}"
        )
    for value in scale.values():
        _check_scale_rule(value)
    return {name: float(scale[name]) for name in sites}


def _fitted_scale(name: str, x: np.ndarray, scaled_code: ScaledCode, rule: str) -> float:
    y = np.maximum(x, 0)
    if not y.any():
        warnings.warn(
            f"layer {name!r} is silent on all calibration images; its scale is set to 1",
            stacklevel=3,
        )
        return 1.0
    return round_scale(y.max()) if rule == "max" else best_scale(scaled_code(1.0), x, y)
