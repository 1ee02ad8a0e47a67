"""Neurons wherever a signal leaves a layer for a weighted layer."""

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro import evaluate
from fsrepro.codes import PrefixCode, binary, soma
from fsrepro.conversion import (
    SpikingModel,
    activation_layers,
    convert,
    diagnose,
    normal_form,
    plan,
    signals,
    with_decoders,
)
from fsrepro.fitting import empirical, mixed_radix_of, with_soma
from fsrepro.networks.graph import calls
from fsrepro.networks.nonlinearity import Nonlinearity


def pictures(*shape, n=24):
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def conv(filters, size=1, **options):
    return layers.Conv2D(filters, size, padding="same", bias_initializer="normal", **options)


def bottleneck(x):
    narrow = conv(3)(x)
    y = conv(8, activation="relu")(narrow)
    y = layers.DepthwiseConv2D(3, padding="same", activation="silu")(y)
    return conv(6)(layers.Add()([narrow, conv(3)(y)]))


def gated(x):
    x = conv(8, activation="silu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = conv(8, activation="sigmoid")(conv(2, activation="relu")(gate))
    return conv(6)(layers.Multiply()([x, gate]))


def separable(x):
    return layers.SeparableConv2D(6, 3)(x)


def pooled(x):
    x = layers.MaxPooling2D()(conv(8, activation="relu")(x))
    return conv(6)(layers.MaxPooling2D(3, 1)(conv(8)(x)))


def dense_net(x):
    for _ in range(3):
        x = layers.Concatenate()([x, conv(3)(layers.ReLU()(layers.BatchNormalization()(x)))])
    return conv(6)(x)


def u_net(x):
    x = skip = conv(4, activation="relu")(x)
    x = conv(4)(layers.MaxPooling2D()(x))
    return conv(6)(layers.Concatenate()([layers.UpSampling2D()(x), skip]))


def differences(x):
    a, b = conv(4, activation="tanh")(x), conv(4)(x)
    return conv(6)(layers.Subtract()([a, layers.Multiply()([b, b])]))


def product_at_the_end(x):
    return layers.Multiply()([conv(4, activation="relu")(x), conv(4)(x)])


def plain(x):
    return layers.AveragePooling2D(2)(conv(4, activation="relu")(x))


BLOCKS = [
    plain,
    bottleneck,
    gated,
    separable,
    pooled,
    dense_net,
    u_net,
    differences,
    product_at_the_end,
]


def network(block):
    keras.utils.clear_session()  # default names, from the first
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(conv(6, 3)(inputs)))
    x = block(x)
    if block is not product_at_the_end:
        x = layers.Dense(5)(layers.Flatten()(x))
    return keras.Model(inputs, x)


def weights(model):
    """Not those of a fresh network, whose batch norm does nothing."""
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0, 0.5, w.shape) for w in layer.get_weights()])
    return model


def agreeing(model, x, spiking_input):
    """The spiking network in 18 bits, which computes what the model does."""
    snn = convert(
        model, x, code=lambda a: binary(18, 1.01 * a, rounding=True), scale="max",
        spiking_input=spiking_input,
    )  # fmt: skip
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(snn.predict(x), expected, atol=1e-3 * np.ptp(expected))
    return snn


@pytest.mark.parametrize("block", BLOCKS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("spiking_input", [False, True], ids=["picture", "picture in spikes"])
def test_nothing_is_analog_behind_the_picture(block, spiking_input):
    model, x = weights(network(block)), pictures(8, 8, 3)
    snn = agreeing(model, x, spiking_input)
    synapses = snn.synapses
    products = {c.name for c in snn.keras_model.layers if isinstance(c, layers.Multiply)}
    assert set(synapses.analog) == products | set(synapses.first)
    assert synapses.first == (() if spiking_input else ("conv2d",))


def gate_of_the_picture(picture, x):
    return layers.Multiply()([picture, x])


def maximum_with_the_picture(picture, x):
    return layers.MaxPooling2D()(layers.Add()([picture, x]))


def sum_with_the_picture(picture, x):
    return layers.Add()([x, picture])


def beside_the_picture(picture, x):
    return layers.Concatenate()([picture, x])


@pytest.mark.parametrize("spiking_input", [False, True], ids=["picture", "picture in spikes"])
@pytest.mark.parametrize(
    "meet",
    [gate_of_the_picture, maximum_with_the_picture, sum_with_the_picture, beside_the_picture],
    ids=lambda f: f.__name__,
)
def test_where_the_picture_meets_spikes(meet, spiking_input):
    """The picture may be read as numbers, what is made of it and of spikes may not."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", activation="sigmoid")(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="behind")(meet(inputs, x))
    model, x = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x))), pictures(8, 8, 3)
    snn = agreeing(model, x, spiking_input)
    reads_picture = {"conv2d", "behind"} if meet in ADDED else {"conv2d"}
    assert set(snn.synapses.first) == (set() if spiking_input else reads_picture)
    products = {c.name for c in snn.keras_model.layers if isinstance(c, layers.Multiply)}
    assert set(snn.synapses.analog) == products | set(snn.synapses.first)
    if spiking_input:
        front = keras.Model(snn.keras_model.inputs, snn.keras_model.outputs)
        readers = {
            call.operation.name for call in calls(front) if call.input_tensors[0] in front.inputs
        }
        assert all(name in snn.codes for name in readers)


ADDED = sum_with_the_picture, beside_the_picture  # linear: weights read each for itself


@pytest.mark.parametrize("block", BLOCKS, ids=lambda f: f.__name__)
def test_the_form_with_neurons_computes_the_same(block):
    model, x = weights(network(block)), pictures(8, 8, 3)
    graph, without = normal_form(model, x), normal_form(model, x, analog="allowed")
    np.testing.assert_allclose(graph.predict(x), without.predict(x), atol=2e-6)
    more = [sum(isinstance(x, Nonlinearity) for x in found.layers) for found in (graph, without)]
    assert (more[0] > more[1]) == (block is not plain)


def test_a_network_without_such_signals_is_left_alone():
    inputs = keras.Input((8, 8, 3))
    x = skip = conv(4, activation="relu")(inputs)
    x = layers.ReLU()(layers.Add()([conv(4)(conv(4, activation="relu")(x)), skip]))
    x = layers.AveragePooling2D(2)(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    names = [[layer.name for layer in normal_form(model, analog=a).layers]
             for a in ("forbidden", "allowed")]  # fmt: skip
    assert names[0] == names[1]


def functions(model, x):
    graph = normal_form(model, x)
    return {n.name: n.function for n in graph.layers if isinstance(n, Nonlinearity)}


def test_signs_tell_whether_it_takes_a_pair():
    model = squares()
    found = functions(model, pictures(4, 4, 2))
    assert found["positive_spikes"] == "linear"
    assert "positive_negative" not in found
    without = functions(model, None)
    assert without["positive_positive"] == "relu"
    assert without["positive_negative"] == "negative_part"


def test_a_maximum_is_taken_of_sums():
    """The activation goes behind it: a quarter of the neurons."""
    inputs = keras.Input((8, 8, 3))
    x = layers.MaxPooling2D(2)(conv(4, activation="relu", name="first")(inputs))
    x = layers.ZeroPadding2D()(conv(4, activation="tanh", name="second")(x))
    x = layers.MaxPooling2D(3, 2)(x)
    x = layers.MaxPooling2D(2)(conv(4, activation="silu", name="third")(x))  # it also falls
    x = conv(4, activation="sigmoid", name="fourth")(x)
    x = layers.GlobalMaxPooling2D()(layers.ZeroPadding2D()(x))  # f(0) is not 0
    model, x = keras.Model(inputs, layers.Dense(2)(x)), pictures(8, 8, 3)
    graph = normal_form(model, x)
    sizes = {name: graph.get_layer(name).output.shape[1:] for name in functions(model, x)}
    assert sizes["first_act"] == (4, 4, 4)
    assert sizes["second_act"] == (2, 2, 4)
    assert sizes["third_act"] == (2, 2, 4)
    assert sizes["fourth_act"] == (1, 1, 4)
    np.testing.assert_allclose(graph.predict(x), model.predict(x), atol=1e-6)


def wide_mean(features):
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D(name="mean")(conv(16, 3, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(features)(x))


@pytest.mark.parametrize(("features", "neurons"), [(2, False), (200, True)])
def test_a_mean_gets_neurons_where_they_save_events(features, neurons):
    model, x = wide_mean(features), pictures(8, 8, 3)
    assert ("mean_spikes" in functions(model, x)) == neurons
    synops = [
        evaluate(convert(model, x, steps=6, analog=analog), x).synops_per_image
        for analog in ("forbidden", "allowed")
    ]
    assert (synops[0] < 0.2 * synops[1]) == neurons


def test_a_budget_in_synaptic_operations_is_kept():
    model, x = network(bottleneck), pictures(8, 8, 3)
    made = plan(model, x, steps=8)
    for budget in (0.4, 1.0):
        snn = made.network(synops_per_mac=budget)
        assert snn.budget.unit == "synops_per_mac"
        assert 0.97 * budget < snn.budget.planned <= budget
        report = evaluate(snn, x)
        assert report.synops_per_mac == pytest.approx(budget, rel=0.15)
        assert f"(asked {budget:g}, planned" in str(report)


def test_neurons_of_the_picture_have_a_sensitivity():
    model, x = network(plain), pictures(8, 8, 3)
    made = plan(model, x, steps=8, spiking_input=True)
    assert all((made.sensitivity[name] > 0).any() for name in made.neurons)
    layers_ = evaluate(made.network(spikes_per_neuron=0.8), x).layers.set_index("layer")
    assert (layers_["spikes_per_neuron"].iloc[:2] > 0.1).all()


def test_it_spends_synaptic_operations_where_they_are_few():
    """At equal SynOps, more spikes: those of neurons that few synapses read."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = conv(8, 3, activation="relu", name="few")(inputs)
    x = layers.DepthwiseConv2D(1, activation="relu", name="many")(x)
    model = keras.Model(
        inputs, layers.Dense(4)(layers.Flatten()(conv(64, 3, activation="relu")(x)))
    )
    x = pictures(8, 8, 3)
    made = plan(model, x, steps=8)
    by_synops = evaluate(made.network(synops_per_mac=0.5), x)
    by_spikes = evaluate(made.network(spikes_per_neuron=by_synops.spikes_per_neuron), x)
    assert by_synops.synops_per_image < by_spikes.synops_per_image
    few = [r.layers.set_index("layer")["spikes_per_neuron"] for r in (by_synops, by_spikes)]
    assert few[0]["few_act"] > few[1]["few_act"]
    assert few[0]["many_act"] < few[1]["many_act"]


def test_a_report_says_what_is_analog():
    model, x = network(gated), pictures(8, 8, 3)
    spiking = evaluate(convert(model, x, steps=4), x)
    assert set(spiking.analog) == {"conv2d", "multiply"}
    partly = evaluate(convert(model, x, steps=4, analog="allowed"), x)
    assert partly.partly_spiking
    assert "partly spiking" in str(partly)
    assert partly.macs_left > spiking.macs_left > 0
    row, summary = spiking.row(), spiking.summary()
    assert row["macs_left"] == row["macs_per_image"] / row["ann_macs_per_image"]
    assert row["spikes_per_image"] == pytest.approx(row["spikes_per_neuron"] * row["neurons"])
    assert row["neuron_updates"] == 4 * row["neurons"]
    floats = 0.9 * row["synops_per_image"] + 4.6 * row["macs_per_image"]
    assert row["energy"] == pytest.approx(floats / (4.6 * row["ann_macs_per_image"]))
    assert summary["analog_layers"].split() == list(spiking.analog)
    first = next(iter(spiking.analog))
    assert f"({first} " in str(spiking)


def squares():
    """A product that is never negative, so that one population writes it."""
    inputs = keras.Input((4, 4, 2))
    linear = conv(3, name="signed")(conv(3, activation="relu", name="a")(inputs))
    x = layers.Multiply(name="positive")([linear, linear])
    x = conv(3, name="behind", activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def test_what_has_no_code_is_refused_by_name():
    model, x = squares(), pictures(4, 4, 2)
    relu = {"relu": lambda a: binary(4, a)}
    message = r"nothing for linear, which layer positive_spikes computes.*analog='allowed'"
    with pytest.raises(ValueError, match=message):
        convert(model, x, code=relu)
    snn = convert(model, x, code={**relu, "linear": lambda a: binary(6, a)})
    assert {code.steps for code in snn.codes.values()} == {4, 6}
    convert(model, x, code=relu, analog="allowed")
    with pytest.raises(ValueError, match="analog must be 'forbidden' or 'allowed', got 'no'"):
        convert(model, x, analog="no")
    with pytest.raises(ValueError, match="spiking_input=True needs analog='forbidden'"):
        convert(model, x, analog="allowed", spiking_input=True)


def test_the_negative_half_is_written_as_the_positive_one_unless_it_is_named():
    model, x = network(bottleneck), pictures(8, 8, 3)
    codes = {"relu": lambda a: binary(4, a), "silu": lambda a: binary(5, a)}
    halves = [name for name in convert(model, x, code=codes).codes if name.endswith("_negative")]
    assert halves
    for given, steps in ((codes, 4), ({**codes, "negative_part": lambda a: binary(7, a)}, 7)):
        snn = convert(model, x, code=given)
        assert {snn.codes[name].steps for name in halves} == {steps}
        assert {snn.codes[name].activation for name in halves} == {"negative_part"}


def test_decoders_pass_numbers_on_and_need_no_other_neurons():
    model, x = network(bottleneck), pictures(8, 8, 3)
    graph = normal_form(model, x, analog="allowed")
    words = PrefixCode(["0", "10", "110", "111"], [0, 0.5, 1, 2])
    codes = {
        name: words for name in activation_layers(graph) if graph.get_layer(name).function == "relu"
    }
    others = {
        name: soma(binary(6, 4.0), "silu", -0.5)
        for name in activation_layers(graph)
        if name not in codes
    }
    assert codes and others
    snn = with_decoders(model, {**codes, **others}, x)
    assert list(snn.codes) == activation_layers(graph)
    assert evaluate(snn, x).partly_spiking


@pytest.mark.parametrize(("mean", "pair"), [(0.0, True), (0.7, True), (2.5, False)])
def test_a_pair_is_better_where_it_is_chosen(mean, pair):
    """The rule by the share of negative power, held against the spikes for 20 dB."""
    x = np.random.default_rng(0).normal(mean, 1, 20_000)
    share = np.square(np.minimum(x, 0)).mean() / np.square(x).mean()
    assert (share > signals.PAIR_SHARE) == pair
    radix = mixed_radix_of(8)
    power = np.square(x).mean()
    one = with_soma(radix, "linear")(empirical(x, points=4096)).choose(snr=20).spikes
    halves = [radix(empirical(half, points=4096)) for half in (x, -x)]
    both = []
    for price in power * np.geomspace(1e-4, 1, 60):
        found = [half.choose(price=price) for half in halves]
        if sum(c.mse for c in found) <= power / 100:
            both.append(sum(c.spikes for c in found))
    assert min(both) < 0.9 * one if pair else one < min(both)


@pytest.mark.parametrize("options", [{}, {"analog": "allowed"}, {"spiking_input": True}], ids=str)
def test_saved_loaded_and_diagnosed(tmp_path, options):
    model, x = network(bottleneck), pictures(8, 8, 3)
    snn = convert(model, x, steps=6, spikes_per_neuron=0.8, **options)
    loaded = SpikingModel.load(snn.save(tmp_path / "net.fs"))
    np.testing.assert_array_equal(loaded.predict(x), snn.predict(x))
    assert loaded.budget == snn.budget
    table = diagnose(model, loaded, pictures(8, 8, 3, n=5) + 1)  # of other signs than calibration
    assert table["layer"].tolist() == list(snn.codes)


@pytest.mark.parametrize("how", [{"bias_correction": True}, {"refit": True}])
def test_means_and_slopes_of_pairs_are_put_right(how):
    model, x = network(bottleneck), pictures(8, 8, 3, n=200)
    options = {"code": lambda a: binary(3, a), "scale": "max"}
    graph = normal_form(model, x)

    def errors(**correction):
        snn = convert(model, x, **correction, **options)
        found = [name for name in snn.codes if name.endswith("_positive")]
        assert found
        probes = [
            keras.Model(m.inputs, [m.get_layer(n).input for n in found]).predict(x)
            for m in (graph, snn.keras_model)
        ]
        return [
            np.abs(a.mean((0, 1, 2)) - b.mean((0, 1, 2))).max()
            for a, b in zip(*probes, strict=True)
        ]

    for before, after in zip(errors(), errors(**how), strict=True):
        assert after < 0.05 * before


def test_codes_of_single_signals_have_no_soma():
    model, x = network(gated), pictures(8, 8, 3)
    features = model.get_layer("conv2d_1")
    kernel, bias = features.get_weights()
    features.set_weights([kernel, bias + 2])  # well above zero
    snn = convert(model, x, steps=8, spikes_per_neuron=0.6)
    linear = [code for code in snn.codes.values() if code.activation == "linear"]
    assert linear
    assert not any(code.soma for code in linear)
