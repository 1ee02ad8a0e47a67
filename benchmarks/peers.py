"""One network, the ways there are to run it on spikes: accuracy, time and spikes, in one run.

    python benchmarks/peers.py                # ResNet-20 on the first 1,000 test images of CIFAR-10
    python benchmarks/peers.py --images 10000

- Ours, K = 8 under a budget: values of all time steps at once; with spikes counted, and without.
- The loop of Stöckl & Maass (2021), equations 1 to 3, as an activation function in Keras: K = 10,
  range 25. Written here from the equations; their code is for TensorFlow 1.
- SpikingJelly, rates in T = 32 steps, in PyTorch: its rate coding (99.9 % of the activations), by
  layer, and by channel from half a threshold; its local threshold balancing (Bu et al. 2025). Left
  out, and said so, where it is not installed: ``pip install -e .[spikingjelly]``.

All have the same weights, images and batches, and as many threads as there are cores. Seconds are
minima over ``--repeats``, taken in turns; ``x ANN`` is against the trained network in the same
framework.
"""

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import pandas as pd
import typer
from keras import layers, ops
from tqdm import tqdm

from fsrepro import convert
from fsrepro.conversion import normal_form
from fsrepro.experiments import datasets, models
from fsrepro.networks.graph import rewrite
from fsrepro.networks.nonlinearity import Nonlinearity

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "resnet20_cifar10.weights.h5"
BATCH, RATE_STEPS = 250, 32

Run = Callable[[np.ndarray], tuple[np.ndarray, float]]
"""From a batch of images to outputs (N, classes) and how many spikes were sent, NaN if unknown."""


class FewSpikesLoop(layers.Layer):
    """The FS neuron as published: v(t+1) = v(t) - h(t) z(t), z(t) = [v(t) >= T(t)], y = sum d z."""

    def __init__(self, steps=10, scale=25.0, **kwargs):
        super().__init__(**kwargs)
        self.table = [scale * 2.0**-t for t in range(1, steps + 1)]  # T = h = d

    def call(self, x):
        v, y, spikes = x, 0.0, 0.0
        for d in self.table:
            z = ops.cast(v >= d, x.dtype)
            v, y, spikes = v - d * z, y + d * z, spikes + ops.sum(z)
        return y, ops.broadcast_to(spikes, (ops.shape(x)[0],))  # a batch is of images


def in_keras(ann: keras.Model, calibration: np.ndarray) -> dict[str, Run]:
    snn = convert(ann, calibration, steps=8, spikes_per_neuron=0.5)

    def counted(x):
        y, spikes = snn.count(x)
        return y, sum(z.sum() for z in spikes.values())

    graph, counts = normal_form(ann), []

    def loop(call, *args):
        if not isinstance(call.operation, Nonlinearity):
            return None
        y, spikes = FewSpikesLoop(name=call.operation.name)(*args)
        counts.append(spikes)
        return y

    looped = rewrite(graph, loop)
    published = keras.Model(looped.inputs, [looped.output, sum(counts)])

    def by_loop(x):
        y, spikes = published.predict_on_batch(x)
        return y, float(spikes[0])

    return {
        "ANN, Keras": lambda x: (ann.predict_on_batch(x), np.nan),
        "ANN, Keras, batch norm folded": lambda x: (graph.predict_on_batch(x), np.nan),
        "fsrepro, K = 8": lambda x: (snn.keras_model.predict_on_batch(x), np.nan),
        "fsrepro, K = 8, counting": counted,
        "FS loop of 2021, K = 10, counting": by_loop,
    }


def in_pytorch(ann: keras.Model, calibration: np.ndarray) -> dict[str, Run]:
    import torch
    from spikingjelly.activation_based import ann2snn, functional, neuron
    from torch import nn

    graph = normal_form(ann)

    def convolution(name):
        kernel, bias = (np.asarray(w) for w in graph.get_layer(name).weights)
        strides = graph.get_layer(name).strides
        if strides != (1, 1) and len(kernel) > 1:  # Keras pads on the right and below alone
            kernel = np.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))
        channels, filters = kernel.shape[2:]
        padding = (len(kernel) - 1) // 2
        found = nn.Conv2d(channels, filters, kernel.shape[:2], strides, padding)
        found.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        found.bias.data = torch.tensor(bias)
        return found

    class Block(nn.Module):
        def __init__(self, name):
            super().__init__()
            names = [layer.name for layer in graph.layers]
            shortcut = f"{name}_shortcut_conv"
            self.skip = convolution(shortcut) if shortcut in names else nn.Identity()
            self.first, self.second = convolution(f"{name}_1_conv"), convolution(f"{name}_2_conv")
            self.inner, self.outer = nn.ReLU(), nn.ReLU()

        def forward(self, x):
            return self.outer(self.second(self.inner(self.first(x))) + self.skip(x))

    dense = nn.Linear(64, 10)
    kernel, bias = (np.asarray(w) for w in graph.get_layer("logits").weights)
    dense.weight.data, dense.bias.data = torch.tensor(kernel.T.copy()), torch.tensor(bias)
    blocks = [Block(f"stage{s}_block{b}") for s in (1, 2, 3) for b in (1, 2, 3)]
    network = nn.Sequential(
        convolution("stem_conv"), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense
    ).eval()

    def tensor(x):
        return torch.tensor(x.transpose(0, 3, 1, 2).copy())

    some = [(tensor(x), 0) for x in np.array_split(calibration, len(calibration) // 50)]

    @torch.no_grad()
    def trained(x):
        return network(tensor(x)).numpy(), np.nan

    def by_rates(recipe):
        snn = ann2snn.Converter(recipe).convert(network).eval()
        sent = []
        for module in snn.modules():
            if isinstance(module, neuron.BaseNode):
                module.register_forward_hook(lambda m, inputs, out: sent.append((out > 0).sum()))

        @torch.no_grad()
        def run(x):
            functional.reset_net(snn)
            sent.clear()
            images = tensor(x)
            return sum(snn(images) for _ in range(RATE_STEPS)).numpy(), float(sum(sent))

        return run

    rates, balanced = ann2snn.RateCodingRecipe, ann2snn.LocalThresholdBalancingRecipe
    recipes = {
        "rates": rates(some, mode="99.9%"),
        "rates by channel": rates(some, mode="99.9%", channel_wise=True, half_threshold=True),
        "balanced thresholds": balanced(5 * some),  # which move a little with every batch
    }
    return {
        "ANN, PyTorch": trained,
        **{f"SpikingJelly, {how}, T = {RATE_STEPS}": by_rates(r) for how, r in recipes.items()},
    }


def measured(runs: dict[str, Run], x: np.ndarray, labels: np.ndarray, repeats: int) -> dict:
    """Accuracy, spikes and seconds of each; each turn goes once over all images."""
    batches = [slice(i, i + BATCH) for i in range(0, len(x), BATCH)]
    for run in runs.values():
        run(x[batches[0]])  # compiles
    found: dict[str, dict] = {name: {"seconds": np.inf} for name in runs}
    for name in tqdm([*runs] * repeats):
        started = time.perf_counter()
        outputs, spikes = zip(*(runs[name](x[batch]) for batch in batches), strict=True)
        seconds = min(found[name]["seconds"], time.perf_counter() - started)
        right = np.concatenate(outputs).argmax(1) == labels
        found[name] = {"accuracy": 100 * right.mean(), "spikes": sum(spikes), "seconds": seconds}
    return found


def main(images: int = 1000, repeats: int = 3) -> None:
    """ResNet-20 for CIFAR-10 in our library, in the loop of its paper, and in SpikingJelly."""
    data = datasets.load("cifar10")
    test, (calibration, _) = data.test[:images], data.arrays("calibration")
    ann = models.resnet(20)
    models.load_checkpoint(ann, CHECKPOINT)
    runs = in_keras(ann, calibration)
    if all(map(find_spec, ("torch", "spikingjelly"))):
        runs |= in_pytorch(ann, calibration)
    else:
        print("SpikingJelly is left out: pip install -e .[spikingjelly]")
    found = measured(runs, data.normalise(test.images), test.labels, repeats)
    neurons = convert(ann, calibration[:50], steps=4).neurons
    rows = []
    for name, row in found.items():
        reference = found["ANN, PyTorch" if "PyTorch" in name or "Jelly" in name else "ANN, Keras"]
        rows.append(
            {
                "": name,
                "accuracy (%)": f"{row['accuracy']:.2f}",
                "spikes per neuron": f"{row['spikes'] / neurons / images:.3f}",
                "s per 1,000 images": f"{1000 * row['seconds'] / images:.2f}",
                "x ANN": f"{row['seconds'] / reference['seconds']:.2f}",
            }
        )
    print(
        f"\n{ann.name}, {images:,} test images of CIFAR-10, batches of {BATCH}, "
        f"{os.cpu_count()} cores"
    )
    print(pd.DataFrame(rows).to_string(index=False).replace("nan", "  –"))


if __name__ == "__main__":
    typer.run(main)
