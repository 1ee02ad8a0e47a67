"""What each layer's activations look like on calibration images."""

from __future__ import annotations

import keras
import numpy as np
from tqdm import tqdm

from .graph import batch_slices, predict_list
from .population import Nonlinearity, Population

__all__ = ["record"]


def record(
    model: keras.Model,
    images: np.ndarray,
    *,
    samples: int = 100_000,
    by_channel: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Pre-activations of every activation or spiking layer of a network.

    ``model``: in normal form, or the ``keras_model`` of a spiking network.

    ``images``: float32, (N, H, W, C), normalised. Returns, by name of the layer, about ``samples``
    float32 values, drawn evenly over the images; ``by_channel``: as a table (positions, C), all
    channels of each position drawn.

    Raises ``ValueError`` if a layer gives NaN or infinite values.
    """
    sites = [layer for layer in model.layers if isinstance(layer, (Nonlinearity, Population))]
    probe = keras.Model(model.inputs, [site.input for site in sites])
    rng = np.random.default_rng(seed)
    drawn = {site.name: [] for site in sites}
    slices = batch_slices(model, len(images), batch_size)
    for part in tqdm(slices, desc="calibrate", disable=not progress):
        batch = images[part]
        for site, x in zip(sites, predict_list(probe, batch), strict=True):
            x = x.reshape(-1, x.shape[-1]) if by_channel else x.reshape(-1)
            if not np.isfinite(x).all():
                raise ValueError(
                    f"layer {site.name!r} gives NaN or infinite values on the calibration images"
                )
            wanted = -(-samples * len(batch) // len(images))
            share = -(-wanted * len(x) // x.size)
            drawn[site.name].append(x if share >= len(x) else x[rng.integers(0, len(x), share)])
    return {name: np.concatenate(parts) for name, parts in drawn.items()}
