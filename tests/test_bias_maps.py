"""Bias maps: with them, spikes alone give every membrane potential."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from fsrepro import codes
from fsrepro.conversion import UnsupportedLayerError, bias_maps, convert, with_decoders


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(20, 9, 9, 2)).astype(np.float32)


def soma(offset, name="silu"):
    return codes.soma(codes.mixed_radix((3, 3, 3), 4.0), name, offset=offset)


@pytest.fixture(scope="module")
def snn(images):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="silu", name="first")(x)
    x = layers.Conv2D(4, 3, strides=2, padding="same", bias_initializer="normal", name="second")(x)
    x = layers.Activation("silu", name="second_act")(x)
    x = layers.DepthwiseConv2D(2, padding="same", bias_initializer="normal", name="third")(x)
    x = layers.Activation("silu", name="third_act")(x)
    x = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(3, bias_initializer="normal", name="last")(x))
    return convert(model, images, code=soma(-0.25))


def silent_share(snn, images):
    """Decoded values without the offset, by layer: what spikes carry."""
    words = snn.spike_trains(images)
    return {
        name: np.tensordot(code.weight, words[name].astype(np.float32), 1)
        for name, code in snn.codes.items()
    }


def test_spikes_and_map_are_the_membrane_potential(snn, images):
    maps, carried = bias_maps(snn), silent_share(snn, images)
    first, second, third = snn.codes
    network = snn.keras_model
    kernel = {name: network.get_layer(name).kernel for name in ("second", "third", "last")}
    by_spikes = {
        second: ops.conv(carried[first], kernel["second"], strides=2, padding="same"),
        third: ops.depthwise_conv(carried[second], kernel["third"], padding="same"),
        "output": carried[third].reshape(len(images), -1) @ kernel["last"],
    }
    received = [network.get_layer(name).input for name in (second, third)]
    received = keras.Model(network.inputs, received + network.outputs).predict(images)
    for (name, share), potential in zip(by_spikes.items(), received, strict=True):
        np.testing.assert_allclose(share + maps[name], potential, atol=1e-5)


def test_the_map_differs_at_the_borders_and_nowhere_else(snn):
    second = list(snn.codes)[1]
    # 9 pixels at stride 2: one row of padding on each side.
    inner = bias_maps(snn)[second][1:-1, 1:-1]
    np.testing.assert_allclose(inner, np.broadcast_to(inner[0, 0], inner.shape), atol=1e-6)
    assert np.abs(bias_maps(snn)[second][0] - inner[0, 0]).max() > 1e-3


def test_without_offsets_the_maps_are_the_biases(images):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="normal")(x)
    x = layers.Conv2D(5, 3, padding="same", bias_initializer="normal", name="second")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU(name="second_act")(x))
    model = keras.Model(inputs, layers.Dense(3, bias_initializer="normal", name="last")(x))
    maps = bias_maps(convert(model, images, code="binary", steps=4))
    bias = model.get_layer("second").bias.numpy()
    np.testing.assert_array_equal(maps["second_act"], np.broadcast_to(bias, (9, 9, 5)))
    np.testing.assert_array_equal(maps["output"], model.get_layer("last").bias.numpy())


def test_products_have_none(images):
    x = inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(2, 3, activation="silu")(x)
    x = layers.Multiply(name="gated")([x, layers.Activation("silu")(x)])
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    snn = convert(model, images, code=soma(0.0), analog="allowed")
    with pytest.raises(UnsupportedLayerError, match=r"'gated' \(Multiply\) is not a weighted sum"):
        bias_maps(snn)


def test_words_that_cannot_be_added_up(images):
    x = inputs = keras.Input((9, 9, 2))
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu", name="first")(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    name = next(iter(convert(model, images, code="binary", steps=4).codes))
    bias = bias_maps(with_decoders(model, {name: codes.ExponentMantissa(2, 2, 1.0)}))
    np.testing.assert_array_equal(bias["output"], np.zeros(3))  # graded spikes can be added
    snn = with_decoders(model, {name: codes.PrefixCode(["0", "10", "11"], [0, 1, 2])})
    with pytest.raises(ValueError, match=f"layer '{name}' .* cannot be added up"):
        bias_maps(snn)
