"""Draw the figures and shown tables of the book from the published result files.

python book/draw.py        # results/full -> book/figures
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("svg")
from export_runs import runs
from matplotlib import pyplot as plt

from fsrepro import figures
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import picture_stream, pictures, results
from fsrepro.experiments.notebook import spikes_at
from fsrepro.experiments.preprocessing import Preprocessing
from fsrepro.files import atomic, write_table, write_text

PROJECT = Path(__file__).parents[1]
RESULTS, CHECKPOINTS = PROJECT / "results" / "full", PROJECT / "checkpoints"
FIRST_PAGE = "ResNet-8", "ResNet-20", "ResNet-20, SiLU", "EfficientNet-Lite0", "MobileNetV2"
MEASURES = ["accuracy", "agreement", "spikes_per_neuron"]


def index(folder: Path) -> None:
    """Of five networks, the spikes per neuron of three codes at half a point of loss."""
    table = pd.DataFrame(runs()).rename(columns={"spikes": "spikes_per_neuron"})
    table = table[table["weights"] == "training-free"]
    table.loc[table["code"] == "published", "kind"] = "binary, as published"  # SiLU has tables
    kinds = {"binary, as published": "as published in 2021",
             "binary, calibrated": "binary, calibrated", "mixed radix": "mixed radix"}  # fmt: skip
    rows = []
    for kind, name in kinds.items():
        for network in FIRST_PAGE:
            own = table[(table["network"] == network) & (table["kind"] == kind)]
            if len(own):
                spikes = spikes_at(own, own["ann_accuracy"].iloc[0] - 0.5)
                rows.append({"network": network, "kind": name, "spikes_per_neuron": spikes})
    save(folder / "first_page", book_figures.spikes_needed, pd.DataFrame(rows))


def relu_baseline(folder: Path) -> None:
    read, headline = experiment("01_relu_baseline")
    runs, ann = read(), headline["ann_accuracy"]
    save(folder / "accuracy", book_figures.against_steps, runs, reference=ann)
    save(folder / "spikes", book_figures.against_steps, runs)
    save(folder / "layers", figures.spikes_per_layer, said(read("layers")))
    save(folder / "confusion", book_figures.confusion, read("confusion"))
    shown = ["setting", "steps", *MEASURES, "synops_per_image", "latency_steps"]
    table(runs, shown, folder / "relu_baseline")


def huffman_codes(folder: Path) -> None:
    read, headline = experiment("02_huffman_codes")
    runs, compared = read(), read("codes")
    save(folder / "ratio_to_bound", book_figures.ratio_to_bound, compared)
    save(folder / "prices", book_figures.price_of_spikes, read("prices"), read("radix"))
    save(folder / "frontier", book_figures.frontier, read("frontier"))
    half, ann = headline["paper_spikes"] / 2, headline["ann_accuracy"]
    save(folder / "network_codes", book_figures.against_spikes, runs, reference=ann, mark=half)
    save(folder / "network_steps", book_figures.by_steps, read("by_steps"), reference=ann)
    shown = ["setting", "snr_target", "steps", *MEASURES, "synops_per_image", "macs_per_image"]
    table(runs, shown, folder / "huffman_codes")
    synthetic = compared[compared["source"] == "synthetic"].sort_values("ratio_to_bound")
    layers = compared[compared["source"] != "synthetic"].groupby("kind")["ratio_to_bound"]
    synthetic["on_layers"] = synthetic["kind"].map(layers.agg(lambda r: np.exp(np.log(r).mean())))
    shown = ["kind", "steps", "snr", "spikes", "ratio_to_bound", "on_layers", "entropy",
             "mean_latency"]  # fmt: skip
    table(synthetic, shown, folder / "huffman_codes_synthetic")


def float_codes(folder: Path) -> None:
    read, headline = experiment("03_float_codes")
    runs, mis_set, ann = read(), read("mis_set"), headline["ann_accuracy"]
    save(folder / "spread_fronts", book_figures.spread_fronts, read("fronts"))
    save(
        folder / "relative_precision",
        book_figures.relative_precision,
        read("precision"),
        designed_for=headline["common"],
    )
    save(folder / "inner_spikes", book_figures.inner_spikes, runs, reference=ann)
    wary = mis_set[mis_set["design"] == "for a factor of 4"]
    save(folder / "mis_set", book_figures.mis_set, wary, reference=ann)
    shown = ["spread", "snr_target", "kind", "inner_code", *MEASURES[:2], "inner_spikes"]
    table(runs, shown, folder / "float_codes")
    shown = ["spread", "kind", "name", "steps", "snr", "worst_snr", "spikes"]
    table(read("at_snr"), shown, folder / "float_codes_at_snr")
    shown = ["name", "steps", *MEASURES, "macs_per_image"]
    table(read("uncalibrated"), shown, folder / "float_codes_uncalibrated")
    earlier = read("earlier").rename(columns={"snr": "SNR (dB)"})
    wide = earlier.pivot(index="code", columns="range", values=["SNR (dB)", "spikes"]).round(2)
    wide = wide.sort_index(axis=1, level=[0, 1], ascending=[True, False])
    wide.columns = [f"{what}, [0, {high:g}]" for what, high in wide.columns]
    write_text(
        folder / "float_codes_earlier.csv",
        wide.loc[earlier["code"].unique()].to_csv(float_format="%.2f"),
    )


def silu_sigmoid(folder: Path) -> None:
    read, _ = experiment("04_silu_sigmoid")
    save(folder / "silu_sigmoid_errors", book_figures.error_against_spikes, read("errors"))
    save(folder / "silu_sigmoid_networks", book_figures.networks_against_spikes, read())
    shown = ["network", "setting", "steps", *MEASURES, "synops_per_image", "macs_per_image"]
    table(read(), shown, folder / "silu_sigmoid")


def cifar10(folder: Path) -> None:
    read, headline = experiment("05_cifar10")
    runs, ann = read(), headline["ann_accuracy"]
    in_table = "mixed radix", "quantised activations"
    others = runs[~runs["setting"].str.startswith(in_table)]
    anchors = pd.read_csv(PROJECT / "book" / "anchors.csv")  # what others report, with sources
    others = pd.concat([others, anchors], ignore_index=True)
    save(
        folder / "cifar10_frontier",
        book_figures.against_others,
        read("frontier"),
        others,
        reference=ann,
    )
    save(folder / "cifar10_diagnosis", figures.diagnosis, said(read("diagnosis")))
    save(folder / "cifar10_raster", figures.raster, said(read("words")))
    save(
        folder / "cifar10_tuning",
        book_figures.fine_tuning,
        read("history"),
        reference=headline["ann_calibration"],
    )
    held = runs.rename(columns={"calibration_accuracy": "held out (%)"})
    held["held out (%)"] = held["held out (%)"].map("{:.2f}".format, na_action="ignore").fillna("–")
    shown = ["setting", "steps", *MEASURES, "held out (%)", "synops_per_image", "macs_per_image"]
    table(held, shown, folder / "cifar10")
    table(read("ablation"), ["setting", "steps", *MEASURES], folder / "cifar10_parts")
    foreign = read("published").rename(columns={"setting": "network"})
    foreign["network"] = "ResNet-20 of others"
    table(foreign, ["network", "budget", "steps", *MEASURES], folder / "cifar10_published")
    tuned = runs[runs["setting"] == "fine-tuned"].rename(columns={"name": "network"})
    card = tuned["network"].iloc[0]
    tuned = tuned.assign(network="ResNet-20")
    table(tuned, ["network", "steps", *MEASURES, "synops_per_image"], folder / "cifar10_tuned")
    table(rounds(card), None, folder / "cifar10_rounds")
    spent = ["setting", "arithmetic", "ann_nj", "snn_nj", "ratio"]
    table(read("energy"), spent, folder / "cifar10_energy")


def low_end(folder: Path) -> None:
    read, _ = experiment("09_low_end")
    one, frontier, parts = read("one_neuron"), read(), read("parts")
    chosen = one[one["K"].isin([4, 8, 16])]
    save(folder / "low_end_one_neuron", book_figures.low_end, chosen)
    save(folder / "low_end_networks", book_figures.loss_against_spikes, frontier)
    one = one.rename(columns={
        "at_most": "spikes, at most", "snr_without": "no dead zone (dB)", "snr": "SNR (dB)",
        "scalar_bound": "any neuron alone", "bound": "rate-distortion", "ratio": "spikes / former",
    })  # fmt: skip
    columns = ["spikes, at most", "no dead zone (dB)", "SNR (dB)", "spikes", "rate-distortion",
               "any neuron alone", "spikes / former"]  # fmt: skip
    one = one[one["spikes, at most"].isin([0.2, 0.25, 0.3, 0.35, 0.4, 0.5])]
    for some, form in ((columns[1:3], "{:.1f}"), (columns[4:], "{:.3f}")):
        one[some] = one[some].map(form.format)
    table(one, ["K", *columns], folder / "low_end_one_neuron")
    for rows, name in ((frontier, "low_end_networks"), (parts, "low_end_parts")):
        rows["points below the ANN"] = points_below(rows, 2)
        shown = ["network", "setting", "budget", "spikes_per_neuron", "accuracy",
                 "points below the ANN", "agreement"]  # fmt: skip
        table(rows, shown, folder / name)


def mlgenn(folder: Path) -> None:
    read, _ = experiment("06_mlgenn")
    save(folder / "mlgenn_raster", figures.raster, said(read("words")))
    agreement = read("agreement").rename(columns={"spikes": "spikes_sent"})
    agreement["output_error"] = agreement["output_error"].map("{:.1e}".format)
    table(agreement, None, folder / "mlgenn_agreement")
    times = read("times")
    times["million events"] = (times["events_per_image"] / 1e6).map("{:.2f}".format)
    spread = times[["ms_per_image", "ms_fastest", "ms_slowest"]].to_numpy()
    times["ms per image (fastest to slowest)"] = [
        "{:.1f} ({:.1f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{:.1f})".format(*row) for row in spread
    ]
    columns = ["setting", "weights", "synapses", "accuracy", "spikes_per_neuron", "million events",
               "ms per image (fastest to slowest)", "ns_per_event"]  # fmt: skip
    table(times, columns, folder / "mlgenn_times")


def at_scale(folder: Path) -> None:
    read, _ = experiment("12_at_scale")
    shown = ["processes", "seconds_per_picture", "speed", "start_up"]
    table(read(), shown, folder / "at_scale")
    table(read("plan"), None, folder / "at_scale_plan")


def imagenet(folder: Path) -> None:
    read, _ = experiment("07_imagenet")
    runs, layers = read(), read("layers")
    runs["points below the ANN"] = points_below(runs, 1)
    shown = ["network", "setting", "budget", "points below the ANN", "agreement",
             "spikes_per_neuron", "synops_per_mac", "macs_left", "energy"]  # fmt: skip
    table(runs, shown, folder / "imagenet")
    layers = layers[layers["setting"].isin(["paper", "mixed radix, K = 12"])]
    layers = dict(list(layers.groupby("network")))
    save(folder / "imagenet_layers", figures.spikes_per_layer, layers["efficientnet-lite0"])
    save(folder / "imagenet_layers_gates", figures.spikes_per_layer, layers["mobilenet-v3-small"])
    save(folder / "imagenet_frontier", book_figures.loss_against_spikes, read("frontier"))
    enough = results.read(RESULTS, "07_imagenet")["provenance"]["parameters"]["same_answers"]
    save(folder / "imagenet_budgets", book_figures.kept_answers, read("budgets"), enough=enough)
    shipped = pictures.shipped()
    (batch,) = picture_stream.batches(shipped, Preprocessing(224, crop=224 / 256), len(shipped))
    images = {f.stem: x for f, x in zip(shipped.files, batch.images.astype("uint8"), strict=True)}
    save(folder / "imagenet_gallery", book_figures.first_answers, images, read("answers"))


def nothing_analog(folder: Path) -> None:
    read, _ = experiment("10_nothing_analog")
    runs, events = read(), read("events")
    save(folder / "nothing_analog_energy", book_figures.energy_parts, runs)
    runs["points below the ANN"] = points_below(runs, 2)
    shown = ["network", "picture", "budget", "points below the ANN", "agreement",
             "spikes_per_neuron", "synops_per_mac", "macs_left", "energy"]  # fmt: skip
    table(runs, shown, folder / "nothing_analog")
    shown = ["network", "images", "accuracy", "answers_that_differ", "spikes_sent",
             "spikes_that_differ", "events_per_image", "seconds_per_image"]  # fmt: skip
    table(events, shown, folder / "nothing_analog_events")
    signals = read("signals").groupby("network", sort=False)
    means = signals[["negative_power", "pair", "one"]].mean()
    means.insert(0, "signals", signals.size())
    table(means.reset_index(), None, folder / "nothing_analog_signals")


def training(folder: Path) -> None:
    read, found = experiment("11_training")
    runs = read()
    save(folder / "training_frontier", book_figures.trained_frontier, runs)
    save(
        folder / "training",
        book_figures.fine_tuning,
        read("history"),
        reference=found["ann_calibration"],
    )
    runs["points below the ANN"] = points_below(runs, 2)
    runs["code for each"] = runs["by_channel"].map({True: "channel", False: "layer"})
    shown = ["network", "K", "weights", "code for each", "spikes_per_neuron", "accuracy",
             "points below the ANN", "agreement", "synops_per_mac", "energy"]  # fmt: skip
    table(runs, shown, folder / "training")


def experiment(name: str) -> tuple[Callable[..., pd.DataFrame], dict]:
    """What reads the result tables of an experiment, and its headline."""

    def read(part: str = "") -> pd.DataFrame:
        return results.table(RESULTS, name, part, dtype={"word": str})

    return read, results.read(RESULTS, name)["headline"]


def said(rows: pd.DataFrame) -> pd.DataFrame:
    """With layers as a reader would say them: stage 1 block 2.1."""
    return rows.assign(layer=rows["layer"].map(book_figures.layer_name))


def rounds(network: str) -> pd.DataFrame:
    """How a fine-tuned network was trained: from the cards of it and of those it started from."""
    columns = {
        "recipe.epochs": "epochs",
        "recipe.learning_rate": "learning_rate",
        "recipe.distillation": r"$\gamma$",
        "recipe.mixup": "mixup",
        "recipe.spikes_per_neuron": "budget",
        "test_accuracy": "accuracy",
        "test_spikes_per_neuron": "spikes_per_neuron",
    }
    cards = []
    while network:
        cards.insert(0, json.loads((CHECKPOINTS / f"{network}.json").read_text(encoding="utf-8")))
        network = cards[0].get("start")
    rows = pd.json_normalize(cards)[list(columns)].rename(columns=columns)
    rows = rows.fillna({"mixup": 0.0})  # the oldest card was written before there was
    return rows.rename_axis("round").rename(lambda i: i + 1).reset_index()


def points_below(rows: pd.DataFrame, digits: int) -> list[str]:
    """``loss (low to high)`` of each row, in so many digits."""
    numbers = rows[["loss", "low", "high"]].itertuples(index=False)
    form = "{:.{d}f} ({:.{d}f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{:.{d}f})"
    return [form.format(*row, d=digits) for row in numbers]


def table(rows: pd.DataFrame, columns: list[str] | None, path: Path) -> None:
    write_table(results.shown(rows, columns), path.with_suffix(".csv"), overwrite=True)


def save(path: Path, draw: Callable, *arguments, **options) -> None:
    """Draw a figure twice: for a page, and with ``.narrow`` in its name for a phone."""
    for narrow, ending in ((False, ".svg"), (True, ".narrow.svg")):
        figures.set_style(narrow=narrow)
        figure = np.ravel(draw(*arguments, **options))[0].figure
        with atomic(path.with_suffix(ending)) as partial:
            figure.savefig(partial, metadata={"Date": None}, transparent=True)  # as the page is
        plt.close(figure)


CHAPTERS = (
    index, relu_baseline, huffman_codes, float_codes, silu_sigmoid, cifar10, low_end, mlgenn,
    imagenet, nothing_analog, training, at_scale,
)  # fmt: skip

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "book" / "figures"
    target.mkdir(parents=True, exist_ok=True)
    for chapter in CHAPTERS:
        chapter(target)
