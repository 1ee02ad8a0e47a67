"""The network in PyTorch with SpikingJelly's neurons: the same spikes, bit for bit."""

import copy
import io

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro import activations, codes
from fsrepro.codes import SpikeCode, binary, mixed_radix, published, soma
from fsrepro.conversion import SpikingModel, UnsupportedLayerError, convert, with_decoders
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.experiments.models import resnet
from fsrepro.export import to_spikingjelly
from fsrepro.networks.kinds import LINEAR_LAYERS, POOLING_BY_MAXIMUM, PRODUCTS

MISSING = "needs PyTorch and SpikingJelly: pip install torch 'spikingjelly>=2'"
torch = pytest.importorskip("torch", reason=MISSING)
pytest.importorskip("spikingjelly.activation_based.neuron.few_spike", reason=MISSING)

from fsrepro.export.spikingjelly import Neurons, spike_trains  # noqa: E402
from fsrepro.export.torch_activations import function, in_float64  # noqa: E402

F = np.float32
CODES = {
    "binary": binary(8, 3.7),
    "rounding": binary(8, 3.7, rounding=True),
    "mixed radix": mixed_radix((1, 3, 4), 2.3),
    "mixed radix, dead zone": mixed_radix((1, 7), 2.3, dead_zone=1.0),
    "signs": SpikeCode([0.5, -1, -0.1, 0.2], [1, -0.75, -0.3, 0.2], [1, -0.75, -0.3, 0.2]),
    "rate": codes.rate(7, 1.3),
    "published relu": published.relu(),
    "published silu": published.silu(),
    "published sigmoid": published.sigmoid(),
    "soma": soma(mixed_radix((1, 2, 3), 4.1), "silu", -0.2785),
    "soma without offset": soma(binary(8, 1.0), "sigmoid"),
    "offset": SpikeCode([1, 0.3], [1, 0.3], [0.7, 0.1], offset=0.1),
    "at most 2 spikes": codes.geometric(8, 3.0, spikes=2),
    "a threshold of 0, a weight of 0": SpikeCode([0, -1, 0.5], [1, 0.1, 0], [0, -1, 3]),
}


def bits(x):
    return np.ascontiguousarray(x, F).view(np.uint32)


def potentials(code):
    """Around every threshold and every remainder that meets one, and a thousand others."""
    at = code.staircase.breakpoint
    at = np.concatenate([at, code.threshold, [0, 1e-30, 1e30, np.inf]]).astype(F)
    near = [np.nextafter(at, F(-np.inf)), at, np.nextafter(at, F(np.inf)), -at]
    return np.concatenate([*near, np.random.default_rng(0).normal(0, 2, 1000).astype(F)])


@pytest.mark.parametrize("name", CODES)
def test_neurons_are_the_code_bit_for_bit(name):
    code = CODES[name]
    x = potentials(code)
    neurons = Neurons(code, "layer")
    with torch.no_grad():
        values = neurons(torch.tensor(x)).numpy()
    spikes = code.encode(x)
    assert (spike_trains(neurons, torch.tensor(x))["layer"].numpy() == spikes).all()
    assert (bits(values) == bits(code.decode(spikes))).all()


@pytest.mark.parametrize(
    "name", [*activations.names(), "leaky_relu(0.1)", "elu(0.7)", "relu(4,0.1,0.5)", "relu(2)"]
)
def test_somas_compute_what_numpy_computes(name):
    x = np.concatenate([np.linspace(-20, 20, 40_001), [1e-38, -3e-39, 1e9, np.inf, -np.inf]])
    x = x.astype(F)
    found = in_float64(function(name), torch.tensor(x)).numpy()
    assert (bits(found) == bits(activations.get(name)(x))).all()


# --- layers ---------------------------------------------------------------------------------------

ONE_INPUT = [
    (layers.Dense(3), (4,)),
    (layers.Dense(3, use_bias=False), (2, 4, 4)),
    (layers.Conv1D(3, 3, padding="causal", dilation_rate=2), (9, 2)),
    (layers.Conv1D(4, 4, padding="same", strides=3, groups=2), (11, 4)),
    (layers.Conv2D(3, 3, padding="same", strides=2), (8, 7, 2)),
    (layers.Conv2D(3, (1, 4), padding="same", use_bias=False), (5, 6, 2)),
    (layers.Conv2D(6, 3, dilation_rate=(1, 2), groups=3), (8, 8, 3)),
    (layers.Conv3D(2, 2, padding="same", strides=(1, 2, 2)), (3, 4, 5, 2)),
    (layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2), (7, 3)),
    (layers.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2), (8, 8, 3)),
    (layers.Conv1DTranspose(3, 3, strides=2, padding="same"), (5, 2)),
    (layers.Conv1DTranspose(3, 2, strides=4), (5, 2)),
    (layers.Conv2DTranspose(3, 3, strides=2, padding="same"), (4, 5, 2)),
    (layers.Conv2DTranspose(3, (2, 5), strides=3, padding="same"), (4, 3, 2)),
    (layers.Conv2DTranspose(3, 4, strides=2, output_padding=1, use_bias=False), (4, 4, 2)),
    (layers.Conv3DTranspose(2, 2, strides=2), (2, 3, 2, 2)),
    (layers.AveragePooling1D(2), (7, 3)),
    (layers.AveragePooling2D(2, padding="same"), (5, 5, 3)),
    (layers.AveragePooling2D((2, 4), strides=1), (5, 5, 3)),
    (layers.AveragePooling3D(2), (4, 4, 5, 2)),
    (layers.GlobalAveragePooling1D(), (8, 3)),
    (layers.GlobalAveragePooling2D(keepdims=True), (4, 4, 3)),
    (layers.GlobalAveragePooling3D(), (2, 4, 2, 3)),
    (layers.MaxPooling1D(3, padding="same"), (7, 3)),
    (layers.MaxPooling2D(3, strides=2, padding="same"), (6, 7, 2)),
    (layers.MaxPooling3D(2), (4, 4, 5, 2)),
    (layers.GlobalMaxPooling1D(keepdims=True), (8, 3)),
    (layers.GlobalMaxPooling2D(), (4, 4, 3)),
    (layers.GlobalMaxPooling3D(), (2, 3, 2, 3)),
    (layers.ZeroPadding1D((1, 2)), (4, 2)),
    (layers.ZeroPadding2D(((1, 0), (2, 3))), (4, 5, 2)),
    (layers.ZeroPadding3D(((1, 0), (2, 3), (0, 4))), (2, 3, 4, 2)),
    (layers.Cropping1D((1, 2)), (6, 2)),
    (layers.Cropping2D(((1, 0), (2, 1))), (4, 5, 2)),
    (layers.Cropping3D(((1, 0), (0, 1), (0, 2))), (2, 3, 4, 2)),
    (layers.UpSampling1D(3), (4, 2)),
    (layers.UpSampling2D((2, 3)), (3, 4, 2)),
    (layers.UpSampling3D((1, 2, 3)), (2, 2, 3, 2)),
    (layers.Flatten(), (2, 3, 4)),
    (layers.Reshape((4, -1)), (2, 3, 4)),
    (layers.Permute((3, 1, 2)), (2, 3, 4)),
    (layers.RepeatVector(3), (4,)),
]
MERGING = [
    (layers.Add(), [(4, 3), (4, 3), (4, 3)]),
    (layers.Add(), [(2, 4, 3), (3,)]),
    (layers.Subtract(), [(4, 3), (4, 3)]),
    (layers.Multiply(), [(4, 4, 3), (1, 1, 3)]),
    (layers.Concatenate(), [(4, 4, 3), (4, 4, 2)]),
    (layers.Concatenate(axis=1), [(4, 4, 3), (2, 4, 3)]),
]


def test_every_kind_of_layer_is_tried():
    tried = {type(layer) for layer, _ in [*ONE_INPUT, *MERGING]}
    assert tried >= {*LINEAR_LAYERS, *POOLING_BY_MAXIMUM, *PRODUCTS}


def eighths(shape, seed=0):
    """Numbers of which sums and products round nowhere."""
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(F)


def with_eighths(model):
    model.set_weights([eighths(w.shape, seed) for seed, w in enumerate(model.get_weights())])
    return model


def assert_same_spikes(snn, images):
    network = to_spikingjelly(snn)
    found, expected = spike_trains(network, torch.tensor(images)), snn.spike_trains(images)
    assert list(found) == list(expected)
    for name, spikes in expected.items():
        assert (found[name].numpy() == spikes).all(), name
        assert spikes.any() and not spikes.all(), name
    with torch.no_grad():
        outputs = network(torch.tensor(images)).numpy()
    assert outputs == pytest.approx(snn.predict(images), rel=1e-6, abs=1e-6)
    return network


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [*((layer, [shape]) for layer, shape in ONE_INPUT), *MERGING],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_layers_compute_the_same(layer, shapes):
    """Behind neurons, whose values sum exactly, and before others, on whose thresholds they are."""
    layer = type(layer).from_config(layer.get_config())
    image = keras.Input((int(sum(map(np.prod, shapes))),))
    code = SpikeCode(*[[2, 1, 0.5, 0.25]] * 3)
    values, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        part = layers.Cropping1D((start, image.shape[1] - start - size))(
            layers.Reshape((-1, 1))(image)
        )
        values.append(FewSpikes(code)(layers.Reshape(shape)(part)))
        start += size
    output = FewSpikes(code)(layer(values if len(values) > 1 else values[0]))
    snn = SpikingModel(with_eighths(keras.Model(image, output)), {})
    assert_same_spikes(snn, 2 * eighths((5, *image.shape[1:])))


# --- networks -------------------------------------------------------------------------------------


def test_a_network_of_exact_sums_has_the_same_spikes():
    """Skips, gates, branches, somas, an offset; and layers whose names PyTorch cannot give."""
    code = SpikeCode(*[[2, 1, 0.5, 0.25]] * 3)
    image = keras.Input((8, 8, 3))
    x = FewSpikes(code, name="stem")(layers.Conv2D(4, 3, padding="same", strides=2)(image))
    y = FewSpikes(SpikeCode(*[[1, 0.5]] * 3, max_spikes=1))(layers.DepthwiseConv2D(3)(x))
    y = layers.DepthwiseConv2D(1, name="class")(layers.ZeroPadding2D(1)(y))
    x = FewSpikes(soma(code, "relu6", -0.5), name="graph")(layers.Add()([x, y]))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = FewSpikes(soma(binary(4, 1.0), "hard_tanh"), name="a.b")(layers.Conv2D(4, 1)(gate))
    x = layers.Concatenate()([layers.Multiply()([x, gate]), layers.MaxPooling2D(3, 1, "same")(x)])
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    model = with_eighths(keras.Model(image, layers.Dense(5, name="forward")(x)))
    network = assert_same_spikes(SpikingModel(model, {}), eighths((16, 8, 8, 3)))
    assert {"graph_", "forward_", "class_", "a_b"} <= dict(network.named_children()).keys()


@pytest.fixture(scope="module")
def snn(trained, calibration_images):
    return convert(trained, calibration_images[:64], code="binary", steps=8)


def share_that_differs(found, expected):
    return np.mean([np.mean(found[name].numpy() != expected[name]) for name in expected])


def test_a_trained_network_differs_where_a_sum_rounds_across_a_threshold(snn, test_images):
    network, images = to_spikingjelly(snn), torch.tensor(test_images)
    assert share_that_differs(spike_trains(network, images), snn.spike_trains(test_images)) < 1e-3
    with torch.no_grad():
        found = network(images).numpy()
    expected = snn.predict(test_images)
    assert np.isclose(found, expected, rtol=1e-4, atol=1e-4).all(1).mean() > 0.97
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.99


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_codes_by_channel(activation, calibration_images):
    images = calibration_images[:64]
    model = resnet(8, (8, 8, 1), activation=activation)
    snn = convert(model, images, spikes_per_neuron=0.8, by_channel=True)
    assert all(len(code.channels) > 1 for code in snn.codes.values())
    network, seen = to_spikingjelly(snn), {}
    for module in network.modules():
        if isinstance(module, Neurons):
            module.register_forward_hook(lambda m, x, y: seen.update({m.layer: (x[0], y)}))
    found = spike_trains(network, torch.tensor(images))
    assert share_that_differs(found, snn.spike_trains(images)) < 2e-3
    for name, (x, y) in seen.items():  # of the same potentials, bit for bit
        x, y = (v.detach().numpy() for v in (x, y))
        spikes = snn.codes[name].encode(x)
        assert (found[name].numpy() == spikes).all()
        assert (bits(y) == bits(snn.codes[name].decode(spikes))).all()


def test_a_residual_network_with_gates_and_somas(calibration_images):
    images = calibration_images[:32]
    model = resnet(8, (8, 8, 1), activation="silu", squeeze=4)
    snn = convert(model, images, code="binary", steps=6)
    found = spike_trains(to_spikingjelly(snn), torch.tensor(images))
    assert share_that_differs(found, snn.spike_trains(images)) < 1e-3


def test_the_same_potentials_give_the_same_spikes(snn, test_images):
    """Those of PyTorch in both, which for a trained network need not be those of Keras."""
    network, seen = to_spikingjelly(snn), {}

    def see(module, inputs, output):
        seen[module.layer] = inputs[0].numpy(), output.numpy()

    for module in network.modules():
        if isinstance(module, Neurons):
            module.register_forward_hook(see)
    found = spike_trains(network, torch.tensor(test_images))
    for name, code in snn.codes.items():
        x, y = seen[name]
        assert (found[name].numpy() == code.encode(x)).all()
        assert (bits(y) == bits(code.quantise(x))).all()


def test_can_be_stored_copied_and_trained(snn, calibration_images):
    code = codes.geometric(8, 3.0, spikes=2)
    snn = snn.with_codes(dict.fromkeys(snn.codes, code))
    images = torch.tensor(calibration_images[:8])
    network = to_spikingjelly(snn)
    outputs = network(images)
    outputs.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    for other in (torch.load(file, weights_only=False), copy.deepcopy(network)):
        assert (other(images) == outputs).all()
    to_spikingjelly(snn).load_state_dict(network.state_dict())


# --- refusals -------------------------------------------------------------------------------------


def refused(layer, shape=(4, 4, 2), code=None):
    code = code or binary(4, 1.0)
    image = keras.Input(shape)
    to_spikingjelly(SpikingModel(keras.Model(image, FewSpikes(code, name="act")(layer(image))), {}))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.UpSampling2D(2, interpolation="bilinear", name="up"), "'up' .*nearest"),
        (layers.Conv2D(2, 1, activation="relu", name="c"), "'c' .*a layer of its own"),
        (layers.LayerNormalization(name="norm"), r"'norm' \(LayerNormalization\) cannot go to"),
        (layers.MaxPooling2D(2, data_format="channels_first", name="m"), "'m' .*channels_last"),
    ],
)
def test_layers_without_a_counterpart(layer, message):
    with pytest.raises(UnsupportedLayerError, match=message):
        refused(layer)


def test_open_sizes():
    with pytest.raises(UnsupportedLayerError, match=r"'x'.*sizes .* must be known"):
        refused(layers.Conv2D(2, 1, name="x"), (None, None, 2))


def test_a_soma_without_code(monkeypatch):
    celu = activations.Activation("celu", lambda x: x, lambda x: x)
    monkeypatch.setitem(activations._REGISTERED, "celu", celu)
    with pytest.raises(UnsupportedLayerError, match=r"'act'.*celu has no PyTorch code"):
        refused(layers.Flatten(), code=soma(binary(4, 1.0), "celu"))


def test_codes_that_need_decoders(trained):
    levels = codes.uniform_levels(4, 3.0)
    code = codes.PrefixCode(codes.huffman_words(np.full(4, 0.25)), levels, name="Huffman")
    snn = with_decoders(trained, dict.fromkeys(("act1", "act2", "act3"), code))
    with pytest.raises(UnsupportedLayerError, match=r"'act1'.*'Huffman', which needs decoders"):
        to_spikingjelly(snn)
