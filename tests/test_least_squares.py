"""The weights of a layer, refitted to what its inputs carry, for every kind of layer."""

import numpy as np
import pytest
from keras import layers

from fsrepro.conversion.least_squares import refit

LAYERS = {
    "dense": (layers.Dense(3), (7,)),
    "dense_of_a_sequence": (layers.Dense(3), (5, 7)),
    "conv1d": (layers.Conv1D(4, 3, padding="same"), (9, 5)),
    "conv2d_same": (layers.Conv2D(4, (3, 2), padding="same"), (6, 7, 3)),
    "conv2d_strided": (layers.Conv2D(4, 3, strides=2, padding="same"), (8, 7, 3)),
    "conv2d_valid": (layers.Conv2D(4, 3, strides=(2, 1)), (8, 7, 3)),
    "conv2d_dilated": (layers.Conv2D(4, 3, dilation_rate=2, padding="same"), (8, 7, 3)),
    "conv2d_grouped": (layers.Conv2D(6, 3, groups=3, padding="same"), (6, 6, 9)),
    "conv2d_pointwise_strided": (layers.Conv2D(4, 1, strides=2), (7, 7, 3)),
    "conv3d": (layers.Conv3D(2, 2), (3, 4, 3, 2)),
    "depthwise1d": (layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 4)),
    "depthwise2d": (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), (6, 6, 4)),
}


def built(name, seed=0):
    layer, shape = LAYERS[name]
    layer = type(layer).from_config(layer.get_config())
    layer.build((None, *shape))
    numbers = np.random.default_rng(seed)
    layer.set_weights([numbers.normal(size=w.shape) for w in layer.get_weights()])
    return layer, [numbers.normal(1, 1, size=(n, *shape)).astype(np.float32) for n in (40, 24)]


@pytest.mark.parametrize("name", LAYERS)
def test_other_weights_are_found(name):
    """Where the wanted outputs are those of the same layer with other weights."""
    (layer, inputs), (wanted, _) = built(name), built(name, seed=1)
    before = [np.asarray(layer(x)) for x in inputs]
    errors = [np.asarray(wanted(x)) - y for x, y in zip(inputs, before, strict=True)]
    added = refit(layer, inputs, errors)
    for x, y, more, error in zip(inputs, before, added, errors, strict=True):
        np.testing.assert_allclose(layer(x), y + more, atol=1e-4)
        assert np.square(error - more).mean() < 1e-4 * np.square(error).mean()
    for found, right in zip(layer.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(found, right, atol=0.05)


def test_weights_stay_where_held_out_images_contradict():
    (layer, (x, _)), (other, _) = built("conv2d_same"), built("conv2d_same", seed=1)
    weights = layer.get_weights()
    sign = np.where(np.arange(len(x)) % 4 == 0, -1, 1)[:, None, None, None]
    errors = (np.asarray(other(x)) - np.asarray(layer(x))) * sign
    assert refit(layer, [x], [errors]) == []
    for old, new in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_few_images(images):
    """Each in a batch of its own: what is added never makes their error larger."""
    layer, (x, _) = built("conv2d_valid")
    x = x[:images]
    assert images == 1 or np.prod(layer.kernel.shape[:-1]) < np.prod(layer(x).shape[:-1])
    errors = np.random.default_rng(3).normal(size=layer(x).shape).astype(np.float32)
    added = refit(layer, list(np.split(x, images)), list(np.split(errors, images)))
    left = errors - np.concatenate(added) if added else errors
    assert np.square(left).sum() <= np.square(errors).sum()
    assert all(np.isfinite(weight).all() for weight in layer.get_weights())


def test_silent_inputs():
    layer, (x, _) = built("conv2d_same")
    errors = np.ones(layer(x).shape, np.float32)
    (added,) = refit(layer, [0 * x], [errors])
    np.testing.assert_allclose(added, errors, atol=1e-5)  # by the bias


def test_other_layers_stay_as_they_are():
    layer = layers.Conv2DTranspose(2, 3)
    layer.build((None, 5, 5, 2))
    weights = layer.get_weights()
    x = np.ones((4, 5, 5, 2), np.float32)
    assert refit(layer, [x], [np.ones((4, 7, 7, 2), np.float32)]) == []
    for old, new in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_layers_with_more_inputs_than_positions_stay_as_they_are():
    layer = layers.Dense(2)
    layer.build((None, 30))
    x = np.random.default_rng(0).normal(size=(30, 30)).astype(np.float32)
    assert refit(layer, [x], [np.ones((30, 2), np.float32)]) == []
    assert refit(layer, [np.repeat(x, 2, 0)], [np.ones((60, 2), np.float32)])
