"""Linear layers as matrices, against Keras. Needs no GeNN."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import UnsupportedLayerError, bias_maps, convert
from fsrepro.genn.linear_maps import arrivals, matrices

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
    (found,) = matrices(layer, [shape])
    assert found.dtype == np.float32
    assert found.shape == (np.prod(shape), np.prod(y.shape[1:]))
    np.testing.assert_allclose(x.reshape(3, -1) @ found, y.reshape(3, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (layers.Add(), [(4, 3, 2), (4, 3, 2)]),
        (layers.Add(), [(4, 3, 2), (1, 1, 2), (4, 3, 1)]),
        (layers.Concatenate(), [(4, 3, 2), (4, 3, 1), (4, 3, 2)]),
        (layers.Concatenate(1), [(4, 3, 2), (1, 3, 2)]),
    ],
)
def test_layers_of_several_inputs_have_a_matrix_for_each(layer, shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(3, *shape)).astype(np.float32) for shape in shapes]
    expected = np.asarray(layer(inputs)).reshape(3, -1)
    found = matrices(layer, shapes)
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
    assert found[first] == {"image": None}
    assert [list(found[name]) for name in (second, third, "output")] == [
        [first], [second, first], [third],
    ]  # fmt: skip
    values = {
        name: np.tensordot(code.weight, words[name].astype(np.float32), 1).reshape(4, -1)
        for name, code in snn.codes.items()
    }
    inner = [snn.keras_model.get_layer(name).input for name in (second, third)]
    expected = keras.Model(snn.keras_model.inputs, [*inner, *snn.keras_model.outputs])
    for name, potential in zip((second, third, "output"), expected.predict(x), strict=True):
        received = sum(values[source] @ a for source, a in found[name].items())
        received = received + maps[name].reshape(-1)
        np.testing.assert_allclose(received, potential.reshape(4, -1), atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [(layers.Multiply(name="odd"), "Multiply"), (layers.Maximum(name="odd"), "Maximum")],
)
def test_products_are_refused_by_name(layer, kind):
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layer([x, layers.Conv2D(2, 3, padding="same", activation="relu")(x)])
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    if kind == "Maximum":  # conversion itself refuses it
        with pytest.raises(UnsupportedLayerError, match="'odd'"):
            convert(model, images, code="binary", steps=4)
        return
    snn = convert(model, images, code="binary", steps=4)
    with pytest.raises(UnsupportedLayerError, match=r"'odd' \(Multiply\) has no event-driven"):
        arrivals(snn)


def test_max_pooling_is_refused_by_name():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.MaxPooling2D(name="largest")(layers.Conv2D(2, 3, activation="relu")(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    snn = convert(model, images, code="binary", steps=4)
    with pytest.raises(UnsupportedLayerError, match=r"'largest' \(MaxPooling2D\) has no event"):
        arrivals(snn)


def test_neurons_that_read_image_and_spikes_are_refused():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layers.ReLU(name="both")(layers.Add()([x, inputs]))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    snn = convert(model, images, code="binary", steps=4)
    with pytest.raises(UnsupportedLayerError, match="'both' reads the image and spikes"):
        arrivals(snn)
