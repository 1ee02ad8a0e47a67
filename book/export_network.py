"""Write the networks of the page "A network to play with" as a file that a browser reads.

    python book/export_network.py    # trains, converts -> book/static/network/network.js

A small CNN, trained on the digits of scikit-learn, is converted under each budget with its picture
in spikes too, and quantised to as few bits as answer no worse. Weights and biases are then rounded
to multiples of ``UNIT``. Scales of codes have few digits anyway, so every sum of float64 is exact,
in whatever order it is added: the browser has to send the spikes of ``in_double_precision``, all of
them. It gets a digest of each layer's to compare.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from keras import layers

from fsrepro import SpikingModel
from fsrepro.experiments import datasets
from fsrepro.experiments.notebook import Study
from fsrepro.experiments.rivals import quantised_ann
from fsrepro.files import write_text
from fsrepro.networks.kinds import WEIGHTED_LAYERS
from fsrepro.networks.population import Population

OUTPUT = Path(__file__).parent / "static" / "network" / "network.js"
BUDGETS = (0.1, 0.2, 0.4, 0.8)  # spikes per neuron
STEPS = 8
BITS = (1, 2, 3, 4)  # of quantised activations
PICTURES = 100
UNIT = 2.0**-10
INKS = "0123456789abcdefg"  # of a cell, 0 to 16
NAMES = {
    "image": "picture", "conv1": "first convolution", "conv2": "second convolution",
    "dense1": "dense layer", "logits": "outputs",
}  # fmt: skip
TABLES = ("threshold", "reset", "weight")


def study() -> Study:
    """The trained network and its digits, from 0, which is silence, to 1."""
    data = replace(datasets.digits(), name="digits from 0 to 1", mean=np.zeros(1), std=np.ones(1))
    return Study.of(data, "small_cnn", images=len(data.test), epochs=20, width=8)


def exact(snn: SpikingModel, unit: float = UNIT) -> SpikingModel:
    """``snn`` with weights and biases that are multiples of ``unit``, added up in float64."""
    for layer in snn.keras_model.layers:
        layer.set_weights([np.rint(w / unit) * unit for w in layer.get_weights()])
    return snn.in_double_precision()


def spiking(on: Study) -> list[SpikingModel]:
    """A network for each budget."""
    plan = on.plan(STEPS, spiking_input=True)
    return [exact(plan.network(spikes_per_neuron=budget)) for budget in BUDGETS]


def quantised(on: Study, bits: int) -> SpikingModel:
    """The ANN with activations of so many bits, which the binary code writes."""
    model = quantised_ann(on.ann, on.x_calibration, bits=bits, weight_bits=None)
    return exact(SpikingModel(model, {}))


def rival(wanted: float, accuracies: list[float]) -> int:
    """The first that is as accurate as ``wanted``; else the best."""
    return next((n for n, a in enumerate(accuracies) if a >= wanted), int(np.argmax(accuracies)))


def table(snn: SpikingModel, unit: float = UNIT) -> list[dict]:
    """Layer by layer the synapses, in whole units, and the neurons behind them."""
    shape, pool = list(snn.keras_model.input_shape[1:]), 1
    found = [{"name": NAMES[snn.keras_model.layers[0].name], "shape": shape, "code": None}]
    for layer in snn.keras_model.layers:
        if isinstance(layer, Population):
            tables = {field: getattr(layer.code, field).tolist() for field in TABLES}
            found[-1]["code"] = {"name": layer.code.name, "offset": layer.code.offset, **tables}
        elif isinstance(layer, layers.AveragePooling2D):
            pool = layer.pool_size[0]
        elif isinstance(layer, WEIGHTED_LAYERS):
            kernel, bias = (np.rint(w / unit).astype(int) for w in layer.get_weights())
            dense = isinstance(layer, layers.Dense)  # a kernel as large as its map
            size = shape[0] // pool if dense else layer.kernel_size[0]
            shape = [1, 1, layer.units] if dense else list(layer.output.shape[1:])
            found.append({
                "name": NAMES[layer.name], "shape": shape, "code": None, "pool": pool, "size": size,
                "border": 0 if dense else size // 2,
                "kernel": kernel.ravel().tolist(), "bias": bias.tolist(),
            })  # fmt: skip
            pool = 1
    return found


def digest(fired: Iterable[int]) -> int:
    """FNV-1a of 32 bits (Fowler, Noll and Vo) of the places of all ones in (steps, neurons)."""
    found = 2166136261
    for place in fired:
        found = (found ^ int(place)) * 16777619 & 0xFFFFFFFF
    return found


def digests(snn: SpikingModel, x: np.ndarray) -> list[list[int]]:
    """Of every picture, the digest of each layer's spikes."""
    trains = snn.spike_trains(x).values()
    return [[digest(np.flatnonzero(z[:, n])) for z in trains] for n in range(len(x))]


def measured(on: Study, snn: SpikingModel) -> dict:
    """A network, and what it achieves on all test pictures."""
    report = on.report(snn)
    return {
        "accuracy": report.accuracy,
        "spikes_per_neuron": report.spikes_per_neuron,
        "layers": table(snn),
    }


def document(on: Study, networks: list[SpikingModel], rivals: list[SpikingModel]) -> dict:
    """What the page needs: pictures, the networks of ``BUDGETS`` and the rivals of ``BITS``."""
    held_out = [on.held_out(snn)["calibration_accuracy"] for snn in rivals]
    x, inks = on.x[:PICTURES], np.unique(on.x)
    return {
        "unit": UNIT,
        "inks": inks.tolist(),
        "pictures": ["".join(INKS[n] for n in np.searchsorted(inks, image.ravel())) for image in x],
        "labels": on.labels[:PICTURES].tolist(),
        "tested": len(on.labels),
        "macs": networks[0].synapses.ann_macs,
        "networks": [
            {
                "budget": budget,
                "rival": rival(on.held_out(snn)["calibration_accuracy"], held_out),
                "digests": digests(snn, x),
                **measured(on, snn),
            }
            for budget, snn in zip(BUDGETS, networks, strict=True)
        ],
        "rivals": [
            {"bits": bits, **measured(on, snn)} for bits, snn in zip(BITS, rivals, strict=True)
        ],
    }


def write(path: Path = OUTPUT, found: dict | None = None) -> None:
    if found is None:
        on = study()
        found = document(on, spiking(on), [quantised(on, bits) for bits in BITS])
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    write_text(path, f"window.fsNetworks = {text};\n")


if __name__ == "__main__":
    write()
