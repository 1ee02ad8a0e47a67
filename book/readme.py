"""Refill the README's headline table and picture from the published result files."""

import shutil
import sys
from pathlib import Path

import pandas as pd

PROJECT = Path(__file__).parents[1]
START, END = "<!-- headline: filled by `make readme` -->", "<!-- end of headline -->"


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


def table() -> str:
    """Per code, the run with the fewest spikes within 0.5 points of the ANN, else the best."""
    runs = pd.read_csv(PROJECT / "results" / "full" / "headline.csv")
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


def filled(readme: str) -> str:
    """``readme`` with the table between its two marks renewed."""
    before, rest = readme.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    path = PROJECT / "README.md"
    text = filled(path.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        sys.exit(0 if text == path.read_text(encoding="utf-8") else "README.md: run `make readme`")
    path.write_text(text, encoding="utf-8")
    picture = PROJECT / "book" / "figures" / "network_codes.svg"
    if picture.exists():
        shutil.copy(picture, PROJECT / "results" / "full" / "accuracy_against_spikes.svg")
