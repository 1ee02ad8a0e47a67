"""Linear layers as matrices, against Keras. Needs no GeNN."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import UnsupportedLayerError, bias_maps, convert
from fsrepro.genn.arrivals import IMAGE, arrivals
from fsrepro.genn.linear_maps import Convolution, linear_maps
from fsrepro.networks.graph import predict_list

SHAPE = (7, 6, 4)
LAYERS = [
    *(
        layers.Conv2D(6, kernel, strides=stride, padding=padding, groups=groups)
        for kernel in (1, 2, 3, (2, 5))
        for stride in (1, 2, (3, 2))
        for padding in ("same", "valid")
        for groups in (1, 2)
    ),
    *(
        layers.Conv2D(3, kernel, padding=padding, dilation_rate=dilation)
        for kernel in (2, 3)
        for padding in ("same", "valid")
        for dilation in (2, (1, 2))
    ),
    *(
        layers.DepthwiseConv2D(3, strides=stride, padding=padding, depth_multiplier=m)
        for stride in (1, 2)
        for padding in ("same", "valid")
        for m in (1, 2)
    ),
    layers.DepthwiseConv2D(2, padding="same", dilation_rate=2),
    *(
        layers.AveragePooling2D(size, strides=stride, padding=padding)
        for size in (2, 3)
        for stride in (1, 2, 3)
        for padding in ("same", "valid")
    ),
    layers.GlobalAveragePooling2D(),
    layers.GlobalAveragePooling2D(keepdims=True),
    layers.ZeroPadding2D(((1, 2), (0, 3))),
    layers.Flatten(),
    layers.Reshape((6, 7, 4)),
    layers.Dense(5),
    *(
        layers.Conv2DTranspose(3, kernel, padding=padding, **options)
        for kernel in (2, (3, 4))
        for padding in ("same", "valid")
        for options in (
            {"strides": 2},
            {"strides": (3, 2), "output_padding": (2, 1)},
            {"dilation_rate": 2},
        )
    ),
    layers.Cropping2D(((1, 0), (2, 1))),
    layers.Permute((3, 1, 2)),
    layers.UpSampling2D((2, 3)),
]
OTHER_DIMENSIONS = [
    (layers.Conv1D(6, 3, padding="causal", dilation_rate=2), (9, 4)),
    (layers.Conv1D(6, 2, strides=2, padding="same", groups=2), (9, 4)),
    (layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2), (9, 4)),
    (layers.Conv1DTranspose(3, 4, strides=2, padding="same"), (9, 4)),
    (layers.AveragePooling1D(3, 2, padding="same"), (9, 4)),
    (layers.GlobalAveragePooling1D(), (9, 4)),
    (layers.Cropping1D((0, 2)), (9, 4)),
    (layers.UpSampling1D(3), (9, 4)),
    (layers.ZeroPadding1D(2), (9, 4)),
    (layers.Dense(5), (4,)),
    (layers.RepeatVector(3), (4,)),
    (layers.Conv3D(2, (2, 3, 1), strides=2, padding="same"), (4, 3, 5, 2)),
    (layers.Conv3D(4, 2, groups=2), (4, 3, 5, 2)),
    (layers.Conv3DTranspose(3, 2, strides=(1, 2, 3)), (4, 3, 5, 2)),
    (layers.AveragePooling3D((2, 1, 3), padding="same"), (4, 3, 5, 2)),
    (layers.GlobalAveragePooling3D(keepdims=True), (4, 3, 5, 2)),
    (layers.Cropping3D(1), (4, 3, 5, 2)),
    (layers.UpSampling3D((1, 2, 1)), (4, 3, 5, 2)),
    (layers.ZeroPadding3D(((0, 1), (2, 0), (0, 0))), (4, 3, 5, 2)),
]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [*((layer, SHAPE) for layer in LAYERS), *OTHER_DIMENSIONS],
    ids=lambda x: getattr(x, "name", None),
)
def test_a_layer_is_its_matrix(layer, shape):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    y = np.asarray(layer(x))
    (linear,) = linear_maps(layer, [shape])
    found = linear.matrix()
    np.testing.assert_array_equal(linear.fan_out(), np.diff(found.indptr))
    assert found.dtype == np.float64
    assert found.shape == (np.prod(shape), np.prod(y.shape[1:]))
    np.testing.assert_allclose(x.reshape(3, -1) @ found, y.reshape(3, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (layers.Add(), [(4, 3, 2), (4, 3, 2)]),
        (layers.Add(), [(4, 3, 2), (1, 1, 2), (4, 3, 1)]),
        (layers.Subtract(), [(4, 3, 2), (4, 3, 2)]),
        (layers.Subtract(), [(1, 1, 2), (4, 3, 2)]),
        (layers.Concatenate(), [(4, 3, 2), (4, 3, 1), (4, 3, 2)]),
        (layers.Concatenate(1), [(4, 3, 2), (1, 3, 2)]),
    ],
)
def test_layers_of_several_inputs_have_a_matrix_for_each(layer, shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    expected = np.asarray(layer(inputs)).reshape(3, -1)
    found = [linear.matrix() for linear in linear_maps(layer, shapes)]
    total = sum(x.reshape(3, -1) @ matrix for x, matrix in zip(inputs, found, strict=True))
    np.testing.assert_allclose(total, expected, atol=1e-6)


def network():
    x = inputs = keras.Input((8, 8, 3))
    x = skip = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(4, 3, activation="relu", name="second", bias_initializer="normal")(x)
    x = layers.Concatenate()([layers.Add()([x, skip]), skip])
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="third")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(5, bias_initializer="normal")(x))


def test_matrices_and_bias_maps_are_the_network():
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    snn = convert(network(), x, code="binary", steps=6)
    found, maps, words = arrivals(snn), bias_maps(snn), snn.spike_trains(x)
    first, second, third = snn.codes
    assert found[first].dendrites == [{IMAGE: None}]
    assert [list(found[name].dendrites[0]) for name in (second, third, "output")] == [
        [first], [second, first], [third],
    ]  # fmt: skip
    values = {
        name: np.tensordot(code.weight, words[name].astype(np.float32), 1).reshape(4, -1)
        for name, code in snn.codes.items()
    }
    inner = [snn.keras_model.get_layer(name).input for name in (second, third)]
    expected = keras.Model(snn.keras_model.inputs, [*inner, *snn.keras_model.outputs])
    for name, potential in zip((second, third, "output"), expected.predict(x), strict=True):
        received = sum(values[source] @ a.matrix() for _, source, a in found[name].maps)
        received = received + maps[name].reshape(-1)
        np.testing.assert_allclose(received, potential.reshape(4, -1), atol=1e-5)


def test_one_convolution_keeps_its_kernel():
    """With signs, paddings and additions around it; two in a row are written out."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(x)
    y = layers.Conv2D(5, 3, strides=2, name="second")(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    y = layers.ReLU(name="third")(layers.Conv2D(6, 1)(y))
    y = layers.Dense(3)(layers.Dense(4)(layers.Flatten()(y)))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    found = arrivals(convert(keras.Model(inputs, y), images, code="binary", steps=4))
    maps = [linear for arriving in found.values() for *_, linear in arriving.maps]
    assert all(isinstance(linear, Convolution) for linear in maps)
    by_source = {source: linear for _, source, linear in found["third"].maps}
    np.testing.assert_array_equal(
        by_source["second_positive"].kernel, -by_source["second_negative"].kernel
    )
    shared = convert(keras.Model(inputs, y), images, code="binary", steps=4, analog="allowed")
    (linear,) = (linear for *_, linear in arrivals(shared)["third"].maps)
    assert not isinstance(linear, Convolution)


@pytest.mark.parametrize(
    "layer", [layers.Multiply(name="odd"), layers.MaxPooling2D(name="odd")], ids=type
)
def test_what_goes_on_as_numbers_is_refused_by_name(layer):
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="silu")(x)
    other = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layer([x, other]) if isinstance(layer, layers.Multiply) else layer(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten(name="reader")(x)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    arrivals(convert(model, images, code="binary", steps=4))
    snn = convert(model, images, code="binary", steps=4, analog="allowed")
    with pytest.raises(
        UnsupportedLayerError, match=r"'reader' \(Flatten\) reads a (product|maximum)"
    ):
        arrivals(snn)


@pytest.mark.parametrize("before", ["same", "valid", "spikes"])
@pytest.mark.parametrize(
    "pool",
    [
        layers.MaxPooling2D(2), layers.MaxPooling2D(3, 2, padding="same"),
        layers.MaxPooling2D((2, 1), (3, 2)), layers.GlobalMaxPooling2D(),
        layers.GlobalMaxPooling2D(keepdims=True),
    ],
    ids=lambda layer: layer.name,
)  # fmt: skip
def test_the_places_of_a_maximum_are_dendrites(before, pool):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((9, 8, 2))
    x = layers.Conv2D(3, 1, activation="relu", name="first")(x)
    if before == "spikes":
        x = layers.Add()([x, layers.Activation("tanh", name="second")(x)])
    else:
        options = {"padding": before, "strides": 2 if before == "same" else 1}
        x = layers.Conv2D(4, 3, bias_initializer="normal", **options)(x)
    x = layers.Activation("tanh", name="last")(pool(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(4, 9, 8, 2)).astype(np.float32)
    snn = convert(model, images, code="binary", steps=6)
    names = [name for name in snn.codes if name != "last"]
    outputs = [snn.keras_model.get_layer(name).output for name in names]
    probe = keras.Model(inputs := snn.keras_model.inputs, outputs)
    values = dict(zip(names, predict_list(probe, images), strict=True))
    arriving = arrivals(snn)["last"]
    assert arriving.soma == "maximum"
    dendrites = [np.tile(constant, (4, 1)) for constant in arriving.silent]
    for number, source, linear in arriving.maps:
        above = values[source] - np.float32(snn.codes[source].offset)
        dendrites[number] = dendrites[number] + above.reshape(4, -1) @ linear.matrix()
    found = keras.Model(inputs, snn.keras_model.get_layer("last").input)
    expected = found.predict_on_batch(images).reshape(4, -1)
    np.testing.assert_allclose(np.max(dendrites, 0), expected, atol=1e-5)


def test_neurons_that_read_image_and_spikes_are_refused():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layers.ReLU(name="both")(layers.Add()([x, inputs]))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    snn = convert(model, images, code="binary", steps=4)
    with pytest.raises(UnsupportedLayerError, match="'both' reads the image and spikes"):
        arrivals(snn)
