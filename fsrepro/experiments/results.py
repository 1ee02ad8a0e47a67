"""Result files: what an experiment found, and where it came from.

An experiment writes tidy tables (``NAME.csv``, ``NAME_layers.csv``, ...), ``NAME.json`` with its
headline numbers and their provenance, and its rows of ``headline.csv``. Figures are drawn from the
tables, prose reads the JSON.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pandas as pd

from ..files import Refused, atomic, check_place, locked, reading

__all__ = ["HEADLINE_COLUMNS", "commit", "plain", "read", "shown", "table", "write"]

HEADLINE_COLUMNS = [
    "experiment", "dataset", "network", "activation", "code", "steps", "fine_tuned", "images",
    "ann_accuracy", "snn_accuracy", "agreement", "spikes_per_neuron", "synops_per_image",
    "simulator", "commit", "macs_per_image", "ann_macs_per_image", "neuron_updates",
    "latency_steps", "weights", "low", "high",
]  # fmt: skip
"""Of ``headline.csv``; accuracies and agreement in percent, counts per image.

``weights``: ``"training-free"``, ``"refitted"``, ``"calibrated"`` or ``"fine-tuned"``. ``low``,
``high``: the interval of the points lost, where the run kept it.
"""

_HEADINGS = {
    "name": "code", "inner_code": "code of the first inner layer", "steps": "K", "spread": "S",
    "snr": "SNR (dB)", "snr_target": "designed for (dB)", "worst_snr": "worst channel (dB)",
    "spikes": "spikes per neuron", "inner_spikes": "spikes per inner neuron",
    "accuracy": "SNN (%)", "agreement": "same answer as ANN (%)",
    "ratio_to_bound": "spikes / bound", "on_layers": "the same, layers of the network",
    "entropy": "entropy (bits)", "mean_latency": "mean latency (steps)",
    "latency_steps": "latency (steps)", "synops_per_image": "SynOps per image",
    "macs_per_image": "multiplications per image", "events_per_image": "events per image",
    "ms_per_image": "ms per image", "ms_fastest": "fastest", "ms_slowest": "slowest",
    "ns_per_event": "ns per event", "ann_nj": "ANN (nJ)", "snn_nj": "SNN (nJ)",
    "ratio": "SNN / ANN", "updates_nj": "neuron updates (nJ)",
    "ratio_with_updates": "SNN / ANN, with updates", "spikes_per_image": "spikes per image",
    "synops_per_mac": "SynOps per MAC", "macs_left": "MACs left",
    "energy": "energy by counts", "energy_with_updates": "with neuron updates",
    "neuron_updates": "neuron updates",
    "negative_power": "power below zero", "pair": "spikes of a pair", "one": "of one population",
    "peak_gib": "peak memory (GiB)", "seconds_per_picture": "s per picture",
    "start_up": "s to start up", "speed": "pictures per second / one process",
    "megabytes_sent": "MB sent", "wall_hours": "hours", "picture_bytes": "bytes per picture",
}  # fmt: skip
_FORMS = {
    "{:g}": "budget",
    "{:.0f}": "steps snr_target",
    "{:.1f}": "snr worst_snr ms_per_image ms_fastest ms_slowest peak_gib start_up worker_hours",
    "{:.2f}": "accuracy agreement ann_accuracy loss ratio_to_bound on_layers entropy mean_latency "
    "ratio ratio_with_updates ns_per_event speed wall_hours",
    "{:.3f}": "spikes spikes_per_neuron inner_spikes bound synops_per_mac energy "
    "energy_with_updates negative_power pair one",
    "{:.3g}": "seconds_per_image seconds_per_picture",
    "{:.2%}": "macs_left",
    "{:,.0f}": "spikes_per_image spikes_sent neuron_updates synops_per_image macs_per_image "
    "neurons ann_nj snn_nj updates_nj events_per_image network_bytes picture_bytes megabytes_sent",
}
_FORM_OF = {column: form for form, columns in _FORMS.items() for column in columns.split()}

_PLAIN = {
    "01_relu_baseline": "ReLU baseline", "02_huffman_codes": "Huffman codes",
    "03_float_codes": "Float codes", "04_silu_sigmoid": "SiLU and sigmoid",
    "05_cifar10": "CIFAR-10", "06_mlgenn": "mlGeNN", "07_imagenet": "ImageNet",
    "08_public_failures": "Public failures", "09_low_end": "Below half a spike",
    "10_nothing_analog": "Nothing analog", "11_training": "Training", "12_at_scale": "At scale",
    "resnet8": "ResNet-8", "resnet14": "gated ResNet-14", "resnet20": "ResNet-20",
    "plain_cnn": "plain CNN", "efficientnet-lite": "EfficientNet-Lite",
    "mobilenet-v3-small": "MobileNetV3-small", "cifar10": "CIFAR-10", "cifar-10": "CIFAR-10",
    "imagenet sample": "ImageNet sample", "silu": "SiLU", "relu": "ReLU",
    "binary_floor, range 25 (paper)": "paper: binary, floor, range 25",
    "binary (calibrated, rounding)": "binary, calibrated, rounding",
    "binary round": "binary, rounding", "binary floor": "binary, floor",
}  # fmt: skip
_ID = re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, _PLAIN))})(?![A-Za-z_-])")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_AGAIN = "run the notebook again"
_FORM = "%.9g"
_PACKAGES = ("fsrepro", "numpy", "keras", "tensorflow-cpu", "tensorflow", "scikit-learn")
_START = time.time()  # a notebook imports this module when it starts


def write(
    folder: str | Path,
    name: str,
    *,
    tables: dict[str, pd.DataFrame],
    headline: dict,
    headline_rows: list[dict],
    parameters: dict,
    data: dict,
    seconds_before: float = 0.0,
) -> None:
    """Write the results of experiment ``name`` into ``folder``, which is made if needed.

    Every file is written whole, the JSON last: it has the checksums of the tables and of itself, so
    that what belongs to different runs is not read together.

    Parameters
    ----------
    folder : str or Path
    name : str
    tables : dict of DataFrame
        By suffix; ``""`` becomes ``NAME.csv``, ``"layers"`` becomes ``NAME_layers.csv``.
    headline : dict
        The numbers that prose quotes.
    headline_rows : list of dict
        Rows of ``headline.csv``; those of this experiment replace its earlier ones, ``experiment``
        and ``commit`` are filled in here.
    parameters, data : dict
        Of the notebook; from :meth:`~fsrepro.experiments.datasets.Dataset.summary`.
    seconds_before : float
        Spent by earlier runs that this one went on from.

    Raises
    ------
    ValueError
        For a headline row whose columns are not :data:`HEADLINE_COLUMNS`, and for a file
        ``headline.csv`` of other columns.
    OSError
        As :func:`~fsrepro.files.check_place`, before anything is written.
    """
    folder = Path(folder)
    rows = [{"experiment": name, **row, "commit": commit()} for row in headline_rows]
    for row in rows:
        if set(row) != set(HEADLINE_COLUMNS):
            odd = sorted(set(row) ^ set(HEADLINE_COLUMNS))
            raise ValueError(f"a headline row must have exactly the columns defined; check {odd}")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {_path(folder, name, suffix): _csv(table) for suffix, table in tables.items()}
    headline_path, document_path = folder / "headline.csv", folder / f"{name}.json"
    for path in (*texts, headline_path, document_path):
        check_place(path)
    document = {
        "headline": {key: _rounded(value) for key, value in headline.items()},
        "provenance": {
            "experiment": name,
            "parameters": parameters,
            "data": data,
            "versions": _versions(),
            "machine": {"cores": os.cpu_count(), "processor": platform.machine()},
            "commit": commit(),
            "minutes": round((time.time() - _START + seconds_before) / 60, 2),
            "tables": {path.name: _sha256(text) for path, text in texts.items()},
        },
    }
    document = json.loads(json.dumps(document, default=float))  # as it will be read
    document["sha256"] = _sha256(json.dumps(document))
    with ExitStack() as stack:  # all of them are on the disk before the first gets its name
        for path in (document_path, headline_path):  # other notebooks run at the same time
            stack.enter_context(locked(path))
        texts[headline_path] = _headline(headline_path, name, rows)
        texts = {document_path: json.dumps(document, indent=1) + "\n", **texts}
        for path, text in texts.items():
            stack.enter_context(atomic(path)).write_text(text, encoding="utf-8")


def read(folder: str | Path, name: str) -> dict:
    """The JSON of experiment ``name``: ``headline`` and ``provenance``.

    Where it is missing, ``FileNotFoundError`` says how to make it; ``ValueError`` where it is
    damaged.
    """
    path = Path(folder) / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; `make book` writes it by running {name}.py")
    with reading(path, "a result file", _AGAIN):
        document = json.loads(path.read_text(encoding="utf-8"))
        # Files that were written before there was a checksum have none.
        sha256 = document.pop("sha256", None)
        if not isinstance(document["headline"], dict) or not isinstance(
            document["provenance"], dict
        ):
            raise Refused("lacks headline or provenance")
        if sha256 is not None and sha256 != _sha256(json.dumps(document)):
            raise Refused("does not match the checksum in it")
        return document


def table(folder: str | Path, name: str, suffix: str = "", **options) -> pd.DataFrame:
    """A table of experiment ``name``, as :func:`read` and with the same errors.

    ``options`` go to :func:`pandas.read_csv`. ``ValueError`` also for a table of another run than
    the JSON beside it.
    """
    path = _path(Path(folder), name, suffix)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; `make book` writes it by running {name}.py")
    known = read(folder, name)["provenance"].get("tables", {})
    with reading(path, "a table of results", _AGAIN):
        text = path.read_text(encoding="utf-8")
        if path.name in known and _sha256(text) != known[path.name]:
            raise Refused(f"is not the table that {name}.json was written with")
        return pd.read_csv(io.StringIO(text), **options)


def _path(folder: Path, name: str, suffix: str) -> Path:
    return folder / (f"{name}_{suffix}.csv" if suffix else f"{name}.csv")


def shown(rows: pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    """``rows`` as a reader sees them: headings in words, numbers to a fixed place."""
    rows = rows if columns is None else rows[columns]
    texts = {}
    for column in rows:
        form, values = _FORM_OF.get(column), rows[column].to_numpy()
        if form is not None:
            values = ["–" if pd.isna(v) else form.format(v) for v in values]
        heading = plain(_HEADINGS.get(column, column)).replace("_", " ")
        texts[heading] = [plain(v) if isinstance(v, str) else v for v in values]
    return pd.DataFrame(texts)


def plain(text: str) -> str:
    """A name or a number as a reader would write it: ResNet-8, not ``resnet8``; −2.5 × 10⁻³."""
    text = _ID.sub(lambda found: _PLAIN[found[0]], text)
    text = re.sub(
        r"(?<=\d)e([+-]\d+)\b",
        lambda e: "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10" + f"{int(e[1])}".translate(_RAISED),
        text,
    )
    return re.sub(r"(?<![\w)-])-(?=\.?\d)", "−", text)


def commit() -> str:
    """The commit of the code that runs, with ``+`` if there are changes to it; or ``unknown``."""

    def git(*arguments):
        return subprocess.check_output(
            ["git", *arguments], cwd=Path(__file__).parents[1], text=True, stderr=subprocess.DEVNULL
        ).strip()

    try:
        changed = git("status", "--porcelain", "--", ".", "../notebooks", "../profiles")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _rounded(value):
    return float(_FORM % value) if isinstance(value, float) else value


def _headline(path: Path, name: str, rows: list[dict]) -> str:
    """The rows of all experiments, as they are and with these."""
    # As texts: how a number is written must not depend on which other experiments are there.
    table = _texts(io.StringIO(_csv(pd.DataFrame(rows, columns=HEADLINE_COLUMNS))))
    if path.exists():
        others = _texts(path)
        if list(others) != HEADLINE_COLUMNS[: len(others.columns)]:  # the last ones came later
            raise ValueError(f"{path} has other columns than it should; delete it, and {_AGAIN}")
        others = others.reindex(columns=HEADLINE_COLUMNS, fill_value="")
        table = pd.concat([others[others["experiment"] != name], table])
    return _csv(table.sort_values("experiment", kind="stable"))


def _texts(csv: Path | io.StringIO) -> pd.DataFrame:
    return pd.read_csv(csv, dtype=str, keep_default_na=False)


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, float_format=_FORM)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
