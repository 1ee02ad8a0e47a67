"""Every kind of layer against Keras: what single values become, and where numbers go."""

from itertools import product

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.networks import kinds
from fsrepro.wiring import routes, windows

SHAPES = {"1D": (7, 1), "2D": (5, 6, 1), "3D": (6, 5, 5, 1)}
STEPS = ({}, {"strides": 2}, {"strides": 3}, {"dilation_rate": 2})


def table(name, sizes, paddings=("same", "valid"), steps=STEPS, **others):
    """Options of a layer with a window."""
    return [
        {name: size, "padding": padding, **step, **others}
        for size, padding, step in product(sizes, paddings, steps)
    ]


def each(family, options):
    return [kind(**chosen) for kind in family for chosen in options]


POOLING = table("pool_size", (1, 2, 3), steps=({}, {"strides": 1}, {"strides": 2}))
WIDENED = [
    *table("kernel_size", (1, 2, 3, 4), filters=1),
    *table("kernel_size", (2, 3), ["valid"], [{"strides": 3}], filters=1, output_padding=0),
    *table("kernel_size", (2, 3), steps=[{"strides": 3}], filters=1, output_padding=1),
    *table("kernel_size", (2, 5), steps=[{"strides": 3}], filters=1, output_padding=2),
]
WINDOWS = [
    *each(kinds.CONVOLUTIONS, table("kernel_size", (1, 2, 3), filters=1)),
    *each([layers.Conv1D], table("kernel_size", (1, 2, 4), ["causal"], filters=1)),
    layers.Conv2D(1, (1, 4), strides=(3, 2), padding="same"),
    layers.Conv2D(1, (3, 2), dilation_rate=(1, 4)),
    layers.Conv3D(1, (2, 1, 3), strides=(2, 1, 3), padding="same"),
    *each(kinds.DEPTHWISE, table("kernel_size", (1, 2, 3))),
    *each(kinds.TRANSPOSED, WIDENED),
    layers.Conv2DTranspose(1, (2, 5), strides=(3, 2), padding="same"),
    layers.Conv2DTranspose(1, (2, 5), strides=(2, 3), output_padding=(0, 2)),
    *each((*kinds.AVERAGES, *kinds.POOLING_BY_MAXIMUM[:3]), POOLING),
    layers.AveragePooling2D((2, 5), strides=(3, 1), padding="same"),
    *each((*kinds.GLOBAL_AVERAGES, *kinds.POOLING_BY_MAXIMUM[3:]), [{}, {"keepdims": True}]),
    layers.Dense(1),
]


def name(layer):
    options = ("kernel_size", "pool_size", "strides", "dilation_rate", "padding", "output_padding")
    found = [str(getattr(layer, option, "")) for option in options]
    return "-".join([type(layer).__name__, *found]).replace(" ", "")


@pytest.mark.parametrize("layer", WINDOWS, ids=name)
def test_what_a_single_value_becomes(layer):
    """With numbered weights each output tells the place of the window that met the value."""
    shape = SHAPES.get(next((n for n in SHAPES if n in type(layer).__name__), "2D"))
    size = np.prod(shape)
    single = np.eye(size, dtype=np.float32).reshape(size, *shape)
    layer.build((None, *shape))
    if weighted := isinstance(layer, kinds.WEIGHTED_LAYERS):
        numbers = np.arange(1, 1 + np.prod(layer.kernel.shape)).reshape(layer.kernel.shape)
        layer.kernel.assign(numbers)
        places = numbers.reshape(numbers.shape[:-2] or (1, 1))
    else:
        places = np.ones(getattr(layer, "pool_size", shape[:-1]))
    found = np.array(layer(single)).reshape(size, -1)
    axes = windows(layer, shape)
    expected = np.zeros((*shape[:-1], *(axis.size_out for axis in axes)))
    for meeting in product(*(zip(*axis[:3], strict=True) for axis in axes)):
        inputs, outputs, at = zip(*meeting, strict=True)
        assert expected[*inputs, *outputs] == 0
        expected[*inputs, *outputs] = places[at]
    np.testing.assert_array_equal(found if weighted else found > 0, expected.reshape(found.shape))


ROUTES = [
    (layers.Subtract(), [(3, 2), (3, 2)]),
    (layers.Flatten(), [(3, 2)]),
    (layers.Flatten(), [(5,)]),
    (layers.Permute((2, 1)), [(3, 2)]),
    (layers.Permute((3, 1, 2)), [(4, 3, 2)]),
    (layers.RepeatVector(3), [(4,)]),
    (layers.Reshape((3, 1, 4)), [(6, 2)]),
    (layers.Reshape((-1, 4)), [(6, 2)]),
    (layers.Cropping1D((0, 2)), [(5, 2)]),
    (layers.Cropping2D(((1, 0), (2, 1))), [(4, 5, 2)]),
    (layers.Cropping3D(((1, 0), (0, 2), (1, 1))), [(3, 4, 3, 2)]),
    (layers.ZeroPadding1D((0, 2)), [(5, 2)]),
    (layers.ZeroPadding2D(((1, 0), (2, 1))), [(4, 5, 2)]),
    (layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1))), [(3, 4, 3, 2)]),
    (layers.UpSampling1D(3), [(5, 2)]),
    (layers.UpSampling2D((1, 3)), [(4, 5, 2)]),
    (layers.UpSampling3D((1, 3, 2)), [(3, 4, 3, 2)]),
    (layers.Concatenate(), [(3,), (2,), (4,)]),
    (layers.Concatenate(), [(4, 3, 2), (4, 3, 1)]),
    (layers.Concatenate(1), [(4, 3, 2), (5, 3, 2)]),
    (layers.Concatenate(2), [(4, 3, 2), (4, 1, 2), (4, 2, 2)]),
    (layers.Concatenate(-2), [(4, 3, 2), (4, 1, 2)]),
    (layers.Add(), [(4, 2), (4, 2), (4, 2)]),
    (layers.Add(), [(4, 3, 2), (1, 1, 2), (4, 3, 1)]),
    (layers.Add(), [(4, 1, 2), (1, 3, 2)]),
    (layers.Add(), [(4, 3, 2), (2,)]),
]


@pytest.mark.parametrize(("layer", "shapes"), ROUTES, ids=lambda x: str(getattr(x, "name", x)))
def test_where_numbers_go(layer, shapes):
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    numbers = [
        np.arange(end - np.prod(shape), end, dtype=np.float32).reshape(1, *shape) + 1
        for shape, end in zip(shapes, ends, strict=True)
    ]
    expected = np.array(layer(numbers if isinstance(layer, kinds.MERGING_LAYERS) else numbers[0]))
    found = routes(layer, shapes)
    if isinstance(layer, layers.Subtract):  # of which routes do not tell the sign
        numbers[1] *= -1
    moved = [np.append(x, 0)[route] for x, route in zip(numbers, found, strict=True)]
    np.testing.assert_array_equal(sum(moved), expected[0])


def test_the_tables_name_every_kind():
    known = {*kinds.LINEAR_LAYERS, *kinds.POOLING_BY_MAXIMUM}
    assert {type(layer) for layer in [*WINDOWS, *(layer for layer, _ in ROUTES)]} == known


def test_a_layer_that_computes_something_else_has_no_routes():
    with pytest.raises(TypeError, match=r"'odd' \(Maximum\) has no routes"):
        routes(keras.layers.Maximum(name="odd"), [(2,), (2,)])
