"""Networks drawn at random from what conversion supports: with 16 bits they compute the ANN."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from fsrepro import activations
from fsrepro.codes import binary
from fsrepro.conversion import (
    UnsupportedLayerError,
    convert,
    few_spikes,
    normal_form,
    rescalable_layers,
    rescale_channels,
)
from fsrepro.conversion.graph import calls
from fsrepro.conversion.kinds import WEIGHTED_LAYERS
from fsrepro.conversion.population import Population
from fsrepro.genn.linear_maps import arrivals
from fsrepro.synapses import count_synapses

ACTIVATIONS = [*activations.names(), "leaky_relu"]


def activation(draw):
    name = draw(st.sampled_from(ACTIVATIONS))
    if name == "leaky_relu":
        return layers.LeakyReLU(negative_slope=0.1)
    return draw(st.sampled_from([layers.ReLU(), layers.Activation(name)]))


def window(draw, x, largest=3):
    """Kernel size, padding and either strides or dilation that fit the height of ``x``."""
    size = draw(st.integers(1, min(largest, x.shape[1])))
    options = {"padding": draw(st.sampled_from(["same", "valid"]))}
    if draw(st.booleans()):
        return size, options | {"strides": draw(st.integers(1, 2))}
    dilation = draw(st.integers(1, 2))
    fits = options["padding"] == "same" or (size - 1) * dilation < x.shape[1]
    return size, options | ({"dilation_rate": dilation} if fits else {})


def convolution(draw, x):
    kind = draw(st.sampled_from(["plain", "depthwise", "separable", "grouped"]))
    size, options = window(draw, x)
    options["use_bias"] = draw(st.booleans())
    filters = 2 * draw(st.integers(1, 3))
    if kind == "depthwise":
        return layers.DepthwiseConv2D(size, depth_multiplier=draw(st.integers(1, 2)), **options)(x)
    if kind == "separable":
        return layers.SeparableConv2D(filters, size, **options)(x)
    groups = 2 if kind == "grouped" and x.shape[-1] % 2 == 0 else 1
    return layers.Conv2D(filters, size, groups=groups, **options)(x)


def convolution_block(draw, x):
    x = convolution(draw, x)
    if draw(st.booleans()):
        x = layers.BatchNormalization()(x)
    return activation(draw)(x)


def residual_block(draw, x):
    y = layers.Conv2D(x.shape[-1], 3, padding="same")(activation(draw)(x))
    return activation(draw)(layers.Add()([x, y]))


def branches(draw, x):
    y = layers.Conv2D(2, 1, activation=draw(st.sampled_from(["relu", "silu", "tanh"])))(x)
    return layers.Concatenate()([x, y])


def squeeze_and_excite(draw, x):
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(x.shape[-1], 1)(activation(draw)(layers.Conv2D(2, 1)(gate)))
    return layers.Multiply()([x, layers.Activation("sigmoid")(gate)])


def pooling(draw, x):
    kind = draw(st.sampled_from([layers.AveragePooling2D, layers.MaxPooling2D]))
    size = min(2, x.shape[1])
    return kind(
        size, strides=draw(st.integers(1, 2)), padding=draw(st.sampled_from(["same", "valid"]))
    )(x)


def padding(draw, x):
    return layers.Dropout(0.5)(layers.ZeroPadding2D(draw(st.integers(1, 2)))(x))


def called_twice(draw, x):
    shared = layers.Conv2D(x.shape[-1], 3, padding="same")
    return activation(draw)(shared(activation(draw)(shared(x))))


def model_within(draw, x):
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, convolution_block(draw, inputs))(x)


BLOCKS = [convolution_block, residual_block, branches, squeeze_and_excite, pooling, padding,
          called_twice, model_within]  # fmt: skip


@st.composite
def networks(draw):
    x = inputs = keras.Input((7, 7, draw(st.integers(1, 3))))
    for block in [convolution_block, *draw(st.lists(st.sampled_from(BLOCKS), max_size=4))]:
        x = block(draw, x)
    if draw(st.booleans()):
        x = layers.GlobalAveragePooling2D()(x)
    x = layers.Flatten()(x)
    if draw(st.booleans()):
        x = layers.Dense(6, activation=draw(st.sampled_from(["relu", "gelu", None])))(x)
    return keras.Model(inputs, layers.Dense(4)(x))


def randomise(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        size = 1 / np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 0.5
        value = rng.normal(0, size, weight.shape)
        weight.assign(1 + np.abs(value) if weight.name in ("gamma", "moving_variance") else value)


def sixteen_bits(scale):
    """A little more than the range seen, which is rounded to eight bits."""
    return binary(16, 1.01 * scale, rounding=True)


def drawn(examples):
    """A test of so many random networks with random weights; the same at every run."""

    def decorate(test):
        @settings(
            max_examples=examples, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(networks())
        def run(model):
            randomise(model)
            x = np.random.default_rng(1).normal(0, 1, (8, *model.input_shape[1:]))
            test(model, x.astype(np.float32))

        run.__name__ = test.__name__
        return run

    return decorate


@pytest.fixture(scope="module", autouse=True)
def uncompiled():
    """Compiling each shape for one batch would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_spikes, "_compiled", lambda: few_spikes.time_steps)
        yield


@drawn(200)
def test_with_16_bits_it_is_the_ann(model, x):
    expected = np.array(model(x, training=False))
    snn = convert(model, x, code=sixteen_bits, scale="max")
    found = np.array(snn.keras_model(x))
    assert np.abs(found - expected).max() <= 1e-3 * np.ptp(expected)


@drawn(30)
def test_channels_in_other_units_change_nothing(model, x):
    graph, rng = normal_form(model), np.random.default_rng(2)
    factors = {
        name: np.exp2(rng.integers(-3, 4, graph.get_layer(name).output.shape[-1]))
        for name in rescalable_layers(graph)
    }
    expected, found = graph(x), rescale_channels(graph, factors)(x)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(expected))


@drawn(30)
def test_corrected_biases_bring_the_mean_output_back(model, x):
    graph = normal_form(model)
    snn = convert(model, x, code=lambda a: binary(3, a), scale="max", bias_correction=True)
    expected, found = np.array(graph(x)).mean(0), np.array(snn.keras_model(x)).mean(0)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.ptp(graph(x)))


def linear_in_a_row(model):
    """Whether a weighted layer reads what another wrote, with no neurons between."""
    analog = set()  # tensors that weighted layers wrote, or that come from them
    for call in calls(model):
        behind = any(id(x) in analog for x in call.input_tensors)
        weighted = isinstance(call.operation, WEIGHTED_LAYERS)
        if weighted and behind:
            return True
        if weighted or (behind and not isinstance(call.operation, Population)):
            analog.add(id(call.outputs[0]))
    return False


@drawn(30)
def test_no_synapse_is_forgotten(model, x):
    """Held against the matrices between populations, where there are such."""
    snn = convert(model, x, code=sixteen_bits, scale="max")
    counted = count_synapses(snn)
    assert 0 < counted.macs <= counted.ann_macs
    try:
        maps = arrivals(snn)
    except UnsupportedLayerError:  # products and pooling by maximum are no matrices
        return
    if linear_in_a_row(snn.keras_model):  # their matrices multiply, synapses end at the first
        return
    for layer in snn.spiking_layers:
        fan_out = counted.fan_out[layer.name]
        matrices = [sources[layer.name] for sources in maps.values() if layer.name in sources]
        synapses = sum(np.diff(matrix.indptr) for matrix in matrices)
        # Two ways to one target, by windows that overlap, are one entry of a matrix, two synapses.
        ways = np.broadcast_to(fan_out[..., None], layer.output.shape[1:]).ravel()
        assert (synapses <= ways).all()
        if not any(isinstance(kind, layers.AveragePooling2D) for kind in snn.keras_model.layers):
            assert (synapses == ways).all()
