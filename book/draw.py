"""Draw the figures and shown tables of the book from the published result files.

python book/draw.py        # results/full -> book/figures
"""

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("svg")
from matplotlib import pyplot as plt

from fsrepro import figures, picture_stream, pictures, results
from fsrepro.preprocessing import Preprocessing

PROJECT = Path(__file__).parents[1]
RESULTS, CHECKPOINTS = PROJECT / "results" / "full", PROJECT / "checkpoints"
MEASURES = ["accuracy", "agreement", "spikes_per_neuron"]
HEADINGS = {
    "steps": "K",
    "spread": "S",
    "snr": "SNR (dB)",
    "snr_target": "designed for (dB)",
    "worst_snr": "worst channel (dB)",
    "spikes": "spikes per neuron",
    "accuracy": "SNN (%)",
    "agreement": "same answer as ANN (%)",
    "inner_code": "code of the first inner layer",
    "inner_spikes": "spikes per inner neuron",
    "ratio_to_bound": "spikes / bound",
    "on_layers": "the same, layers of the network",
    "entropy": "entropy (bits)",
    "mean_latency": "mean latency (steps)",
    "latency_steps": "latency (steps)",
    "synops_per_image": "SynOps per image",
    "macs_per_image": "multiplications per image",
    "name": "code",
    "ann_nj": "ANN (nJ)",
    "snn_nj": "SNN (nJ)",
    "events_per_image": "events per image",
    "ms_per_image": "ms per image",
    "ratio": "SNN / ANN",
}
FORMS = {
    "steps": "{:.0f}",
    "accuracy": "{:.2f}",
    "agreement": "{:.2f}",
    "snr": "{:.1f}",
    "snr_target": "{:.0f}",
    "worst_snr": "{:.1f}",
    "spikes": "{:.3f}",
    "spikes_per_neuron": "{:.3f}",
    "budget": "{:g}",
    "inner_spikes": "{:.3f}",
    "ratio_to_bound": "{:.2f}",
    "on_layers": "{:.2f}",
    "entropy": "{:.2f}",
    "mean_latency": "{:.2f}",
    "synops_per_image": "{:,.0f}",
    "macs_per_image": "{:,.0f}",
    "ann_nj": "{:,.0f}",
    "snn_nj": "{:,.0f}",
    "events_per_image": "{:,.0f}",
    "ms_per_image": "{:.1f}",
    "ratio": "{:.2f}",
}


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
    shown = ["setting", "steps", *MEASURES, "synops_per_image", "latency_steps"]
    table(runs, shown, folder, "relu_baseline")


def huffman_codes(folder: Path) -> None:
    name = "02_huffman_codes"
    runs = pd.read_csv(RESULTS / f"{name}.csv")
    compared = pd.read_csv(RESULTS / f"{name}_codes.csv")
    headline = results.read(RESULTS, name)["headline"]
    ax = plt.subplots(figsize=(7.2, 5.6))[1]
    save(figures.ratio_to_bound(compared, ax), folder, "ratio_to_bound")
    words, radix = (pd.read_csv(RESULTS / f"{name}_{part}.csv") for part in ("prices", "radix"))
    save(figures.price_of_spikes(words, radix), folder, "prices")
    save(figures.frontier(pd.read_csv(RESULTS / f"{name}_frontier.csv"))[0], folder, "frontier")
    half, ann = headline["paper_spikes"] / 2, headline["ann_accuracy"]
    ax = plt.subplots(figsize=(8.6, 4.6))[1]
    save(figures.against_spikes(runs, reference=ann, mark=half, ax=ax), folder, "network_codes")
    by_steps = pd.read_csv(RESULTS / f"{name}_by_steps.csv")
    save(figures.by_steps(by_steps, reference=ann)[0], folder, "network_steps")
    shown = ["setting", "snr_target", "steps", *MEASURES, "synops_per_image", "macs_per_image"]
    table(runs, shown, folder, name[3:])
    shown = [
        "kind", "steps", "snr", "spikes", "ratio_to_bound", "on_layers", "entropy", "mean_latency",
    ]  # fmt: skip
    synthetic = compared[compared["source"] == "synthetic"].sort_values("ratio_to_bound")
    layers = compared[compared["source"] != "synthetic"].groupby("kind")["ratio_to_bound"]
    synthetic["on_layers"] = synthetic["kind"].map(layers.agg(lambda r: np.exp(np.log(r).mean())))
    table(synthetic, shown, folder, "huffman_codes_synthetic")


def float_codes(folder: Path) -> None:
    name = "03_float_codes"
    headline = results.read(RESULTS, name)["headline"]
    ann = headline["ann_accuracy"]

    def read(part):
        return pd.read_csv(RESULTS / f"{name}_{part}.csv")

    save(figures.spread_fronts(read("fronts"))[0], folder, "spread_fronts")
    axes = figures.relative_precision(read("precision"), designed_for=headline["common"])
    save(axes[0], folder, "relative_precision")
    runs = pd.read_csv(RESULTS / f"{name}.csv")
    save(figures.inner_spikes(runs, reference=ann)[0], folder, "inner_spikes")
    mis_set = read("mis_set")
    wary = mis_set[mis_set["design"] == "for a factor of 4"]
    save(figures.mis_set(wary, reference=ann)[0], folder, "mis_set")
    shown = ["spread", "snr_target", "kind", "inner_code", *MEASURES[:2], "inner_spikes"]
    table(runs, shown, folder, "float_codes")
    table(read("at_snr"), ["spread", "kind", "name", "steps", "snr", "worst_snr", "spikes"],
          folder, "float_codes_at_snr")  # fmt: skip
    table(read("uncalibrated"), ["name", "steps", *MEASURES, "macs_per_image"],
          folder, "float_codes_uncalibrated")  # fmt: skip
    earlier = read("earlier").pivot(index="code", columns="range", values=["snr", "spikes"])
    earlier = earlier.round(2).sort_index(axis=1, level=[0, 1], ascending=[True, False])
    earlier.columns = [
        f"{'SNR (dB)' if what == 'snr' else what}, [0, {high:g}]" for what, high in earlier.columns
    ]
    earlier.loc[read("earlier")["code"].unique()].reset_index().to_csv(
        folder / "float_codes_earlier.csv", index=False
    )


def silu_sigmoid(folder: Path) -> None:
    name = "04_silu_sigmoid"
    errors = pd.read_csv(RESULTS / f"{name}_errors.csv")
    runs = pd.read_csv(RESULTS / f"{name}.csv")
    panels = errors.groupby(["function", "distribution"], sort=False)
    axes = plt.subplots(2, 2, figsize=(8.6, 7.6), sharey="row")[1].flat
    for ax, ((function, where), part) in zip(axes, panels, strict=True):
        figures.error_against_spikes(part, ax)
        ax.set_title(f"{function}, {where}")
    save(ax, folder, "silu_sigmoid_errors")
    networks = runs.groupby("network", sort=False)
    axes = plt.subplots(1, len(networks), figsize=(4.4 * len(networks), 3.8))[1]
    for ax, (network, part) in zip(axes, networks, strict=True):
        reference = part["ann_accuracy"].iloc[0]
        figures.against_spikes(part, reference=reference, below=12, ax=ax)
        ax.set_title(network)
        ax.legend(fontsize="small", loc="lower right")
    save(ax, folder, "silu_sigmoid_networks")
    shown = ["network", "setting", "steps", *MEASURES, "synops_per_image", "macs_per_image"]
    table(runs, shown, folder, "silu_sigmoid")


def cifar10(folder: Path) -> None:
    name = "05_cifar10"
    headline = results.read(RESULTS, name)["headline"]

    def read(part):
        return pd.read_csv(RESULTS / f"{name}_{part}.csv", dtype={"word": str})

    runs = pd.read_csv(RESULTS / f"{name}.csv")
    ax = plt.subplots(figsize=(9.6, 6.4))[1]
    figures.against_spikes(read("frontier"), reference=headline["ann_accuracy"], ax=ax)
    others = runs[~runs["setting"].str.startswith("mixed radix")]
    anchors = pd.read_csv(PROJECT / "book" / "anchors.csv")  # what others report, with sources
    others = pd.concat([others, anchors], ignore_index=True)
    save(figures.points(others, ax), folder, "cifar10_frontier")
    save(figures.diagnosis(read("diagnosis"))[0], folder, "cifar10_diagnosis")
    save(figures.raster(read("words"))[0], folder, "cifar10_raster")
    counts = ["synops_per_image", "macs_per_image"]
    table(runs, ["setting", "steps", *MEASURES, *counts], folder, "cifar10")
    table(read("ablation"), ["setting", "steps", *MEASURES], folder, "cifar10_parts")
    table(read("published"), ["setting", "steps", *MEASURES], folder, "cifar10_published")
    tuned = runs[runs["setting"] == "fine-tuned"]
    tuned = tuned.rename(columns={"name": "network"})
    table(tuned, ["network", "steps", *MEASURES, counts[0]], folder, "cifar10_tuned")
    rounds(tuned["network"].iloc[0]).to_csv(folder / "cifar10_rounds.csv", index=False)
    reference = headline["ann_calibration"]
    save(figures.fine_tuning(read("history"), reference=reference)[0], folder, "cifar10_tuning")
    spent = ["setting", "arithmetic", "ann_nj", "snn_nj", "ratio"]
    table(read("energy"), spent, folder, "cifar10_energy")


def mlgenn(folder: Path) -> None:
    name = "06_mlgenn"

    def read(part):
        return pd.read_csv(RESULTS / f"{name}_{part}.csv", dtype={"word": str})

    save(figures.raster(read("words"))[0], folder, "mlgenn_raster")
    agreement = read("agreement")
    agreement["output_error"] = agreement["output_error"].map("{:.1e}".format)
    agreement["spikes"] = agreement["spikes"].map("{:,}".format)
    agreement = agreement.rename(columns={"spikes": "spikes_sent"})
    table(agreement, list(agreement.columns), folder, "mlgenn_agreement")
    table(read("times"), list(read("times").columns), folder, "mlgenn_times")


def imagenet(folder: Path) -> None:
    name = "07_imagenet"
    runs = pd.read_csv(RESULTS / f"{name}.csv")
    runs["points below the ANN"] = [
        f"{row.loss:.1f} ({row.low:.1f} to {row.high:.1f})" for row in runs.itertuples()
    ]
    for column, heading in (("synops_per_image", "SynOps"), ("macs_per_image", "products")):
        runs[f"{heading} (M)"] = [f"{n / 1e6:.0f}" for n in runs[column]]
    shown = ["network", "setting", "budget", "points below the ANN", "agreement",
             "spikes_per_neuron", "SynOps (M)", "products (M)"]  # fmt: skip
    table(runs, shown, folder, "imagenet")
    layers = pd.read_csv(RESULTS / f"{name}_layers.csv")
    layers = layers[layers["setting"].isin(["paper", "mixed radix, K = 12"])]
    for network, figure, height in (
        ("efficientnet-lite0", "imagenet_layers", 8),
        ("mobilenet-v3-small", "imagenet_layers_gates", 9.5),
    ):
        ax = plt.subplots(figsize=(7.2, height))[1]
        figures.spikes_per_layer(layers[layers["network"] == network], ax)
        save(ax, folder, figure)
    frontier = pd.read_csv(RESULTS / f"{name}_frontier.csv")
    save(figures.loss_against_spikes(frontier)[0], folder, "imagenet_frontier")
    tried = pd.read_csv(RESULTS / f"{name}_budgets.csv")
    enough = results.read(RESULTS, name)["provenance"]["parameters"]["same_answers"]
    save(figures.kept_answers(tried, enough=enough), folder, "imagenet_budgets")
    as_seen = Preprocessing(224, crop=224 / 256)
    shipped = pictures.shipped()
    (batch,) = picture_stream.batches(shipped, as_seen, len(shipped))
    images = {f.stem: x for f, x in zip(shipped.files, batch.images.astype("uint8"), strict=True)}
    answers = pd.read_csv(RESULTS / f"{name}_answers.csv")
    save(figures.first_answers(images, answers).flat[0], folder, "imagenet_gallery")


def rounds(network: str) -> pd.DataFrame:
    """How a fine-tuned network was trained: from the cards of it and of those it started from."""
    rows = []
    while network:
        card = json.loads((CHECKPOINTS / f"{network}.json").read_text(encoding="utf-8"))
        recipe = card["recipe"]
        rows.insert(
            0,
            {
                "epochs": recipe["epochs"],
                "learning rate": recipe["learning_rate"],
                r"$\gamma$": recipe["distillation"],
                "mixup": recipe.get("mixup", 0.0),  # the oldest card was written before there was
                "budget": recipe["spikes_per_neuron"],
                "SNN (%)": f"{card['test_accuracy']:.2f}",
                "spikes per neuron": f"{card['test_spikes_per_neuron']:.3f}",
            },
        )
        network = card.get("start")
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="round")).reset_index()


def table(rows: pd.DataFrame, columns: list[str], folder: Path, name: str) -> None:
    """Rows of results as a reader sees them: headings in words, numbers to a fixed place."""
    shown = rows[columns].copy()
    for column in columns:
        if column in FORMS:
            shown[column] = [FORMS[column].format(v) if v == v else "–" for v in rows[column]]
    shown = shown.rename(columns=HEADINGS).rename(columns=lambda c: c.replace("_", " "))
    shown.to_csv(folder / f"{name}.csv", index=False)


def save(ax, folder: Path, name: str) -> None:
    partial = folder / f".partial-{name}.svg"
    ax.figure.savefig(partial, metadata={"Date": None}, transparent=False)
    partial.replace(folder / f"{name}.svg")
    plt.close(ax.figure)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "book" / "figures"
    target.mkdir(parents=True, exist_ok=True)
    figures.set_style()
    for draw in (
        relu_baseline,
        huffman_codes,
        float_codes,
        silu_sigmoid,
        cifar10,
        mlgenn,
        imagenet,
    ):
        draw(target)
