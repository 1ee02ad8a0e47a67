"""What each layer's activations look like on calibration images."""

from __future__ import annotations

import keras
import numpy as np
from tqdm import tqdm

from ..networks.graph import batch_slices, check_array, predict_list
from ..networks.nonlinearity import Nonlinearity
from .population import Population

__all__ = ["check_images", "record"]


def check_images(model: keras.Model, images, what: str) -> np.ndarray:
    """``images`` as float32 if ``model`` can take them, or ``ValueError`` that names ``what``."""
    found = check_array(tuple(model.input_shape[1:]), images, what)
    return found.astype(np.float32, copy=False)


def record(
    model: keras.Model,
    images: np.ndarray,
    *,
    samples: int = 100_000,
    by_channel: bool = False,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Pre-activations of every activation or spiking layer of a network, by its name.

    Parameters
    ----------
    model : keras.Model
        In normal form, or the ``keras_model`` of a spiking network.
    images : (N, H, W, C) float32
        Normalised.
    samples : int
        About so many values of each layer are drawn, evenly over the images.
    by_channel : bool
        All channels of each position are drawn, and make a table.
    seed : int

    Returns
    -------
    dict of (samples,) or (positions, C) float32

    Raises
    ------
    ValueError
        If a layer gives NaN or infinite values.
    """
    sites = [layer for layer in model.layers if isinstance(layer, (Nonlinearity, Population))]
    probe = keras.Model(model.inputs, [site.input for site in sites])
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {site.name: [] for site in sites}
    for part in tqdm(batch_slices(model, len(images)), desc="calibrate"):
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
