"""Fine-tuning through the codes: exact forward, sane gradients, resumable, within its budget."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.special import log_softmax

import fsrepro
from fsrepro import measures, training
from fsrepro.codes import (
    ExponentMantissa,
    above,
    binary,
    by_channel,
    leading_one,
    mixed_radix,
    published,
    rate,
    soma,
)
from fsrepro.conversion import convert, normal_form, with_decoders
from fsrepro.fitting import round_scale
from fsrepro.networks.population import activation_layers
from fsrepro.training.batches import mix
from fsrepro.training.learned_code import _PACE, LearnedCode, in_units
from fsrepro.training.objective import Objective


def learned(code, scale=1.0, price=0.0):
    layer = LearnedCode(
        code,
        price=keras.Variable(price, trainable=False),
        share=1.0,
        name="layer",
    )
    layer.build((None, 5))
    layer.log_scale.assign(layer.log_scale + np.log(scale) / _PACE)
    return layer


CODES = [
    above(mixed_radix((1, 3), 6.0), 0.5),
    above(mixed_radix((1, 3), 6.0), -1.25, "linear"),
    soma(mixed_radix((1, 3), 4.0), "silu", -0.25),
    soma(mixed_radix((1, 4), 5.0), "negative_part"),
    soma(binary(4, 1.0, rounding=True), "sigmoid"),
    binary(4, 8.0, rounding=True),
    mixed_radix((1, 3), 6.0),
    mixed_radix((8,), 9.0),
    leading_one(6, 4.0, spikes=2),
    rate(5, 2.5, rounding=True),
]


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_forward_is_the_code_itself(code):
    x = np.random.default_rng(0).normal(1, 3, (50, 5)).astype(np.float32)
    layer = learned(code)
    np.testing.assert_allclose(layer(x), code.quantise(x), rtol=1e-6, atol=1e-6)
    layer(x, training=True)
    np.testing.assert_allclose(layer.spikes, code.count(x[:13]).mean(), rtol=1e-6)


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.name)
def test_what_is_exported_is_the_code_of_the_learned_scale(code):
    x = np.random.default_rng(0).normal(1, 3, (50, 5)).astype(np.float32)
    layer = learned(code)
    layer.log_scale.assign(layer.log_scale + np.log(1.5) / _PACE)
    exported = layer.exported()
    same = exported.activation, exported.soma, exported.offset, exported.name
    assert same == (code.activation, code.soma, code.offset, code.name)
    y, expected = np.asarray(layer(x)), exported.quantise(x)
    close = np.isclose(y, expected, rtol=1e-6, atol=1e-6)
    assert close.mean() > 0.99  # but where rounding meets a threshold
    np.testing.assert_allclose(exported.weight, 1.5 * code.weight, rtol=0.005)


def test_gradients_pass_through_the_soma():
    """Straight through the code, but not through its function."""
    layer = learned(soma(mixed_radix((1, 6), 8.0), "silu", -0.3))
    x = tf.constant([[-3.0, -0.5, 0.4, 2.0, 5.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, expected = tf.reduce_sum(layer(x)), tf.reduce_sum(tf.nn.silu(x))
    np.testing.assert_allclose(tape.gradient(y, x), tape.gradient(expected, x), rtol=1e-5)


def test_straight_through_inside_the_range_and_nowhere_else():
    layer = learned(mixed_radix((1, 3), 8.0))  # 0 to 4 + 3 + 2 + 1, the last ones by overflow
    x = tf.constant([[-1.0, -0.1, 0.2, 3.3, 6.9], [10.5, 100.0, 0.6, 9.0, -5.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x) * [[1.0, 2, 3, 4, 5]])
    np.testing.assert_array_equal(tape.gradient(y, x), [[0, 0, 3, 4, 5], [0, 0, 3, 4, 0]])


def test_the_gradient_of_the_scale_is_that_of_a_learned_step():
    """Esser et al. (2020), equation 3, in logarithms: sum of s (Q(u) - u) inside, s Q outside."""
    code = mixed_radix((1, 3), 8.0)
    layer = learned(code, scale=0.5)
    x = np.float32([[-1.0, 0.2, 1.3, 2.9, 100.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x))
    found = tape.gradient(y, layer.log_scale.value)
    u = x / 0.5
    inside = (u > 0) & (u < 10)
    expected = (0.5 * (code.quantise(u) - u * inside)).sum() * _PACE
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_gradient_of_the_dead_zone():
    """What its threshold, spread over a unit, gives up: values of its weight, and spikes."""
    code = mixed_radix((1, 3), 8.0, dead_zone=0.25)  # 4, then 3, 2, 1 from 0.75 on
    layer = learned(code, price=2.0)
    x = tf.constant([[0.2, 0.3, 1.2, 1.3, 5.0]])  # the last step meets .2, .3, 1.2, 1.3, 1
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x, training=True) * [[1.0, 2, 3, 4, 5]]) + layer.losses[-1]
    found = tape.gradient(y, layer.dead_zone.value)
    expected = -(2 + 3 + 5) * 1.0 - 3 * 2.0 / 5
    np.testing.assert_allclose(found, expected * _PACE, rtol=1e-5)


def test_a_dead_zone_that_has_grown():
    layer = learned(mixed_radix((1, 3), 8.0))
    layer.dead_zone.assign(0.3 / _PACE)
    expected = mixed_radix((1, 3), 8.0, dead_zone=0.3)
    np.testing.assert_allclose(layer.exported().threshold, expected.threshold, rtol=1e-6)
    x = np.float32([[0.6, 0.79, 0.81, 4.6, 4.9]])
    np.testing.assert_allclose(layer(x), expected.quantise(x), rtol=1e-6)


def test_each_channel_learns_for_itself():
    """As layers of one channel each would, which have codes of their own."""
    codes = [CODES[0], above(mixed_radix((1, 3), 9.0, dead_zone=0.25), 0.1)]
    both, apart = learned(by_channel(codes)), [learned(code) for code in codes]
    x = np.random.default_rng(0).normal(1, 3, (40, 3, 2)).astype(np.float32)
    gain = np.float32([0.5, 2.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(both(x, training=True) * gain) + layer_losses(both)
    found = tape.gradient(y, [both.log_scale.value, both.dead_zone.value])
    for c, layer in enumerate(apart):
        np.testing.assert_allclose(both(x)[..., c], layer(x[..., c]), rtol=1e-6)
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(x[..., c], training=True) * gain[c]) + layer_losses(layer)
        expected = tape.gradient(y, [layer.log_scale.value, layer.dead_zone.value])
        for all_channels, one in zip(found, expected, strict=True):
            np.testing.assert_allclose(all_channels[c], one, rtol=1e-4)
        exported = both.exported().channels[c]
        np.testing.assert_array_equal(exported.weight, layer.exported().weight)


def layer_losses(layer):
    return sum(layer.losses, start=0.0)


def test_spikes_cost_where_one_more_unit_would_save_one():
    layer = learned(mixed_radix((1, 3), 8.0), price=2.0)
    x = tf.constant([[-3.0, 0.0, 0.6, 2.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        layer(x, training=True)
        loss = layer.losses[-1]
    slope = np.array(tape.gradient(loss, x))[0] * 5 / 2.0
    # n = 0, 1, 1, 1, 1, 2, 2, 2 for the levels 0..7; one unit to either side.
    np.testing.assert_allclose(slope, [0, 0.5, 0.5, 0, 0.5])


@pytest.fixture(scope="module")
def spiking(trained, calibration_images):
    return trained, convert(trained, calibration_images, steps=4, snr=12)


SETTINGS = {"epochs": 4, "batch_size": 64, "seed": 1, "mixup": 0.4}


def test_fewer_spikes_and_no_less_accuracy(spiking, digits):
    ann, snn = spiking
    x, labels = digits.normalise(digits.calibration.images), digits.calibration.labels
    before = measures.evaluate(snn, x, labels)
    budget = 0.7 * before.spikes_per_neuron
    tuned, history = training.fine_tune(
        snn,
        *digits.arrays("train"),
        validation=digits.arrays("calibration"),
        spikes_per_neuron=budget,
        teacher=ann,
        **{**SETTINGS, "epochs": 12},
    )
    after = measures.evaluate(tuned, x, labels)
    assert after.accuracy >= before.accuracy - 1
    assert after.spikes_per_neuron < 0.85 * before.spikes_per_neuron
    assert list(history["epoch"]) == list(range(1, 13))
    assert (tuned.task, tuned.inputs) == (snn.task, snn.inputs) and snn.inputs is not None
    assert {code.name for code in tuned.codes.values()} == {c.name for c in snn.codes.values()}
    # All constants stay whole multiples of an eight-bit unit: exact in any simulator.
    for code in tuned.codes.values():
        _, unit = in_units(code)
        assert (code.weight / unit == np.round(code.weight / unit)).all()
        assert np.frexp(unit)[0] * 256 % 1 == 0


def test_a_killed_run_ends_like_an_uninterrupted_one(spiking, tmp_path, monkeypatch, digits):
    ann, snn = spiking
    images = digits.arrays("train")
    settings = {"spikes_per_neuron": 0.2, "teacher": ann, **SETTINGS}
    whole, expected = training.fine_tune(snn, *images, **settings)
    settings["checkpoint"] = tmp_path / "run.weights.h5"
    genuine = training.TrainingData.epoch

    def killed(self, number):
        if number == 3:
            raise KeyboardInterrupt
        return genuine(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(training.TrainingData, "epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            training.fine_tune(snn, *images, **settings)
    resumed, history = training.fine_tune(snn, *images, **settings)
    columns = [c for c in expected if c != "seconds"]
    np.testing.assert_allclose(history[columns], expected[columns], rtol=1e-4)
    assert resumed.scales == whole.scales
    for a, b in zip(
        resumed.keras_model.get_weights(), whole.keras_model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_network_returned_is_the_one_that_was_measured(spiking, digits):
    ann, snn = spiking
    x, labels = digits.normalise(digits.calibration.images), digits.calibration.labels
    for averaging in (0.0, 2.0):
        tuned, history = training.fine_tune(
            snn,
            *digits.arrays("train"),
            validation=digits.arrays("calibration"),
            spikes_per_neuron=0.2,
            teacher=ann,
            averaging=averaging,
            **SETTINGS,
        )
        found = measures.evaluate(tuned, x, labels).accuracy
        assert found == pytest.approx(history["calibration_accuracy"].iloc[-1])


def test_the_mean_of_weights_is_that_of_their_steps(spiking, digits):
    """Two steps with momentum 1/2: the mean is half of the first weights and half of the last."""
    snn = spiking[1]
    two_steps = {"spikes_per_neuron": 0.2, "epochs": 1, "seed": 0}
    size = len(digits.train) // 2
    found = {
        averaging: training.fine_tune(
            snn,
            *digits.arrays("train"),
            validation=digits.arrays("calibration"),
            batch_size=size,
            averaging=averaging,
            **two_steps,
        )[0].keras_model.get_weights()
        for averaging in (0.0, 0.5, 1.0)
    }
    assert all((a == b).all() for a, b in zip(found[0.0], found[0.5], strict=True))
    first = snn.keras_model.get_weights()
    for mean, last, w in zip(found[1.0], found[0.0], first, strict=True):
        assert 0 < np.abs(mean - w).max() < np.abs(last - w).max()


def test_mixup_blends_images_and_targets_by_one_share():
    rng = np.random.default_rng(3)
    images = rng.normal(size=(6, 4, 4, 3)).astype(np.float32)
    targets = np.eye(6, dtype=np.float32)
    blended, wanted = mix(images, targets, 0.4, np.random.default_rng(8))
    assert blended.dtype == wanted.dtype == np.float32
    # Targets are unit vectors: they say which images went into each blend, and by which share.
    np.testing.assert_allclose(blended, np.einsum("ab,bhwc->ahwc", wanted, images), atol=1e-6)
    np.testing.assert_allclose(wanted.sum(0), 1, atol=1e-6)
    shares = np.unique(wanted.max(1).round(6))
    assert set(shares) <= {1.0, shares.min()} and 0.5 <= shares.min() < 1


def test_the_teacher_answers_the_blended_images(spiking, monkeypatch, digits):
    ann, snn = spiking
    seen = []
    taught = Objective.taught

    def watched(self, images, wanted):
        seen.append(images)
        return taught(self, images, wanted)

    monkeypatch.setattr(Objective, "taught", watched)
    settings = {**SETTINGS, "epochs": 1}
    training.fine_tune(
        snn,
        *digits.arrays("train"),
        validation=digits.arrays("calibration"),
        spikes_per_neuron=0.2,
        teacher=ann,
        **settings,
    )
    (plain, _), *_ = training.TrainingData(*digits.arrays("train"), 64, False, 1).epoch(1)
    assert (seen[0] == plain).all()  # to see what targets look like
    assert seen[1].shape == plain.shape
    assert not (seen[1] == plain).all()


@pytest.mark.parametrize("scale", [1.0, 0.3, 0.999, 0.9999, 1.0039, 7e-4, 255.5, 257.0])
def test_scales_round_as_in_conversion(scale):
    code = mixed_radix((1, 3), 8.0)
    assert learned(code, scale=scale).scale == round_scale(scale)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spikes_per_neuron": None}, "a spiking network needs a budget: spikes_per_neuron="),
        ({"spikes_per_neuron": 0}, "spikes_per_neuron must be positive and finite, got 0"),
        ({"spikes_per_neuron": np.nan}, "spikes_per_neuron must be positive and finite, got nan"),
        ({"distillation": 1.5}, "distillation must be between 0 and 1, got 1.5"),
        ({"mixup": -0.5}, "mixup must be 0 for none, or positive, got -0.5"),
        ({"averaging": -1.0}, "averaging must be a number of epochs, 0 or more, got -1.0"),
        ({"epochs": 0}, "epochs and learning_rate must be positive, got 0"),
        ({"batch_size": 10**6}, "batch_size 1000000 exceeds"),
    ],
)
def test_impossible_settings(spiking, changes, message, digits):
    with pytest.raises(ValueError, match=message):
        training.fine_tune(
            spiking[1], *digits.arrays("train"), **{"spikes_per_neuron": 0.2, **SETTINGS, **changes}
        )


def test_calibration_needs_no_labels(trained, calibration_images, digits):
    snn = convert(trained, calibration_images, steps=4, spikes_per_neuron=0.15, by_channel=True)
    x, _ = digits.arrays("test")
    answers = log_softmax(trained.predict(x, verbose=0), -1)

    def divergence(network):
        """Of its answers from those of the ANN, in nats (Kullback & Leibler 1951)."""
        return (np.exp(answers) * (answers - log_softmax(network.predict(x), -1))).sum(-1).mean()

    images = digits.arrays("train")[0][:1000]
    calibrated, history = fsrepro.calibrate(
        snn, trained, images, epochs=20, learning_rate=2e-3, mixup=0.0
    )
    assert divergence(calibrated) < 0.9 * divergence(snn)
    before, after = (measures.evaluate(n, x).spikes_per_neuron for n in (snn, calibrated))
    assert after < 1.05 * before
    assert len(history) == 20
    with pytest.raises(ValueError, match="images to calibrate on"):
        fsrepro.calibrate(snn, trained, images[:, :4])


def test_the_control_is_the_same_training_without_codes(trained, digits):
    x, y = digits.arrays("train")
    before = trained.get_weights()
    held_out = digits.arrays("calibration")
    settings = {"epochs": 2, "learning_rate": 1e-4, "validation": held_out, "mixup": 0.4}
    control, history = fsrepro.fine_tune(trained, x, y, teacher=trained, **settings)
    assert {type(layer).__module__.split(".")[0] for layer in control.layers} <= {
        "keras",
        "fsrepro",
    }
    assert not any(isinstance(layer, LearnedCode) for layer in control.layers)
    assert all((a == b).all() for a, b in zip(before, trained.get_weights(), strict=True))
    found = training.accuracy(control, *held_out)
    assert found == pytest.approx(history["calibration_accuracy"].iloc[-1], abs=0.01)
    assert found > training.accuracy(trained, *held_out) - 2
    with pytest.raises(ValueError, match="an ANN has no spikes; leave spikes_per_neuron out"):
        fsrepro.fine_tune(trained, x, y, spikes_per_neuron=0.3, **settings)


def test_what_is_trained_faster_is_kept_as_it_was(digits, tmp_path):
    """Layers that stand in for others while training do not stay."""
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)  # 4 x 4: unfolded
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(x)))
    x, y = digits.arrays("train")
    snn = convert(model, x[:100], steps=4)
    tuned, _ = fsrepro.fine_tune(snn, x, y, spikes_per_neuron=0.3, epochs=1)
    kinds = [[type(layer) for layer in network.keras_model.layers] for network in (snn, tuned)]
    assert kinds[0] == kinds[1]
    again = fsrepro.SpikingModel.load(tuned.save(tmp_path / "tuned.fs"))
    np.testing.assert_array_equal(again(x[:20]), tuned(x[:20]))


def test_refuses_decoders(spiking, digits):
    names = activation_layers(normal_form(spiking[0]))
    decoded = with_decoders(spiking[0], dict.fromkeys(names, ExponentMantissa(2, 2, 4.0)))
    with pytest.raises(ValueError, match="needs decoders; only networks of linear codes"):
        training.fine_tune(decoded, *digits.arrays("train"), spikes_per_neuron=0.2, **SETTINGS)


# --- any network, any task, with or without labels -----------------------------------------------


def gates_and_bottlenecks(outputs, activation):
    """Default names: SiLU, a linear bottleneck, a gate, a maximum."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(5)
    x = inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))
    x = layers.MaxPooling2D()(layers.Activation("silu")(x))
    x = layers.Conv2D(6, 1)(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(16, activation="sigmoid")(gate)
    x = layers.Flatten()(layers.Multiply()([x, gate]))
    return keras.Model(inputs, layers.Dense(outputs, activation=activation)(x))


TASKS = {  # by name, outputs, what they end in, the loss, and labels from digits
    "classification": (10, "softmax", "sparse_categorical_crossentropy", lambda y: y),
    "binary": (1, "sigmoid", "binary_crossentropy", lambda y: (y > 4).astype(np.float32)),
    "regression": (2, None, "mse", lambda y: np.stack([y / 2.0, 6.0 - y], 1).astype(np.float32)),
}


@pytest.fixture(scope="module", params=TASKS)
def task(request, digits):
    """A task by name, with a network trained for it and its spiking form."""
    outputs, activation, loss, of = TASKS[request.param]
    x, y = digits.arrays("train")
    model = gates_and_bottlenecks(outputs, activation)
    model.compile(keras.optimizers.Adam(3e-3), loss=loss)
    model.fit(x, of(y), batch_size=64, epochs=12, verbose=0)
    snn = convert(model, digits.arrays("calibration")[0], steps=6, spikes_per_neuron=0.6)
    return request.param, model, snn


@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_any_network_and_task(task, labelled, digits):
    name, model, snn = task
    of = TASKS[name][-1]
    (x, y), (held, truth) = digits.arrays("train"), digits.arrays("calibration")
    assert {code.activation for code in snn.codes.values()} >= {"silu", "relu", "sigmoid"}
    before = measures.evaluate(snn, held, of(truth), ann=model)
    tuned, history = training.fine_tune(
        snn, x, of(y) if labelled else None, spikes_per_neuron=0.35, epochs=6, batch_size=64,
        validation=(held, of(truth)), teacher=model, learning_rate=2e-3,
    )  # fmt: skip
    after = measures.evaluate(tuned, held, of(truth), ann=model)
    assert after.spikes_per_neuron < 0.8 * before.spikes_per_neuron
    cheap = convert(model, held, steps=6, spikes_per_neuron=after.spikes_per_neuron)
    untrained = measures.evaluate(cheap, held, of(truth), ann=model)
    assert after.agreement > untrained.agreement - 3
    quality = after.quality["r2" if name == "regression" else "accuracy"]
    assert history["calibration_accuracy"].iloc[-1] == pytest.approx(quality, abs=0.5)
    assert (tuned.task, set(tuned.codes)) == (snn.task, set(snn.codes))


def test_a_stream_without_labels_and_a_teacher_that_ends_in_softmax(digits):
    x, _ = digits.arrays("train")
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Dense(12, activation="relu")(layers.Flatten()(inputs))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden))
    snn = convert(model, x[:200], steps=4)
    stream = tf.data.Dataset.from_tensor_slices(x[:256]).batch(64)
    settings = {"spikes_per_neuron": 0.5, "epochs": 1}
    _, history = training.fine_tune(snn, stream, teacher=model, **settings)
    assert np.isfinite(history["loss"].iloc[-1])
    with pytest.raises(ValueError, match="without labels a teacher is needed"):
        training.fine_tune(snn, x[:256], **settings)


def test_tables_that_write_a_function_by_themselves_are_refused(digits):
    x, y = digits.arrays("train")
    model = gates_and_bottlenecks(10, None)
    code = {
        "silu": published.silu(),
        "relu": mixed_radix((1, 4), 2.0),
        "linear": above(mixed_radix((1, 4), 2.0), -1.0, "linear"),
        "sigmoid": soma(binary(5, 1.0), "sigmoid"),
    }
    snn = convert(model, x[:100], code=code)
    with pytest.raises(ValueError, match="writes silu by its tables alone"):
        training.fine_tune(snn, x, y, spikes_per_neuron=0.5, epochs=1)


def test_a_class_for_every_pixel(digits):
    x, _ = digits.arrays("train")
    masks = (x[..., 0] > x.mean()).astype(int) + (x[..., 0] > x.mean() + x.std())
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(hidden))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x, masks, epochs=3, verbose=0)
    snn = convert(model, x[:200], steps=4, task="segmentation")
    for labels in (masks, None):
        tuned, history = training.fine_tune(
            snn, x, labels, spikes_per_neuron=0.8, epochs=2, teacher=model,
            validation=(x[:100], masks[:100]),
        )  # fmt: skip
        found = measures.evaluate(tuned, x[:100], masks[:100]).accuracy
        assert history["calibration_accuracy"].iloc[-1] == pytest.approx(found, abs=0.5)
        assert found > 70
