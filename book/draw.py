"""Draw the figures and shown tables of the book from the published result files.

python book/draw.py        # results/full -> book/figures
"""

import sys
from pathlib import Path

import matplotlib
import pandas as pd

matplotlib.use("svg")
from matplotlib import pyplot as plt

from fsrepro import figures, results

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "results" / "full"


def relu_baseline(folder: Path) -> None:
    name = "01_relu_baseline"
    runs = pd.read_csv(RESULTS / f"{name}.csv")
    layers = pd.read_csv(RESULTS / f"{name}_layers.csv")
    confusion = pd.read_csv(RESULTS / f"{name}_confusion.csv")
    ann = results.read(RESULTS, name)["headline"]["ann_accuracy"]
    save(figures.against_steps(runs, "accuracy", "accuracy (%)", reference=ann), folder, "accuracy")
    save(figures.against_steps(runs, "spikes_per_neuron", "spikes per neuron"), folder, "spikes")
    save(figures.spikes_per_layer(layers), folder, "layers")
    _, ax = plt.subplots(figsize=(7.2, 6.8))
    save(figures.confusion(confusion, ax), folder, "confusion")
    shown = {
        "setting": "setting",
        "steps": "K",
        "accuracy": "SNN (%)",
        "agreement": "same answer as ANN (%)",
        "spikes_per_neuron": "spikes per neuron",
        "synops_per_image": "SynOps per image",
        "latency_steps": "latency (steps)",
    }
    table = runs[list(shown)].rename(columns=shown)
    table["SynOps per image"] = table["SynOps per image"].map("{:,.0f}".format)
    for column, form in {
        "SNN (%)": "{:.2f}",
        "same answer as ANN (%)": "{:.2f}",
        "spikes per neuron": "{:.3f}",
    }.items():
        table[column] = table[column].map(form.format)
    table.to_csv(folder / "relu_baseline.csv", index=False)


def save(ax, folder: Path, name: str) -> None:
    partial = folder / f".partial-{name}.svg"
    ax.figure.savefig(partial, metadata={"Date": None}, transparent=False)
    partial.replace(folder / f"{name}.svg")
    plt.close(ax.figure)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "book" / "figures"
    target.mkdir(parents=True, exist_ok=True)
    figures.set_style()
    relu_baseline(target)
