"""What each layer's activations look like, and the scale that suits them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers
from tqdm import tqdm

from ..codes import SpikeCode

__all__ = ["best_scale", "record", "round_scale"]

_SIGNIFICANT_BITS = 8


def record(
    model: keras.Model,
    images: np.ndarray,
    *,
    samples: int = 100_000,
    batch_size: int = 250,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Pre-activations of every activation layer of a network in normal form.

    ``images``: float32, (N, H, W, C), normalised. Returns, by name of the layer, about ``samples``
    float32 values, drawn evenly over the images.

    Raises ``ValueError`` if a layer gives NaN or infinite values.
    """
    sites = [layer for layer in model.layers if isinstance(layer, layers.Activation)]
    probe = keras.Model(model.inputs, [site.input for site in sites])
    rng = np.random.default_rng(seed)
    drawn = {site.name: [] for site in sites}
    for start in tqdm(range(0, len(images), batch_size), desc="calibrate", disable=not progress):
        batch = images[start : start + batch_size]
        for site, x in zip(sites, probe.predict_on_batch(batch), strict=True):
            x = x.reshape(-1)
            if not np.isfinite(x).all():
                raise ValueError(
                    f"layer {site.name!r} gives NaN or infinite values on the calibration images"
                )
            share = min(x.size, -(-samples * len(batch) // len(images)))
            drawn[site.name].append(x[rng.integers(0, x.size, share)])
    return {name: np.concatenate(parts) for name, parts in drawn.items()}


def best_scale(code: SpikeCode, x: np.ndarray, y: np.ndarray) -> float:
    """The factor s by which ``code`` writes ``y`` best: least mean squared error of s code(x / s).

    ``code``: for activations of range 1. ``x``: pre-activations, (N,). ``y``: the activation at
    ``x``, (N,). A geometric grid over ten octaves below the largest activation, then a finer one
    around its best; the result has eight significant bits, see :func:`round_scale`.

    Raises ``ValueError`` if no activation is positive: then every scale is as good.
    """
    largest = float(y.max(initial=0))
    if not largest > 0:
        raise ValueError("no activation is positive")

    def error(scale):
        return float(np.mean((np.float32(scale) * code.quantise(x / np.float32(scale)) - y) ** 2))

    def best(grid):
        candidates = sorted({round_scale(scale) for scale in grid})
        return min(candidates, key=error)

    coarse = best(largest * np.exp2(np.arange(-10, 1.01, 0.25)))
    return best(coarse * np.exp2(np.linspace(-0.25, 0.25, 17)))


def round_scale(scale: float) -> float:
    """``scale`` rounded to eight significant bits.

    Then thresholds and sums of weights of a code of up to 16 bits are exact in float32: any
    simulator gets the same value, whatever the order in which it adds.
    """
    mantissa, exponent = np.frexp(scale)
    return float(
        np.ldexp(np.round(np.ldexp(mantissa, _SIGNIFICANT_BITS)), exponent - _SIGNIFICANT_BITS)
    )
