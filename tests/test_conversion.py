"""Conversion: the layer spike for spike, the network bit for bit, the file, and the refusals."""

import itertools
import json
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

from fsrepro import conversion
from fsrepro.codes import ExponentMantissa, PrefixCode, SpikeCode, binary, leading_one, published
from fsrepro.conversion import SPIKE_PENALTY, SpikingModel, plan, record
from fsrepro.conversion.few_spikes import FewSpikes
from fsrepro.experiments.models import small_cnn
from fsrepro.fitting import mixed_radix_of, round_scale, scaled
from fsrepro.measures import answers, evaluate

F = np.float32
convert = partial(conversion.convert, code="binary")  # unless a test says otherwise
SILU = published.silu()

CODES = {
    "floor": lambda: binary(8, 4.0),
    "round": lambda: binary(8, 3.7, rounding=True),
    "one step": lambda: binary(1, 2.0),
    "16 steps": lambda: binary(16, 4.0, rounding=True),
    "published relu": published.relu,
    "published silu": published.silu,
    "published sigmoid": published.sigmoid,
    "at most 2 spikes": lambda: SpikeCode(*[[4, 2, 1, 0.5, 0.25]] * 3, max_spikes=2),
    "silu, at most 3 spikes": lambda: SpikeCode(SILU.threshold, SILU.reset, SILU.weight, 3),
    "negative resets": lambda: SpikeCode([1, -0.5, 2, 0.1], [-2, 0.3, 1.7, -1], [3, -1, 0.7, 0.1]),
}


@pytest.fixture(scope="module")
def snn(trained, calibration_images):
    """The trained network in the rounding binary code of eight steps."""
    return convert(trained, calibration_images, steps=8)


def tiny(*, seed=0, bias=0.0, activation="relu"):
    """An untrained network for tests of messages and files."""
    inputs = keras.Input((6, 6, 1))
    start = keras.initializers.HeNormal(seed)
    x = layers.Conv2D(
        4, 3, kernel_initializer=start, bias_initializer=keras.initializers.Constant(bias), name="c"
    )(inputs)
    x = layers.Flatten()(layers.Activation(activation, name="act")(x))
    x = layers.Dense(5, activation="relu", kernel_initializer=start, name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, kernel_initializer=start)(x), name="tiny")


def pictures(n=20, shape=(6, 6, 1), seed=0):
    return np.random.default_rng(seed).normal(0, 1, (n, *shape)).astype(F)


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype == F
    return a.shape == b.shape and bool((a.view(np.uint32) == b.view(np.uint32)).all())


# --- one layer, spike for spike -----------------------------------------------------------------


def layer_inputs(code):
    at = np.concatenate([code.staircase.breakpoint, code.threshold]).astype(F)
    reach = 1.5 * float(np.abs(code.weight).sum())
    values = np.concatenate(
        [
            np.nextafter(at, F(-np.inf)),
            at,
            np.nextafter(at, F(np.inf)),
            np.random.default_rng(0).uniform(-reach, reach, 20_000).astype(F),
            np.array([0.0, -0.0, 1e30, -1e30, np.inf, -np.inf], F),
        ]
    )
    return np.resize(values, -(-values.size // 120) * 120)


@pytest.mark.parametrize("shape", [(-1, 12), (-1, 5, 4, 6)], ids=["vectors", "feature maps"])
@pytest.mark.parametrize("name", CODES)
def test_layer_is_the_code_spike_for_spike(name, shape):
    code = CODES[name]()
    x = layer_inputs(code).reshape(shape)
    values, counts = (np.asarray(y) for y in FewSpikes(code, counting="sum")(x))
    assert same_bits(values, code.quantise(x))
    assert same_bits(values, code.decode(code.encode(x)))
    assert counts.shape == x.shape[:-1]
    assert (counts == code.encode(x).sum(0, dtype=np.int64).sum(-1)).all()
    assert (counts == code.count(x).sum(-1, dtype=np.int64)).all()
    assert same_bits(FewSpikes(code)(x), values)


# Subnormal numbers are zero to TensorFlow and not to NumPy: the documented exception is a
# threshold of exactly zero, for which the layer may fire at -1e-40.
def test_layer_on_subnormal_inputs():
    x = np.array([[-1e-40, -1.4e-45, 0.0, 1.4e-45, 1e-40]], F)
    for threshold in (-1e-30, 1e-30, 0.5):
        code = SpikeCode([threshold], [1.0], [1.0])
        assert same_bits(FewSpikes(code)(x), code.quantise(x))


def test_layer_inside_a_compiled_model():
    code = CODES["negative resets"]()
    inputs = keras.Input((12,))
    model = keras.Model(inputs, FewSpikes(code)(inputs))
    x = layer_inputs(code).reshape(-1, 12)
    assert same_bits(model.predict(x), code.quantise(x))


def test_layer_configuration_round_trip():
    layer = FewSpikes(CODES["at most 2 spikes"](), counting="sum", name="population")
    config = json.loads(json.dumps(layer.get_config()))
    copied = FewSpikes.from_config(config)
    assert copied.code == layer.code
    assert copied.code.name == layer.code.name
    assert copied.counting
    assert copied.name == "population"


@pytest.mark.parametrize("code", [None, "binary", 3.0, binary])
def test_layer_refuses_what_is_not_a_code(code):
    with pytest.raises(TypeError, match="layer 'odd' needs a linear SpikeCode, got"):
        FewSpikes(code, name="odd")


# --- the whole network --------------------------------------------------------------------------


def probe(snn, images):
    """What goes into and comes out of every spiking layer, by name."""
    sites = snn.spiking_layers
    tensors = [tensor for site in sites for tensor in (site.input, site.output)]
    values = keras.Model(snn.keras_model.inputs, tensors).predict(images)
    return {s.name: (values[2 * i], values[2 * i + 1]) for i, s in enumerate(sites)}


def test_every_layer_of_the_network_bit_for_bit(snn, test_images):
    probed = probe(snn, test_images[:200])
    assert list(probed) == ["act1", "act2", "act3"]
    for name, (before, after) in probed.items():
        code = snn.codes[name]
        assert same_bits(after, code.decode(code.encode(before)))
        assert len(np.unique(after)) > 20


def test_the_layers_use_the_scales_of_the_table(snn):
    assert snn.layers["layer"].tolist() == list(snn.scales) == ["act1", "act2", "act3"]
    for name, code in snn.codes.items():
        assert code == binary(8, snn.scales[name], rounding=True)
    assert snn.layers["scale"].tolist() == list(snn.scales.values())
    assert snn.layers["shape"].tolist() == ["8x8x16", "4x4x32", "64"]
    assert snn.layers["neurons"].tolist() == [1024, 512, 64]
    assert (snn.layers["steps"] == 8).all()
    assert (snn.neurons, snn.steps, snn.name) == (1600, 8, "small_cnn")


@pytest.mark.parametrize("scale", ["mse", "max"])
def test_16_steps_compute_the_ann(trained, calibration_images, test_images, scale):
    snn = convert(trained, calibration_images, steps=16, scale=scale)
    images = calibration_images  # within the range that was calibrated
    expected = trained.predict(images)
    assert np.abs(snn.predict(images) - expected).max() < 1e-3 * np.ptp(expected)


def test_8_steps_agree_with_the_ann(snn, trained, test_images, digits):
    reference = answers(trained, test_images)
    assert (reference == digits.test.labels).mean() > 0.9
    assert (snn.predict(test_images).argmax(1) == reference).mean() >= 0.98


def test_more_steps_are_never_much_worse(trained, calibration_images, test_images):
    reference = answers(trained, test_images)
    agreement = [
        (
            convert(trained, calibration_images, steps=steps).predict(test_images).argmax(1)
            == reference
        ).mean()
        for steps in (1, 2, 4, 6, 8)
    ]
    assert agreement[-1] > agreement[0]
    for fewer, more in itertools.pairwise(agreement):
        assert more >= fewer - 0.01


def test_the_source_model_is_unchanged(trained, calibration_images):
    before = [w.copy() for w in trained.get_weights()]
    convert(trained, calibration_images[:50], steps=4)
    assert all((a == b).all() for a, b in zip(before, trained.get_weights(), strict=True))


def test_conversion_is_deterministic(trained, calibration_images, snn):
    again = convert(trained, calibration_images, steps=8)
    assert again.scales == snn.scales


def test_counting_gives_the_same_logits(snn, test_images):
    logits, counts = snn.count(test_images[:50])
    assert same_bits(logits, snn.predict(test_images[:50]))
    assert [count.shape for count in counts.values()] == [(50, 8, 8), (50, 4, 4), (50,)]


# --- scales and codes ---------------------------------------------------------------------------


def test_scale_max_is_the_largest_activation_to_eight_bits(trained, calibration_images):
    snn = convert(trained, calibration_images, scale="max")
    for name, scale in snn.scales.items():
        part = keras.Model(trained.inputs, trained.get_layer(name).output)
        largest = float(part.predict(calibration_images).max())
        assert scale == round_scale(scale)
        # About 100,000 of act1's 204,800 values are drawn, so the very largest may be missed.
        assert 0.9 * largest < scale <= largest * (1 + 2**-8)


def test_scale_as_a_number(trained, calibration_images):
    snn = convert(trained, calibration_images, code="binary_floor", steps=10, scale=25)
    assert set(snn.scales.values()) == {25.0}
    assert all(code == published.relu() for code in snn.codes.values())


def test_scale_by_name():
    model, scales = tiny(), {"hidden_act": 2.0, "act": 4.0}
    snn = convert(model, pictures(), steps=3, scale=scales)
    assert snn.scales == scales
    assert snn.codes["act"] == binary(3, 4.0, rounding=True)
    assert snn.codes["hidden_act"] == binary(3, 2.0, rounding=True)


def test_a_code_is_used_as_it_is(trained, calibration_images):
    snn = convert(trained, calibration_images, code=published.relu())
    assert all(code == published.relu() for code in snn.codes.values())


def test_a_function_of_the_scale():
    make = lambda scale: binary(5, scale).scaled(2)  # noqa: E731
    snn = convert(tiny(), pictures(), code=make, scale=0.5)
    assert all(code == binary(5, 1.0) for code in snn.codes.values())


def rounding(steps):
    return lambda scale: binary(steps, scale, rounding=True)


def test_design_of_uniform_activations():
    x = np.random.default_rng(0).uniform(-3, 3, 100_000).astype(F)
    assert scaled(rounding(6)).best(x, penalty=0.0).scale == pytest.approx(3.0, rel=0.03)


def test_design_ignores_an_outlier_that_the_maximum_does_not():
    x = np.append(np.random.default_rng(1).uniform(0, 1, 200_000), 10).astype(F)
    assert scaled(rounding(3)).best(x, penalty=0.0).scale < 1.5


def test_design_finds_the_scale_of_values_on_the_grid():
    x = (np.random.default_rng(2).integers(0, 16, 5000) / 16 * 5.0).astype(F)
    assert scaled(rounding(4)).best(x, penalty=0.0).scale == pytest.approx(5.0, rel=0.02)


@pytest.mark.parametrize("designer", [scaled(rounding(4)), mixed_radix_of(8)])
def test_design_needs_an_activation(designer):
    with pytest.raises(ValueError, match=r"no activation is positive|no positive values"):
        designer(np.full(5, -1, F))


@pytest.mark.parametrize("designer", [scaled(rounding(8)), mixed_radix_of(8)])
def test_design_for_an_snr(designer):
    x = np.random.default_rng(4).normal(-0.3, 1, 50_000).astype(F)
    spikes = []
    for snr in (20, 30):
        found = designer.best(x, snr=snr)
        y = np.maximum(x, 0).astype(float)
        error = np.mean((found.code.quantise(x) - y) ** 2)
        assert 10 * np.log10(np.mean(y**2) / error) >= snr - 1e-4
        assert found.spikes == pytest.approx(found.code.count(x).mean())
        spikes.append(found.spikes)
    assert spikes[0] < spikes[1]


def test_mixed_radix_design_saves_spikes():
    x = np.random.default_rng(5).normal(-0.3, 1, 50_000).astype(F)
    plain, mixed = (d.best(x, snr=30) for d in (scaled(rounding(8)), mixed_radix_of(8)))
    assert mixed.spikes < 0.8 * plain.spikes


def test_mixed_radix_weights_are_multiples_of_an_eight_bit_step():
    x = np.random.default_rng(6).normal(0, 3, 20_000).astype(F)
    for penalty in (1e-4, SPIKE_PENALTY, 0.05):
        weight = mixed_radix_of(8).best(x, penalty=penalty).code.weight
        assert round_scale(weight[-1]) == weight[-1]
        assert (weight % weight[-1] == 0).all()


def test_mixed_radix_in_the_network(trained, calibration_images, test_images):
    reference = answers(trained, test_images)
    plain = convert(trained, calibration_images, code="binary", steps=6)
    mixed = convert(trained, calibration_images, code="mixed_radix")
    assert all(code.name.startswith("mixed radix") for code in mixed.codes.values())
    assert mixed.steps == 8
    fewer, more = (evaluate(snn, test_images, reference, ann=reference) for snn in (mixed, plain))
    assert fewer.agreement >= 98
    assert fewer.spikes_per_neuron < 0.9 * more.spikes_per_neuron


def test_a_code_for_each_layer(tmp_path):
    code = {"hidden_act": lambda scale: leading_one(5, scale, spikes=1), "act": published.relu()}
    snn = convert(tiny(), pictures(), code=code)
    assert snn.codes["act"] == published.relu()
    assert snn.codes["hidden_act"] == leading_one(5, snn.scales["hidden_act"], spikes=1)
    assert SpikingModel.load(snn.save(tmp_path / "mixed.fs")).codes == snn.codes


def test_round_scale_keeps_eight_bits():
    for scale in np.exp2(np.random.default_rng(3).uniform(-20, 20, 500)):
        rounded = round_scale(scale)
        assert rounded == pytest.approx(scale, rel=2**-8)
        assert round_scale(rounded) == rounded
        mantissa = np.frexp(rounded)[0] * 256
        assert mantissa == int(mantissa)


def test_record_draws_from_every_layer(snn, trained, calibration_images):
    from fsrepro.conversion import normal_form

    graph = normal_form(trained)
    drawn = record(graph, calibration_images, samples=1000)
    assert {name: values.size for name, values in drawn.items()} == dict.fromkeys(snn.scales, 1000)
    full = keras.Model(graph.inputs, graph.get_layer("act3").input)
    values = full.predict(calibration_images)
    assert drawn["act3"].min() < 0  # before the ReLU
    assert drawn["act3"].mean() == pytest.approx(
        float(values.mean()), abs=4 * float(values.std()) / 1000**0.5
    )


def test_silent_layer_warns():
    model = tiny(bias=-100.0)
    with pytest.warns(UserWarning, match="layer 'act' is silent on all calibration images"):
        snn = convert(model, pictures())
    assert 0.9 < snn.scales["act"] < 1.1


@pytest.mark.parametrize(
    "options", [{"code": "mixed_radix"}, {"spikes_per_neuron": 2.0}, {"scale": "max"}]
)
@pytest.mark.parametrize(("bias", "constant"), [(100.0, 1), (-100.0, 0)])
def test_a_gate_that_never_moves_stays_as_it_is(options, bias, constant):
    """The constant that is written is the one that was seen, not that of inputs up to 1."""
    model = tiny(bias=bias, activation="hard_sigmoid")
    with pytest.warns(UserWarning, match=rf"layer 'act' is constant \({constant}\) on all cal"):
        snn = convert(model, pictures(), **options)
    written = snn.codes["act"].quantise(np.float32([0.5 * bias, 1.5 * bias]))
    np.testing.assert_allclose(written, constant, atol=0.01)


# --- the file -----------------------------------------------------------------------------------


def test_round_trip(snn, test_images, tmp_path):
    path = snn.save(tmp_path / "network.npz")
    loaded = SpikingModel.load(path)
    assert same_bits(loaded.predict(test_images), snn.predict(test_images))
    assert loaded.layers.equals(snn.layers)
    assert loaded.codes == snn.codes
    assert loaded.scales == snn.scales
    assert [p.name for p in tmp_path.iterdir()] == ["network.npz"]


def test_round_trip_of_a_code_with_limited_spikes(tmp_path):
    snn = convert(tiny(), pictures(), code=CODES["at most 2 spikes"]())
    loaded = SpikingModel.load(snn.save(tmp_path / "network"))
    assert loaded.codes == snn.codes
    assert same_bits(loaded.predict(pictures()), snn.predict(pictures()))


@pytest.fixture
def saved(tmp_path):
    return convert(tiny(), pictures(), scale=4.0).save(tmp_path / "tiny.npz")


def test_save_overwrites_only_when_told(saved):
    before = saved.read_bytes()
    other = convert(tiny(seed=1), pictures(), scale=4.0)
    with pytest.raises(FileExistsError, match=r"tiny\.npz exists; .*overwrite=True"):
        other.save(saved)
    assert saved.read_bytes() == before
    other.save(saved, overwrite=True)
    found = SpikingModel.load(saved).predict(pictures())
    assert same_bits(found, other.predict(pictures()))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz does not exist"):
        SpikingModel.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_truncated_file(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match="is not a spiking model, or is damaged"):
        SpikingModel.load(saved)


@pytest.mark.parametrize("content", [b"hello, this is a text file", b"\x80\x04N.", b"\0" * 500])
def test_file_that_is_no_zip(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a spiking model, or is damaged"):
        SpikingModel.load(path)


@pytest.mark.parametrize("place", [0.1, 0.25, 0.4, 0.55, 0.7])
def test_damaged_bytes_are_noticed(saved, place):
    content = bytearray(saved.read_bytes())
    at = int(place * len(content))
    content[at : at + 8] = bytes(b ^ 0xFF for b in content[at : at + 8])
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="is not a spiking model, or is damaged"):
        SpikingModel.load(saved)


def test_npz_of_another_kind(tmp_path):
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="is not a spiking model, or is damaged"):
        SpikingModel.load(tmp_path / "arrays.npz")


def rewrite_file(path, change=lambda header: None, **arrays):
    """The file again, its header changed and single arrays replaced."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    header = json.loads(str(content["header"]))
    change(header)
    np.savez(path, **{**content, "header": np.array(json.dumps(header)), **arrays})


def test_unchanged_rewrite_loads(saved):
    rewrite_file(saved)
    SpikingModel.load(saved)


@pytest.mark.parametrize(
    "header", [[1], {"format": "fsrepro spiking model 1"}], ids=["a list", "without a model"]
)
def test_malformed_header(tmp_path, header):
    np.savez(tmp_path / "header.npz", header=np.array(json.dumps(header)))
    with pytest.raises(ValueError, match=r"header\.npz"):
        SpikingModel.load(tmp_path / "header.npz")


def test_wrong_format(saved):
    rewrite_file(saved, lambda header: header.update(format="fsrepro spiking model 99"))
    with pytest.raises(ValueError, match="has format 'fsrepro spiking model 99', expected"):
        SpikingModel.load(saved)


class Trap:
    """Unpickling this raises an error that no test expects."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize("array", ["weight_0", "header"])
def test_pickles_are_refused_unread(saved, array):
    rewrite_file(saved, **{array: np.array([Trap()], dtype=object)})
    with pytest.raises(ValueError, match=r"is not a spiking model, or is damaged.*[Oo]bject"):
        SpikingModel.load(saved)


def test_unknown_layer_is_refused(saved):
    def change(header):
        header["model"]["layers"][1]["class_name"] = "Lambda"

    rewrite_file(saved, change)
    with pytest.raises(ValueError, match="names a layer of kind 'Lambda': refused"):
        SpikingModel.load(saved)


def test_function_hidden_in_an_admitted_layer_is_not_loaded(saved):
    hidden = keras.saving.serialize_keras_object(lambda x: x)

    def change(header):
        dense = next(e for e in header["model"]["layers"] if e["class_name"] == "Dense")
        dense["config"]["activation"] = hidden

    rewrite_file(saved, change)
    with pytest.raises(ValueError, match=r"is not a spiking model.*safe_mode"):
        SpikingModel.load(saved)


def test_weights_of_another_shape(saved):
    rewrite_file(saved, weight_0=np.zeros((2, 2), F))
    with pytest.raises(ValueError, match="shape"):
        SpikingModel.load(saved)


# --- refusals -----------------------------------------------------------------------------------


def refuse(message, *, error=ValueError, model=None, images=None, **options):
    model = tiny() if model is None else model
    images = pictures() if images is None else images
    with pytest.raises(error, match=message):
        convert(model, images, **options)


def test_no_calibration_images():
    refuse("the calibration images are empty", images=pictures(0))


def test_constant_calibration_images():
    refuse("calibration images are constant", images=np.full((5, 6, 6, 1), 0.5))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_calibration_images_that_are_not_finite(bad):
    images = pictures()
    images[3, 2, 1, 0] = bad
    refuse("the calibration images hold NaN or infinite values", images=images)


@pytest.mark.parametrize("shape", [(5, 6, 6), (5, 6, 7, 1), (5, 6, 6, 3), (6, 6, 1), ()])
def test_calibration_images_of_the_wrong_shape(shape):
    refuse(r"calibration images must have shape \(N, 6, 6, 1\), got", images=np.ones(shape))


def test_pre_activations_that_overflow():
    model = tiny()
    model.get_layer("c").kernel.assign(np.full((3, 3, 1, 4), 3e38))
    refuse("layer 'act' gives NaN or infinite values on the calibration", model=model)


def test_unknown_code():
    refuse(
        "unknown code 'unary'; choose one of binary, binary_floor, rate, mixed_radix", code="unary"
    )


@pytest.mark.parametrize("code", [3.5, 8, [1, 2]])
def test_code_of_the_wrong_type(code):
    refuse("code must be a name, a SpikeCode, a designer or a function", error=TypeError, code=code)


def test_steps_of_a_code_that_has_its_own():
    refuse(
        "steps=12 is for codes that go by name; the code given has steps of its own",
        code=lambda scale: binary(8, scale),
        steps=12,
    )


def test_function_of_more_than_the_scale():
    refuse(
        r"one argument, the scale \(.*'scale'\); .* pass lambda scale: code\(8, scale\)",
        error=TypeError,
        code=binary,
    )


def test_function_that_returns_no_code():
    refuse(r"code\(1.0\) must return a SpikeCode, got 2.0", error=TypeError, code=lambda s: 2 * s)


@pytest.mark.parametrize("steps", [0, 65, 2.5])
def test_bad_steps(steps):
    refuse("steps must be a whole number from 1 to 64", steps=steps)


def test_unknown_scale_rule():
    refuse("scale must be 'mse', 'max' or a number, got 'mean'", scale="mean")


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf])
def test_impossible_scale(scale):
    refuse(f"scale must be positive and finite, got {scale}", scale=scale)
    refuse("scale must be positive and finite", scale={"act": 1.0, "hidden_act": scale})


def test_scale_must_name_every_layer():
    refuse(r"missing \['hidden_act'\], unknown \[\]", scale={"act": 1.0})
    names = {"act": 1.0, "hidden_act": 1.0, "other": 1.0}
    refuse(r"missing \[\], unknown \['other'\]", scale=names)


WORDS = PrefixCode(["0", "10", "11"], [0, 1, 2], name="Huffman")


@pytest.mark.parametrize("code", [WORDS, lambda scale: ExponentMantissa(2, 2, scale)])
def test_codes_that_need_decoders(code):
    reason = "is not linear: its spikes cannot be read by a weighted sum.*with_decoders"
    refuse(reason, error=TypeError, code=code)
    refuse(reason, error=TypeError, code={"act": "binary", "hidden_act": code})


def test_code_must_name_every_layer():
    refuse(r"code must name every .* missing \['hidden_act'\]", code={"act": "binary"})


def test_criteria_exclude_each_other():
    refuse("spikes_per_neuron=0.1 and snr=30 exclude each", snr=30, spikes_per_neuron=0.1)
    refuse("snr=30 and scale='max' exclude each other", snr=30, scale="max")
    refuse("snr=0 and scale exclude", snr=0, scale={"act": 1.0, "hidden_act": 1.0})
    refuse("a designer has a scale of its own, or chooses it", code="mixed_radix", scale=2.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_criteria_must_be_finite(bad):
    refuse("snr must be finite, in dB, got", snr=bad)
    with pytest.raises(ValueError, match="penalty must be finite and at least 0, got"):
        plan(tiny(), pictures()).network(penalty=bad)


def test_snr_out_of_reach_names_the_layer():
    refuse(
        "layer 'act': no mixed radix of 2 steps reaches 60 dB", code="mixed_radix", steps=2, snr=60
    )
    refuse("layer 'act': no code tried reaches 60 dB", steps=2, snr=60)


def test_mixed_radix_of_too_many_steps():
    refuse("whole number from 1 to 18 for an exhaustive search", code="mixed_radix", steps=19)


def test_model_without_activations():
    inputs = keras.Input((6, 6, 1))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs)), name="linear")
    refuse("model 'linear' has no activation layer; there is nothing to replace", model=model)


def test_refusals_of_the_normal_form_come_through():
    refuse("expected a keras.Model, a torch.nn.Module or the path", error=TypeError, model=8)
    refuse("resnet8 must be an .onnx, .keras or .h5 file", model="resnet8")
    refuse("nothing.keras does not exist", error=FileNotFoundError, model="nothing.keras")


def test_the_same_synapses_with_other_codes(snn, trained, calibration_images, test_images):
    other = convert(trained, calibration_images, code="binary_floor", steps=5)
    found = snn.with_codes(other.codes)
    np.testing.assert_array_equal(found.predict(test_images), other.predict(test_images))
    assert {code.name for code in snn.codes.values()} != {c.name for c in found.codes.values()}
    with pytest.raises(ValueError, match="codes must name every activation layer; missing"):
        snn.with_codes({})


def test_sums_in_double_precision(tmp_path):
    """The same network; a potential is the float32 nearest to the exact sum."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(20, 8, 8, 3)).astype(np.float32)
    model = small_cnn((8, 8, 3), 4, seed=1)
    snn = convert(model, x, code=lambda a: binary(6, 0.7 * a), scale="max")
    double = snn.in_double_precision()
    double.save(tmp_path / "double.fs")
    assert double.codes == snn.codes
    for one in (double, SpikingModel.load(tmp_path / "double.fs")):
        outputs = one.predict(x)
        assert outputs.dtype == np.float64
        np.testing.assert_allclose(outputs, snn.predict(x), atol=0.05)
        np.testing.assert_array_equal(outputs, double.predict(x))
        for old, new in zip(snn.keras_model.weights, one.keras_model.weights, strict=True):
            np.testing.assert_array_equal(old, new)
    # The first sum, in NumPy: 3 x 3 windows of the padded picture.
    first = next(layer for layer in double.keras_model.layers if layer.get_weights())
    kernel, bias = (np.asarray(weight, np.float64) for weight in first.get_weights())
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    exact = np.einsum("nhwcij,ijcf->nhwf", windows, kernel) + bias
    name, code = next(iter(double.codes.items()))
    np.testing.assert_array_equal(
        double.spike_trains(x)[name], code.encode(exact.astype(np.float32))
    )
    report, same = evaluate(snn, x), evaluate(double, x)
    assert same.spikes_per_neuron == pytest.approx(report.spikes_per_neuron, rel=1e-3)
    assert double.with_codes(double.codes).predict(x).dtype == np.float64
