"""Small networks whose sums are exact, against NumPy."""

from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest

pytest.importorskip("ml_genn")
pytest.importorskip("pygenn")

from ml_genn import Connection, Network, Population
from ml_genn.connectivity import OneToOne

from fsrepro.genn.upstream.compiler import AnyCodeCompiler
from fsrepro.genn.upstream.connectivity import SharedConv2D
from fsrepro.genn.upstream.decode import Decode
from fsrepro.genn.upstream.few_spike import FewSpikeInput, FewSpikeNeuron, FewSpikePair
from fsrepro.genn.upstream.membrane import Membrane

pytestmark = pytest.mark.genn

K = 6
_number = count()


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where GeNN writes its code


@dataclass(frozen=True)
class Binary:
    """The code of FewSpikeRelu, rounding down, of numbers below ``scale``."""

    scale: float = 1.0
    activation: str = "relu"
    soma: bool = False
    name: str = "binary"
    offset: float = 0.0
    max_spikes: int | None = None

    @property
    def weight(self):
        return (self.scale * 2.0 ** -np.arange(1, K + 1)).astype(np.float32)

    threshold = reset = weight


ONE = Binary()


def in_grid(*shape):
    """Numbers that the code writes without an error."""
    return np.random.default_rng(0).integers(0, 2**K, shape).astype(np.float32) / 2**K


def run(network, inputs, output, *given):
    """What ``output`` has added up of what was ``given`` to the inputs, once the spikes arrived."""
    compiled = AnyCodeCompiler(k=K).compile(
        network, name=f"few_spikes_{next(_number)}_", inputs=inputs, outputs=[output]
    )
    with compiled:
        for _ in range(compiled.pop_pipeline_depth[output] + 1):
            compiled.genn_model.timestep = 0
            compiled.set_input(dict(zip(inputs, given, strict=True)))
            for _ in range(K):
                compiled.step_time()
        return compiled.get_readout(output)[0].copy()


def convolved(x, kernel, outputs, groups, stride, dilation, before):
    y, (kh, kw, icg, oc) = np.zeros(outputs), kernel.shape
    for row, column, f, a, b, c in np.ndindex(*outputs, kh, kw, icg):
        i = row * stride[0] + a * dilation[0] - before[0]
        j = column * stride[1] + b * dilation[1] - before[1]
        if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]:
            channel = f // (oc // groups) * icg + c
            y[row, column, f] += x[i, j, channel] * kernel[a, b, c, f]
    return y


@pytest.mark.parametrize(
    ("size", "groups", "outputs", "stride", "dilation", "before"),
    [
        ((3, 3), 1, (6, 5, 4), (1, 1), (1, 1), (1, 1)),
        ((2, 2), 1, (6, 5, 4), (1, 1), (1, 1), (0, 0)),
        ((3, 3), 1, (3, 3, 4), (2, 2), (1, 1), (0, 1)),
        ((3, 2), 2, (3, 5, 4), (2, 1), (1, 1), (1, 0)),
        ((3, 3), 4, (6, 5, 8), (1, 1), (1, 1), (1, 1)),
        ((2, 3), 1, (4, 1, 3), (1, 1), (2, 2), (0, 0)),
    ],
    ids=["same", "even", "strides", "groups", "depthwise", "dilation"],
)
def test_a_convolution_shares_its_kernel(size, groups, outputs, stride, dilation, before):
    x = in_grid(6, 5, 4)
    kernel = np.random.default_rng(1).integers(-8, 9, (*size, 4 // groups, outputs[-1])) / 8
    network = Network()
    with network:
        source = Population(FewSpikeInput(ONE, K), x.shape)
        target = Population(Membrane(), None)
        shared = SharedConv2D(kernel, x.shape, outputs, groups, stride, dilation, before)
        Connection(source, target, shared, Decode(ONE, K))
    assert target.shape == outputs
    found = run(network, [source], target, x).reshape(outputs)
    expected = convolved(x, kernel, outputs, groups, stride, dilation, before)
    np.testing.assert_array_equal(found, expected)


def test_a_kernel_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="2 groups does not go from"):
        SharedConv2D(np.ones((3, 3, 4, 4)), (6, 5, 4), (6, 5, 4), groups=2)
    network = Network()
    with network, pytest.raises(RuntimeError, match=r"has shape \(6, 5, 3\), not"):
        source = Population(FewSpikeInput(ONE, K), (6, 5, 3))
        shared = SharedConv2D(np.ones((3, 3, 4, 4)), (6, 5, 4), (6, 5, 4), before=(1, 1))
        Connection(source, Population(Membrane(), (6, 5, 4)), shared, Decode(ONE, K))


def test_a_pair_writes_both_signs():
    """w x - 1/2, for weights of both signs, written again and added up with what was written."""
    x, network, below = in_grid(12), Network(), Binary(activation="negative_part", soma=True)
    weights = np.where(np.arange(12) % 2, 1.0, -1.0)
    with network:
        source = Population(FewSpikeInput(ONE, K), (12,))
        pair = Population(FewSpikePair(Binary(2.0), below, K, bias=[-0.5]), (12,))
        output = Population(Membrane(), (12,))
        Connection(source, pair, OneToOne(weights), Decode(ONE, K))
        Connection(pair, output, OneToOne(1.0), Decode(Binary(2.0), K), name="above")
        Connection(pair, output, OneToOne(-1.0), Decode(below, K, below=True), name="below")
    signed = weights * x - 0.5
    above = np.floor(np.maximum(signed, 0) * 32) / 32
    negative = np.minimum(np.maximum(-signed, 0), 1 - 2.0**-K)
    np.testing.assert_array_equal(run(network, [source], output, x), above - negative)


@pytest.mark.parametrize(("soma", "f"), [("product", np.multiply), ("maximum", np.maximum)])
def test_a_soma_combines_its_dendrites(soma, f):
    x, network = in_grid(2, 9), Network()
    with network:
        sources = [Population(FewSpikeInput(ONE, K), (9,)) for _ in x]
        both = Population(FewSpikeNeuron(ONE, K, bias=[0.0, 0.0], soma=soma), (9,))
        output = Population(Membrane(), (9,))
        for dendrite, source in enumerate(sources):
            Connection(source, both, OneToOne(1.0), Decode(ONE, K, dendrite))
        Connection(both, output, OneToOne(1.0), Decode(ONE, K))
    expected = np.floor(f(*x) * 2**K) / 2**K
    np.testing.assert_array_equal(run(network, sources, output, *x), expected)


def test_codes_of_different_range_meet_on_a_neuron_and_the_last_spike_is_read():
    x, network = in_grid(2, 9), Network()
    with network:
        sources = [Population(FewSpikeInput(Binary(scale), K), (9,)) for scale in (1.0, 4.0)]
        output = Population(Membrane(np.full(9, 0.25)), (9,))
        for source, scale in zip(sources, (1.0, 4.0), strict=True):
            Connection(source, output, OneToOne(1.0), Decode(Binary(scale), K))
    found = run(network, sources, output, x[0], 4 * x[1])
    np.testing.assert_array_equal(found, x[0] + 4 * x[1] + 0.25)
