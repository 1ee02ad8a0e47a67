"""How much slower is a network with FS neurons than with ReLU? Ratios, measured in one run.

    python benchmarks/few_spikes.py            # ResNet-8 and 20, EfficientNet-Lite0, codes alone

Times are minima over interleaved repetitions on the same batch: machines are noisy, ratios of
minima are not.
"""

from functools import partial
from timeit import timeit

import keras
import numpy as np
import pandas as pd

from fsrepro import codes, training
from fsrepro.conversion import convert, normal_form
from fsrepro.experiments import models
from fsrepro.training.twin import bfloat16_over_float32


def minima(functions: dict, repeats: int = 15) -> pd.Series:
    """Seconds of the fastest of ``repeats`` calls of each function, taken in turns."""
    for function in functions.values():
        function()  # compiles
    rounds = [[timeit(f, number=1) for f in functions.values()] for _ in range(repeats)]
    return pd.Series(np.min(rounds, axis=0), functions)


def network(ann: keras.Model, batch: int = 250, steps: tuple[int, ...] = (4, 8, 10)) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *ann.input_shape[1:])).astype(np.float32)
    # Part of the ANN's time is batch norm, which conversion folds away.
    networks = {"ANN": ann.predict_on_batch, "ANN, folded": normal_form(ann).predict_on_batch}
    for K in steps:
        snn = convert(ann, images[:50], steps=K)
        networks |= {f"K = {K}": snn.keras_model.predict_on_batch, f"K = {K}, counting": snn.count}
    times = minima({name: partial(run, images) for name, run in networks.items()})
    print(f"\n{ann.name}, batch of {batch}")
    print(pd.DataFrame({"ms": (1e3 * times).round(1), "x ANN": (times / times["ANN"]).round(2)}))


def activations(size: int = 1_000_000) -> None:
    x = np.random.default_rng(0).normal(-0.3, 1, size).astype(np.float32)
    levels = codes.uniform_levels(32, 4.0)
    p = codes.level_probability(levels, x)
    words = {
        "Huffman": codes.huffman_words(p),
        "letter costs": codes.letter_cost_words(p, spike_cost=3),
        "fewest spikes": codes.fewest_spikes_words(p, 8),
    }
    shown = [
        codes.binary(8, 4.0),
        codes.binary(8, 4.0, rounding=True),
        codes.mixed_radix((1, 1, 6), 4.0),
        codes.leading_one(8, 4.0, spikes=2),
        codes.geometric(8, 4.0, spikes=2),
        codes.rate(16, 4.0),
        codes.ExponentMantissa(4, 4, 4.0),
        codes.published.relu(),
        codes.published.silu(),
        codes.published.sigmoid(),
        codes.fitted.silu(8),
        codes.fitted.silu(16),
        codes.fitted.sigmoid(12),
        *(codes.PrefixCode(w, levels, name=name) for name, w in words.items()),
    ]
    times = {}
    for code in shown:
        fast = minima({"quantise": partial(code.quantise, x), "count": partial(code.count, x)})
        loop = minima({"time-step loop": lambda code=code: code.decode(code.encode(x))}, 2)
        times[code.name] = pd.concat([fast, loop])
    times["np.maximum(x, 0)"] = minima({"quantise": partial(np.maximum, x, 0)})
    table = 1e9 / size * pd.DataFrame(times).T[["quantise", "count", "time-step loop"]]
    table["ratio"] = table["time-step loop"] / table["quantise"]
    print(f"\nNumPy, ns per activation, {size:,} float32")
    print(table.round(1).to_string(na_rep=""))


def training_epochs(batches: int = 20, batch: int = 128) -> None:
    """Fine-tuning, teacher and blended images included, beside plain training of the same ANN."""
    rng, ann = np.random.default_rng(0), models.resnet(20)
    x = rng.normal(size=(batches * batch, *ann.input_shape[1:])).astype(np.float32)
    y = rng.integers(0, 10, len(x))
    snn = convert(ann, x[:200], steps=8, spikes_per_neuron=0.3, by_channel=True)
    precision = "mixed_bfloat16" if bfloat16_over_float32() < 1 else "float32"
    options = {"epochs": 4, "augmentation": True, "precision": precision}
    rounds = []
    for _ in range(2):  # the first epoch compiles
        plain = training.train(models.resnet(20), x, y, **options)
        tuned = training.fine_tune(
            snn, x, y, teacher=ann, mixup=0.4, spikes_per_neuron=0.3, **options
        )[1]
        rounds.append([history["seconds"].min() / batches for history in (plain, tuned)])
    plain, tuned = np.min(rounds, axis=0)
    print(f"\nTraining {ann.name} in {precision}, seconds for a batch of {batch}")
    print(f"plain {plain:.3f}   fine-tuning {tuned:.3f}   ratio {tuned / plain:.2f}")


if __name__ == "__main__":
    network(models.resnet(8))
    network(models.resnet(20))
    network(models.efficientnet_lite(0), batch=16, steps=(8, 12))
    activations()
    training_epochs()
