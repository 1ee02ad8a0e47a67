"""Conversion of networks with other activations than ReLU: designs, budgets, files, refusals."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro import activations, measures, training
from fsrepro.codes import binary, fitted, leading_one, mixed_radix, published, soma
from fsrepro.conversion import SpikingModel, convert, diagnose, normal_form, plan, rescalable_layers
from fsrepro.experiments import models

F = np.float32


@pytest.fixture(scope="module")
def silu(digits):
    model = models.small_cnn((8, 8, 1), activation="silu")
    training.train(model, *digits.arrays("train"), epochs=12, batch_size=64, learning_rate=0.05)
    return model


@pytest.fixture(scope="module")
def gated():
    """Every kind of branch at once, with random weights."""
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="silu", name="stem")(inputs)
    y = layers.DepthwiseConv2D(3, padding="same", activation="gelu", name="deep")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(gate)
    x = layers.Add()([x, layers.Multiply()([y, gate])])
    x = layers.Concatenate()([x, layers.SeparableConv2D(3, 3, padding="same", name="apart")(x)])
    x = layers.Activation("tanh", name="tanh")(layers.ZeroPadding2D(1)(x))
    x = layers.Flatten()(layers.AveragePooling2D(2)(layers.ReLU(name="relu")(x)))
    return keras.Model(inputs, layers.Dense(5)(x))


def pictures(n=40, shape=(8, 8, 2)):
    return np.random.default_rng(0).normal(0, 1, (n, *shape)).astype(F)


@pytest.fixture
def images(digits):
    return digits.normalise(digits.calibration.images)


def test_every_layer_bit_for_bit(gated):
    snn = convert(gated, pictures(), code="mixed_radix", steps=6)
    inner = [t for layer in snn.spiking_layers for t in (layer.input, layer.output)]
    values = keras.Model(snn.keras_model.inputs, inner).predict(pictures(20))
    found = {code.activation for code in snn.codes.values()}
    assert {"silu", "gelu", "sigmoid", "tanh", "relu"} <= found
    assert found - {"silu", "gelu", "sigmoid", "tanh", "relu"} <= {"linear", "negative_part"}
    for code, x, y in zip(snn.codes.values(), values[::2], values[1::2], strict=True):
        np.testing.assert_array_equal(code.quantise(x), y)
        assert len(np.unique(y)) > 1


@pytest.mark.parametrize("code", ["binary", "mixed_radix", lambda a: leading_one(8, a, spikes=3)])
def test_an_snr_is_reached(gated, code):
    snn = convert(gated, pictures(), code=code, snr=20)
    found = diagnose(gated, snn, pictures()).set_index("layer")["snr"]
    # Each layer was designed on the ANN; here it reads what spiking layers before it wrote.
    assert (found > 18).all()
    assert found["stem_act"] == pytest.approx(20, abs=1.5)


def test_a_budget_is_kept(gated):
    choices = plan(gated, pictures(), steps=8)
    mean = {}
    for budget in (0.5, 1.0):
        snn = choices.network(spikes_per_neuron=budget)
        labels = np.zeros(40, int)
        report = measures.evaluate(snn, pictures(), labels)
        mean[budget] = report.spikes_per_neuron
        assert report.spikes_per_neuron < 1.1 * budget
    assert mean[1.0] > mean[0.5]


def test_a_trained_network_keeps_its_answers(silu, images, digits):
    reference = measures.answers(silu, images)
    assert np.mean(reference == digits.calibration.labels) > 0.9
    spikes = []
    for options in ({"code": published.silu()}, {"code": fitted.silu(16)},
                    {"spikes_per_neuron": 1.2, "steps": 8}):  # fmt: skip
        snn = convert(silu, images, **options)
        report = measures.evaluate(snn, images, digits.calibration.labels, ann=reference)
        spikes.append(report.spikes_per_neuron)
        assert report.agreement > 95
    assert spikes[2] < min(spikes[:2])


def test_codes_by_activation(gated):
    given = {
        "silu": published.silu(), "sigmoid": published.sigmoid(), "relu": "binary",
        "tanh": "mixed_radix", "gelu": lambda a: leading_one(6, a, spikes=2),
    }  # fmt: skip
    snn = convert(gated, pictures(), code=given, steps=5)
    assert snn.codes["stem_act"] == published.silu()
    assert snn.codes["gate_act"] == published.sigmoid()
    assert snn.codes["relu"].name == "binary round"
    assert snn.codes["deep_act"].max_spikes == 2


def test_silence_stands_for_a_frequent_value(silu, images):
    """With a price on spikes, the offset moves up to where most activations are."""
    offsets = {}
    for penalty in (0.0, 0.05):
        snn = plan(silu, images, code="binary", steps=8).network(penalty=penalty)
        offsets[penalty] = next(iter(snn.codes.values())).offset
    assert -0.29 < offsets[0.0] < -0.25
    assert offsets[0.05] > offsets[0.0]


def test_the_whole_range(gated):
    snn = convert(gated, pictures(), code="binary", steps=8, scale="max")
    for layer in snn.layers.itertuples():
        code = snn.codes[layer.layer]
        if code.activation == "sigmoid":
            assert 0 < code.offset < 1
        if code.activation != "relu":
            assert code.staircase.value.max() <= code.offset + layer.scale


def test_file_round_trip(gated, tmp_path):
    snn = convert(gated, pictures(), steps=6)
    again = SpikingModel.load(snn.save(tmp_path / "gated.fs"))
    assert again.codes == snn.codes
    np.testing.assert_array_equal(again.predict(pictures()), snn.predict(pictures()))


def test_a_code_of_another_function_is_refused(gated, silu, images):
    with pytest.raises(
        ValueError, match="layer 'act1' is a silu, but its code 'binary floor' writes"
    ):
        convert(silu, images, code=binary(8, 4.0))
    with pytest.raises(ValueError, match=r"layer 'deep_act' is a gelu, .* writes silu"):
        convert(gated, pictures(), code=published.silu())


def test_only_homogeneous_activations_have_channels_to_scale(gated, silu):
    assert rescalable_layers(normal_form(silu)) == []
    inputs = keras.Input((4, 4, 1))
    x = layers.LeakyReLU(name="leaky")(layers.Conv2D(2, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    assert rescalable_layers(normal_form(model)) == ["leaky"]


def test_a_registered_activation_is_converted(monkeypatch):
    monkeypatch.setattr(activations, "_REGISTERED", dict(activations._REGISTERED))
    monkeypatch.setattr(activations, "_KERAS_FUNCTIONS", {})
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(3, 3, activation="squareplus", name="soft")(inputs)
    model = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match=r"layer 'soft' \(activation 'squareplus'\)"):
        convert(model, pictures())
    activations.register(
        "squareplus", lambda x: (x + np.sqrt(x**2 + 4)) / 2, keras.activations.squareplus
    )
    snn = convert(model, pictures(), code="binary", steps=12)
    expected = model.predict(pictures())
    assert np.abs(snn.predict(pictures()) - expected).max() < 0.01 * np.ptp(expected)
    code, scale = snn.codes["soft_act"], snn.scales["soft_act"]
    assert code == soma(binary(12, scale, rounding=True), "squareplus", code.offset)


def test_mixed_radix_of_relu6_keeps_the_limit():
    inputs = keras.Input((8, 8, 2))
    x = layers.ReLU(6.0, name="limited")(layers.Conv2D(3, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))
    snn = convert(model, 20 * pictures(), code="mixed_radix", steps=6, snr=25)
    code = snn.codes["limited"]
    assert code.quantise(F(1e6)) == code.quantise(F(6))
    assert code.quantise(F(1e6)) == pytest.approx(6, rel=0.05)
    assert mixed_radix((1, 1), 1.0).activation == "relu"
