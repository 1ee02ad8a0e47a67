"""PyTorch checkpoints: read without PyTorch, nothing in them run, every mismatch named."""

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from contextlib import contextmanager
from unittest.mock import patch

import keras
import numpy as np
import pytest

from fsrepro.conversion import normal_form
from fsrepro.experiments.models import import_torch, resnet
from fsrepro.experiments.models._import_torch import _torch_names, resnet_torch_name
from fsrepro.experiments.models.torch_file import read_tensors

MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
    """What a pickle of PyTorch refers to, outside of the pickle."""

    def __init__(self, key, kind, data):
        self.key, self.kind, self.data = key, kind, data


class Tensor:
    def __init__(self, storage, offset, shape, stride, version="_rebuild_tensor_v2"):
        self.arguments = (storage, offset, shape, stride)
        self.version = version

    def __reduce__(self):
        rebuild = getattr(sys.modules["torch._utils"], self.version)
        if self.version == "_rebuild_tensor":
            return rebuild, self.arguments
        return rebuild, (*self.arguments, False, OrderedDict())


class TorchPickler(pickle.Pickler):
    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        kind = getattr(sys.modules["torch"], value.kind)
        return ("storage", kind, value.key, "cpu", len(value.data))


@contextmanager
def torch_modules():
    """Modules with the names that PyTorch pickles; nothing behind them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "DoubleStorage", "HalfStorage", "LongStorage", "QInt8Storage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
        function = types.FunctionType((lambda *_: None).__code__, {})
        function.__name__ = function.__qualname__ = name
        function.__module__ = "torch._utils"
        setattr(utils, name, function)
    with patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        yield


@pytest.fixture
def torch_names():
    with torch_modules():
        yield


KINDS = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}


def tensors_of(arrays, **options):
    stored, tensors = [], OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        array = np.asarray(array)
        storage = Storage(str(number), KINDS[array.dtype.str], array.ravel())
        stride = tuple(s // array.itemsize for s in np.empty(array.shape, array.dtype).strides)
        tensors[name] = Tensor(storage, 0, array.shape, stride, **options)
        stored.append(storage)
    return tensors, stored


def pickled(value):
    stream = io.BytesIO()
    TorchPickler(stream, 2).dump(value)
    return stream.getvalue()


def write_zip(path, content, stored, order=b"little"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("network/data.pkl", pickled(content))
        archive.writestr("network/byteorder", order)
        for storage in stored:
            archive.writestr(f"network/data/{storage.key}", storage.data.tobytes())
    return path


def write_legacy(path, content, stored):
    parts = [pickled(part) for part in (MAGIC, 1001, {"little_endian": True}, content)]
    parts.append(pickled([storage.key for storage in stored]))
    for storage in stored:
        parts += [struct.pack("<q", len(storage.data)), storage.data.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


WRITERS = pytest.mark.parametrize("write", [write_zip, write_legacy], ids=["zip", "legacy"])
ARRAYS = {
    "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "module.b": np.float64([1.5, -2]),
    "c.half": np.float16([[0.5]]),
    "count": np.int64(7),
    "empty": np.zeros((0, 3), np.float32),
}


@WRITERS
@pytest.mark.parametrize("version", ["_rebuild_tensor", "_rebuild_tensor_v2"])
@pytest.mark.parametrize("wrap", [None, "state_dict", "model"])
def test_round_trip(write, version, wrap, tmp_path, torch_names):
    tensors, stored = tensors_of(ARRAYS, version=version)
    content = {wrap: tensors, "epoch": 3} if wrap else tensors
    found = read_tensors(write(tmp_path / "network.pt", content, stored))
    assert list(found) == ["a", "b", "c.half", "count", "empty"]
    for value, expected in zip(found.values(), ARRAYS.values(), strict=True):
        assert value.dtype == expected.dtype
        assert value.shape == expected.shape
        assert (value == expected).all()


@WRITERS
def test_views_of_one_storage(write, tmp_path, torch_names):
    storage = Storage("0", "FloatStorage", np.arange(12, dtype=np.float32))
    tensors = {"row": Tensor(storage, 4, (4,), (1,)), "turned": Tensor(storage, 0, (4, 3), (1, 4))}
    found = read_tensors(write(tmp_path / "network.pt", tensors, [storage]))
    assert found["row"].tolist() == [4, 5, 6, 7]
    assert (found["turned"] == np.arange(12).reshape(3, 4).T).all()


class Trap:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@WRITERS
@pytest.mark.parametrize("place", ["beside", "inside", "alone"])
@pytest.mark.parametrize(
    "call", [os.system, eval, os.mkdir, getattr], ids=["system", "eval", "mkdir", "getattr"]
)
def test_code_in_a_pickle_is_refused_and_not_run(write, place, call, tmp_path, torch_names):
    witness = tmp_path / "ran"
    arguments = {
        os.system: (f"touch {witness}",),
        eval: (f"open({str(witness)!r}, 'w')",),
        os.mkdir: (str(witness),),
        getattr: (OrderedDict, "fromkeys"),
    }[call]
    tensors, stored = tensors_of(ARRAYS)
    trap = Trap(call, *arguments)
    content = {"beside": {**tensors, "z": trap}, "inside": {"model": {"z": [trap]}}, "alone": trap}
    path = write(tmp_path / "network.pt", content[place], stored)
    with pytest.raises(ValueError, match=r"names \S+, which is no tensor: refused, and nothing"):
        read_tensors(path)
    assert not witness.exists()


@WRITERS
def test_storages_we_do_not_know_are_named(write, tmp_path, torch_names):
    storage = Storage("0", "QInt8Storage", np.int8([1]))
    path = write(tmp_path / "network.pt", {"a": Tensor(storage, 0, (1,), (1,))}, [storage])
    with pytest.raises(ValueError, match=r"names torch\.QInt8Storage"):
        read_tensors(path)


@WRITERS
def test_truncated_anywhere(write, tmp_path, torch_names):
    tensors, stored = tensors_of(ARRAYS)
    path = write(tmp_path / "network.pt", tensors, stored)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"network\.pt is not a PyTorch checkpoint, or is damaged"
        ):
            read_tensors(path)


@WRITERS
@pytest.mark.parametrize(
    "view",
    [((5,), (1,), 0), ((2, 2), (4, 1), 0), ((4,), (1,), 1), ((2,), (1,), -3), ((2,), (-1,), 1)],
)
def test_tensors_larger_than_their_storage(write, view, tmp_path, torch_names):
    shape, stride, offset = view
    storage = Storage("0", "FloatStorage", np.arange(4, dtype=np.float32))
    path = write(tmp_path / "n.pt", {"a": Tensor(storage, offset, shape, stride)}, [storage])
    with pytest.raises(ValueError, match=r"larger than its storage|negative"):
        read_tensors(path)


def test_other_files(tmp_path, torch_names):
    path = tmp_path / "network.pt"
    with pytest.raises(FileNotFoundError, match=r"network\.pt does not exist"):
        read_tensors(path)
    path.write_text("weights")
    with pytest.raises(ValueError, match="is not a PyTorch checkpoint, or is damaged"):
        read_tensors(path)
    with pytest.raises(ValueError, match="holds no state dict"):
        read_tensors(write_zip(path, [1, 2], []))
    with pytest.raises(ValueError, match="holds a dict without tensors"):
        read_tensors(write_zip(path, {"epoch": 3}, []))
    with pytest.raises(ValueError, match="byte order b'big' is not supported"):
        read_tensors(write_zip(path, *tensors_of(ARRAYS), order=b"big"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(ValueError, match=r"a zip without one data\.pkl"):
        read_tensors(path)


# --- into a network -------------------------------------------------------------------------------

OPTIONS = {"shortcut": "identity", "padding": "symmetric", "epsilon": 1e-5}


def state_dict(model):
    """The weights of a Keras ResNet under the names and in the order of PyTorch."""
    arrays = {}
    for layer in model.layers:
        for variable, name in _torch_names(layer, resnet_torch_name).items():
            value = np.asarray(getattr(layer, variable))
            order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim, (0,))
            arrays[name] = np.ascontiguousarray(value.transpose(order))
    return arrays


def random_network(seed=3, **options):
    model = resnet(8, width=4, image_shape=(8, 8, 3), **{**OPTIONS, **options})
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture
def checkpoint(tmp_path, torch_names):
    arrays = state_dict(random_network())
    arrays["bn1.num_batches_tracked"] = np.int64(1)

    def write(**changes):
        changed = {k: v for k, v in {**arrays, **changes}.items() if v is not None}
        return write_legacy(tmp_path / "network.th", *tensors_of(changed))

    return write


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_imported_network_computes_what_the_exported_one_did(shortcut, tmp_path, torch_names):
    source = random_network(shortcut=shortcut)
    path = write_zip(tmp_path / "network.pt", *tensors_of(state_dict(source)))
    model = random_network(seed=9, shortcut=shortcut)
    import_torch(model, path)
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    assert (model.predict_on_batch(x) == source.predict_on_batch(x)).all()


def test_other_names_for_the_same_tensors(tmp_path, torch_names):
    source = random_network(shortcut="projection")
    arrays = {
        f"module.{k}".replace("shortcut", "downsample").replace("linear", "fc"): v
        for k, v in state_dict(source).items()
    }
    model = random_network(seed=9, shortcut="projection")
    import_torch(model, write_zip(tmp_path / "network.pt", *tensors_of(arrays)))
    for a, b in zip(model.get_weights(), source.get_weights(), strict=True):
        assert (a == b).all()


def test_first_mismatch_is_named_and_nothing_is_loaded(checkpoint):
    model = random_network(seed=9)
    before = model.get_weights()

    def refused(message, **changes):
        with pytest.raises(ValueError, match=message):
            import_torch(model, checkpoint(**changes))
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))

    conv = "layer2.0.conv1.weight"
    refused(f"has no tensor '{conv}' for layer 'stage2_block1_1_conv'", **{conv: None})
    refused(
        rf"tensor '{conv}' of .* has shape \(8, 4, 1, 1\), layer 'stage2_block1_1_conv' of model "
        r"'resnet8' needs \(8, 4, 3, 3\)",
        **{conv: np.ones((8, 4, 1, 1), np.float32)},
    )
    refused("tensor 'linear.bias' .* NaN", **{"linear.bias": np.full(10, np.nan, np.float32)})
    refused("has a tensor 'layer4.0.conv1.weight' that", **{"layer4.0.conv1.weight": np.ones(2)})


def test_a_deeper_checkpoint_does_not_fit(checkpoint):
    model = resnet(14, width=4, image_shape=(8, 8, 3), **OPTIONS)
    with pytest.raises(ValueError, match=r"has no tensor 'layer1\.1\.conv1\.weight'"):
        import_torch(model, checkpoint())


def test_networks_of_another_kind(checkpoint):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.LayerNormalization(name="norm")(inputs))
    with pytest.raises(ValueError, match=r"layer 'norm' \(LayerNormalization\) has no counterpart"):
        import_torch(model, checkpoint())


# --- what PyTorch does unlike Keras --------------------------------------------------------------


@pytest.mark.parametrize("padding, pixel", [("same", 1), ("symmetric", 0)])
def test_where_a_convolution_with_stride_two_looks(padding, pixel):
    model = resnet(8, width=2, image_shape=(8, 8, 1), **{**OPTIONS, "padding": padding})
    conv = model.get_layer("stage2_block1_1_conv")
    kernel = np.zeros(conv.kernel.shape)
    kernel[1, 1] = 1  # the middle alone
    conv.kernel.assign(kernel)
    before = model.get_layer("stage1_block1_act").output
    found = keras.Model(model.inputs, [before, conv.output])
    x, y = found.predict_on_batch(np.random.default_rng(0).normal(size=(1, 8, 8, 1)))
    assert y[0, :, :, 0] == pytest.approx(x[0, pixel::2, pixel::2].sum(-1), rel=1e-5)


def test_identity_shortcut():
    model = resnet(8, width=4, image_shape=(8, 8, 1), **OPTIONS)
    before = model.get_layer("stage1_block1_act").output
    after = model.get_layer("stage2_block1_shortcut_channels").output
    found = keras.Model(model.inputs, [before, after])
    x, y = found.predict_on_batch(np.random.default_rng(0).normal(size=(1, 8, 8, 1)))
    assert (y[..., 2:6] == x[:, ::2, ::2]).all()
    assert not y[..., :2].any()
    assert not y[..., 6:].any()


def test_these_networks_have_a_normal_form():
    model = random_network()
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    expected = model.predict_on_batch(x)
    assert normal_form(model).predict_on_batch(x) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("options", [{"shortcut": "A"}, {"padding": "valid"}])
def test_options_that_do_not_exist(options):
    with pytest.raises(ValueError, match=r"must be .* or .*, got"):
        resnet(8, **options)
