"""Networks have the shapes their names promise, and the same weights for the same seed."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro.conversion import normal_form
from fsrepro.experiments import models
from fsrepro.networks.population import activation_layers


def neurons(model):
    graph = normal_form(model)
    return sum(int(np.prod(graph.get_layer(n).output.shape[1:])) for n in activation_layers(graph))


@pytest.mark.parametrize(("depth", "count"), [(8, 73_728), (20, 188_416)])
def test_neurons_as_in_the_paper(depth, count):
    assert neurons(models.resnet(depth)) == count


def test_vgg16_has_as_many_neurons_as_in_the_literature():
    model = models.vgg16(width=4)
    assert 16 * neurons(model) == 276_480
    assert sum(isinstance(layer, layers.Conv2D) for layer in model.layers) == 13
    assert models.vgg16((16, 16, 1), 3, width=2).output_shape == (None, 3)


@pytest.mark.parametrize("name", ["small_cnn", "plain_cnn", "resnet8"])
def test_the_seed_decides(name):
    first, again, other = (models.build(name, (8, 8, 1), 5, seed=seed) for seed in (1, 1, 2))
    assert first.output_shape == (None, 5)
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.layers[1].get_weights()[0] != other.layers[1].get_weights()[0]).any()


def test_squeeze_and_excite():
    model = models.resnet(14, activation="silu", squeeze=4)
    assert model.name == "se_resnet14"
    gates = [layer for layer in model.layers if isinstance(layer, layers.Multiply)]
    assert len(gates) == 6
    assert model.get_layer("stage3_block2_squeeze").filters == 16
    assert model.get_layer("stage3_block2_excite_act").activation is keras.activations.sigmoid
    plain = models.resnet(14, activation="silu")
    assert model.count_params() > plain.count_params()
    gate = keras.Model(model.inputs, model.get_layer("stage1_block1_excite_act").output)
    assert gate.output_shape == (None, 1, 1, 16)


@pytest.mark.parametrize("squeeze", [-1, 17])
def test_impossible_squeeze(squeeze):
    with pytest.raises(ValueError, match=f"squeeze must be from 0 to the width 16, got {squeeze}"):
        models.resnet(8, squeeze=squeeze)


def test_unknown_network():
    with pytest.raises(
        ValueError, match="unknown network 'vgg'; choose small_cnn, plain_cnn, vgg16"
    ):
        models.build("vgg", (8, 8, 1), 10)
