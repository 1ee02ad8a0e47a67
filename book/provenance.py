"""The tables of the page on where results come from, from the published result files.

python book/provenance.py    # results/full, checkpoints -> book/figures/provenance_*.csv
"""

import json
from pathlib import Path

import pandas as pd

from fsrepro.experiments import results
from fsrepro.experiments.models.checkpoint import file_sha256

PROJECT = Path(__file__).parents[1]
RESULTS, CHECKPOINTS = PROJECT / "results" / "full", PROJECT / "checkpoints"
SHORT = 10  # hexadecimal digits of a checksum that are shown


def runs(documents: dict[str, dict]) -> pd.DataFrame:
    rows = {}
    for name, document in documents.items():
        source = document["provenance"]
        rows[name] = {
            **{key: source[key] for key in ("commit", "minutes")},
            **source["machine"],
            "test images": f"{document['headline']['images']:,}",
            "seed": source["parameters"].get("seed", 0),
        }
    return by_experiment(rows)


def part(documents: dict[str, dict], key: str) -> pd.DataFrame:
    return by_experiment({name: d["provenance"][key] for name, d in documents.items()})


def data(documents: dict[str, dict]) -> pd.DataFrame:
    """Pictures of ImageNet have a checksum for each of their two sets, CIFAR-10 one for all."""
    rows = {}
    for name, document in documents.items():
        source = document["provenance"]["data"]
        keys = ("data_sha256", "calibration_sha256")
        sums = [source[key][:SHORT] for key in keys if key in source]
        rows[name] = {
            "dataset": source["dataset"],
            "sha256": " ".join(sums),
            "split seed": source.get("split_seed", "–"),
            "train": source.get("train_images", "–"),
            "calibration": source.get("calibration_images", source.get("calibration_pictures")),
            "test": source.get("test_images", source.get("pictures")),
        }
    return by_experiment(rows).map(lambda cell: f"{cell:,}" if isinstance(cell, int) else cell)


def by_experiment(rows: dict[str, dict]) -> pd.DataFrame:
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    cells = {name: [row.get(column, "–") for column in columns] for name, row in rows.items()}
    table = pd.DataFrame.from_dict(cells, orient="index", columns=columns, dtype=object)
    table = table.rename(columns=lambda name: name.replace("_", " "))
    return table.rename_axis("experiment").reset_index()


def parameters(documents: dict[str, dict]) -> pd.DataFrame:
    return pd.DataFrame(
        {"experiment": name, "parameter": key, "value": json.dumps(value)}
        for name, document in documents.items()
        for key, value in document["provenance"]["parameters"].items()
    )


def weights(folder: Path) -> pd.DataFrame:
    rows = []
    for path in sorted(folder.glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        (file,) = folder.glob(f"{path.stem}.[wf]*")  # .weights.h5 of an ANN, .fs of an SNN
        rows.append(
            {
                "weights": path.stem,
                "epochs": card["recipe"]["epochs"],
                "minutes": card["minutes"],
                "seed": card["recipe"]["seed"],
                "test accuracy (%)": card["test_accuracy"],
                "spikes per neuron": card.get("test_spikes_per_neuron", "ANN"),
                "sha256": file_sha256(file)[:SHORT],
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    names = [path.stem for path in sorted(RESULTS.glob("[0-9][0-9]_*.json"))]
    found = {name: results.read(RESULTS, name) for name in names}
    tables = {
        "runs": runs(found),
        "data": data(found),
        "versions": part(found, "versions"),
        "parameters": parameters(found),
        "weights": weights(CHECKPOINTS),
    }
    for name, table in tables.items():
        table.to_csv(PROJECT / "book" / "figures" / f"provenance_{name}.csv", index=False)
