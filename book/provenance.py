"""The tables of the page on where results come from, from the published result files.

python book/provenance.py    # results/full, checkpoints -> book/figures/provenance_*.csv
"""

import json
from pathlib import Path

import pandas as pd

from fsrepro.experiments import results
from fsrepro.files import file_sha256, write_table

PROJECT = Path(__file__).parents[1]
RESULTS, CHECKPOINTS = PROJECT / "results" / "full", PROJECT / "checkpoints"
SHORT = 10  # hexadecimal digits of a checksum that are shown
SUMS = "data_sha256", "pictures_sha256", "calibration_sha256"


def run(document: dict) -> dict:
    source = document["provenance"]
    return {
        "commit": source["commit"],
        "minutes": source["minutes"],
        **source["machine"],
        "test images": f"{document['headline']['images']:,}",
        "seed": source["parameters"].get("seed", 0),
    }


def data(document: dict) -> dict:
    """Pictures of ImageNet have a checksum for each of their two sets, CIFAR-10 one for all."""
    source = document["provenance"]["data"]
    sums = [source[key][:SHORT] for key in SUMS if key in source]
    row = {
        "dataset": source["dataset"],
        "sha256": " ".join(sums),
        "split seed": source.get("split_seed"),
        "train": source.get("train_images"),
        "calibration": source.get("calibration_images", source.get("calibration_pictures")),
        "test": source.get("test_images", source.get("pictures")),
    }
    return {key: f"{cell:,}" if isinstance(cell, int) else cell for key, cell in row.items()}


def weights(card: dict, file: Path) -> dict:
    return {
        "epochs": card["recipe"]["epochs"],
        "minutes": card["minutes"],
        "seed": card["recipe"]["seed"],
        "test accuracy (%)": card["test_accuracy"],
        "spikes per neuron": card.get("test_spikes_per_neuron", "ANN"),
        "sha256": file_sha256(file)[:SHORT],
    }


def table(name: str, rows: dict[str, dict]) -> pd.DataFrame:
    """A row for each, with its ``name`` in front."""
    cells = pd.DataFrame(rows.values(), index=pd.Index(rows, name=name), dtype=object)
    return cells.fillna("–").rename(columns=lambda text: text.replace("_", " ")).reset_index()


if __name__ == "__main__":
    names = [path.stem for path in sorted(RESULTS.glob("[0-9][0-9]_*.json"))]
    documents = {name: results.read(RESULTS, name) for name in names}
    versions = {name: d["provenance"]["versions"] for name, d in documents.items()}
    parameters = [
        {"experiment": name, "parameter": key, "value": json.dumps(value)}
        for name, document in documents.items()
        for key, value in document["provenance"]["parameters"].items()
    ]
    cards = {
        path.stem.replace("_", "_\u200b"): weights(
            json.loads(path.read_text(encoding="utf-8")), kept
        )
        # Names may break behind "_". A network has no weights while it is trained.
        for path in sorted(CHECKPOINTS.glob("*.json"))
        for kept in CHECKPOINTS.glob(f"{path.stem}.[wf]*")  # .weights.h5 of an ANN, .fs of an SNN
    }
    tables = {
        "runs": table("experiment", {name: run(d) for name, d in documents.items()}),
        "data": table("experiment", {name: data(d) for name, d in documents.items()}),
        "versions": table("experiment", versions),
        "parameters": pd.DataFrame(parameters),
        "weights": table("weights", cards),
    }
    for name, rows in tables.items():
        path = PROJECT / "book" / "figures" / f"provenance_{name}.csv"
        write_table(rows, path, overwrite=True)
