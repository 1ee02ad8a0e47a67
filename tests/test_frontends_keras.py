"""What is read of a Keras model is that model, or is refused with the layer that differs."""

import json
import sys

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import fsrepro
from fsrepro.conversion import normal_form
from fsrepro.frontends import keras_model, read
from fsrepro.networks.kinds import WEIGHTED_LAYERS


def images(shape=(8, 8, 3), n=6):
    return np.random.default_rng(0).random((n, *shape)).astype(np.float32)


def network(**options):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv", **options)(inputs)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="second")(x))
    x = layers.Flatten()(layers.ReLU(name="act")(x))
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="net")


# --- the self-check -------------------------------------------------------------------------------


def test_a_layer_read_wrongly_is_refused_and_named(monkeypatch):
    genuine = keras_model._checked_weights

    def wrong(layer):
        return [1.1 * weight if layer.name == "second" else weight for weight in genuine(layer)]

    monkeypatch.setattr(keras_model, "_checked_weights", wrong)
    with pytest.raises(ValueError, match=r"'net' and the graph read .* first at layer 'second'"):
        read(network(), images())
    read(network())  # without images there is nothing to hold it against


def test_a_layer_folded_wrongly_is_refused_and_named(monkeypatch):
    module = sys.modules["fsrepro.conversion._normal_form"]
    genuine = module._scale_and_offset
    monkeypatch.setattr(module, "_scale_and_offset", lambda x: (1.1 * genuine(x)[0], genuine(x)[1]))
    with pytest.raises(ValueError, match=r"'net' and its normal form .* first at layer 'norm'"):
        normal_form(network(), images())


def test_a_scale_taken_up_wrongly_by_the_layers_behind_is_refused_and_named(monkeypatch):
    module = sys.modules["fsrepro.conversion._normal_form"]
    genuine = module.scale_inputs
    monkeypatch.setattr(module, "scale_inputs", lambda layer, *a: genuine(layer, 1.1 * a[0], a[1]))
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.Rescaling([1.0, 2.0, 3.0, 4.0], 0.5)(x))
    x = layers.Dense(5, activation="relu", name="behind")(x)
    model = keras.Model(inputs, layers.Dense(3)(x), name="net")
    with pytest.raises(ValueError, match=r"'net' and its normal form .* first at layer 'behind'"):
        normal_form(model, images())


def test_a_model_that_does_more_than_its_graph_is_compared_with_itself():
    class Odd(keras.Model):
        def call(self, x):
            if keras.utils.is_keras_tensor(x):
                return super().call(x)
            return 2 * super().call(x)

    plain = network()
    model = Odd(plain.inputs[0], plain.outputs[0], name="odd")
    with pytest.raises(ValueError, match=r"'odd' .* differ .* in no single layer"):
        read(model, images())


def test_the_model_is_left_as_it_is():
    model = network(kernel_regularizer="l2")
    config, weights = model.get_config(), model.get_weights()
    fsrepro.convert(model, images(), spikes_per_neuron=1.0)
    assert model.get_config() == config
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_settings_for_all_of_keras_leave_no_trace(policy, layout):
    model, x = network(), images()
    expected = fsrepro.convert(model, x, steps=6).predict(x)
    before = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format(layout)
    try:
        snn = fsrepro.convert(model, x, steps=6)
        np.testing.assert_array_equal(snn.predict(x), expected)
        assert fsrepro.evaluate(snn, x, ann=model).agreement > 0
        assert keras.config.dtype_policy().name == policy
        assert keras.config.image_data_format() == layout
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])


# --- files ----------------------------------------------------------------------------------------


def keras_2_file(path):
    """A Sequential as Keras 2 wrote it, and what it computes."""
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 3, 1, 4)), rng.normal(size=4)
    dense, last = rng.normal(size=(36 * 4, 3)), rng.normal(size=3)
    initial = {"class_name": "GlorotUniform", "config": {"seed": None}}

    def layer(kind, **config):
        return {"class_name": kind, "config": {"dtype": "float32", **config}}

    config = {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": [
                layer("InputLayer", batch_input_shape=[None, 8, 8, 1], sparse=False, ragged=False,
                      name="conv2d_input"),
                layer("Conv2D", name="conv2d", trainable=True, batch_input_shape=[None, 8, 8, 1],
                      filters=4, kernel_size=[3, 3], strides=[1, 1], padding="valid",
                      data_format="channels_last", dilation_rate=[1, 1], groups=1,
                      activation="relu", use_bias=True, kernel_initializer=initial,
                      kernel_regularizer=None, bias_constraint=None),
                layer("Flatten", name="flatten", trainable=True, data_format="channels_last"),
                layer("Dense", name="dense", trainable=True, units=3, activation="softmax",
                      use_bias=True, kernel_initializer=initial),
            ],
        },
    }  # fmt: skip
    weights = {
        "conv2d": {"conv2d/kernel:0": kernel, "conv2d/bias:0": bias},
        "flatten": {},
        "dense": {"dense/kernel:0": dense, "dense/bias:0": last},
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.15.0", "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        group.attrs["keras_version"], group.attrs["backend"] = b"2.15.0", b"tensorflow"
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                inner.create_dataset(key, data=array.astype(np.float32))
    model = keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(),
         layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    model.set_weights([kernel, bias, dense, last])
    return model


def test_a_file_of_keras_2(tmp_path):
    model, x = keras_2_file(tmp_path / "old.h5"), images((8, 8, 1), 40)
    snn = fsrepro.convert(tmp_path / "old.h5", x, steps=8)
    report = fsrepro.evaluate(snn, x, ann=str(tmp_path / "old.h5"))
    assert report.agreement == fsrepro.evaluate(snn, x, ann=model).agreement > 95


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_tells_the_loss_that_the_model_was_trained_with(tmp_path, suffix):
    model = keras.Sequential([layers.Input((4,)), layers.Dense(5, "relu"), layers.Dense(3)])
    model.compile("adam", "mse")
    model.save(tmp_path / f"net{suffix}")
    assert read(model).task.name == read(tmp_path / f"net{suffix}").task.name == "regression"


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.onnx"])
def test_damaged_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a network" * 100)
    with pytest.raises(ValueError, match=name):
        read(tmp_path / name, images())


# --- names ----------------------------------------------------------------------------------------


def test_names_are_unique_and_the_same_at_every_reading():
    inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", activation="relu", name="c")
    inner = keras.Sequential([layers.Input((8, 8, 3)), conv, layers.ReLU(name="c_act")])
    x = inner(conv(inputs)) + inner(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(keras.ops.relu(x))))
    names = [[layer.name for layer in normal_form(model).layers] for _ in range(2)]
    assert names[0] == names[1]
    assert len(set(names[0])) == len(names[0])
    assert {"c", "c_2", "c_3", "c_act", "c_act_2", "relu"} <= set(names[0])


def test_what_is_read_is_plain():
    model = network(kernel_regularizer="l2", kernel_constraint="max_norm")
    for layer in read(model).graph.layers:
        assert layer.dtype_policy.name == "float32"
        if isinstance(layer, WEIGHTED_LAYERS):
            assert layer.activation is keras.activations.linear
            assert layer.kernel_regularizer is layer.kernel_constraint is None
