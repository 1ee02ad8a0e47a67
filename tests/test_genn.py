"""mlGeNN against the NumPy specification: spike for spike, every kind of code."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from functools import reduce

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from fsrepro import activations, codes, genn, measures
from fsrepro.conversion import SpikingModel, convert, with_decoders
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.experiments import evaluate_pictures, pictures
from fsrepro.experiments.models import small_cnn
from fsrepro.experiments.preprocessing import Preprocessing
from fsrepro.genn.arrivals import arrivals
from fsrepro.networks.graph import predict_list
from fsrepro.networks.nonlinearity import Nonlinearity

pytestmark = [
    pytest.mark.genn,
    pytest.mark.skipif(
        not genn.available(), reason="pygenn and ml_genn are not installed, see environment.yml"
    ),
]


def images(n=3, size=8):
    return np.random.default_rng(0).normal(size=(n, size, size, 3)).astype(np.float32)


def network(activation="relu", shape=(8, 8, 3)):
    """A skip, a stride, a depthwise convolution with an even kernel, pooling, a dense layer."""
    keras.utils.set_random_seed(2)
    x = inputs = keras.Input(shape)

    def conv(x, filters, name, **options):
        return layers.Conv2D(filters, 3, padding="same", name=name, **options)(x)

    x = conv(x, 4, "first")
    x = skip = Nonlinearity(activation, name="first_act")(layers.BatchNormalization()(x))
    x = Nonlinearity(activation, name="second_act")(conv(x, 4, "second"))
    x = layers.Add()([conv(x, 4, "third", bias_initializer="normal"), skip])
    x = Nonlinearity(activation, name="third_act")(x)
    x = layers.DepthwiseConv2D(2, strides=2, padding="same", bias_initializer="normal")(x)
    x = Nonlinearity(activation, name="fourth_act")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(6, name="hidden")(layers.Flatten()(x))
    x = Nonlinearity(activation, name="hidden_act")(x)
    return keras.Model(inputs, layers.Dense(5, bias_initializer="normal", name="logits")(x))


def specified(snn, x):
    """Every spike and the outputs, in NumPy alone, added in the order in which spikes arrive."""
    arriving = arrivals(snn)
    spikes, payload = {}, {}
    front = {
        name: snn.keras_model.get_layer(name).input
        for name, found in arriving.items()
        if found.reads_image
    }
    potentials = keras.Model(snn.keras_model.inputs, list(front.values()))
    given = predict_list(potentials, x)
    for name, found in arriving.items():
        if name in front:
            potential = given[list(front).index(name)]
        else:
            last = snn.keras_model.output_shape
            shape = last if name == "output" else snn.keras_model.get_layer(name).output.shape
            dendrites = [
                np.stack([received(sources, spikes, payload, i, bias) for i in range(len(x))])
                for sources, bias in zip(found.dendrites, found.silent, strict=True)
            ]
            potential = reduce(SOMA[found.soma], dendrites).reshape(len(x), *shape[1:])
        if name == "output":
            return spikes, potential
        code = snn.codes[name]
        spikes[name] = code.encode(potential)
        weight = np.broadcast_to(
            code.payload(spikes[name])
            if isinstance(code, codes.ExponentMantissa)
            else code.weight.reshape(code.steps, *[1] * (potential.ndim - 1), -1),
            spikes[name].shape,
        )
        graded = isinstance(code, codes.ExponentMantissa) or len(code.channels) > 1
        payload[name] = weight if graded else None, getattr(code, "weight", None)


SOMA = {"sum": None, "product": np.multiply, "maximum": np.maximum}


def received(sources, spikes, payload, i, bias):
    sources = {name: linear.matrix().astype(np.float32) for name, linear in sources.items()}
    total = np.zeros(len(bias), np.float32)
    for t in range(max(len(spikes[s]) for s in sources)):
        current = np.zeros(len(bias), np.float32)
        for source, weights in sources.items():
            if t >= len(spikes[source]):
                continue
            arriving = np.zeros(len(bias), np.float32)
            graded, weight = payload[source]
            for n in np.flatnonzero(spikes[source][t, i].ravel()):
                row = slice(weights.indptr[n], weights.indptr[n + 1])
                worth = np.float32(1) if graded is None else graded[t, i].ravel()[n]
                arriving[weights.indices[row]] += weights.data[row] * worth
            current += arriving if graded is not None else arriving * weight[t]
        total += current
    return total + bias


def agrees(snn, x):
    expected, outputs = specified(snn, x)
    simulated = genn.to_mlgenn(snn)
    found = simulated.spike_trains(x)
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].shape == expected[name].shape
        assert (found[name] != expected[name]).sum() == 0, name
    given, totals = simulated.run(x)
    np.testing.assert_array_equal(given, outputs)
    for name in expected:
        np.testing.assert_array_equal(totals[name], expected[name].sum((0, 1)))


SOMAS = [name for name in activations.names() if name not in ("relu", "linear")]
LINEAR = {
    "binary": lambda a: codes.binary(6, a),
    "binary, rounding": lambda a: codes.binary(5, a, rounding=True),
    "mixed radix": lambda a: codes.mixed_radix((1, 3, 2), a),
    "mixed radix, dead zone": lambda a: codes.mixed_radix((1, 7), a, dead_zone=1.0),
    "mixed radix, at most 2 spikes": lambda a: replace(codes.mixed_radix((3, 3), a), max_spikes=2),
    "one spike": lambda a: codes.mixed_radix((8,), a),
    "leading one": lambda a: codes.leading_one(8, a, spikes=2),
    "geometric": lambda a: codes.geometric(10, a, ratio=1.6, spikes=2),
    "rate": lambda a: codes.rate(8, a),
}


@pytest.mark.parametrize("kind", LINEAR)
def test_every_linear_code(kind):
    x = images()
    agrees(convert(network(), x, code=LINEAR[kind]), x)


def with_channels(snn, *kinds):
    """``snn`` with these codes by channel in turn, each at a scale of its own."""
    scales = np.linspace(0.5, 3, 7)
    made = {
        layer.name: codes.by_channel(
            [kinds[c % len(kinds)](scales[c]) for c in range(layer.output.shape[-1])]
        )
        for layer in snn.spiking_layers
    }
    return snn.with_codes(made)


def test_codes_by_channel():
    x = images()
    snn = convert(network(), x, code="binary")
    radix = [lambda a: codes.mixed_radix((1, 5), a), lambda a: codes.mixed_radix((2, 4), a)]
    agrees(with_channels(snn, *radix), x)
    raised = [lambda a: codes.above(codes.binary(6, a), a / 3), lambda a: codes.binary(6, a)]
    agrees(with_channels(snn, *raised), x)
    agrees(with_channels(snn, lambda a: replace(codes.rate(6, a), max_spikes=2)), x)


def test_a_layer_of_one_channel():
    code = codes.by_channel([codes.binary(6, 2.0)])
    snn = spiking(
        keras.Input((6, 6, 2)), layers.Conv2D(1, 3), FewSpikes(code, name="one"),
        layers.Conv2D(3, 2), neurons(),
    )  # fmt: skip
    agrees_with_keras(snn, np.random.default_rng(0).integers(-8, 9, (3, 6, 6, 2)) / np.float32(4))


def test_codes_by_channel_with_a_soma():
    x = images()
    radix = codes.soma(codes.mixed_radix((3, 3, 2), 2.0), "silu", offset=-0.25)
    snn = convert(network("silu"), x, code=radix)
    kinds = [
        lambda a: codes.soma(codes.mixed_radix((3, 3, 2), a), "silu", offset=-0.25),
        lambda a: codes.soma(codes.mixed_radix((1, 7), a), "silu", offset=a / 8),
    ]
    agrees(with_channels(snn, *kinds), x)


def test_by_channel_and_plain_spikes_meet():
    x = images()
    snn = convert(network(), x, code="binary", steps=6)
    by_channel = with_channels(snn, lambda a: codes.mixed_radix((1, 5), a)).codes
    mixed = {n: by_channel[n] if i % 2 else snn.codes[n] for i, n in enumerate(by_channel)}
    agrees(snn.with_codes(mixed), x)


def test_codes_of_different_lengths_in_one_network():
    x = images()
    names = list(convert(network(), x, code="binary", steps=4).codes)
    several = dict(zip(names, list(LINEAR.values())[:5], strict=True))
    agrees(convert(network(), x, code=several), x)


@pytest.mark.parametrize("activation", ["silu", "sigmoid"])
@pytest.mark.parametrize("kind", ["published", "fitted"])
def test_strict_neurons_of_silu_and_sigmoid(activation, kind):
    table = getattr(codes.published, activation)
    if kind == "fitted":
        table = {"silu": codes.fitted.silu, "sigmoid": codes.fitted.sigmoid}[activation]
        steps = {"silu": 16, "sigmoid": 12}[activation]
        code = table(steps)
    else:
        code = table()
    x = images()
    agrees(convert(network(activation), x, code=code), x)


@pytest.mark.parametrize(
    "activation",
    [*SOMAS, "leaky_relu(0.2)", "elu(0.7)", "relu(1.3,0.1)", "relu(inf,0,0.2)"],
)
def test_neurons_with_a_soma(activation):
    x = images()
    model = network(activation)
    code = codes.soma(codes.mixed_radix((3, 3, 2), 2.0), activation, offset=-0.25)
    agrees(convert(model, x, code=code), x)


def test_graded_spikes_of_exponent_and_mantissa():
    x = images()
    model = network()
    names = list(convert(model, x, code="binary", steps=4).codes)
    code = codes.ExponentMantissa(3, 3, 2.0, rounding=True, silent_zero=True)
    agrees(with_decoders(model, dict.fromkeys(names, code)), x)


def test_graded_and_plain_spikes_meet():
    x = images()
    model = network()
    names = list(convert(model, x, code="binary", steps=4).codes)
    graded = codes.ExponentMantissa(2, 3, 2.0)
    mixed = {name: graded if i % 2 else codes.binary(4, 2.0) for i, name in enumerate(names)}
    agrees(with_decoders(model, mixed), x)


def spiking(inputs, *row):
    """A network of these layers and a dense one, its sums so coarse that they are exact."""
    x = inputs
    for layer in row:
        x = layer(x)
    outputs = layers.Dense(5, bias_initializer="normal")(layers.Flatten()(x))
    return dyadic(SpikingModel(keras.Model(inputs, outputs), {}))


def neurons(steps=6):
    return FewSpikes(codes.binary(steps, 2.0))


def agrees_with_keras(snn, x):
    x = np.round(x * 8) / 8
    agrees(snn, x)
    spikes, outputs = specified(snn, x)
    np.testing.assert_array_equal(outputs, snn.predict(x))
    for name, expected in snn.spike_trains(x).items():
        np.testing.assert_array_equal(spikes[name], expected)
        assert expected.any()


def test_one_dimension():
    keras.utils.set_random_seed(1)
    skipped = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)
    snn = spiking(
        keras.Input((12, 3)),
        *(layers.Conv1D(4, 3, strides=2, padding="same"), neurons()),
        *(lambda x: layers.Add()([x, skipped(x)]), neurons(5)),
        *(layers.AveragePooling1D(2), layers.UpSampling1D(3), layers.ZeroPadding1D((0, 1))),
        *(layers.Conv1DTranspose(4, 3, strides=2, padding="same"), neurons()),
        *(layers.DepthwiseConv1D(2, depth_multiplier=2), neurons(4)),
    )
    agrees_with_keras(snn, images()[:, :4].reshape(3, -1, 3)[:, :12])


def test_transposed_convolutions_and_upsampling():
    keras.utils.set_random_seed(1)
    snn = spiking(
        keras.Input((8, 8, 3)),
        *(layers.Conv2D(4, 3, strides=2, padding="same"), neurons()),
        *(layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=0), neurons(5)),
        *(layers.UpSampling2D((2, 1)), layers.Conv2D(4, 3, strides=(2, 1), padding="same")),
        neurons(),
    )
    agrees_with_keras(snn, images())


def test_values_that_move():
    keras.utils.set_random_seed(1)
    snn = spiking(
        keras.Input((8, 8, 3)),
        *(layers.Conv2D(6, 3), neurons(), layers.Cropping2D(((1, 0), (0, 2)))),
        *(layers.Permute((3, 2, 1)), layers.Conv2D(4, 3, padding="same"), neurons(4)),
        *(layers.Reshape((3, 2, 4, 4)), layers.Conv3D(3, 2, padding="same"), neurons()),
        *(layers.Reshape((4, 6, 3)), layers.Permute((2, 1, 3)), layers.Dense(2), neurons()),
    )
    agrees_with_keras(snn, images())


def test_on_threshold_inputs_fire():
    inputs = keras.Input((4, 4, 1))
    x = layers.Activation("relu", name="act")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(layers.Flatten()(x)))
    code = codes.binary(4, 16.0)
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    snn = convert(model, x, code=code)
    found = genn.to_mlgenn(snn).spike_trains(x)
    (z,) = found.values()
    np.testing.assert_array_equal(np.tensordot([8, 4, 2, 1], z, 1), x)
    agrees(snn, x)


def test_the_last_spike_is_read():
    """mlGeNN's own readout misses it: 1 becomes 0 and 255 becomes 254 with K = 8."""
    inputs = keras.Input((1, 1, 1))
    x = layers.Activation("relu", name="act")(inputs)
    x = layers.Dense(1, use_bias=False, kernel_initializer="ones")(layers.Flatten()(x))
    x = layers.Activation("relu", name="again")(x)
    logits = layers.Dense(2, use_bias=False, kernel_initializer="ones")(x)
    x = np.float32([0, 1, 3, 254, 255]).reshape(-1, 1, 1, 1)
    snn = convert(keras.Model(inputs, logits), x, code=codes.binary(8, 256.0))
    found, _ = genn.to_mlgenn(snn).run(x)
    np.testing.assert_array_equal(found[:, 0], x.ravel())


def test_evaluate_gives_the_report_of_keras():
    x = np.round(images(6) * 8) / 8
    snn = dyadic(convert(network(), x, code=lambda a: codes.binary(6, 4.0)))
    labels = np.arange(6) % 5
    keras_report = measures.evaluate(snn, x, labels)
    found = measures.evaluate(
        snn, x, labels, simulator="genn", options={"backend": "single_threaded_cpu"}
    )
    assert (
        found.row().items()
        >= {key: value for key, value in keras_report.row().items() if value == value}.items()
    )
    np.testing.assert_array_equal(found.predictions, keras_report.predictions)
    assert found.layers.equals(keras_report.layers)


def dyadic(snn):
    """Weights so coarse that sums are exact in any order."""
    snn.keras_model.set_weights([np.round(w * 16) / 16 for w in snn.keras_model.get_weights()])
    return snn


def test_two_networks_do_not_share_a_build():
    x = images(2)
    first = convert(network(), x, code=codes.binary(4, 2.0))
    second = convert(network(), x, code=codes.binary(4, 1.0))
    given = [genn.to_mlgenn(snn).run(x)[0] for snn in (first, second)]
    for snn, outputs in zip((first, second), given, strict=True):
        np.testing.assert_array_equal(outputs, specified(snn, x)[1])


def test_generated_code_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    snn = convert(network(), images(), code="binary", steps=4)
    simulated = genn.to_mlgenn(snn)
    simulated.run(images(1))
    del simulated
    import gc

    gc.collect()
    assert [p for p in tmp_path.rglob("*") if p.name != "scratch"] == []


def test_words_that_need_a_decoder_are_refused():
    x = images()
    model = network()
    names = list(convert(model, x, code="binary", steps=4).codes)
    code = codes.PrefixCode(["0", "10", "11"], [0, 1, 2])
    with pytest.raises(ValueError, match="words need a decoder"):
        genn.to_mlgenn(with_decoders(model, dict.fromkeys(names, code)))


# By layer: 1 and 2 reach layer 3 together.
SCALES = {"one": [4.0] * 5, "by layer": [4.0, 4.0, 2.0, 8.0, 1.0]}


@pytest.mark.parametrize("written_out", [False, True])
@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
def test_mlgenns_own_neurons_write_our_binary_code(scales, written_out):
    x = np.round(images() * 8) / 8
    snn = convert(network(), images(), code=codes.binary(6, 4.0))
    snn = snn.with_codes(
        {name: codes.binary(6, scale) for name, scale in zip(snn.codes, scales, strict=True)}
    )
    snn = dyadic(snn)
    found = genn.with_mlgenn_neurons(snn, synapses_written_out=written_out)
    kinds = {type(line.connectivity).__name__ for line in found.network.connections}
    assert ("SharedConv2D" in kinds) != written_out
    expected, spikes = snn.spike_trains(x), found.spike_trains(x)
    for name in expected:
        assert expected[name].any()
        np.testing.assert_array_equal(spikes[name], expected[name])
    outputs, totals = found.run(x)
    np.testing.assert_array_equal(outputs, snn.predict(x))
    assert found.seconds > 0
    assert found.events(totals) > sum(z.sum() for z in totals.values())


def test_mlgenns_own_neurons_read_one_scale():
    snn = convert(network(), images(), code=codes.binary(6, 4.0))
    first, *_ = snn.codes
    snn = snn.with_codes({**snn.codes, first: codes.binary(6, 2.0)})
    with pytest.raises(ValueError, match="'third_act' reads layers of different scales"):
        genn.with_mlgenn_neurons(snn)


def mobile(activation="relu6"):
    """Bottlenecks, a gate, a maximum, padding of one side, strides: nothing with a name."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(x))
    x = skip = layers.MaxPooling2D(3, 1, padding="same")(layers.ReLU()(x))
    x = layers.Conv2D(3, 1, bias_initializer="normal")(x)
    x = Nonlinearity(activation)(layers.Conv2D(8, 1, bias_initializer="normal")(x))
    x = layers.DepthwiseConv2D(3, strides=2)(layers.ZeroPadding2D(((0, 1), (0, 1)))(x))
    x = Nonlinearity("silu")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(
        layers.Conv2D(2, 1, activation="relu", bias_initializer="ones")(gate)
    )
    x = layers.Conv2D(4, 1)(layers.Multiply()([x, gate]))
    x = layers.Add()([x, layers.AveragePooling2D(2)(skip)])
    x = layers.MaxPooling2D(3)(layers.Conv2D(6, 2, padding="same", groups=2)(x))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def mobile_images():
    return np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {"code": "binary", "steps": 6},
        {"code": "binary", "steps": 5, "spiking_input": True},
        {"spikes_per_neuron": 0.5, "steps": 6},
        {"synops_per_mac": 0.5, "steps": 6, "by_channel": True},
    ],
    ids=["binary", "picture in spikes", "budget", "by channel"],
)
def test_nothing_is_analog_behind_the_picture(options):
    x = mobile_images()
    snn = convert(mobile(), x, **options)
    kinds = {found.soma for found in arrivals(snn).values()}
    assert kinds == {"sum", "product", "maximum"}
    assert any(found.shares for found in arrivals(snn).values())
    agrees(snn, x)


def test_events_are_synaptic_operations():
    x = mobile_images()
    snn = convert(mobile(), x, code="binary", steps=5)
    simulated = genn.to_mlgenn(snn)
    _, spikes = simulated.run(x)
    report = measures.evaluate(snn, x, simulator="genn")
    assert simulated.events(spikes) / len(x) == pytest.approx(report.synops_per_image, rel=1e-9)


def test_events_are_spikes_times_synapses():
    x = images()
    snn = convert(network(), x, code="binary", steps=4)
    simulated = genn.to_mlgenn(snn)
    _, totals = simulated.run(x)
    expected = 0
    for arriving in arrivals(snn).values():
        for _, source, linear in arriving.maps:
            expected += totals[source].ravel() @ (linear.matrix().toarray() != 0).sum(1)
    assert simulated.events(totals) == expected


def test_mlgenns_own_neurons_write_no_other_code():
    x = images()
    snn = convert(network(), x, code=codes.binary(6, 4.0, rounding=True))
    with pytest.raises(ValueError, match="binary codes without rounding, of one K"):
        genn.with_mlgenn_neurons(snn)


def test_pictures_event_by_event(tmp_path):
    """The figures of :func:`evaluate_pictures`, by every spike; and a killed run goes on."""
    x = np.round(np.random.default_rng(0).normal(size=(50, 12, 12, 3)) * 8).astype(np.float32) / 8
    ann = small_cnn((12, 12, 3), 1000, seed=1)
    for layer in ann.layers:
        layer.set_weights([np.round(weight * 16) / 16 for weight in layer.get_weights()])
    snn = convert(ann, x, code=lambda a: codes.binary(5, 4.0))
    for i in range(6):
        folder = tmp_path / pictures.imagenet_classes()["wnid"][i % 2]
        folder.mkdir(exist_ok=True)
        picture = np.random.default_rng(i).integers(0, 256, (12, 12, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")
    some, preprocessing = pictures.find(tmp_path), Preprocessing(12, mean=128.0, scale=32.0)
    options = {"checkpoint": tmp_path / "kept", "pictures_per_task": 4}
    by_keras = evaluate_pictures(ann, snn, some, preprocessing)
    for _ in range(2):  # the second finds everything done
        found = evaluate_pictures(ann, snn, some, preprocessing, simulator="genn", **options)
        assert found.report.row() == pytest.approx(by_keras.report.row())
        assert found.answers.equals(by_keras.answers)
    with pytest.raises(ValueError, match="simulator must be keras or genn, got 'loihi'"):
        evaluate_pictures(ann, snn, some, preprocessing, simulator="loihi")


def same_in_double_precision(snn, x):
    """Keras and GeNN add in another order; rounded to single precision, it is not seen."""
    double = snn.in_double_precision()
    expected, simulated = double.spike_trains(x), genn.to_mlgenn(double)
    found = simulated.spike_trains(x)
    differ = {name: int((found[name] != z).sum()) for name, z in expected.items()}
    assert not any(differ.values()), differ
    outputs, _ = simulated.run(x)
    np.testing.assert_allclose(outputs, double.predict(x), rtol=1e-12, atol=1e-12)
    return sum(int(z.sum()) for z in expected.values())


@pytest.mark.parametrize(
    "code",
    ["binary", "binary_floor", lambda a: codes.leading_one(7, a, spikes=2)],
    ids=["rounding", "floor", "leading one"],
)
def test_real_weights_in_double_precision(code):
    x = mobile_images()
    assert same_in_double_precision(convert(mobile(), x, code=code, scale="max"), x) > 1000


def test_an_efficientnet_with_its_gates():
    """EfficientNet-B0 as Keras has it, of SiLU and squeeze-and-excite, on a small picture."""
    keras.utils.set_random_seed(3)
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    x = rng.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    snn = convert(model, x, code="binary", steps=5, scale="max")
    assert len(snn.codes) > 120
    assert same_in_double_precision(snn, x[:2]) > 100_000


def test_a_network_for_pictures_is_built_in_little_memory():
    """EfficientNet-Lite0, of 224 x 224 pixels: the whole process, TensorFlow included."""
    script = """
        import resource
        from fsrepro import genn
        from fsrepro.conversion import convert
        from fsrepro.experiments import models, pictures
        from fsrepro.experiments.picture_stream import arrays

        network = models.imagenet("efficientnet-lite0", None)
        x, _ = arrays(pictures.shipped(), network.preprocessing)
        snn = convert(network.model, x, code="binary", steps=4, scale="max")
        with genn.to_mlgenn(snn).loaded():
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert float(found.stdout.split()[-1]) < 4  # GiB; written out, its synapses alone take 3
