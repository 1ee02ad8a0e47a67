"""Counts of synapses that go beyond the small networks of the tests of measures."""

import keras
import numpy as np
from keras import layers

from fsrepro.conversion import convert
from fsrepro.synapses import count_synapses


def spiking(model):
    images = np.random.default_rng(0).normal(0, 1, (4, *model.input_shape[1:]))
    return convert(model, images, code="binary", steps=4, scale=2.0)


def test_multiplications_of_a_large_layer_are_exact():
    inputs = keras.Input((4097,))
    x = layers.Dense(4099, activation="relu", kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="zeros")(x))
    synapses = count_synapses(spiking(model))
    assert synapses.macs == 4097 * 4099
    assert synapses.ann_macs == 4097 * 4099 + 4099


def test_padding_before_average_pooling_takes_no_multiplication_away():
    """A mean of a value and of zeros is a value: the weight behind it multiplies as any other."""
    inputs = keras.Input((3, 3, 1))
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(inputs))  # (2, 2), none of it empty
    x = layers.ReLU()(layers.Conv2D(3, 1)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    assert count_synapses(spiking(model)).ann_macs == 2 * 2 * 3 + 12 * 2


def test_counting_survives_strided_convolutions_of_many_pixels():
    """Taken eagerly, the gradient of a filter that nobody asked for ended the process."""
    inputs = keras.Input((60, 60, 10))
    x = layers.ReLU()(layers.Conv2D(10, 1, strides=2)(inputs))
    x = layers.ReLU()(layers.Conv2D(10, 1, strides=2)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    fan_out = list(count_synapses(spiking(model)).fan_out.values())
    assert fan_out[0][::2, ::2].tolist() == [[10] * 15] * 15
    assert fan_out[0].sum() == 10 * 15 * 15


def test_pixels_that_pooling_leaves_out_have_no_synapses():
    image = keras.Input((5, 5, 1))
    x = layers.ReLU(name="spikes")(layers.Conv2D(2, 1)(image))
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))  # reads 4x4 of the 5x5 pixels
    fan_out = count_synapses(spiking(keras.Model(image, layers.Dense(7)(x)))).fan_out["spikes"]
    expected = np.zeros((5, 5), int)
    expected[:4, :4] = 7
    assert (fan_out == expected).all()


def test_pooling_before_a_convolution_is_merged_into_its_synapses():
    for pool in (layers.MaxPooling2D(2), layers.AveragePooling2D(2)):
        image = keras.Input((8, 8, 1))
        x = pool(layers.ReLU(name="spikes")(layers.Conv2D(2, 1)(image)))
        x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Conv2D(6, 3, padding="same")(x)))
        fan_out = count_synapses(spiking(keras.Model(image, layers.Dense(4)(x)))).fan_out
        row = np.repeat([2, 3, 3, 2], 2)  # windows of the convolution over each pooled pixel
        assert (fan_out["spikes"] == 6 * np.outer(row, row)).all()


def test_gates_of_squeeze_and_excite():
    """A spike of a feature or a gate meets one product; what is behind it multiplies."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, padding="same", activation="silu", name="feature")(inputs)
    gate = layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(3, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Conv2D(5, 1, activation="relu", name="behind")(layers.Multiply()([x, gate]))
    model = keras.Model(inputs, layers.Dense(7)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(20, 4, 4, 2)).astype(np.float32)
    found = count_synapses(convert(model, images, steps=4))
    # A feature: its product, and through the mean the three weights of the gates.
    np.testing.assert_array_equal(found.fan_out["feature_act"], np.full((4, 4), 1 + 3))
    np.testing.assert_array_equal(found.fan_out["gate_act"], [[1]])
    np.testing.assert_array_equal(found.fan_out["behind_act"], np.full((4, 4), 7))
    first = sum(2 * 3 * n for row in [(2, 3, 3, 2)] for n in np.outer(row, row).ravel())
    product, behind = 4 * 4 * 3, 4 * 4 * 3 * 5
    assert found.macs == first + product + behind
    assert found.ann_macs == first + product + behind + 3 * 3 + 4 * 4 * 5 * 7
