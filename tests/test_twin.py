"""A twin computes what its model does, learns likewise, and hands back what it has learned."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from fsrepro import training
from fsrepro.experiments import models
from fsrepro.training.twin import (
    FusedBatchNormalization,
    UnfoldedConv2D,
    bring_back,
    twin,
)

twins = sys.modules["fsrepro.training.twin"]


def network():
    """Batch normalisation, a layer called twice, and a model within."""
    x = inputs = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    x = layers.BatchNormalization(name="norm")(shared(shared(x)))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 1)], name="inner")
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(inner(x)))
    return keras.Model(inputs, layers.Dense(5, name="logits")(x))


def images(count=16):
    return np.random.default_rng(0).normal(1, 2, (count, 8, 8, 3)).astype(np.float32)


def learn(model, steps=3):
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    for _ in range(steps):
        model.train_on_batch(images(), np.ones((16, 5), np.float32))


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.05)])
def test_computes_the_same_before_and_after_training(precision, tolerance):
    model = network()
    copy = twin(model, precision)
    assert isinstance(copy.get_layer("norm"), FusedBatchNormalization)
    np.testing.assert_allclose(copy(images()), model(images()), rtol=tolerance, atol=tolerance)
    before = [w.copy() for w in model.get_weights()]
    learn(copy)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    bring_back(copy, model)
    assert all(w.dtype == np.float32 for w in model.get_weights())
    np.testing.assert_allclose(copy(images()), model(images()), rtol=tolerance, atol=tolerance)
    assert copy(images()).dtype == "float32"


def test_learns_what_keras_learns():
    model = network()
    copy = twin(model)
    learn(model)
    learn(copy)
    learned = copy.get_layer("norm").get_weights()
    for name, ours, theirs in zip(
        ("gamma", "beta", "mean"), learned, model.get_layer("norm").get_weights(), strict=False
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(copy(images()), model(images()), rtol=1e-3, atol=1e-3)


def test_a_layer_called_twice_stays_one_layer():
    model = network()
    assert len(twin(model).trainable_variables) == len(model.trainable_variables)


def test_other_layers_in_their_place():
    copy = twin(network(), "float32", lambda layer: layers.Activation("tanh", name=layer.name)
                if isinstance(layer, layers.ReLU) else None)  # fmt: skip
    assert [layer.activation.__name__ for layer in copy.layers if hasattr(layer, "activation")
            and isinstance(layer, layers.Activation)] == ["tanh"]  # fmt: skip


def test_mixed_precision_learns_as_well(digits):
    losses = {}
    for precision in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        model = models.small_cnn(width=16)
        history = training.train(
            model, *digits.arrays("train"), epochs=3, batch_size=64, precision=precision
        )
        losses[precision] = history["loss"]
        assert history.attrs["recipe"]["precision"] == precision
    assert losses["float32"].iloc[-1] < losses["float32"].iloc[0] - 0.2
    np.testing.assert_allclose(losses["mixed_bfloat16"], losses["float32"], rtol=0.02)


def test_unknown_precision(digits):
    with pytest.raises(ValueError, match="precision must be one of float32, mixed_bfloat16, got"):
        training.train(models.small_cnn(), *digits.arrays("train"), epochs=1, precision="float16")


@pytest.mark.parametrize("kernel", [3, (2, 4), (5, 3), (1, 2)])
@pytest.mark.parametrize("size", [(4, 4), (2, 3), (1, 1)])
def test_one_matrix_product_is_a_convolution(kernel, size):
    """Values and gradients, of every kernel and map that is unfolded."""
    rng = np.random.default_rng(0)
    image = keras.Input((*size, 3))
    model = keras.Model(image, keras.layers.Conv2D(6, kernel, padding="same")(image))
    unfolded = twin(model, replace=lambda layer: None)
    kinds = [type(layer) for layer in unfolded.layers]
    assert UnfoldedConv2D in kinds
    x = tf.constant(rng.normal(size=(5, *size, 3)).astype(np.float32))
    found = []
    for network in (model, unfolded):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x)
            loss = tf.reduce_sum(tf.sin(y) * y)
        weights = [variable.value for variable in network.trainable_variables]
        found.append([y, *tape.gradient(loss, [x, *weights])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("times", "warned"), [(1.3, False), (12.0, True)])
def test_emulated_precision_is_warned_of(times, warned, monkeypatch, recwarn):
    monkeypatch.setattr(twins, "bfloat16_over_float32", lambda: times)
    twin(network())
    assert not recwarn
    twin(network(), "mixed_bfloat16")
    found = [str(w.message) for w in recwarn if "bfloat16" in str(w.message)]
    assert bool(found) == warned
    assert all("take 12 times as long" in text and "precision='float32'" in text for text in found)


def test_how_long_the_precisions_take_is_measured():
    assert 0.01 < twins.bfloat16_over_float32() < 1e4
