"""How much slower is a network with FS neurons than with ReLU? Ratios, measured in one run.

    python benchmarks/few_spikes.py            # ResNet-8 and 20, EfficientNet-Lite0, codes alone

Times are minima over interleaved repetitions on the same batch: machines are noisy, ratios of
minima are not.
"""

import time

import keras
import numpy as np

from fsrepro import codes
from fsrepro.conversion import convert, normal_form
from fsrepro.experiments import models

REPEATS = 15


def minima(functions: dict, repeats: int = REPEATS) -> dict[str, float]:
    """Seconds of the fastest of ``repeats`` calls of each function, taken in turns."""
    for function in functions.values():
        function()  # compiles
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def network(ann: keras.Model, batch: int = 250, steps: tuple[int, ...] = (4, 8, 10)) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *ann.input_shape[1:])).astype(np.float32)
    folded = normal_form(ann)  # part of the ANN's time is batch norm, which conversion folds away
    functions = {
        "ANN": lambda: ann.predict_on_batch(images),
        "ANN, folded": lambda: folded.predict_on_batch(images),
    }
    for K in steps:
        snn = convert(ann, images[:50], steps=K)
        functions[f"K = {K}"] = lambda snn=snn: snn.keras_model.predict_on_batch(images)
        functions[f"K = {K}, counting"] = lambda snn=snn: snn.counting_model.predict_on_batch(
            images
        )
    times = minima(functions)
    print(f"\n{ann.name}, batch of {batch}")
    for name, seconds in times.items():
        print(f"  {name:<18} {1e3 * seconds:8.1f} ms   {seconds / times['ANN']:5.2f} x ANN")


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
    print(f"\nNumPy, ns per activation, {size:,} float32")
    print(f"  {'':<26}{'quantise':>9}{'count':>9}{'time-step loop':>16}{'ratio':>8}")
    for code in shown:
        loop = minima({"loop": lambda code=code: code.decode(code.encode(x))}, 2)["loop"]
        fast = minima(
            {"q": lambda code=code: code.quantise(x), "n": lambda code=code: code.count(x)}
        )
        ns = 1e9 / size
        print(
            f"  {code.name:<26}{fast['q'] * ns:9.1f}{fast['n'] * ns:9.1f}{loop * ns:16.1f}"
            f"{loop / fast['q']:7.0f}x"
        )
    maximum = minima({"maximum": lambda: np.maximum(x, 0)})["maximum"]
    print(f"  {'np.maximum(x, 0)':<26}{maximum * 1e9 / size:9.1f}")


if __name__ == "__main__":
    network(models.resnet(8))
    network(models.resnet(20))
    network(models.efficientnet_lite(0), batch=16, steps=(8, 12))
    activations()
