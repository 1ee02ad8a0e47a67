"""Counts of synapses that go beyond the small networks of the tests of measures."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.codes import PrefixCode, binary
from fsrepro.conversion import SpikingModel, convert
from fsrepro.conversion.decoded import Decoded
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.genn.arrivals import arrivals
from fsrepro.synapses import count_synapses


def spiking(model, **options):
    images = np.random.default_rng(0).normal(0, 1, (4, *model.input_shape[1:]))
    return convert(model, images, code="binary", steps=4, scale=2.0, **options)


def neurons(name=None):
    return FewSpikes(binary(4, 2.0), name=name)


def counted(inputs, outputs):
    return count_synapses(SpikingModel(keras.Model(inputs, outputs), {}))


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


def test_windows_that_pooling_fills_with_padding_are_values_too():
    inputs = keras.Input((8, 8, 3))
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(((0, 2), (0, 2)))(inputs))  # 4x4 of 5x5
    found = counted(inputs, layers.Dense(2)(layers.Flatten()(neurons()(layers.Conv2D(4, 1)(x)))))
    assert found.macs == 5 * 5 * 3 * 4
    assert found.ann_macs == 5 * 5 * 3 * 4 + 5 * 5 * 4 * 2


def test_padding_that_a_weighted_layer_reads_is_no_value():
    inputs = keras.Input((4, 4, 3))
    padded = layers.Conv2D(5, 3)(layers.ZeroPadding2D(1)(inputs))
    same = layers.Conv2D(5, 3, padding="same")(inputs)
    macs = [counted(inputs, layers.Flatten()(neurons()(x))).macs for x in (padded, same)]
    assert macs == [100 * 3 * 5] * 2  # of 4x4 windows of 3x3 places, 100 places lie on the image


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_of_analog_values_and_spikes_side_by_side_only_the_former_multiply(axis):
    inputs = keras.Input((4, 4, 2))
    both = layers.Concatenate(axis)([inputs, neurons("before")(inputs)])
    found = counted(inputs, layers.Dense(3)(layers.Flatten()(neurons()(layers.Dense(5)(both)))))
    assert found.macs == 4 * 4 * 2 * 5
    assert found.ann_macs == 2 * found.macs + 2 * (4 * 4) * (5 if axis < 3 else 5 / 2) * 3
    assert (found.fan_out["before"] == 5).all()


def test_pooling_keeps_analog_values_and_spikes_apart():
    inputs = keras.Input((4, 4, 1))
    both = layers.Concatenate(1)([inputs, neurons()(inputs)])
    pooled = layers.MaxPooling2D(2)(layers.ZeroPadding2D(((0, 2), (0, 0)))(both))  # 2, 2, 1 rows
    found = counted(inputs, layers.Flatten()(neurons()(layers.Dense(3)(pooled))))
    assert found.macs == (2 + 1) * 2 * 3
    assert found.ann_macs == 5 * 2 * 3


def test_neurons_with_decoders_have_no_synapses_and_multiply():
    inputs = keras.Input((4,))
    x = Decoded(PrefixCode(["0", "10", "11"], [0, 1, 2]), name="decoded")(inputs)
    found = counted(inputs, layers.Dense(3)(neurons("plain")(layers.Dense(5)(x))))
    assert found.fan_out == {"decoded": 0, "plain": 3}
    assert found.macs == 4 * 5


def test_channels_that_differ_in_their_fan_out():
    """A vector in the shape of an image: those that become border pixels meet fewer windows."""
    inputs = keras.Input((5,))
    x = layers.Reshape((3, 3, 2))(neurons("vector")(layers.Dense(18)(inputs)))
    x = neurons("image")(layers.Conv2D(4, 3, padding="same")(x))
    halves = layers.Conv2D(2, 1, groups=2)(x), layers.Dense(3)(layers.Permute((1, 3, 2))(x))
    x = layers.Concatenate()([layers.Flatten()(half) for half in halves])
    found = counted(inputs, layers.Add()([x, x])).fan_out
    windows = np.outer([2, 3, 2], [2, 3, 2])
    assert found["vector"].shape == (18,)
    assert (found["vector"].reshape(3, 3, 2) == 4 * windows[..., None]).all()
    assert (found["image"] == np.full((3, 3), 1 + 3)).all()


def test_channels_that_differ_in_a_map():
    inputs = keras.Input((4, 4, 3))
    x = neurons("map")(inputs)
    x = layers.Cropping1D((1, 0))(layers.Permute((2, 1))(layers.Reshape((16, 3))(x)))
    found = counted(inputs, layers.Dense(7)(layers.Flatten()(x))).fan_out["map"]
    assert (found == np.broadcast_to([0, 7, 7], (4, 4, 3))).all()


def test_additions_and_products_of_one_value_with_many():
    inputs = keras.Input((4, 5, 3))
    each, one = neurons("each")(inputs), neurons("one")(layers.Conv2D(3, (4, 5))(inputs))
    added = neurons()(layers.Add()([each, one]))
    found = counted(inputs, layers.GlobalMaxPooling2D()(layers.Multiply()([added, one])))
    assert (found.fan_out["each"] == np.ones((4, 5))).all()
    assert found.fan_out["one"] == 4 * 5 + 4 * 5
    assert found.macs == 4 * 5 * 3 * 3 + 4 * 5 * 3


LINES = [
    [layers.Conv1D(4, 3, padding="causal", dilation_rate=2)],
    [layers.Conv1D(4, 2, strides=2, groups=2)],
    [layers.DepthwiseConv1D(3, depth_multiplier=2)],
    [layers.AveragePooling1D(2), layers.Conv1DTranspose(3, 3, strides=2, padding="same")],
    [layers.UpSampling1D(2), layers.Conv1D(4, 1, strides=3)],
    [layers.ZeroPadding1D(1), layers.Cropping1D((0, 3)), layers.Conv1D(4, 3)],
    [layers.Permute((2, 1)), layers.Conv1D(2, 3, padding="same")],
    [layers.Reshape((4, 4, 2, 1)), layers.Conv3D(3, (3, 2, 1), strides=2, padding="same")],
    [layers.Reshape((4, 4, 2, 1)), layers.Conv3DTranspose(2, (3, 1, 2), strides=(2, 1, 2))],
    [layers.Reshape((4, 4, 2, 1)), layers.AveragePooling3D(2), layers.UpSampling3D((1, 2, 3)),
     layers.Conv3D(2, (2, 1, 1))],
    [layers.GlobalAveragePooling1D(), layers.RepeatVector(5), layers.Dense(3)],
    [layers.Reshape((4, 4, 2)), layers.Conv2DTranspose(3, 2, strides=3, output_padding=1)],
]  # fmt: skip


@pytest.mark.parametrize("row", LINES, ids=lambda row: "-".join(layer.name for layer in row))
def test_synapses_are_the_entries_of_the_matrices(row):
    x = inputs = keras.Input((8, 4))
    x = neurons("before")(layers.Dense(4)(x))
    for layer in row:
        x = layer(x)
    x = neurons("behind")(x)
    snn = SpikingModel(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))), {})
    fan_out = count_synapses(snn).fan_out["before"]
    ((_, _, linear),) = arrivals(snn)["behind"].maps
    expected = linear.fan_out().reshape(8, 4)
    alike = (expected == expected[:, :1]).all()
    np.testing.assert_array_equal(fan_out, expected[:, 0] if alike else expected)


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
        model = keras.Model(image, layers.Dense(4)(x))
        fan_out = count_synapses(spiking(model, analog="allowed")).fan_out
        row = np.repeat([2, 3, 3, 2], 2)  # windows of the convolution over each pooled pixel
        assert (fan_out["spikes"] == 6 * np.outer(row, row)).all()


def test_gates_of_squeeze_and_excite():
    """A spike of a feature meets one product, of a gate one in each place; what is behind it
    multiplies, unless neurons write it."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, padding="same", activation="silu", name="feature")(inputs)
    gate = layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(3, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Conv2D(5, 1, activation="relu", name="behind")(
        layers.Multiply(name="multiply")([x, gate])
    )
    model = keras.Model(inputs, layers.Dense(7)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(20, 4, 4, 2)).astype(np.float32)
    found = count_synapses(convert(model, images, steps=4, analog="allowed"))
    # A feature: its product, and through the mean the three weights of the gates.
    np.testing.assert_array_equal(found.fan_out["feature_act"], np.full((4, 4), 1 + 3))
    np.testing.assert_array_equal(found.fan_out["gate_act"], [[16]])
    np.testing.assert_array_equal(found.fan_out["behind_act"], np.full((4, 4), 7))
    first = sum(2 * 3 * n for row in [(2, 3, 3, 2)] for n in np.outer(row, row).ravel())
    product, behind = 4 * 4 * 3, 4 * 4 * 3 * 5
    assert found.macs == first + product + behind
    assert found.ann_macs == first + product + behind + 3 * 3 + 4 * 4 * 5 * 7
    assert found.first == ("feature",)
    assert found.first_macs == first
    spiking = count_synapses(convert(model, images, steps=4))
    assert spiking.analog == {"feature": first, "multiply": product}
    assert spiking.ann_macs == found.ann_macs
    fan_out = spiking.fan_out
    (product,) = {name for name in fan_out if name.startswith("multiply_")} - {"multiply_negative"}
    np.testing.assert_array_equal(fan_out[product], np.full((4, 4), 5))
    # Neurons write the mean, which saves 5 % of the multiplications: one synapse leads there.
    np.testing.assert_array_equal(fan_out["feature_act"], np.full((4, 4), 1 + 1))
    everything = count_synapses(convert(model, images, steps=4, spiking_input=True))
    assert everything.first == ()
    assert everything.macs == 4 * 4 * 3
