"""Refill the tables of README.md and REPRODUCING.md, and a picture, from the published results."""

from pathlib import Path

import pandas as pd

from fsrepro.experiments import results
from fsrepro.files import write_text

PROJECT = Path(__file__).parents[1]
RESULTS = PROJECT / "results" / "full"

SHOWN = [  # of the many codes of results/full/headline.csv
    "binary_floor, range 25 (paper)",
    "binary (calibrated, rounding)",
    "mixed radix, K = 8",
    "mixed radix, K = 10",
    "mixed radix, K = 12",
    "mixed radix, picture spikes",
    "mixed radix, K = 16",
    "mixed radix, budget",
    "fine-tuned",
    "mixed radix by channel, refitted",
    "mixed radix by channel, calibrated",
    "mixed radix by channel, fine-tuned",
    "published",
    "soma, K = 8",
    "soma, K = 12",
    "paper: floor, range 25",
    "fewest spikes, K = 8",
    "Huffman",
    "exponent + mantissa, 3 + 3, rounding, silent zero, no calibration",
]

EXPECTED = [  # experiment, setting, where its accuracy and spikes are in the JSON
    ("01_relu_baseline", "paper's code", "paper_accuracy", "paper_spikes"),
    ("01_relu_baseline", "calibrated, rounding", "calibrated_accuracy", "calibrated_spikes"),
    ("02_huffman_codes", "mixed radix", "chosen_accuracy", "chosen_spikes"),
    ("02_huffman_codes", "Huffman", "huffman_accuracy", "huffman_spikes"),
    ("03_float_codes", "float code, channels of any scale", "float_accuracy", "float_spikes"),
    ("03_float_codes", "mixed radix, the same", "radix_accuracy", "radix_spikes"),
    ("04_silu_sigmoid", "SiLU", "silu_soma_accuracy", "silu_soma_spikes_per_neuron"),
    ("04_silu_sigmoid", "sigmoid", "sigmoid_soma_accuracy", "sigmoid_soma_spikes_per_neuron"),
    ("04_silu_sigmoid", "gates", "gates_soma_accuracy", "gates_soma_spikes_per_neuron"),
    ("05_cifar10", "within a budget", "chosen_accuracy", "chosen_spikes"),
    ("05_cifar10", "fine-tuned", "tuned_accuracy", "tuned_spikes"),
    ("06_mlgenn", "in GeNN", "genn_accuracy", "spikes"),
    ("07_imagenet", "EfficientNet-Lite0, K = 12, 650 pictures", "efficientnet_lite0_k12_accuracy",
     "efficientnet_lite0_k12_spikes_per_neuron"),
    ("10_nothing_analog", "ResNet-20, its picture in spikes too", "resnet_20_spikes_0_5_accuracy",
     "resnet_20_spikes_0_5_spikes_per_neuron"),
    ("11_training", "ResNet-20, fine-tuned", "resnet_20_8_0_28_fine_tuned_accuracy",
     "resnet_20_8_0_28_fine_tuned_spikes_per_neuron"),
]  # fmt: skip


def expected() -> str:
    """Per experiment its duration, and what its main settings gave."""
    rows = []
    for name, setting, *keys in EXPECTED:
        found = results.read(RESULTS, name)
        hours = f"{found['provenance']['minutes'] / 60:.1f}"
        rows.append([name, hours, setting, *(found["headline"][key] for key in keys)])
    table = pd.DataFrame(rows, columns=["experiment", "hours", "setting", "accuracy", "spikes"])
    table.loc[table["experiment"].duplicated(), ["experiment", "hours"]] = ""
    return markdown("experiment | hours | setting | SNN % | spikes per neuron", table)


def headline() -> str:
    """Per code, the run with the fewest spikes within 0.5 points of the ANN, else the best."""
    runs = pd.read_csv(RESULTS / "headline.csv").rename(columns={"snn_accuracy": "accuracy"})
    runs = runs[runs["code"].isin(SHOWN)]
    best = []
    for _, group in runs.groupby(["experiment", "network", "code"], sort=False):
        near = group[group["accuracy"] >= group["ann_accuracy"] - 0.5]
        run = group["accuracy"].idxmax() if near.empty else near["spikes_per_neuron"].idxmin()
        best.append(run)
    columns = ["experiment", "network", "code", "steps", "ann_accuracy", "accuracy", "agreement",
               "spikes_per_neuron"]  # fmt: skip
    table = runs.loc[best].assign(network=runs["network"] + ", " + runs["dataset"])[columns]
    headings = "experiment | network | code | K | ANN % | SNN % | agreement % | spikes per neuron"
    return markdown(headings, table)


def markdown(headings: str, table: pd.DataFrame) -> str:
    rows = [" | ".join(row) for row in results.shown(table).astype(str).to_numpy()]
    rule = "|---" * len(table.columns) + "|"
    return "\n".join([f"| {headings} |", rule, *(f"| {row} |" for row in rows)])


FILLED = {"README.md": ("headline", headline), "REPRODUCING.md": ("expected", expected)}


def filled(name: str, text: str) -> str:
    """The text of a file of :data:`FILLED` with the table between its two marks renewed."""
    mark, table = FILLED[name]
    start, end = f"<!-- {mark}: filled by `make readme` -->", f"<!-- end of {mark} -->"
    before, rest = text.split(start)
    _, after = rest.split(end)
    return f"{before}{start}\n{table()}\n{end}{after}"


if __name__ == "__main__":
    for name in FILLED:
        path = PROJECT / name
        write_text(path, filled(name, path.read_text(encoding="utf-8")))
    picture = PROJECT / "book" / "figures" / "network_codes.svg"
    if picture.exists():
        drawn = picture.read_text(encoding="utf-8")
        on_white = drawn.replace("fill: none", "fill: #ffffff", 1)  # whatever the page around it
        write_text(RESULTS / "accuracy_against_spikes.svg", on_white)
