"""A budget of spikes over a network: sensitivities, allocation, bias correction."""

import sys
from collections import Counter
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from fsrepro import activations, measures
from fsrepro.codes import (
    ExponentMantissa,
    binary,
    by_channel,
    leading_one,
    mixed_radix,
    soma,
)
from fsrepro.conversion import (
    allocate,
    convert,
    correct_biases,
    normal_form,
    plan,
    rescalable_layers,
    rescale_channels,
    sensitivity,
)
from fsrepro.conversion.calibration import channel_samples, record
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.experiments import models
from fsrepro.fitting import Front, scaled
from fsrepro.networks.nonlinearity import Nonlinearity
from fsrepro.networks.population import activation_layers, populate
from fsrepro.tasks import Task


@pytest.fixture(scope="module")
def ann(trained):
    return trained


@pytest.fixture(scope="module")
def images(calibration_images):
    return calibration_images


def front(*rows):
    table = pd.DataFrame(rows, columns=["mse", "spikes"])
    return Front(table.assign(code=None, scale=1.0), power=1.0)


def test_allocation_is_the_best_of_all_choices():
    """Held against every combination, on fronts that are convex: there Lagrange loses nothing."""
    rng = np.random.default_rng(0)
    spikes = np.array([0.1, 0.3, 0.6, 1.0])
    fronts = {
        name: front(*zip(scale * np.exp(-5 * spikes), spikes, strict=True))
        for name, scale in zip("abc", rng.uniform(0.5, 5, 3), strict=True)
    }
    neurons, gain = {"a": 100, "b": 50, "c": 10}, {"a": 1.0, "b": 3.0, "c": 0.2}
    share = np.array([neurons[n] for n in fronts]) / 160

    def cost(rows):
        return sum(
            share[i] * gain[n] * fronts[n].table["mse"][row]
            for i, (n, row) in enumerate(rows.items())
        )

    for budget in (0.2, 0.45, 0.8):
        chosen = allocate(fronts, neurons, gain, budget)
        spent = sum(share[i] * chosen[n].spikes for i, n in enumerate(fronts))
        assert spent <= budget
        every = [dict(zip("abc", rows, strict=True)) for rows in np.ndindex(4, 4, 4)]
        within = [r for r in every if sum(share * spikes[list(r.values())]) <= spent + 1e-12]
        found = sum(share[i] * gain[n] * chosen[n].mse for i, n in enumerate(fronts))
        np.testing.assert_allclose(found, min(map(cost, within)))


def test_a_sensitive_layer_gets_more_spikes():
    same = front((1.0, 0.1), (0.3, 0.4), (0.1, 0.8))
    chosen = allocate({"a": same, "b": same}, {"a": 10, "b": 10}, {"a": 1.0, "b": 0.01}, 0.5)
    assert chosen["a"].spikes == 0.8
    assert chosen["b"].spikes == 0.1


def test_budget_that_cannot_be_kept():
    with pytest.raises(ValueError, match=r"0\.05 is too little: .* take 0\.1"):
        allocate({"a": front((1.0, 0.1))}, {"a": 1}, {"a": 1.0}, 0.05)


def test_sensitivity_of_a_linear_softmax_is_known():
    """One ReLU that passes everything, then dense: E g g^T = W (diag(p) - p p^T) W^T."""
    image = keras.Input((3,))
    x = layers.Dense(3, activation="relu")(image)
    model = keras.Model(image, layers.Dense(4)(x))
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    model.set_weights([np.eye(3, dtype=np.float32), np.zeros(3), weights, np.zeros(4)])
    x = np.abs(np.random.default_rng(1).normal(size=(20_000, 3))).astype(np.float32)
    found = sensitivity(normal_form(model), x)
    logits = x @ weights
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    mean = p @ weights.T
    expected = (p @ (weights**2).T - mean**2).mean()
    np.testing.assert_allclose([gain.mean() for gain in found.values()], expected, rtol=0.03)


def test_convert_keeps_the_budget(ann, images, digits):
    for budget in (0.3, 0.5):
        snn = convert(ann, images, spikes_per_neuron=budget, steps=6)
        report = measures.evaluate(snn, images, digits.calibration.labels)
        assert 0.9 * budget < report.spikes_per_neuron < 1.03 * budget
        assert snn.steps == 6


def test_any_family_can_have_a_budget(ann, images, digits):
    radix = scaled(lambda a: mixed_radix((1, 4), a))
    for code in (lambda a: leading_one(8, a, spikes=2), "binary", radix):
        snn = convert(ann, images, code=code, spikes_per_neuron=0.8)
        report = measures.evaluate(snn, images, digits.calibration.labels)
        assert report.spikes_per_neuron < 0.82


def means(model, images):
    """Mean pre-activation of each channel of each layer of neurons, and of the outputs."""
    kinds = (FewSpikes, Nonlinearity)
    sites = [layer.input for layer in model.layers if isinstance(layer, kinds)]
    outputs = keras.Model(model.inputs, [*sites, *model.outputs]).predict(images, verbose=0)
    return [x.mean(tuple(range(x.ndim - 1))) for x in outputs]


@pytest.mark.parametrize("network", ["cnn", "resnet"])
def test_bias_correction_makes_all_means_those_of_the_ann(network, ann, images):
    if network == "resnet":
        model = models.resnet(8, (16, 16, 3), width=4)
        x = np.random.default_rng(0).normal(size=(60, 16, 16, 3)).astype(np.float32)
    else:
        model, x = ann, images
    graph = normal_form(model)
    spiking = populate(graph, lambda name: FewSpikes(binary(2, 2.0), name=name))
    before = [w.copy() for w in graph.get_weights()]
    corrected = correct_biases(spiking, graph, x)
    assert len(set(corrected)) == len(corrected)
    for wanted, found in zip(means(graph, x), means(spiking, x), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-4)
    for old, new in zip(before, graph.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # the ANN is left alone


@pytest.mark.parametrize("by_channel", [False, True])
def test_refitted_weights_bring_pre_activations_nearer(by_channel):
    """On images of which nothing was learned; with additions, strides and pointwise layers."""
    model = models.resnet(8, (16, 16, 3), width=4)
    x = np.random.default_rng(0).normal(size=(400, 16, 16, 3)).astype(np.float32)
    planned = plan(model, x[:300], steps=4)
    probe, errors = planned.graph, []
    sites = activation_layers(probe)
    wanted = record(probe, x[300:], samples=10**9)
    for refit in (False, True):
        snn = planned.network(spikes_per_neuron=0.3, by_channel=by_channel, refit=refit)
        found = record(snn.keras_model, x[300:], samples=10**9)
        errors.append([np.square(found[n] - wanted[n]).mean() / wanted[n].var() for n in sites])
    corrected, refitted = errors
    assert refitted[0] == pytest.approx(corrected[0], rel=1e-3)  # the picture is no code
    assert all(b < 0.95 * a for a, b in zip(corrected[1:], refitted[1:], strict=True))


def test_refitted_without_corrected_biases_is_refused(ann, images):
    with pytest.raises(ValueError, match="refit=True corrects biases too"):
        convert(ann, images, spikes_per_neuron=0.3, refit=True, bias_correction=False)


def test_a_layer_read_twice_is_left_alone():
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, padding="same", name="shared")(image)
    a, b = layers.ReLU()(x), layers.Conv2D(3, 1, name="own")(x)
    model = keras.Model(
        image, layers.Dense(2, name="out")(layers.Flatten()(layers.Add()([a, layers.ReLU()(b)])))
    )
    graph = normal_form(model, analog="allowed")
    spiking = populate(graph, lambda name: FewSpikes(binary(2, 1.0), name=name))
    x = np.random.default_rng(0).normal(size=(20, 4, 4, 2)).astype(np.float32)
    assert correct_biases(spiking, graph, x) == ["own", "out"]


def test_bias_correction_is_the_default_under_a_budget_only(ann, images):
    options = {"spikes_per_neuron": 0.3, "steps": 4}
    plain = convert(ann, images, bias_correction=False, **options)
    default = convert(ann, images, **options)
    graph = normal_form(ann)
    for a, b in zip(graph.get_weights(), plain.keras_model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert default.codes == plain.codes
    error = [
        sum(
            np.abs(a - b).mean()
            for a, b in zip(means(graph, images), means(snn.keras_model, images), strict=True)
        )
        for snn in (plain, default)
    ]
    assert error[1] < 0.01 * error[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spikes_per_neuron": 0}, "spikes_per_neuron must be positive and finite, got 0"),
        ({"spikes_per_neuron": -1}, "spikes_per_neuron must be positive and finite, got -1"),
        ({"spikes_per_neuron": np.nan}, "spikes_per_neuron must be positive and finite, got nan"),
        ({"spikes_per_neuron": 0.5, "snr": 20}, "exclude each other"),
        ({"spikes_per_neuron": 0.5, "scale": 2.0}, "exclude each other"),
        ({"spikes_per_neuron": 0.5, "synops_per_mac": 0.5}, "exclude each other"),
        ({"synops_per_mac": 0.5, "scale": 2.0}, "exclude each other"),
        ({"synops_per_mac": -1}, "synops_per_mac must be positive and finite, got -1"),
        ({"synops_per_mac": 1e-6}, "synops_per_mac=1e-06 is too little"),
        ({"spikes_per_neuron": 1e-6}, "spikes_per_neuron=1e-06 is too little"),
    ],
)
def test_bad_budget(ann, images, options, message):
    with pytest.raises(ValueError, match=message):
        convert(ann, images, steps=4, **options)


def test_a_plan_serves_many_budgets(ann, images):
    choices = plan(ann, images, steps=4)
    for budget in (0.25, 0.4):
        direct = convert(ann, images, spikes_per_neuron=budget, steps=4)
        planned = choices.network(spikes_per_neuron=budget)
        assert planned.codes == direct.codes
        assert planned.scales == direct.scales
        for a, b in zip(
            planned.keras_model.get_weights(), direct.keras_model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        chosen = choices.choose(spikes_per_neuron=budget)
        assert direct.scales == {name: found.scale for name, found in chosen.items()}
    assert set(choices.fronts) == set(choices.neurons) == set(choices.sensitivity)


def test_everything_of_a_plan_is_computed_once(ann, images, monkeypatch):
    counted = Counter()
    for place, name in (("calibration", "distributions"), ("_measured", "sensitivity"),
                        ("_plan", "fold")):  # fmt: skip
        module = sys.modules[f"fsrepro.conversion.{place}"]
        original = getattr(module, name)

        def watched(*args, _name=name, _original=original, **options):
            counted[_name] += 1
            return _original(*args, **options)

        monkeypatch.setattr(module, name, watched)
    choices = plan(ann, images, steps=4)
    for criterion in ({"spikes_per_neuron": 0.3}, {"spikes_per_neuron": 0.5}, {"snr": 10}, {}):
        choices.network(**criterion)
    others = choices.with_code(steps=6).network(spikes_per_neuron=0.5)
    assert counted == {"distributions": 1, "sensitivity": 1, "fold": 1}
    assert others.codes == convert(ann, images, steps=6, spikes_per_neuron=0.5).codes


@pytest.mark.parametrize("criterion", [{"snr": 20}, {"spikes_per_neuron": 0.5}])
@pytest.mark.parametrize(
    "options", [{"code": binary(5, 4.0)}, {"code": "binary", "scale": 2.0}], ids=["code", "scale"]
)
def test_a_criterion_that_would_be_ignored_is_refused(ann, images, options, criterion):
    with pytest.raises(ValueError, match=r"would be ignored|exclude each other"):
        convert(ann, images, **options, **criterion)
    with pytest.raises(ValueError, match="would be ignored: the code of every layer is given"):
        plan(ann, images, **options).network(**criterion)


def test_the_scale_of_a_given_code_is_not_made_up(ann, images):
    assert convert(ann, images, code=binary(5, 4.0)).scales == {}
    some = {"act1": binary(5, 4.0), "act2": "binary", "act3": "mixed_radix"}
    snn = convert(ann, images, code=some, steps=5, spikes_per_neuron=1.0)
    assert set(snn.scales) == {"act2", "act3"}
    assert snn.codes["act1"] == binary(5, 4.0)
    with pytest.raises(ValueError, match=r"scale=2.0 would be ignored: code 'binary floor'"):
        convert(ann, images, code=binary(5, 4.0), scale=2.0)
    with pytest.raises(ValueError, match=r"scale='max' would be ignored: a designer"):
        convert(ann, images, code="mixed_radix", scale="max")


def test_plans_refuse_what_convert_refuses(ann, images):
    with pytest.raises(TypeError, match="is not linear"):
        plan(ann, images, code=ExponentMantissa(2, 2, 1.0))
    with pytest.raises(ValueError, match="unknown code 'morse'"):
        plan(ann, images, code="morse")
    with pytest.raises(ValueError, match="calibration images are constant"):
        plan(ann, np.zeros_like(images))


@pytest.fixture(scope="module")
def spoilt(ann):
    """The same network in bad units: its channels differ by up to a factor of 16."""
    graph, rng = normal_form(ann), np.random.default_rng(0)
    factors = {
        name: np.exp2(rng.uniform(-2, 2, graph.get_layer(name).output.shape[-1]))
        for name in rescalable_layers(graph)
    }
    return rescale_channels(graph, factors)


def test_codes_by_channel_help_channels_that_differ(spoilt, ann, images, digits):
    reference = measures.answers(ann, images)
    labels = digits.calibration.labels
    found = []
    for each in (False, True):
        snn = convert(spoilt, images, spikes_per_neuron=0.15, steps=4, by_channel=each)
        report = measures.evaluate(snn, images, labels, ann=reference)
        assert report.spikes_per_neuron < 0.16
        found.append(report.agreement)
    assert found[1] > found[0] + 1


def test_every_channel_gets_the_code_that_suits_it(spoilt, images):
    planned = plan(spoilt, images, steps=4)
    chosen = planned.choose(spikes_per_neuron=0.3, by_channel=True)
    total = sum(found.spikes * planned.neurons[name] for name, found in chosen.items())
    assert 0.29 < total / sum(planned.neurons.values()) <= 0.3
    seen = channel_samples(planned.graph, planned.calibration)
    for name, found in chosen.items():
        x, weights = seen[name]
        assert found.code.threshold.shape == (4, x.shape[1])
        if not (x > 0).any(0).all():
            continue  # silent channels count as what the layer would make of them
        error = np.mean(weights @ (found.code.quantise(x) - np.maximum(x, 0)) ** 2)
        assert error == pytest.approx(found.mse, rel=0.02)
        assert np.mean(weights @ found.code.count(x)) == pytest.approx(found.spikes, rel=0.02)
    largest = [code.decode(np.ones(4)).max() for code in found.code.channels]
    assert np.max(largest) > 2 * np.min(largest)


def test_codes_that_need_decoders_are_refused_for_channels_too(ann, images):
    code = scaled(lambda a: ExponentMantissa(3, 3, a, rounding=True))
    with pytest.raises(TypeError, match="is not linear"):
        convert(ann, images, code=code, spikes_per_neuron=4.0, by_channel=True)


@pytest.mark.parametrize("function", activations.names())
def test_sensitivities_come_through_every_activation(function):
    """Of the layer before, beside the slope of the output by finite differences."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6,))
    x = Nonlinearity("relu", name="before")(layers.Dense(5, use_bias=False)(image))
    x = Nonlinearity(function, name="behind")(layers.Dense(4, bias_initializer="normal")(x))
    model = keras.Model(image, layers.Dense(1)(x))
    data = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    found = sensitivity(model, data, task=Task("regression"))["before"]
    tail = keras.Model(model.get_layer("before").output, model.output)
    y, step = keras.Model(image, model.get_layer("before").output).predict(data), 2e-3
    slopes = [
        (tail.predict(y + step * unit) - tail.predict(y - step * unit)) / (2 * step)
        for unit in np.eye(5, dtype=np.float32)
    ]
    np.testing.assert_allclose(found, np.mean(np.square(slopes), (1, 2)), rtol=0.05, atol=1e-5)


def test_codes_by_channel_need_a_budget(ann, images):
    with pytest.raises(ValueError, match=r"spikes_per_neuron=0\.3 and snr=20 exclude each other"):
        convert(ann, images, by_channel=True, spikes_per_neuron=0.3, snr=20)
    with pytest.raises(ValueError, match="by_channel needs a budget"):
        convert(ann, images, by_channel=True)


def test_channels_of_any_kind(images):
    """Silent, constant, always on; of few positions; of a code that is given."""
    model = keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(4, 3, activation="relu", name="a"),
        layers.Conv2D(3, 3, activation="silu", name="b"),
        layers.Flatten(),
        layers.Dense(5, activation="sigmoid", name="c"),
        layers.Dense(10),
    ])  # fmt: skip
    kernel, _ = model.get_layer("a").get_weights()
    kernel[..., 1:3] = 0
    model.get_layer("a").set_weights([kernel, np.float32([0, -1, 1, 9])])
    model.get_layer("b").set_weights([
        w * np.float32([0, 1, 1]) for w in model.get_layer("b").get_weights()
    ])  # fmt: skip
    snn = convert(model, images, spikes_per_neuron=1.5, by_channel=True)
    always_on = snn.codes[snn.spiking_layers[0].name].channels[3]
    assert always_on.offset > 5
    found = snn.predict(images)
    wanted = model.predict(images, verbose=0)
    assert np.abs(found - wanted).max() < 0.5 * wanted.std()
    given = {"relu": binary(4, 12.0), "silu": "mixed_radix", "sigmoid": "mixed_radix"}
    snn = convert(model, images, code=given, spikes_per_neuron=1.5, by_channel=True)
    assert snn.codes[snn.spiking_layers[0].name] == binary(4, 12.0)


def test_channel_samples_have_the_extremes_and_their_weights(ann, images):
    graph = normal_form(ann)
    name, (x, weights) = next(iter(channel_samples(graph, images, positions=200).items()))
    everything = keras.Model(graph.inputs, graph.get_layer(name).input).predict(images, verbose=0)
    everything = everything.reshape(-1, everything.shape[-1])
    np.testing.assert_array_equal(x.max(0), everything.max(0))
    np.testing.assert_array_equal(x.min(0), everything.min(0))
    assert weights.sum() == pytest.approx(1)
    assert len(x) < 0.1 * len(everything)
    spread = everything.std(0) / np.sqrt(200)
    assert (np.abs(weights @ x - everything.mean(0)) < 5 * spread).all()


@pytest.mark.parametrize("function", ["relu", "silu"])
@pytest.mark.parametrize("wiring", ["row", "skip"])
def test_slopes_are_those_of_the_ann(function, wiring):
    """Codes that lose a tenth of every deviation, which adds up."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 3))
    for i in range(4):
        y = layers.Conv2D(6, 3, padding="same", kernel_initializer="he_normal")(x)
        if wiring == "skip" and i in (1, 3):
            y = layers.Add()([x, y])
        x = layers.Activation(function, name=f"a{i}")(y)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    data = np.random.default_rng(0).normal(size=(60, 8, 8, 3)).astype(np.float32)
    graph = normal_form(model)

    def neurons(name):
        code = mixed_radix((3, 5), 6.0)
        code = replace(code, weight=np.float32(0.9) * code.weight)
        code = code if function == "relu" else soma(code, "silu", -0.25)
        return FewSpikes(by_channel([code] * 6), name=name)

    def slopes(spiking):
        names = [layer.name for layer in spiking.layers if isinstance(layer, FewSpikes)]
        ann, snn = (
            keras.Model(m.inputs, [m.get_layer(name).input for name in names]).predict(data)
            for m in (graph, spiking)
        )
        found = []
        for a, s in zip(ann, snn, strict=True):
            a, s = (v.reshape(-1, v.shape[-1]) - v.mean((0, 1, 2)) for v in (a, s))
            found.append((a * s).sum(0) / (a * a).sum(0))
        return np.array(found)

    spiking = populate(graph, neurons)
    assert slopes(spiking)[-1].max() < 0.8
    correct_biases(spiking, graph, data)
    direct = [0, 1, 2, 3] if wiring == "row" else [0, 2]
    np.testing.assert_allclose(slopes(spiking)[direct], 1, atol=0.02)
    for i in {0, 1, 2, 3} - set(direct):  # thresholds took it up, without a soma
        found, given = (
            spiking.get_layer(f"a{i}").code.threshold[0],
            neurons("given").code.threshold[0],
        )
        assert np.allclose(given / found, 1 / 0.9, atol=0.02) == (function == "relu")


@pytest.mark.parametrize("many", [False, True])
def test_moments_of_channels(many, monkeypatch):
    """Constant, or constant in one of both networks, a channel keeps its slope."""
    correction = sys.modules["fsrepro.conversion.correction"]
    monkeypatch.setattr(correction, "_MANY", 0 if many else 1 << 40)
    x = np.random.default_rng(0).normal(3, 1, (50, 4, 4, 5)).astype(np.float32)
    y = (0.8 * x + 0.1).astype(np.float32)
    x[..., 1] = y[..., 2] = 0.1
    x[..., 3] = y[..., 3] = 0.3
    batches = [[part[:20], part[20:]] for part in map(keras.ops.convert_to_tensor, (x, y))]
    wanted, found, slope = correction._moments(*batches)
    np.testing.assert_allclose(wanted, x.mean((0, 1, 2), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found, y.mean((0, 1, 2), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(slope, [1.25, 1, 1, 1, 1.25], rtol=1 / 256)
