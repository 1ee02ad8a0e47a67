"""Rescaled channels: the ANN stays what it was, and what cannot be rescaled is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import normal_form, rescalable_layers, rescale_channels
from fsrepro.experiments.models import resnet, small_cnn


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([np.abs(rng.normal(0.1, 0.3, w.shape)) for w in model.get_weights()])
    return model


def with_every_layer():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a")(image)
    x = layers.AveragePooling2D(2)(x)
    x = layers.ZeroPadding2D()(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="b")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(5, activation="relu", name="c")(x)
    return keras.Model(image, layers.Dense(3)(x))


def networks():
    inner = [f"stage{s}_block1_1_act" for s in (1, 2, 3)]
    return {
        "resnet": (resnet(8, (8, 8, 3), width=4), inner),
        "cnn": (small_cnn((8, 8, 3)), None),
        "every layer": (with_every_layer(), ["a_act", "b_act", "c_act"]),
    }


@pytest.mark.parametrize("name", ["resnet", "cnn", "every layer"])
def test_same_function(name):
    model, expected = networks()[name]
    graph = normal_form(random_weights(model))
    names = rescalable_layers(graph)
    assert names
    if expected is not None:
        assert names == expected
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype(np.float32)
    before = graph.predict(images)
    rng = np.random.default_rng(2)
    channels = {n: graph.get_layer(n).output.shape[-1] for n in names}
    powers = {n: np.exp2(rng.integers(-4, 5, c)) for n, c in channels.items()}
    any_factor = {n: np.exp(rng.normal(0, 1, c)) for n, c in channels.items()}
    exact = rescale_channels(graph, powers).predict(images)
    assert exact == pytest.approx(before, rel=1e-5)
    found = rescale_channels(graph, any_factor).predict(images)
    assert found == pytest.approx(before, rel=1e-4)
    assert (graph.predict(images) == before).all()  # the source is left alone


def test_a_maximum_that_others_read_is_an_obstacle():
    image = keras.Input((8, 8, 2))
    x = layers.MaxPooling2D(2)(layers.Conv2D(3, 1)(image))
    a = layers.Conv2D(3, 1)(layers.ReLU(name="a")(layers.MaxPooling2D(2)(x)))
    b = layers.Conv2D(3, 1)(layers.Activation("tanh")(x))
    x = layers.Concatenate()([layers.Flatten()(a), layers.Flatten()(b)])
    assert rescalable_layers(normal_form(keras.Model(image, layers.Dense(2)(x)))) == []


def test_activations_are_multiplied():
    graph = normal_form(random_weights(with_every_layer()))
    factor = np.float32([1, 2, 0.25, 8])
    scaled = rescale_channels(graph, {"a_act": factor})
    images = np.random.default_rng(3).normal(size=(5, 8, 8, 3)).astype(np.float32)
    before, after = (
        keras.Model(g.inputs, g.get_layer("a_act").output).predict(images) for g in (graph, scaled)
    )
    assert after == pytest.approx(before * factor, rel=1e-6)


def test_layers_that_cannot_be_rescaled():
    graph = normal_form(resnet(8, (8, 8, 3), width=4))
    with pytest.raises(
        ValueError, match=r"layer 'stem_act' cannot be rescaled: .*\(Add\) reads it"
    ):
        rescale_channels(graph, {"stem_act": np.ones(4)})
    with pytest.raises(ValueError, match="its input comes from layer 'stage3_block1_add'"):
        rescale_channels(graph, {"stage3_block1_act": np.ones(16)})
    image = keras.Input((4,))
    hidden = layers.Dense(2, activation="relu", name="d")(image)
    graph = normal_form(keras.Model(image, layers.Flatten()(hidden)))
    with pytest.raises(ValueError, match="it feeds the output"):
        rescale_channels(graph, {"d_act": np.ones(2)})


@pytest.mark.parametrize(
    "factor", [np.ones(3), np.ones((4, 1)), [1, 2, 0, 1], [1, -1, 1, 1], [1, np.nan, 1, 1], 2.0]
)
def test_impossible_factors(factor):
    graph = normal_form(with_every_layer())
    with pytest.raises(ValueError, match="layer 'a_act' needs 4 positive finite factors"):
        rescale_channels(graph, {"a_act": factor})


def test_unknown_layer():
    with pytest.raises(ValueError, match="no activation layer 'z'; there are a_act, b_act, c_act"):
        rescale_channels(normal_form(with_every_layer()), {"z": np.ones(4)})
