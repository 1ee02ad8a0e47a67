"""Every kind of file that the project writes or reads, for tests that cut, kill, fill and share.

Each format writes one of two versions of a small content, and reads it back as something that can
be compared.
"""

import hashlib
import json
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scripts import script
from test_import_torch import tensors_of, torch_modules, write_legacy, write_zip

from fsrepro import archive, frontends
from fsrepro.conversion import SpikingModel, convert
from fsrepro.experiments import datasets, models, pictures, results
from fsrepro.experiments.models.torch_file import read_tensors
from fsrepro.experiments.sweep import Sweep
from fsrepro.files import atomic, write_table
from fsrepro.training import checkpointing

matplotlib.use("agg")
plt.rcParams["svg.hashsalt"] = "the same names of parts"
VERSIONS = (0, 1)


@dataclass(frozen=True)
class Format:
    """``write(path, version)`` and ``read(path)``, which gives what can be compared.

    ``noticed``: whether any change of a byte is, because there are checksums.
    """

    name: str
    file: str
    write: Callable
    read: Callable
    noticed: bool = True


@cache
def network(version: int) -> keras.Model:
    keras.utils.set_random_seed(version)
    inputs = keras.Input((4, 4, 1), name="pixels")
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(x), name="small")
    model.compile("sgd", "mse")
    return model


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(8, 4, 4, 1)).astype(np.float32)


@cache
def spiking(version: int) -> SpikingModel:
    return convert(network(version), images(), steps=4)


def weights_of(model) -> str:
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


# --- what the project writes ---------------------------------------------------------------------


def _read_spiking(path):
    snn = SpikingModel.load(path)
    config = json.dumps(snn.keras_model.get_config(), sort_keys=True)
    return weights_of(snn.keras_model), config, snn.scales, snn.task, snn.inputs, snn.budget


def _write_checkpoint(path, version):
    models.save_checkpoint(network(version), path, {"version": version})


def _read_checkpoint(path):
    model = keras.models.clone_model(network(0))
    card = models.load_checkpoint(model, path)
    return weights_of(model), card["version"]


RECIPE = {"epochs": 3, "weights": "w"}


def _write_training(path, version):
    checkpointing.save(network(version), path, RECIPE, [{"epoch": 1, "loss": 0.1 * version}])


def _read_training(path):
    model = keras.models.clone_model(network(0))
    model.compile("sgd", "mse")
    history = checkpointing.resume(model, path, dict(RECIPE))
    return weights_of(model), json.dumps(history)


def row(n):
    return {"y": n / 3, "text": "é" * 1000 * n}


def _write_sweep(path, version):
    """Version 0 is the beginning of version 1."""
    Sweep(path, data="d").table("t", [{"n": n} for n in range(3 + 3 * version)], row)


def _read_sweep(path):
    """What a restart finds and computes; of a copy, since it would write."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        return Sweep(copy, data="d").table("t", [{"n": n} for n in range(6)], row).to_json()


def _result_parts(version):
    columns = dict.fromkeys(results.HEADLINE_COLUMNS, version)
    columns = {k: v for k, v in columns.items() if k not in ("experiment", "commit")}
    tables = {
        "": pd.DataFrame({"x": np.arange(20) / 7 + version}),
        "more": pd.DataFrame({"y": [version]}),
    }
    return {"tables": tables, "headline": {"v": version / 3}, "headline_rows": [columns]}


def _write_results(path, version):
    data = {"data_sha256": "0"}
    results.write(path.parent, "01_x", parameters={}, data=data, **_result_parts(version))


def _read_results(path):
    headline = results.read(path.parent, "01_x")["headline"]
    rows = pd.read_csv(path.parent / "headline.csv", dtype=str)["images"].tolist()
    return headline, results.table(path.parent, "01_x", "more").to_csv(), rows, path.stem


def _table(version):
    return pd.DataFrame({"a": np.arange(50) + version, "b": "text"})


def _write_figure(path, version):
    figure, axes = plt.subplots()
    axes.plot(np.sin(np.arange(300) + version))
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Date": None})
    plt.close(figure)


def _write_nir(path, version):
    spiking(version).to_nir()
    from fsrepro import export

    export.write_nir(spiking(version), path, overwrite=True)


def _read_nir(path):
    import nir

    graph = nir.read(path)
    weights = [node.weight for node in graph.nodes.values() if hasattr(node, "weight")]
    return sorted(graph.nodes), [float(weight.sum()) for weight in weights]


WRITTEN = [
    Format(
        "spiking model", "net.fs",
        lambda path, version: spiking(version).save(path, overwrite=True), _read_spiking,
    ),
    Format("checkpoint", "net.weights.h5", _write_checkpoint, _read_checkpoint),
    Format("training", "net.training", _write_training, _read_training),
    Format("sweep", "rows.sweep", _write_sweep, _read_sweep),
    Format("results", "01_x.json", _write_results, _read_results),
    Format(
        "table", "table.csv",
        lambda path, version: write_table(_table(version), path, overwrite=True),
        Path.read_bytes, noticed=False,
    ),
    Format(
        "list", "table.json",
        lambda path, version: write_table(_table(version), path, overwrite=True),
        Path.read_bytes, noticed=False,
    ),
    Format("figure", "figure.svg", _write_figure, Path.read_bytes, noticed=False),
    Format("NIR", "net.nir", _write_nir, _read_nir, noticed=False),
    Format(
        "codes of the book", "codes.js",
        lambda path, version: script("book/export_codes.py").write(path),
        Path.read_bytes, noticed=False,
    ),
]  # fmt: skip


# --- what it reads of others ---------------------------------------------------------------------


def _content(array):
    return {
        name: (value.dtype.str, value.shape, value.tobytes())
        for name, value in (array.items() if isinstance(array, dict) else [("", array)])
    }


def _read_network(path):
    return weights_of(frontends.read(path, images()).graph)


def _write_h5(path, version):
    import logging

    logging.getLogger("absl").setLevel("ERROR")  # Keras would rather write .keras
    network(version).save(path)


@cache
def onnx_network(version):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(version)
    weights = {
        "kernel": rng.normal(size=(3, 1, 3, 3)),
        "matrix": rng.normal(size=(12, 3)),
        "shape": np.array([-1, 12]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Reshape", ["r", "shape"], ["f"]),
        helper.make_node("MatMul", ["f", "matrix"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [
            numpy_helper.from_array(v if name == "shape" else v.astype(np.float32), name)
            for name, v in weights.items()
        ],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()


def _read_onnx(path):
    return weights_of(frontends.read(path, images().transpose(0, 3, 1, 2)).graph)


def _tensors(version):
    arrays = {"conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4) + version}
    return tensors_of(arrays | {"conv.bias": np.float64([1.5, -2])})


def _write_torch(writer):
    def write(path, version):
        with torch_modules():
            writer(path, *_tensors(version))

    return write


def _write_cifar(path, version):
    batch = {
        b"data": np.random.default_rng(version).integers(0, 256, (5, 3072)).astype(np.uint8),
        b"labels": list(range(5)),
    }
    path.write_bytes(pickle.dumps(batch, 3))
    datasets.CIFAR10_FILES[path.name] = hashlib.md5(path.read_bytes()).hexdigest()


def _write_labels(path, version):
    wnids = pictures.imagenet_classes()["wnid"]
    rows = [f"{n}.png,{wnids[n + version]}" for n in range(5)]
    for n in range(5):
        (path.parent / f"{n}.png").touch()
    path.write_text("\n".join(["file,wnid", *rows]) + "\n")


def _read_labels(path):
    found = pictures.from_table(path)
    return [str(file) for file in found.files], found.labels.tolist()


READ = [
    Format(
        "images", "images.npz",
        lambda path, version: np.savez(path, images=images() + version, labels=np.arange(8)),
        lambda path: _content(archive.read_arrays(path)),
    ),
    Format(
        "packed images", "packed.npz",
        lambda path, version: np.savez_compressed(path, images=np.zeros((99, 9)) + version),
        lambda path: _content(archive.read_arrays(path)),
    ),
    Format(
        "samples", "samples.npy", lambda path, version: np.save(path, images() + version),
        lambda path: _content(archive.read_arrays(path)), noticed=False,
    ),
    Format(
        "Keras", "model.keras", lambda path, version: network(version).save(path), _read_network,
    ),
    Format("Keras, HDF5", "model.h5", _write_h5, _read_network, noticed=False),
    Format(
        "ONNX", "model.onnx", lambda path, version: path.write_bytes(onnx_network(version)),
        _read_onnx, noticed=False,
    ),
    Format(
        "PyTorch", "model.pt", _write_torch(write_zip), lambda path: _content(read_tensors(path)),
    ),
    Format(
        "old PyTorch", "model.th", _write_torch(write_legacy),
        lambda path: _content(read_tensors(path)), noticed=False,
    ),
    Format(
        "CIFAR-10", "data_batch_1", _write_cifar,
        lambda path: [part.tobytes() for part in datasets._read_cifar10_batch(path)],
    ),
    Format("labels", "labels.csv", _write_labels, _read_labels, noticed=False),
]  # fmt: skip
