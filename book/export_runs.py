"""Write every published run as a file that the explorer of the first page reads.

python book/export_runs.py    # results/full/headline.csv -> book/static/explorer/runs.js

A script rather than JSON: a page opened from a disk may load the one, not the other.
"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from fsrepro.energy import energy_ratio
from fsrepro.experiments.results import plain
from fsrepro.files import write_text
from fsrepro.measures import paired_loss

PROJECT = Path(__file__).parents[1]
HEADLINE = PROJECT / "results" / "full" / "headline.csv"
OUTPUT = PROJECT / "book" / "static" / "explorer" / "runs.js"

KINDS = {  # of codes: what the name begins with; the first that fits
    "binary, as published": r"binary_floor, range 25|paper",
    "binary, calibrated": "binary",
    "floating point": "leading one|geometric|exponent",
    "Huffman and other words": "Huffman|letter costs|signed binary",
    "mixed radix": "mixed radix|soma|fewest spikes|fine-tuned",
    "tables and rates": "published|fitted|rate|mlGeNN",
}


def kind(code: str) -> str:
    """Of :data:`KINDS`; ``ValueError`` for a code that is none of them."""
    for name, start in KINDS.items():
        if re.match(start, code):
            return name
    raise ValueError(f"{code!r} begins like no kind of code; add it to KINDS of {Path(__file__)}")


def network(row: pd.Series) -> str:
    """``ResNet-20, SiLU`` for what experiments call resnet20."""
    if row["dataset"] == "digits":
        return "small CNNs of others"
    functions = {"silu": ", SiLU", "sigmoid": ", sigmoid"}
    return plain(row["network"]) + functions.get(row["activation"], "")


def interval(row: pd.Series) -> tuple[float, float, float]:
    """Points below the ANN, and their 95 % interval.

    Older rows lack it, but keep how many answers differ, and of how many the accuracies do. At most
    all answers that differ are right for one network and wrong for the other: theirs is the widest
    that this allows.
    """
    if pd.notna(row["low"]):
        return row["ann_accuracy"] - row["snn_accuracy"], row["low"], row["high"]
    images = int(row["images"])
    net = round(images * (row["ann_accuracy"] - row["snn_accuracy"]) / 100)
    differ = max(round(images * (1 - row["agreement"] / 100)), abs(net))
    lost = (differ + net + 1) // 2
    ann, snn = np.ones(images), np.ones(images)
    snn[:lost], ann[lost : 2 * lost - net] = 0, 0
    return paired_loss(ann, snn)


def runs() -> list[dict]:
    table = pd.read_csv(HEADLINE)
    table["weights"] = table["weights"].fillna(
        table["fine_tuned"].map({True: "fine-tuned", False: "training-free"})
    )
    # Multiplications of an ANN do not depend on its activation; older rows lack them.
    bare = table["network"].str.lower().str.replace("-", "") + table["dataset"]
    macs = table["ann_macs_per_image"].fillna(
        bare.map(table.groupby(bare)["ann_macs_per_image"].max())
    )
    found = []
    for i, row in table.iterrows():
        loss, low, high = interval(row)
        line = ",".join(map(str, row.drop(["low", "high"])))  # as before there were these
        entry = {
            "id": hashlib.sha256(line.encode()).hexdigest()[:8],
            "network": network(row), "kind": kind(row["code"]), "accuracy": row["snn_accuracy"],
            "loss": loss, "low": low, "high": high,
            "K": row["steps"], "latency": row["latency_steps"],
            "spikes": row["spikes_per_neuron"],
            "synops": row["synops_per_image"] / macs[i] or None,  # behind decoders there are none
            "energy": energy_ratio(
                row["synops_per_image"], row["macs_per_image"], row["ann_macs_per_image"]
            ),
            **{key: row[key] for key in ("experiment", "dataset", "code", "weights", "simulator",
                                         "ann_accuracy", "agreement", "images", "commit")},
        }  # fmt: skip
        found.append({key: of_json(value) for key, value in entry.items()})
    return found


def of_json(value):
    """As JSON has it; None for what a run did not record."""
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else float(f"{value:.6g}")


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs())
    write_text(OUTPUT, f"window.fsRuns = [\n{lines}\n];\n")
