"""Files made to take all memory or time, or to reach what others use: refused in one line.

    python tests/robustness/crafted.py

What is wrong is printed as JSON, and the exit code is 1.
"""

import io
import json
import pickle
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
from formats import READ, WRITTEN, network, onnx_network
from onnx import TensorProto, helper

from fsrepro.experiments.sweep import _HEADER, _short

DEEP = 100_000
QUICK = 5.0  # seconds, on a busy machine; by itself a tenth of it
MEGABYTES = 300  # more than before


def npy(shape, dtype="<f4", content=b""):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    header = header.ljust(118 - 10).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(method=zipfile.ZIP_DEFLATED, **members) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


def text(value) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(value))
    return stream.getvalue()


def spiking(good: Path):
    with np.load(good) as file:
        members = {f"{name}.npy": text(file[name]) for name in file.files}
    header = json.loads(str(np.load(io.BytesIO(members["header.npy"]))))
    layers = header["model"]["layers"]
    conv = next(i for i, layer in enumerate(layers) if layer["class_name"] == "Conv2D")
    neuron = next(i for i, layer in enumerate(layers) if layer["class_name"] == "FewSpikes")

    def with_header(change) -> bytes:
        changed = json.loads(json.dumps(header))
        change(changed["model"]["layers"], changed)
        return zipped(**members | {"header.npy": text(json.dumps(changed))})

    nested = "[" * DEEP + "]" * DEEP
    yield "nested header", zipped(**members | {"header.npy": text(nested)})
    yield (
        "nested in a layer",
        zipped(**members | {"header.npy": text('{"a":' * 900 + "1" + "}" * 900)}),
    )
    yield "4 TB declared", zipped(**members | {"weight_0.npy": npy((10**6, 10**6))})
    yield "negative sizes", zipped(**members | {"weight_0.npy": npy((-1, 4))})
    yield "bomb", zipped(**members | {"weight_0.npy": npy((10**9,), "|u1", b"\0" * 10**8)})
    yield "too much of an array", zipped(**members | {"weight_0.npy": npy((1,), "<f4", b"\0" * 99)})
    yield "packed by LZMA", zipped(zipfile.ZIP_LZMA, **members)
    yield "pickled", zipped(**members | {"weight_0.npy": npy((1,), "|O", pickle.dumps([1]))})
    for name, wrong in {"nan": np.nan, "text": "a", "complex": 1j, "double": 1.0}.items():
        yield f"weights: {name}", zipped(**members | {"weight_0.npy": text(np.full(3, wrong))})
    yield (
        "10^9 filters",
        with_header(lambda layers, _: layers[conv]["config"].update(filters=10**9)),
    )
    yield (
        "10^9 inputs",
        with_header(lambda layers, _: layers[0]["config"].update(batch_shape=[None, 4, 4, 10**9])),
    )
    yield (
        "code of NaN",
        with_header(
            lambda layers, _: layers[neuron]["config"]["code"].update(weight=[float("nan")] * 4)
        ),
    )
    yield (
        "code of no numbers",
        with_header(lambda layers, _: layers[neuron]["config"]["code"].update(name={"a": 1})),
    )
    yield "no layers", with_header(lambda layers, _: layers.clear())
    yield "scale of NaN", with_header(lambda _, all: all.update(scales={"conv": float("nan")}))
    yield "scales of no numbers", with_header(lambda _, all: all.update(scales={"conv": [1]}))
    yield "unknown task", with_header(lambda _, all: all.update(task={"name": "chess"}))
    yield "infinite inputs", with_header(lambda _, all: all.update(inputs=[0, float("inf")]))


def training(good: Path):
    with np.load(good) as file:
        members = {f"{name}.npy": text(file[name]) for name in file.files}
    yield "4 TB declared", zipped(**members | {"array_0.npy": npy((10**6, 10**6))})
    yield "nan", zipped(**members | {"array_0.npy": text(np.full((3, 3, 1, 3), np.nan))})
    yield "too few arrays", zipped(**dict(list(members.items())[:-1]))
    yield (
        "recipe of no names",
        zipped(**members | {"header.npy": text('{"format": "fsrepro training 1", "recipe": 3}')}),
    )


def checkpoint(good: Path):
    yield "without a card", good.read_bytes()[:-71]


def sweep(good: Path):
    nested = (b"[" * DEEP) + (b"]" * DEEP)
    for name, line in {"nested": nested, "a number": b"1", "no row": b'["k", 3, 1]'}.items():
        yield name, _HEADER + line + b"\t" + _short(line).encode() + b"\n"


def result(good: Path):
    yield "nested", b"[" * DEEP
    yield "a list", b"[]"
    yield "without provenance", b'{"headline": {}}'
    yield "no text", b"\xff\xfe"


def arrays(good: Path):
    yield "4 TB declared", npy((10**6, 10**6))
    yield "object", npy((1,), "|O", pickle.dumps([1]))
    yield "nested header", b"\x93NUMPY\x02\x00" + struct.pack("<I", DEEP) + b"(" * DEEP
    yield "zip of an other", zipped(**{"images.npy": b"hello"})
    yield "bomb in a zip", zipped(**{"images.npy": npy((10**12,), "|u1", b"\0" * 10**7)})


def keras_file(good: Path):
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])

    def with_config(change):
        changed = json.loads(json.dumps(config))
        change(changed["config"]["layers"])
        return zipped(**members | {"config.json": json.dumps(changed)})

    yield "nested", zipped(**members | {"config.json": "[" * DEEP})
    yield "10^9 filters", with_config(lambda layers: layers[1]["config"].update(filters=10**9))
    yield (
        "10^9 inputs",
        with_config(lambda layers: layers[0]["config"].update(batch_shape=[None, 4, 4, 10**9])),
    )
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("huge", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    yield "4 TB declared", zipped(**members | {"model.weights.h5": stream.getvalue()})
    yield "no HDF5", zipped(**members | {"model.weights.h5": b"hello"})
    yield "bomb", zipped(**members | {"more": b"\0" * 10**8, "config.json": b"{}"})


def onnx_file(good: Path):
    def changed(change) -> bytes:
        model = onnx.ModelProto.FromString(onnx_network(0))
        change(model.graph)
        return model.SerializeToString()

    def large_constant(graph):
        size = helper.make_tensor("size", TensorProto.INT64, [1], [10**12])
        graph.initializer.append(size)
        graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["large"]))
        graph.node[-1].input[1] = "large"

    def repeated(graph):
        graph.initializer.append(helper.make_tensor("times", TensorProto.INT64, [2], [10**6] * 2))
        graph.node.insert(0, helper.make_node("Tile", ["matrix", "times"], ["large"]))
        graph.node[-1].input[1] = "large"

    def expanded(graph):
        graph.initializer.append(helper.make_tensor("to", TensorProto.INT64, [3], [10**6, 12, 3]))
        graph.node.insert(0, helper.make_node("Expand", ["matrix", "to"], ["large"]))
        graph.node[-1].input[1] = "large"

    def ranged(graph):
        for name, value in {"a": 0, "b": 10**12, "c": 1}.items():
            graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [], [value]))
        graph.node.insert(0, helper.make_node("Range", ["a", "b", "c"], ["large"]))
        graph.node[-1].input[1] = "large"

    def dims(graph):
        graph.initializer[0].dims[:] = [10**6, 1, 10**3, 10**3]

    def nan(graph):
        graph.initializer[0].raw_data = np.full((3, 1, 3, 3), np.nan, np.float32).tobytes()

    def outside(graph):
        tensor = graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": "../../../../etc/passwd", "length": "10"}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    def kernel(graph):
        graph.node[0].attribute.append(helper.make_attribute("strides", [10**9, 10**9]))
        graph.node[0].attribute.append(helper.make_attribute("pads", [10**9] * 4))

    changes = large_constant, repeated, expanded, ranged, dims, nan, outside, kernel
    for change in changes:
        yield change.__name__, changed(change)
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("q", 1, None)])
    for _ in range(60):
        node = helper.make_node("If", ["condition"], ["q"], then_branch=body, else_branch=body)
        if node.ByteSize() > 2**22:
            break
        body = helper.make_graph([node], "body", [], [helper.make_tensor_value_info("q", 1, None)])
    yield "nested branches", changed(lambda graph: graph.node.insert(0, node))


def torch_file(good: Path):
    def pickled(instructions: bytes) -> bytes:
        return zipped(**{"net__data.pkl": instructions, "net__data__0": b"\0" * 16})

    yield "nested dicts", pickled(b"\x80\x02" + shared_dicts(40) + b".")
    yield "nested tuples as a name", pickled(b"\x80\x02}" + b")" + b"q\0h\0\x86" * 60 + b"K\1s.")
    yield "deep tuples as a name", pickled(b"\x80\x02})" + b"\x85" * DEEP + b"K\1s.")
    yield "a memo of gigabytes", pickled(b"\x80\x02}r\xff\xff\xff\xff.")
    yield "a text of exabytes", pickled(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a.")
    yield "a number of gigabytes", pickled(b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.")
    yield "too many instructions", pickled(b"\x80\x02" + b"N0" * 5_000_000 + b"}.")
    yield "no end", pickled(b"\x80\x02}")
    yield "nothing", pickled(b"\x80\x02.")
    yield "expanded", pickled(tensor(shape=(10**6, 10**6), stride=(0, 0)))
    yield "negative", pickled(tensor(shape=(-1, 4), stride=(1, 1)))
    yield "many texts", pickled(tensor(shape=("a",), stride=(1,)))
    yield (
        "changes what is admitted",
        pickled(b"\x80\x02ctorch\nFloatStorage\n}X\5\0\0\0dtypeX\3\0\0\0<i4sb."),
    )
    yield "bomb", zipped(**{"net__data.pkl": b"\x80\x02}.", "net__data__0": b"\0" * 10**9})


def shared_dicts(levels: int) -> bytes:
    """{"a": d, "b": d} where d is the same, and so on."""
    body = b"}"
    for level in range(levels):
        place = bytes([level])
        body += b"q" + place + b"0}" + b"(U\1ah" + place + b"U\1bh" + place + b"u"
    return body


def tensor(shape, stride) -> bytes:
    return (
        b"\x80\x02}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
        b"ctorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuK\4tQK\0"
        + pickle.dumps(shape, 2)[2:-1] + pickle.dumps(stride, 2)[2:-1]
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def labels(good: Path):
    yield "no text", b"\xff\xfe\0"
    yield "a quote without an end", b'file,wnid\n"' + b"a" * 10**6
    yield "one long line", b"," * 10**6
    yield "zero in a name", b"file,class\na\0b.png,1\n"


KINDS = {
    "spiking model": spiking, "training": training, "checkpoint": checkpoint, "sweep": sweep,
    "results": result, "images": arrays, "samples": arrays, "Keras": keras_file, "ONNX": onnx_file,
    "PyTorch": torch_file, "labels": labels,
}  # fmt: skip


def main() -> list[str]:
    faults = []
    formats = {kind.name: kind for kind in (*WRITTEN, *READ)}
    for name, crafted in KINDS.items():
        kind = formats[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, kind.file)
            kind.write(path, 1)
            expected = kind.read(path)  # and all is warm
            for what, content in list(crafted(path)):
                path.write_bytes(content)
                if name == "checkpoint":
                    path.with_name("net.json").unlink(missing_ok=True)
                before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.time()
                try:
                    found = kind.read(path)
                    if name != "sweep" or found != expected:  # which computes damaged rows again
                        faults.append(f"{name}, {what}: accepted")
                except (ValueError, OSError) as error:
                    if "\n" in str(error) or path.name.split(".")[0] not in str(error):
                        faults.append(f"{name}, {what}: refused with {str(error)!r}")
                except BaseException as error:
                    faults.append(f"{name}, {what}: {type(error).__name__}: {error}")
                if (seconds := time.time() - start) > QUICK:
                    faults.append(f"{name}, {what}: took {seconds:.1f} s")
                more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                if more > 1024 * MEGABYTES:
                    faults.append(f"{name}, {what}: took {more // 1024} MB")
            path.unlink(missing_ok=True)
            kind.write(path, 1)
            if kind.read(path) != expected:
                faults.append(f"{name}: a good file is read otherwise afterwards")
    return faults


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    network(0)
    found = main()
    print(json.dumps(found, indent=1))
    sys.exit(bool(found))
