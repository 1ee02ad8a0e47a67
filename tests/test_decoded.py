"""Networks whose codes need decoders: exact layers, honest counts, and the refusals."""

import keras
import numpy as np
import pytest

from fsrepro.codes import (
    ExponentMantissa,
    PrefixCode,
    binary,
    entropy,
    fewest_spikes_words,
    huffman_words,
    letter_cost_words,
    level_probability,
    mixed_radix,
    published,
    uniform_levels,
)
from fsrepro.conversion import convert, normal_form, record, with_decoders
from fsrepro.conversion.decoded import Decoded
from fsrepro.measures import answers, decoding_costs, evaluate

F = np.float32
LEVELS = uniform_levels(12, 3.0)
CHANCE = np.exp2(-np.arange(12.0)) / np.exp2(-np.arange(12.0)).sum()
CODES = {
    "huffman": PrefixCode(huffman_words(CHANCE), LEVELS),
    "letter costs": PrefixCode(letter_cost_words(CHANCE, spike_cost=3), LEVELS),
    "fewest spikes": PrefixCode(fewest_spikes_words(CHANCE, 4), LEVELS),
    "a single level": PrefixCode([""], [0.5]),
    "float": ExponentMantissa(3, 3, 4.0),
    "float round": ExponentMantissa(2, 4, 4.0, rounding=True, silent_zero=True),
    "linear": mixed_radix((1, 3), 4.0),
    "silu": published.silu(),
}


@pytest.fixture(scope="module")
def snn(trained, calibration_images):
    """The trained network with Huffman words over sixteen levels in every layer."""
    recorded = record(normal_form(trained), calibration_images)
    codes = {}
    for name, x in recorded.items():
        levels = uniform_levels(16, float(x.max()))
        words = huffman_words(level_probability(levels, x))
        codes[name] = PrefixCode(words, levels, name="Huffman")
    return with_decoders(trained, codes)


@pytest.mark.parametrize("shape", [(-1, 12), (-1, 5, 4, 6)], ids=["vectors", "feature maps"])
@pytest.mark.parametrize("name", CODES)
def test_layer_is_the_code_spike_for_spike(name, shape):
    code = CODES[name]
    at = code.staircase.breakpoint
    x = np.concatenate(
        [
            np.nextafter(at, F(-np.inf)),
            at,
            np.nextafter(at, F(np.inf)),
            np.random.default_rng(0).uniform(-5, 5, 12_000).astype(F),
            np.array([0.0, -0.0, 1e30, -1e30, np.inf, -np.inf], F),
        ]
    )
    x = np.resize(x, -(-x.size // 120) * 120).reshape(shape)
    values, counts = (np.asarray(y) for y in Decoded(code, counting="sum")(x))
    z = code.encode(x)
    assert (values == code.decode(z)).all()
    assert (counts == z.sum(0, dtype=np.int64).sum(-1)).all()
    assert (np.asarray(Decoded(code)(x)) == values).all()


def test_network_is_the_one_of_the_codes(snn, test_images):
    sites = snn.spiking_layers
    tensors = [tensor for site in sites for tensor in (site.input, site.output)]
    probed = keras.Model(snn.keras_model.inputs, tensors).predict(test_images[:100])
    for site, x, y in zip(sites, probed[::2], probed[1::2], strict=True):
        assert (y == site.code.quantise(x)).all()


def test_evaluation_counts_spikes_and_multiplications(snn, trained, test_images, digits):
    reference = answers(trained, test_images)
    report = evaluate(snn, test_images, digits.test.labels, ann=reference)
    assert report.agreement > 95
    assert 0 < report.spikes_per_neuron < 4
    assert report.synops_per_image == 0
    assert report.macs_per_image == report.ann_macs_per_image
    assert report.latency_steps == sum(code.steps for code in snn.codes.values())
    record_of = record(snn.keras_model, test_images, samples=10**9)
    expected = sum(
        snn.codes[name].count(x).mean() * row.neurons
        for (name, x), row in zip(record_of.items(), snn.layers.itertuples(), strict=True)
    )
    assert report.spikes_per_neuron == pytest.approx(expected / snn.neurons, rel=0.03)


def test_a_linear_code_with_decoders_is_the_converted_network(
    trained, calibration_images, test_images
):
    snn = convert(trained, calibration_images, steps=5)
    same = with_decoders(trained, snn.codes)
    assert (same.predict(test_images[:50]) == snn.predict(test_images[:50])).all()
    with pytest.raises(ValueError, match="has no decoders: synapses read all of its codes"):
        decoding_costs(same, test_images)


def test_decoding_costs(snn, test_images):
    costs = decoding_costs(snn, test_images).set_index("layer")
    assert list(costs.index) == list(snn.codes)
    for name, row in costs.iterrows():
        assert row["levels"] == 16
        assert row["decoder_states"] == 15  # a full binary tree
        assert row["entropy"] <= row["mean_latency"] < row["entropy"] + 1.1
        assert row["worst_latency"] == snn.codes[name].steps
        neurons = snn.layers.set_index("layer")["neurons"][name]
        assert row["lookups_per_image"] == pytest.approx(row["mean_latency"] * neurons)


def test_entropy_of_a_layer_that_sends_one_level(trained, test_images):
    codes = dict.fromkeys(["act1", "act2", "act3"], CODES["a single level"])
    costs = decoding_costs(with_decoders(trained, codes), test_images)
    assert (costs["entropy"] == entropy([1.0])).all()
    assert (costs["lookups_per_image"] == 0).all()


def test_networks_with_decoders_are_not_saved(snn, tmp_path):
    with pytest.raises(
        TypeError, match="layer 'act1' has the code 'Huffman', which needs decoders"
    ):
        snn.save(tmp_path / "network.fs")
    assert not list(tmp_path.iterdir())


def test_every_layer_needs_a_code(trained):
    codes = {"act1": CODES["float"], "odd": CODES["float"]}
    with pytest.raises(ValueError, match=r"missing \['act2', 'act3'\], unknown \['odd'\]"):
        with_decoders(trained, codes)


@pytest.mark.parametrize("code", [None, "huffman", binary])
def test_what_is_no_code(trained, code):
    with pytest.raises(TypeError, match="layer 'act1' needs a Code, got"):
        with_decoders(trained, dict.fromkeys(["act1", "act2", "act3"], code))
