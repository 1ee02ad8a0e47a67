"""The normal form computes what the network computed, and refuses by name what it cannot."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fsrepro.conversion import UnsupportedLayerError, normal_form
from fsrepro.experiments.models import resnet, small_cnn
from fsrepro.networks.nonlinearity import Nonlinearity

SHAPE = (9, 9, 4)


def randomise(model, seed=0):
    """Random biases and batch norms, so that none of them can be left out unnoticed."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 1, n))
            layer.moving_variance.assign(rng.uniform(0.3, 3, n))
            if layer.gamma is not None:
                layer.gamma.assign(rng.choice([-1, 1], n) * rng.uniform(0.5, 2, n))
            if layer.beta is not None:
                layer.beta.assign(rng.normal(0, 1, n))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(0, 1, layer.bias.shape))
    return model


def verify(model, *, logits=None):
    """Randomise ``model``, check its normal form against it, and return the normal form.

    ``logits``: what the normal form should compute, where that is not the output of ``model``.
    """
    randomise(model)
    expected_model = model if logits is None else keras.Model(model.inputs, logits)
    x = np.random.default_rng(1).normal(0, 1, (6, *model.input_shape[1:])).astype(np.float32)
    config, weights = model.get_config(), [w.copy() for w in model.get_weights()]
    expected = expected_model.predict(x)

    graph = normal_form(model)

    found = graph.predict(x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(expected).max() > 0
    # The source is as it was, and shares no weight with the result.
    assert model.get_config() == config
    for before, after in zip(weights, model.get_weights(), strict=True):
        assert (before == after).all()
    assert not {id(w) for w in graph.weights} & {id(w) for w in model.weights}
    # Nothing is left that the normal form should not hold.
    for layer in graph.layers:
        assert not isinstance(
            layer, (layers.BatchNormalization, layers.Dropout, layers.ReLU, layers.Softmax)
        )
        if not isinstance(layer, layers.Activation):
            assert getattr(layer, "activation", keras.activations.linear) in (
                None,
                keras.activations.linear,
            )
    return graph


def network(body, shape=SHAPE, *, classes=5):
    """``body`` between an input and a dense layer."""
    inputs = keras.Input(shape)
    x = layers.Flatten()(body(inputs))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="net")


def names(graph, kind):
    return [layer.name for layer in graph.layers if isinstance(layer, kind)]


def then(*stack):
    def body(x):
        for layer in stack:
            x = layer(x)
        return x

    return body


# --- batch norm folded --------------------------------------------------------------------------


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"padding": "valid"},
        {"padding": "same", "strides": 2},
        {"padding": "valid", "strides": 2},
        {"padding": "same", "dilation_rate": 2},
        {"padding": "same", "groups": 2},
        {"padding": "valid", "groups": 4, "strides": (2, 2)},
    ],
    ids=str,
)
def test_batch_norm_after_convolution(options, use_bias):
    graph = verify(
        network(
            then(
                layers.Conv2D(8, 3, use_bias=use_bias, name="conv", **options),
                layers.BatchNormalization(),
                layers.Activation("relu"),
            )
        )
    )
    assert [type(layer) for layer in graph.layers[1:3]] == [layers.Conv2D, Nonlinearity]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("options", [{}, {"strides": 2, "padding": "same"}], ids=str)
def test_batch_norm_after_depthwise_convolution(multiplier, use_bias, options):
    depthwise = layers.DepthwiseConv2D(
        3, depth_multiplier=multiplier, use_bias=use_bias, name="dw", **options
    )
    graph = verify(network(then(depthwise, layers.BatchNormalization(), layers.ReLU())))
    assert names(graph, layers.DepthwiseConv2D) == ["dw"]


@pytest.mark.parametrize("use_bias", [True, False])
def test_batch_norm_after_dense(use_bias):
    dense = layers.Dense(12, use_bias=use_bias, name="hidden")
    body = then(layers.Flatten(), dense, layers.BatchNormalization(), layers.Activation("relu"))
    assert names(verify(network(body)), layers.Dense) == ["hidden", "logits"]


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}], ids=str)
@pytest.mark.parametrize("place", ["folded", "alone"])
def test_batch_norm_without_gamma_or_beta(options, place):
    norm = layers.BatchNormalization(epsilon=0.1, **options)
    activation = layers.Activation("relu")
    stack = [norm, activation] if place == "folded" else [activation, norm]
    verify(network(then(layers.Conv2D(6, 3), *stack)))


def test_two_batch_norms_in_a_row():
    conv = layers.Conv2D(6, 3, use_bias=False)
    graph = verify(network(then(conv, layers.BatchNormalization(), layers.BatchNormalization())))
    assert not names(graph, layers.DepthwiseConv2D)


def test_batch_norm_after_the_last_dense_layer():
    inputs = keras.Input((7,))
    x = layers.Dense(6, activation="relu")(inputs)
    verify(keras.Model(inputs, layers.BatchNormalization()(layers.Dense(3)(x))))


def test_dropout_between_convolution_and_batch_norm():
    verify(network(then(layers.Conv2D(6, 3), layers.Dropout(0.5), layers.BatchNormalization())))


# --- batch norm that cannot be folded -----------------------------------------------------------


def test_batch_norm_after_addition():
    def body(x):
        x = layers.Add()([layers.Conv2D(4, 3, padding="same")(x), x])
        return layers.ReLU()(layers.BatchNormalization(name="norm")(x))

    assert names(verify(network(body)), layers.DepthwiseConv2D) == ["norm"]


@pytest.mark.parametrize(
    "between",
    [[], [layers.AveragePooling2D(2)], [layers.GlobalAveragePooling2D()],
     [layers.Conv2D(4, 3, groups=2), layers.ReLU()], [layers.DepthwiseConv2D(3)]],
    ids=["dense", "pool", "mean", "convolution", "depthwise"],
)  # fmt: skip
def test_batch_norm_after_activation_goes_into_the_layers_behind(between):
    conv = layers.Conv2D(6, 3, activation="relu")
    graph = verify(network(then(conv, layers.BatchNormalization(name="norm"), *between)))
    assert "norm" not in names(graph, layers.Layer)


@pytest.mark.parametrize(
    "behind",
    [layers.Conv2D(4, 3, padding="same"), layers.ZeroPadding2D(1), layers.MaxPooling2D(2)],
    ids=["zeros around", "padding", "maximum of a negative scale"],
)
def test_batch_norm_after_activation_that_cannot_go_on(behind):
    conv = layers.Conv2D(6, 3, activation="relu")
    graph = verify(network(then(conv, layers.BatchNormalization(name="norm"), behind)))
    assert "norm" in names(graph, layers.DepthwiseConv2D)


def test_batch_norm_at_the_input():
    body = then(layers.BatchNormalization(name="norm"), layers.Conv2D(6, 3), layers.ReLU())
    graph = verify(network(body))
    assert names(graph, layers.DepthwiseConv2D) == ["norm"]
    assert graph.get_layer("norm").kernel.shape == (1, 1, 4, 1)


def test_batch_norm_after_a_convolution_that_is_used_twice():
    def body(x):
        conv = layers.Conv2D(4, 3, padding="same")(x)
        normed = layers.ReLU()(layers.BatchNormalization(name="norm")(conv))
        return layers.Add()([normed, conv])

    assert names(verify(network(body)), layers.DepthwiseConv2D) == ["norm"]


def test_two_batch_norms_after_one_convolution():
    def body(x):
        conv = layers.Conv2D(4, 3, padding="same")(x)
        one = layers.BatchNormalization(name="one")(conv)
        two = layers.BatchNormalization(name="two")(conv)
        return layers.Concatenate()([layers.ReLU()(one), two])

    assert sorted(names(verify(network(body)), layers.DepthwiseConv2D)) == ["one", "two"]


def test_batch_norm_that_is_used_twice_is_folded():
    def body(x):
        x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
        return layers.Add()([layers.ReLU()(x), x])

    assert not names(verify(network(body)), layers.DepthwiseConv2D)


def test_one_convolution_called_twice_with_two_batch_norms():
    shared = layers.Conv2D(4, 3, padding="same", name="shared")

    def body(x):
        one = layers.ReLU()(layers.BatchNormalization()(shared(x)))
        return layers.ReLU()(layers.BatchNormalization()(shared(one)))

    try:
        verify(network(body))
    except ValueError as error:  # refusing it is as good as computing it
        assert "shared" in str(error)


# --- other layers -------------------------------------------------------------------------------


def test_activation_as_argument_becomes_a_layer():
    body = then(layers.Conv2D(6, 3, activation="relu", name="conv"), layers.Flatten())
    inputs = keras.Input(SHAPE)
    x = layers.Dense(7, activation="relu", name="hidden")(body(inputs))
    graph = verify(keras.Model(inputs, layers.Dense(3)(x)))
    assert names(graph, layers.Activation) == ["conv_act", "hidden_act"]


def test_relu_layers_keep_their_names():
    body = then(layers.Conv2D(6, 3), layers.ReLU(name="first"), layers.Conv2D(6, 3), layers.ReLU())
    assert names(verify(network(body)), layers.Activation)[0] == "first"


def test_training_only_layers_are_dropped():
    body = then(
        layers.GaussianNoise(0.3),
        layers.Conv2D(6, 3, activation="relu"),
        layers.SpatialDropout2D(0.5),
        layers.GaussianDropout(0.5),
        layers.Flatten(),
        layers.Dropout(0.5),
    )
    graph = verify(network(body))
    assert len(graph.layers) == 6  # input, convolution, ReLU, two times flatten, logits


@pytest.mark.parametrize("how", ["layer", "activation", "argument"])
def test_softmax_at_the_end_is_dropped(how):
    inputs = keras.Input((7,))
    x = layers.Dense(6, activation="relu")(inputs)
    if how == "argument":
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
        randomise(model)
        graph = normal_form(model)
        logits = graph.predict(np.eye(7, dtype=np.float32))
        softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        expected = model.predict(np.eye(7, dtype=np.float32))
        np.testing.assert_allclose(softmax, expected, rtol=1e-5)
    else:
        logits = layers.Dense(3)(x)
        last = layers.Softmax() if how == "layer" else layers.Activation("softmax")
        verify(keras.Model(inputs, last(logits)), logits=logits)


def test_pooling_padding_reshaping_and_concatenation():
    def body(x):
        x = layers.ZeroPadding2D(((1, 2), (0, 3)))(x)
        a = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu")(x))
        b = layers.AveragePooling2D(2)(layers.Conv2D(6, 3, activation="relu")(x))
        x = layers.Concatenate()([a, b])
        x = layers.Reshape((x.shape[1] * x.shape[2], 1, x.shape[3]))(x)
        return layers.Concatenate()(
            [layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)]
        )

    graph = verify(network(body))
    assert len(names(graph, layers.MaxPooling2D)) == 1


def test_sequential():
    model = keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(6, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4),
        ],
        name="stack",
    )
    assert verify(model).name == "stack"


def test_sequential_built_by_a_call():
    model = keras.Sequential([layers.Dense(6, activation="relu"), layers.Dense(4)])
    model(np.zeros((1, 5), np.float32))
    verify(model)


def test_resnet():
    graph = verify(resnet(8, (16, 16, 3), width=4))
    assert len(names(graph, layers.Activation)) == 7
    assert not names(graph, layers.DepthwiseConv2D)


def test_small_cnn():
    graph = verify(small_cnn())
    assert names(graph, layers.Activation) == ["act1", "act2", "act3"]


def test_normal_form_of_a_normal_form():
    verify(normal_form(randomise(small_cnn())))


def test_model_with_float64_like_integers_in_weights_keeps_large_and_small_scales():
    """A batch norm with a tiny variance is folded without loss."""
    model = network(then(layers.Conv2D(6, 3), layers.BatchNormalization(name="n"), layers.ReLU()))
    randomise(model)
    model.get_layer("n").moving_variance.assign(np.logspace(-6, 6, 6))
    x = np.random.default_rng(0).normal(0, 1, (4, *SHAPE)).astype(np.float32)
    expected = model.predict(x)
    found = normal_form(model).predict(x)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


# --- other activations, products, models within -------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (layers.Activation("silu"), "silu"),
        (layers.Activation("swish"), "silu"),
        (layers.Activation("sigmoid"), "sigmoid"),
        (layers.Activation("tanh"), "tanh"),
        (layers.Activation("gelu"), "gelu"),
        (layers.Activation("hard_swish"), "hard_silu"),
        (layers.Activation("hard_sigmoid"), "hard_sigmoid"),
        (layers.Activation("relu6"), "relu6"),
        (layers.ReLU(6.0), "relu6"),
        (layers.ReLU(negative_slope=0.1), "leaky_relu(0.1)"),
        (layers.LeakyReLU(negative_slope=0.25), "leaky_relu(0.25)"),
        (layers.Activation("leaky_relu"), "leaky_relu(0.2)"),
        (layers.Conv2D(4, 3, activation="silu"), "silu"),
        (layers.Dense(4, activation="tanh"), "tanh"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else value,
)
def test_activations(layer, function):
    graph = verify(network(then(layers.Conv2D(4, 3), layers.BatchNormalization(), layer)))
    found = [layer.function for layer in graph.layers if isinstance(layer, Nonlinearity)]
    assert set(found) - {"relu", "negative_part"} == {function} - {"relu"}
    assert found.count(function) == 1


@pytest.mark.parametrize("options", [{}, {"strides": 2, "padding": "same"}, {"use_bias": False}])
@pytest.mark.parametrize("activation", [None, "relu"])
def test_separable_convolution(options, activation):
    layer = layers.SeparableConv2D(
        6, 3, depth_multiplier=2, activation=activation, name="apart", **options
    )
    graph = verify(network(then(layer, layers.BatchNormalization())))
    assert names(graph, layers.DepthwiseConv2D)[0] == "apart_depthwise"
    assert names(graph, layers.Conv2D)[-1] == "apart"


def squeeze_and_excite(x):
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(2, 1, activation="silu", name="squeeze")(gate)
    gate = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name="excite")(gate)
    return layers.Multiply(name="gated")([x, gate])


def test_squeeze_and_excite():
    graph = verify(network(then(layers.Conv2D(4, 3, activation="silu"), squeeze_and_excite)))
    assert names(graph, layers.Multiply) == ["gated"]


def test_models_within_are_unfolded():
    deep = keras.Sequential(
        [layers.Input(SHAPE), layers.Conv2D(4, 3, padding="same", name="conv"), layers.ReLU()],
        name="deep",
    )
    inputs = keras.Input(SHAPE)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 1, name="conv")(deep(inputs)))
    inner = keras.Model(inputs, layers.Add()([x, inputs]), name="inner")
    graph = verify(network(then(layers.Conv2D(4, 3, padding="same", name="conv"), inner)))
    assert names(graph, layers.Conv2D) == ["conv", "conv_2", "conv_3"]
    assert not names(graph, keras.Model)


def test_a_layer_called_twice_becomes_two():
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    norm = layers.BatchNormalization(name="norm")

    def body(x):
        x = layers.ReLU()(norm(shared(x)))
        return layers.ReLU()(norm(shared(x)))

    assert names(verify(network(body)), layers.Conv2D) == ["shared", "shared_2"]


def test_a_model_called_twice():
    inner = keras.Sequential(
        [layers.Input(SHAPE), layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv")]
    )
    graph = verify(network(lambda x: layers.Concatenate()([inner(x), inner(inner(x))])))
    assert sorted(names(graph, layers.Conv2D)) == ["conv", "conv_2", "conv_3"]


# --- refusals -----------------------------------------------------------------------------------


def refuse(model, *messages, error=UnsupportedLayerError):
    with pytest.raises(error) as caught:
        normal_form(model)
    for message in messages:
        assert message in str(caught.value)


class Cubed(layers.Layer):
    def call(self, x):
        return x * x * x


class NotOfKeras(layers.Layer):
    def call(self, x):
        return tf.square(x)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Activation("exponential", name="odd"), "activation 'exponential'"),
        (layers.Activation("exponential", name="odd"), "supported are relu, relu6, silu"),
        (
            layers.Activation(lambda x: x**2, name="odd"),
            "To add one, see fsrepro.activations.register",
        ),
        (layers.Conv2D(4, 3, activation="exponential", name="odd"), "activation 'exponential'"),
        (layers.ReLU(2.0, threshold=3.0, name="odd"), "its parameters make no function"),
        (layers.Lambda(lambda x: x * 2, name="odd"), "Lambda"),
        (layers.LayerNormalization(name="odd"), "supported are Activation, "),
        (layers.UpSampling2D(2, interpolation="bilinear", name="odd"), "by nearest neighbours"),
        (layers.Resizing(3, 3, name="odd"), "Resizing"),
        (layers.Softmax(name="odd"), "supported only as the last layer"),
        (layers.Softmax(axis=1, name="odd"), "the axis must be last"),
        (layers.Activation("softmax", name="odd"), "supported only as the last layer"),
        (layers.Activation(tf.nn.softmax, name="odd"), "supported only as the last layer"),
        (layers.Conv2D(4, 3, activation="softmax", name="odd_act"), "only as the last layer"),
        (layers.MaxPooling2D(2, data_format="channels_first", name="odd"), "channels_last"),
        (NotOfKeras(name="odd"), "cannot be followed with symbolic tensors"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_unsupported_layers(layer, message):
    model = network(then(layers.Conv2D(4, 3, padding="same"), layers.ReLU(), layer))
    refuse(model, "layer 'odd", "has no spiking form", message)


@pytest.mark.parametrize(
    "operation",
    [
        keras.ops.exp, keras.ops.square, lambda x: keras.ops.roll(x, 1, 1), lambda x: x / (x + 1),
        lambda x: keras.ops.mean(x, axis=-1, keepdims=True), lambda x: x[:, ::-1],
        lambda x: keras.ops.cumsum(x, axis=1), lambda x: keras.ops.maximum(x, 2 * x),
    ],
)  # fmt: skip
def test_unsupported_operations(operation):
    refuse(network(lambda x: operation(layers.Conv2D(4, 3)(x))), "operation", "no spiking form")


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.BatchNormalization()])
def test_calls_as_in_training_are_refused(layer):
    refuse(network(lambda x: layer(x, training=True)), "called with training=True", layer.name)


def test_unsupported_layer_of_a_model_within():
    inner = keras.Sequential([layers.Input(SHAPE), layers.LayerNormalization(name="odd")])
    refuse(network(inner), "layer 'odd'", "no spiking form")


def test_subclassed_model_that_cannot_be_followed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = layers.Dense(3)

        def call(self, x):
            return tf.square(self.dense(x))

    model, x = Own(), np.zeros((1, 4), np.float32)
    model(x)
    refuse(model, "'own'", "subclassed", "pass images", error=TypeError)
    with pytest.raises(TypeError, match=r"'own' .* cannot be followed .* functional API"):
        normal_form(model, x)


def test_unbuilt_sequential():
    model = keras.Sequential([layers.Dense(3)], name="raw")
    refuse(model, "'raw' is not built", "Input layer", error=ValueError)


def test_model_without_weights():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.ReLU()(inputs), name="bare")
    refuse(model, "'bare' has no weights", error=ValueError)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(bad):
    model = small_cnn()
    kernel = model.get_layer("dense1").kernel.numpy()
    kernel[0, 0] = bad
    model.get_layer("dense1").kernel.assign(kernel)
    refuse(model, "'kernel'", "layer 'dense1'", "NaN or infinite", error=ValueError)


def test_batch_norm_statistics_that_are_not_finite():
    model = small_cnn()
    model.get_layer("bn2").moving_mean.assign(np.full(32, np.nan))
    refuse(model, "'moving_mean'", "layer 'bn2'", error=ValueError)


def test_two_outputs():
    inputs = keras.Input((4,))
    x = layers.Dense(3, activation="relu")(inputs)
    model = keras.Model(inputs, [layers.Dense(2)(x), layers.Dense(2)(x)], name="twins")
    refuse(model, "'twins' has 1 inputs and 2 outputs", error=ValueError)


def test_two_inputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([a, b], layers.Dense(2)(layers.Add()([a, b])), name="twins")
    refuse(model, "'twins' has 2 inputs and 1 outputs", error=ValueError)


@pytest.mark.parametrize("thing", [None, layers.Dense(3), np.zeros(3)])
def test_not_a_model(thing):
    refuse(thing, "expected a keras.Model", type(thing).__name__, error=TypeError)
