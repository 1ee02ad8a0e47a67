"""Refill the tables of README.md and REPRODUCING.md, and a picture, from the published results."""

import shutil
import sys
from pathlib import Path

import pandas as pd

from fsrepro.experiments import results

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "results" / "full"

SHOWN = [  # of the many codes of results/full/headline.csv
    "binary_floor, range 25 (paper)",
    "binary (calibrated, rounding)",
    "mixed radix, K = 8",
    "mixed radix, K = 10",
    "mixed radix, K = 16",
    "mixed radix, budget",
    "fine-tuned",
    "published",
    "soma, K = 8",
    "soma, K = 12",
    "paper: floor, range 25",
    "fewest spikes, K = 8",
    "Huffman",
    "exponent + mantissa, 3 + 3, rounding, silent zero, no calibration",
]

EXPECTED = {  # by experiment: a setting, and where its accuracy and spikes are in the JSON
    "01_relu_baseline": {
        "paper's code": ("paper_accuracy", "paper_spikes"),
        "calibrated, rounding": ("calibrated_accuracy", "calibrated_spikes"),
    },
    "02_huffman_codes": {
        "mixed radix": ("chosen_accuracy", "chosen_spikes"),
        "Huffman": ("huffman_accuracy", "huffman_spikes"),
    },
    "03_float_codes": {
        "float code, channels of any scale": ("float_accuracy", "float_spikes"),
        "mixed radix, the same": ("radix_accuracy", "radix_spikes"),
    },
    "04_silu_sigmoid": {
        "SiLU": ("silu_soma_accuracy", "silu_soma_spikes_per_neuron"),
        "sigmoid": ("sigmoid_soma_accuracy", "sigmoid_soma_spikes_per_neuron"),
        "gates": ("gates_soma_accuracy", "gates_soma_spikes_per_neuron"),
    },
    "05_cifar10": {
        "within a budget": ("chosen_accuracy", "chosen_spikes"),
        "fine-tuned": ("tuned_accuracy", "tuned_spikes"),
    },
    "06_mlgenn": {"in GeNN, 1,000 images": ("genn_accuracy", "spikes")},
    "07_imagenet": {
        "EfficientNet-Lite0, K = 12, 650 pictures": (
            "efficientnet_lite0_k12_accuracy",
            "efficientnet_lite0_k12_spikes_per_neuron",
        ),
    },
}


def expected() -> str:
    """Per experiment its duration, and what its main settings gave."""
    lines = [
        "| experiment | hours | setting | SNN % | spikes per neuron |",
        "|---|---|---|---|---|",
    ]
    for name, settings in EXPECTED.items():
        found = results.read(RESULTS, name)
        first = f"{name} | {found['provenance']['minutes'] / 60:.1f}"
        for setting, keys in settings.items():
            accuracy, spikes = (found["headline"][key] for key in keys)
            lines.append(f"| {first} | {setting} | {accuracy:.2f} | {spikes:.3f} |")
            first = " | "
    return "\n".join(lines)


def headline() -> str:
    """Per code, the run with the fewest spikes within 0.5 points of the ANN, else the best."""
    runs = pd.read_csv(RESULTS / "headline.csv")
    runs = runs[runs["code"].isin(SHOWN)]
    lines = [
        "| experiment | network | code | K | ANN % | SNN % | agreement % | spikes per neuron |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for _, group in runs.groupby(["experiment", "network", "code"], sort=False):
        near = group[group["snn_accuracy"] >= group["ann_accuracy"].iloc[0] - 0.5]
        best = near.nsmallest(1, "spikes_per_neuron") if len(near) else None
        row = (group.nlargest(1, "snn_accuracy") if best is None else best).iloc[0]
        lines.append(
            f"| {row.experiment} | {row.network}, {row.dataset} | {row.code} | {row.steps} "
            f"| {row.ann_accuracy:.2f} | {row.snn_accuracy:.2f} | {row.agreement:.2f} "
            f"| {row.spikes_per_neuron:.3f} |"
        )
    return "\n".join(lines)


FILLED = {"README.md": ("headline", headline), "REPRODUCING.md": ("expected", expected)}


def filled(name: str, text: str) -> str:
    """The text of a file of :data:`FILLED` with the table between its two marks renewed."""
    mark, table = FILLED[name]
    start, end = f"<!-- {mark}: filled by `make readme` -->", f"<!-- end of {mark} -->"
    before, rest = text.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    stale = []
    for name in FILLED:
        path = PROJECT / name
        text = path.read_text(encoding="utf-8")
        if filled(name, text) != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(filled(name, text), encoding="utf-8")
    if "--check" in sys.argv:
        sys.exit(f"{', '.join(stale)}: run `make readme`" if stale else 0)
    picture = PROJECT / "book" / "figures" / "network_codes.svg"
    if picture.exists():
        shutil.copy(picture, RESULTS / "accuracy_against_spikes.svg")
