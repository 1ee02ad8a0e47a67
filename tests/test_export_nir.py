"""The network as a file of NIR, read by a small interpreter of NIR's nodes, and by NIRTorch."""

from dataclasses import replace
from graphlib import TopologicalSorter

import keras
import numpy as np
import pytest
from keras import layers
from numpy.lib.stride_tricks import sliding_window_view

from fsrepro import codes
from fsrepro.codes import SpikeCode, binary, mixed_radix, published, soma
from fsrepro.conversion import SpikingModel, UnsupportedLayerError, convert, with_decoders
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.experiments.models import resnet
from fsrepro.export import to_nir, write_nir

nir = pytest.importorskip("nir", reason="needs nir: pip install nir")

from fsrepro.export.nir_neuron import few_spikes_graph  # noqa: E402

F = np.float32
POWERS = SpikeCode(*[[2, 1, 0.5, 0.25]] * 3)
CODES = {
    "binary": binary(8, 3.7),
    "rounding": binary(8, 3.7, rounding=True),
    "one step": binary(1, 1.0),
    "mixed radix": mixed_radix((1, 3, 4), 2.3),
    "mixed radix, dead zone": mixed_radix((1, 7), 2.3, dead_zone=1.0),
    "signs": SpikeCode([0.5, -1, -0.1, 0.2], [1, -0.75, -0.3, 0.2], [1, -0.75, -0.3, 0.2]),
    "rate": codes.rate(7, 1.3),
    "published silu": published.silu(),
    "offset": SpikeCode([1, 0.3], [1, 0.3], [0.7, 0.1], offset=0.1),
    "at most 1 spike": codes.geometric(8, 3.0, spikes=1),
    "at most 3 spikes": codes.geometric(8, 3.0, spikes=3),
    "a threshold of 0, a weight of 0": SpikeCode([0, -1, 0.5], [1, 0.1, 0], [0, -1, 3]),
}


# --- an interpreter: what NIR's nodes mean, in NumPy, for a batch (N, ...) ------------------------


def run(graph, x, found=None, path=""):
    """The output of a graph; in ``found`` that of every node, those of subgraphs as "graph/node".

    A node takes the sum of what its edges bring.
    """
    found = {} if found is None else found
    sources = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    values = {}
    for name in TopologicalSorter(sources).static_order():
        node = graph.nodes[name]
        inputs = [values[source] for source in sources[name]] or [x]
        total = inputs[0] if len(inputs) == 1 else sum(inputs[1:], inputs[0])
        if isinstance(node, nir.NIRGraph):
            values[name] = run(node, total, found, f"{path}{name}/")
        else:
            assert total.shape[1:] == tuple(node.input_type["input"]), name
            values[name] = MEANING[type(node).__name__](node, total)
        found[path + name] = values[name]
        if isinstance(node, nir.Output):
            output = values[name]
    return output


def convolution(node, x):
    assert node.groups == 1
    sizes = node.weight.shape[2:]
    stride, padding, dilation = (
        np.broadcast_to(value, len(sizes)) for value in (node.stride, node.padding, node.dilation)
    )
    spans = [(size - 1) * d + 1 for size, d in zip(sizes, dilation, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    axes = tuple(range(2, x.ndim))
    windows = sliding_window_view(x, spans, axes)
    steps = (slice(None, None, int(step)) for step in (*stride, *dilation))
    windows = windows[(slice(None), slice(None), *steps)]  # (N, C, space..., places...)
    y = np.tensordot(windows, node.weight, ((1, *range(-len(sizes), 0)), (1, *axes)))
    return np.moveaxis(y + node.bias, -1, 1).astype(F)


def average(node, x):
    assert not np.any(node.padding)
    windows = sliding_window_view(x, tuple(node.kernel_size), (2, 3))
    return windows[:, :, :: node.stride[0], :: node.stride[1]].mean((-2, -1), dtype=F)


MEANING = {
    "Input": lambda node, x: x,
    "Output": lambda node, x: x,
    "Affine": lambda node, x: x @ node.weight.T + node.bias,
    "Conv1d": convolution,
    "Conv2d": convolution,
    "AvgPool2d": average,
    "Flatten": lambda node, x: x.reshape(len(x), -1),
    "Scale": lambda node, x: x * node.scale,
    "Threshold": lambda node, x: (x > node.threshold).astype(F),
}


def channels_first(x):
    return np.moveaxis(x, -1, 1)


def read_back(snn, tmp_path):
    return nir.read(write_nir(snn, tmp_path / "network.nir"))


def spikes_of(found, name, code):
    return np.stack([found[f"{name}/spike_{k}"] for k in range(1, code.steps + 1)])


# --- neurons --------------------------------------------------------------------------------------


def bits(x):
    return np.ascontiguousarray(x, F).view(np.uint32)


def potentials(code):
    """Around every threshold and every potential that comes to one, and a thousand others."""
    at = np.concatenate([code.staircase.breakpoint, code.threshold, [0, 1e-30, 1e30]]).astype(F)
    near = [np.nextafter(at, F(-np.inf)), at, np.nextafter(at, F(np.inf)), -at]
    x = np.concatenate([*near, np.random.default_rng(0).normal(0, 2, 1000).astype(F)])
    return np.where(np.abs(x) < np.finfo(F).tiny, F(0), x)  # subnormal ones count as 0


@pytest.mark.parametrize("name", CODES)
def test_neurons_are_the_code_bit_for_bit(name):
    code = CODES[name]
    x = potentials(code)
    found = {}
    values = run(few_spikes_graph(code, (1, 2)), np.stack([x, -x], 1)[:, None], found, "n/")
    expected = code.encode(np.stack([x, -x], 1))[:, :, None]
    assert (spikes_of(found, "n", code) == expected).all()
    assert (bits(values) == bits(code.decode(expected))).all()


RADICES = [mixed_radix((1, 3, 4), a, dead_zone=z) for a, z in ((2.3, 0), (0.7, 1.5), (4, 0.25))]
CHANNELS = {
    "channels": RADICES,
    "channels with offsets": [codes.above(c, y) for c, y in zip(RADICES, (0, 0.3, 1), strict=True)],
    "channels, at most 2 spikes": [replace(code, max_spikes=2) for code in RADICES],
}


@pytest.mark.parametrize("name", CHANNELS)
def test_codes_by_channel_bit_for_bit(name):
    code = codes.by_channel(CHANNELS[name])
    x = np.concatenate([potentials(channel) for channel in CHANNELS[name]])
    x = np.stack([x, x[::-1], x], -1)[:, None]  # (N, 1, C)
    found = {}
    values = run(few_spikes_graph(code, (3, 1)), np.moveaxis(x, -1, 1), found, "n/")
    expected = code.encode(x)
    assert (spikes_of(found, "n", code) == np.moveaxis(expected, -1, 2)).all()
    assert (bits(values) == bits(np.moveaxis(code.decode(expected), -1, 1))).all()


def test_a_network_of_codes_by_channel(trained, calibration_images, test_images, tmp_path):
    snn = convert(trained, calibration_images, spikes_per_neuron=0.4, by_channel=True)
    assert_computes(snn, read_back(snn, tmp_path), test_images[:100])


@pytest.mark.parametrize("name", CODES)
def test_the_tables_are_in_the_metadata(name, tmp_path):
    image = keras.Input((3,))
    model = keras.Model(image, FewSpikes(CODES[name], name="act")(layers.Dense(2)(image)))
    graph = read_back(SpikingModel(model, {}), tmp_path)
    tables = graph.nodes["act"].metadata["fsrepro"]
    assert SpikeCode(**tables) == CODES[name]
    assert tables["name"] == CODES[name].name
    assert graph.metadata["fsrepro"]["network"] == model.name


# --- layers ---------------------------------------------------------------------------------------


def eighths(shape, seed=0):
    """Numbers of which sums and products round nowhere."""
    return (np.random.default_rng(seed).integers(-16, 17, shape) / 8).astype(F)


def assert_same_spikes(model, tmp_path, flattened=None):
    model.set_weights([eighths(w.shape, seed) for seed, w in enumerate(model.get_weights())])
    snn = SpikingModel(model, {})
    images = eighths((6, *model.input_shape[1:]))
    found = {}
    outputs = run(read_back(snn, tmp_path), channels_first(images), found)
    for name, spikes in snn.spike_trains(images).items():
        assert spikes.any() and not spikes.all()
        mine = spikes_of(found, name, snn.codes[name])
        if flattened is not None:
            spikes = spikes.reshape(*spikes.shape[:2], *flattened)
        assert (mine == np.moveaxis(spikes, -1, 2).reshape(mine.shape)).all()
    assert (outputs == channels_first(snn.predict(images))).all()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(3, use_bias=False), (4,)),
        (layers.Conv1D(3, 3, padding="causal"), (9, 2)),
        (layers.Conv1D(3, 3, padding="causal", dilation_rate=2), (9, 2)),
        (layers.Conv1D(4, 4, padding="same", strides=3, groups=2), (11, 4)),
        (layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2), (7, 3)),
        (layers.Conv2D(3, 3, padding="same", strides=2), (8, 8, 2)),
        (layers.Conv2D(3, 3, padding="same", strides=2), (7, 8, 2)),
        (layers.Conv2D(3, 3, strides=3), (8, 8, 2)),
        (layers.Conv2D(3, 2, padding="same"), (5, 6, 2)),
        (layers.Conv2D(3, (1, 3), padding="same", use_bias=False), (5, 6, 2)),
        (layers.Conv2D(3, (5, 2), padding="same"), (5, 6, 2)),
        (layers.Conv2D(3, (1, 5)), (5, 6, 2)),
        (layers.Conv2D(3, 1, strides=2, padding="same"), (8, 7, 2)),
        (layers.Conv2D(6, 3, dilation_rate=(1, 2), groups=3), (8, 8, 3)),
        (layers.Conv2D(2, 3, dilation_rate=2, padding="same"), (8, 8, 3)),
        (layers.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2), (8, 8, 3)),
        (layers.AveragePooling2D(2), (5, 5, 3)),
        (layers.AveragePooling2D((2, 4), strides=1), (5, 5, 3)),
        (layers.AveragePooling2D(2, padding="same"), (4, 6, 3)),
        (layers.GlobalAveragePooling2D(keepdims=True), (4, 4, 3)),
        (layers.GlobalAveragePooling2D(), (4, 4, 3)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else str(value),
)
def test_layers_compute_the_same(layer, shape, tmp_path):
    layer = type(layer).from_config(layer.get_config())
    image = keras.Input(shape)
    x = FewSpikes(POWERS, name="before")(image)
    assert_same_spikes(keras.Model(image, FewSpikes(POWERS, name="behind")(layer(x))), tmp_path)


@pytest.mark.parametrize("shape", [(4, 3, 2), (5, 3)])
def test_dense_layers_behind_a_flattened_map(shape, tmp_path):
    """Neurons and additions may come between; numbers are in NIR's order until the dense layer."""
    image = keras.Input(shape)
    x = FewSpikes(POWERS)(layers.Flatten()(image))
    y = FewSpikes(replace(POWERS, max_spikes=1))(layers.Flatten()(image))
    x = layers.Flatten()(layers.Dense(4, name="output")(layers.Add()([x, y])))
    assert_same_spikes(keras.Model(image, x), tmp_path, flattened=shape)


def test_skips_and_padding(tmp_path):
    image = keras.Input((8, 8, 3))
    x = layers.ZeroPadding2D(((0, 1), (2, 0)))(layers.ZeroPadding2D(1)(image))
    x = FewSpikes(POWERS)(layers.Conv2D(4, 3, strides=2)(x))
    y = layers.DepthwiseConv2D(3)(layers.ZeroPadding2D(1)(x))
    y = FewSpikes(SpikeCode(*[[1, 0.5]] * 3, max_spikes=1, offset=-0.5))(y)
    x = FewSpikes(POWERS)(layers.Add()([x, y, layers.Conv2D(4, 1)(x)]))
    assert_same_spikes(keras.Model(image, layers.Conv2D(2, 3, padding="same")(x)), tmp_path)


# --- networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def snn(trained, calibration_images):
    return convert(trained, calibration_images[:64], code="binary", steps=8)


def assert_computes(snn, graph, images):
    found = {}
    outputs = run(graph, channels_first(images), found)
    expected = snn.predict(images)
    alike = np.isclose(outputs, expected, rtol=1e-5, atol=1e-5).all(1)
    assert alike.mean() > 0.97  # else a potential rounded across a threshold
    for name, spikes in snn.spike_trains(images).items():
        node = graph.nodes[name]
        code = SpikeCode(**node.metadata["fsrepro"])
        assert code == replace(snn.codes[name], soma=False)
        mine = spikes_of(found, name, code)
        assert np.mean(mine != np.moveaxis(spikes, -1, 2)) < 1e-3
        received = np.moveaxis(found[f"{name}/input"], 1, -1)
        assert (mine == np.moveaxis(code.encode(received), -1, 2)).all()


def test_a_trained_network_from_its_file_alone(snn, test_images, tmp_path):
    assert_computes(snn, read_back(snn, tmp_path), test_images[:100])


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_a_residual_network(padding, calibration_images, tmp_path):
    images = calibration_images[:32]
    model = resnet(8, (8, 8, 1), padding=padding)
    snn = convert(model, images, code="binary", steps=6)
    assert_computes(snn, read_back(snn, tmp_path), images)


def test_pairs_and_sums_above_an_offset(calibration_images, test_images, tmp_path):
    """A linear bottleneck, and the mean of a map, which has no negative values."""
    keras.utils.set_random_seed(0)
    image = keras.Input(calibration_images.shape[1:])
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(16, 3, activation="relu")(layers.Conv2D(3, 1, bias_initializer="normal")(x))
    x = layers.Dense(60, activation="relu")(layers.GlobalAveragePooling2D()(x))
    snn = convert(keras.Model(image, layers.Dense(10)(x)), calibration_images, steps=6, snr=20)
    assert {"negative_part", "linear"} <= {code.activation for code in snn.codes.values()}
    assert_computes(snn, read_back(snn, tmp_path), test_images[:50])


def test_nirtorch_computes_the_same(snn, test_images, tmp_path):
    torch = pytest.importorskip("torch", reason="NIRTorch needs torch")
    nirtorch = pytest.importorskip("nirtorch", reason="needs NIRTorch: pip install nirtorch")

    class Node(torch.nn.Module):
        def __init__(self, compute, table):
            super().__init__()
            self.compute, self.table = compute, torch.nn.Parameter(torch.tensor(table))

        def forward(self, x):
            return self.compute(x, self.table)

    def dense(node):  # that of NIRTorch 2.6 loses the bias
        layer = torch.nn.Linear(*node.weight.shape[::-1])
        layer.weight.data, layer.bias.data = map(torch.tensor, (node.weight, node.bias))
        return layer

    kinds = {
        nir.Affine: dense,
        nir.Flatten: lambda node: torch.nn.Flatten(),  # its shapes have no batch, NIR's have none
        nir.Threshold: lambda node: Node(lambda x, t: (x > t).float(), node.threshold),
        nir.Scale: lambda node: Node(torch.mul, node.scale),
    }
    network = nirtorch.nir_to_torch(write_nir(snn, tmp_path / "network.nir"), kinds)
    images = test_images[:50]
    with torch.no_grad():
        outputs, _ = network(torch.tensor(channels_first(images).copy()))
    alike = np.isclose(outputs.numpy(), snn.predict(images), rtol=1e-5, atol=1e-5).all(1)
    assert alike.mean() > 0.97


def test_files_are_not_overwritten_unless_asked(snn, tmp_path):
    path = write_nir(snn, tmp_path / "network.nir")
    with pytest.raises(FileExistsError, match=r"network\.nir exists"):
        write_nir(snn, path)
    assert write_nir(snn, str(path), overwrite=True) == path
    assert [file.name for file in tmp_path.iterdir()] == ["network.nir"]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.MaxPooling2D(2, name="x"), r"'x' \(MaxPooling2D\) cannot go to NIR: it has no"),
        (layers.UpSampling2D(2, name="x"), "'x'.*no node"),
        (layers.Reshape((8, 4), name="x"), "'x'.*no node"),
        (layers.Conv2DTranspose(2, 2, name="x"), "'x'.*no node"),
        (layers.AveragePooling2D(3, padding="same", name="x"), "'x'.*padding counts"),
        (layers.Conv2D(2, (2, 3), name="x"), "'x'.*square kernels only"),
        (layers.Conv2D(2, 2, dilation_rate=3, padding="same", name="x"), "'x'.*alike on both"),
        (layers.ZeroPadding2D(1, name="x"), "'act'.*only convolutions"),
        (layers.Dense(3, name="x"), "'x'.*Affine takes vectors"),
        (layers.Conv2D(2, 1, activation="relu", name="x"), "'x'.*a layer of its own"),
        (layers.Flatten(name="x"), "'act'.*must not be flattened"),
    ],
)
def test_layers_without_a_node(layer, message):
    image = keras.Input((4, 4, 2))
    model = keras.Model(image, FewSpikes(POWERS, name="act")(layer(image)))
    with pytest.raises(UnsupportedLayerError, match=message):
        to_nir(SpikingModel(model, {}))


def test_open_sizes():
    image = keras.Input((None, None, 2))
    model = keras.Model(image, FewSpikes(POWERS)(layers.Conv2D(2, 1, name="x")(image)))
    with pytest.raises(UnsupportedLayerError, match=r"'x'.*sizes .* must be known"):
        to_nir(SpikingModel(model, {}))


@pytest.mark.parametrize(
    ("merge", "message"),
    [
        (lambda x: layers.Multiply(name="m")([x, x]), "'m'.*no node"),
        (lambda x: layers.Concatenate(name="m")([x, x]), "'m'.*no node"),
        (lambda x: layers.Add(name="m")([x, x]), "'m'.*at most one edge"),
        (lambda x: layers.Add(name="m")([x, layers.Conv2D(1, 1)(x)]), "'m'.*different shapes"),
        (
            lambda x: layers.Add(name="m")([layers.Flatten()(x), layers.Dense(32)(
                layers.GlobalAveragePooling2D()(x))]),
            r"'m'.*orders",
        ),
    ],
)  # fmt: skip
def test_merging_layers_without_a_node(merge, message):
    image = keras.Input((4, 4, 2))
    with pytest.raises(UnsupportedLayerError, match=message):
        to_nir(SpikingModel(keras.Model(image, merge(FewSpikes(POWERS)(image))), {}))


def test_neurons_without_nodes(trained):
    image = keras.Input((4,))
    model = keras.Model(image, FewSpikes(soma(binary(4, 1.0), "silu"), name="act")(image))
    with pytest.raises(UnsupportedLayerError, match=r"'act'.*computes silu"):
        to_nir(SpikingModel(model, {}))
    code = codes.PrefixCode(codes.huffman_words(np.full(4, 0.25)), codes.uniform_levels(4, 3.0))
    decoded = with_decoders(trained, dict.fromkeys(("act1", "act2", "act3"), code))
    with pytest.raises(UnsupportedLayerError, match=r"'act1'.*no node"):
        to_nir(decoded)
