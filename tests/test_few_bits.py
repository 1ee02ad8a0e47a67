"""Weights of few bits: on the grid of their channel, and the same after packing."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import convert
from fsrepro.conversion.spiking_model import SpikingModel
from fsrepro.experiments import models
from fsrepro.networks.few_bits import pack, round_weights, unpack


def network():
    """Every kind of kernel."""
    x = image = keras.Input((6, 6, 3))
    x = layers.Conv2D(5, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    x = layers.Conv2DTranspose(4, 2, activation="relu")(x)
    model = keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0, 0.3, w.shape)) for w in model.get_weights()])
    first = model.layers[1]
    kernel, *_ = first.get_weights()
    kernel[..., 1] = 0  # a channel of no weights
    first.set_weights([kernel])
    return model


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_weights_lie_on_the_grid_of_their_channel(bits):
    model = network()
    before = [layer.get_weights() for layer in model.layers]
    round_weights(model, bits)
    for layer, old in zip(model.layers, before, strict=True):
        new = layer.get_weights()
        if not new or isinstance(layer, layers.BatchNormalization):
            assert all((a == b).all() for a, b in zip(new, old, strict=True))
            continue
        (w, *bias), (q, *same) = old, new
        axes = tuple(range(w.ndim - (2 if isinstance(layer, layers.DepthwiseConv2D) else 1)))
        step = np.abs(w).max(axes, keepdims=True) / (2 ** (bits - 1) - 1) + 1e-30
        assert (np.abs(w - q) <= step * 0.501).all()
        levels = q / step
        np.testing.assert_allclose(levels, np.round(levels), atol=2e-4 * 2**bits)
        assert all((a == b).all() for a, b in zip(bias, same, strict=True))


def test_packing_loses_nothing_and_declines_the_rest():
    model = network()
    kernels = [w for w in model.get_weights() if w.ndim > 1]
    assert all(pack(w) is None for w in kernels)
    round_weights(model, 8)
    for layer in model.layers:
        for w in (w for w in layer.get_weights() if w.ndim > 1):
            whole, step = pack(w)
            assert whole.dtype == np.int8
            np.testing.assert_array_equal(unpack(whole, step), w)
    assert pack(np.zeros(3, np.float32)) is None


def test_files_of_rounded_networks_are_a_quarter(tmp_path):
    x = np.random.default_rng(1).normal(size=(40, 8, 8, 1)).astype(np.float32)
    model = models.small_cnn(width=24)
    sizes = {}
    for name in ("float", "rounded"):
        if name == "rounded":
            round_weights(model, 8)
        path = models.save_checkpoint(model, tmp_path / f"{name}.weights.h5", {"kept": name})
        other = models.small_cnn(width=24, seed=3)
        assert models.load_checkpoint(other, path)["kept"] == name
        for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        snn = convert(model, x, steps=4)
        if name == "rounded":
            round_weights(snn.keras_model, 8)
        snn.save(tmp_path / f"{name}.fs")
        again = SpikingModel.load(tmp_path / f"{name}.fs").keras_model
        for a, b in zip(again.get_weights(), snn.keras_model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        sizes[name] = [path.stat().st_size, (tmp_path / f"{name}.fs").stat().st_size]
    assert all(b < 0.5 * a for a, b in zip(*sizes.values(), strict=True)), sizes


@pytest.mark.parametrize("bits", [1, 17, 3.5])
def test_bad_bits(bits):
    with pytest.raises(ValueError, match=f"weights need from 2 to 16 bits, got {bits}"):
        round_weights(models.small_cnn((8, 8, 1)), bits)
