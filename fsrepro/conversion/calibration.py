"""What each layer's activations look like on calibration images."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..fitting import Distribution
from ..networks.graph import check_array, in_batches, outputs_of
from ..networks.nonlinearity import Nonlinearity
from ..networks.population import Population

__all__ = ["channel_samples", "check_images", "distributions", "record"]

_ALL = 4  # times as many values as are to be drawn are all taken


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
    """Some pre-activations of every activation or spiking layer of a network, by its name.

    To design codes for, take :func:`distributions`, which has the rare ones too.

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
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {}
    for name, x, share in _batches(model, images, samples):
        x = x.reshape(-1, x.shape[-1]) if by_channel else x.reshape(-1)
        wanted = -(-share * len(x) // x.size)
        part = x if wanted >= len(x) else x[rng.integers(0, len(x), wanted)]
        drawn.setdefault(name, []).append(part)
    return {name: np.concatenate(parts) for name, parts in drawn.items()}


def distributions(
    model: keras.Model, images: np.ndarray, *, samples: int = 100_000, seed: int = 0
) -> dict[str, Distribution]:
    """Pre-activations of every activation or spiking layer of a network, by its name.

    About so many ``samples`` of each layer are drawn, evenly over the images. All values from the
    largest drawn and up, and from the least and down, are kept, each with its own weight; the other
    draws stand for all between. So the extremes are there, and rare ones weigh what they weigh.
    Other arguments and errors as for :func:`record`.
    """
    rng = np.random.default_rng(seed)
    points: dict[str, list[np.ndarray]] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for name, x, share in _batches(model, images, samples):
        x = x.reshape(-1)
        drawn = x[rng.integers(0, len(x), share)]
        low, high = drawn.min(), drawn.max()
        inside = drawn[(drawn > low) & (drawn < high)]
        if len(x) <= _ALL * share or not len(inside):
            kept, inside = x, x[:0]
        else:
            kept = x[(x <= low) | (x >= high)]
        each = (len(x) - len(kept)) / max(1, len(inside))
        points.setdefault(name, []).extend((kept, inside))
        weights.setdefault(name, []).extend((np.ones(len(kept)), np.full(len(inside), each)))
    found = {}
    for name, parts in points.items():
        weight = np.concatenate(weights[name])
        x = np.concatenate(parts).astype(np.float64)
        found[name] = Distribution.collect(x, weight / weight.sum(), name)
    return found


def channel_samples(
    model: keras.Model, images: np.ndarray, *, positions: int = 1000, seed: int = 0
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Pre-activations of every activation or spiking layer, channel by channel, by its name.

    About so many ``positions`` of each layer are drawn, evenly over the images, with all channels.
    The largest and the least value of each channel in every batch are there too, and weigh what
    they weigh. Other arguments and errors as for :func:`record`.

    Returns
    -------
    dict of ((P, C) float32, (P,) float64)
        Values, and their weights, which sum to 1 and are those of every channel.
    """
    rng = np.random.default_rng(seed)
    points: dict[str, list[np.ndarray]] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for name, x, share in _batches(model, images, positions):
        x = x.reshape(-1, x.shape[-1])
        weight = np.ones(len(x))
        if len(x) > share + 2:
            drawn = x[rng.integers(0, len(x), share)]
            weight = np.append(np.full(share, (len(x) - 2) / share), (1.0, 1.0))
            x = np.vstack([drawn, x.min(0), x.max(0)])
        points.setdefault(name, []).append(x)
        weights.setdefault(name, []).append(weight)
    found = {}
    for name, parts in points.items():
        weight = np.concatenate(weights[name])
        found[name] = np.concatenate(parts), weight / weight.sum()
    return found


def _batches(model, images, samples) -> Iterator[tuple[str, np.ndarray, int]]:
    """By layer and batch: its name, its pre-activations, and how many of them to draw."""
    sites = [layer for layer in model.layers if isinstance(layer, (Nonlinearity, Population))]
    probe = keras.Model(model.inputs, [site.input for site in sites])
    batches = in_batches(model, images)
    found_of_each = tqdm(outputs_of(probe, batches), desc="calibrate", total=len(batches))
    for batch, found in zip(batches, found_of_each, strict=True):
        for site, x in zip(sites, found, strict=True):
            if not np.isfinite(x).all():
                raise ValueError(
                    f"layer {site.name!r} gives NaN or infinite values on the calibration images"
                )
            yield site.name, x, -(-samples * len(batch) // len(images))
