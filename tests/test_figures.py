"""Figures show what their tables hold, all of it and nothing else, under the right labels."""

import re
from typing import NamedTuple

import keras
import matplotlib
import numpy as np
import pandas as pd
import pytest
from scripts import PROJECT, script

from fsrepro import codes, convert, diagnose, figures, measures
from fsrepro.experiments import figures as book_figures
from fsrepro.experiments import results
from fsrepro.experiments.results import plain

matplotlib.use("agg")
from matplotlib import pyplot as plt

FULL = PROJECT / "results" / "full"
CHAPTERS = [
    "index", "relu_baseline", "huffman_codes", "float_codes", "silu_sigmoid", "cifar10",
    "low_end", "mlgenn", "imagenet", "nothing_analog", "training", "at_scale",
]  # fmt: skip
NOT_OF_THE_TABLE = "_", "mixed radix, any K"  # how labels of other lines begin
ACCURACY, SPIKES, SPENT = "accuracy (%)", "spikes per neuron", "spikes per neuron and image"


@pytest.fixture(autouse=True)
def _style():
    """The style of the book, and nothing left open for the next test."""
    with matplotlib.rc_context():
        figures.set_style()
        yield
    plt.close("all")


def read(name):
    return pd.read_csv(FULL / f"{name}.csv", dtype={"word": str})


def headline(name):
    return results.read(FULL, name)["headline"]


class Panel(NamedTuple):
    """What is expected of one: by name the points of each line, and the limits where they cut."""

    xlabel: str
    ylabel: str
    lines: dict
    title: str = ""
    xlim: tuple = ()
    ylim: tuple = ()


def in_order(points):
    return points[np.lexsort(np.transpose(points))]


def lines_of(rows, x, y, by="setting"):
    return {plain(name): part[[x, y]].to_numpy() for name, part in rows.groupby(by, sort=False)}


def against_steps():
    rows, ann = read("01_relu_baseline"), headline("01_relu_baseline")["ann_accuracy"]
    lines = lines_of(rows, "steps", "accuracy")
    panel = Panel("time steps K", ACCURACY, lines, ylim=(ann - 12, ann + 1))
    return book_figures.against_steps(rows, reference=ann), [panel], []


def spikes_against_steps():
    rows = read("01_relu_baseline")
    panel = Panel("time steps K", SPIKES, lines_of(rows, "steps", "spikes_per_neuron"))
    return book_figures.against_steps(rows), [panel], []


def price_of_spikes():
    words, radix = read("02_huffman_codes_prices"), read("02_huffman_codes_radix")
    lines = {
        "words, by the price of a spike in steps": words[["mean_latency", "spikes"]].to_numpy(),
        "mixed radix, decoded by a weighted sum": radix[["steps", "spikes"]].to_numpy(),
    }
    ax = book_figures.price_of_spikes(words, radix)
    assert [float(text.get_text()) for text in ax.texts] == list(words["price"])
    return ax, [Panel("mean latency (time steps)", SPIKES, lines)], []


def ratio_to_bound():
    rows = read("02_huffman_codes_codes")
    synthetic = rows["source"] == "synthetic"
    order = rows[synthetic].sort_values("ratio_to_bound")["kind"].tolist()
    rows["y"] = rows["kind"].map(order.index)
    names = np.where(rows["linear"], "weighted sum", "needs a decoder")
    names = np.where(
        synthetic, "synthetic source, " + names.astype(object), "layers of the network"
    )
    ax = book_figures.ratio_to_bound(rows)
    assert [text.get_text() for text in ax.get_yticklabels()] == order
    lines = lines_of(rows.assign(name=names), "ratio_to_bound", "y", "name")
    return ax, [Panel("spikes / fewest possible", "", lines)], []


def frontier():
    rows = read("02_huffman_codes_frontier")
    panels = []
    for K, part in rows.groupby("steps"):
        bound = {"bound": part.drop_duplicates("snr_target")[["snr_target", "bound"]].to_numpy()}
        lines = lines_of(part, "snr_target", "spikes", "family") | bound
        panels.append(Panel("SNR (dB)", "" if panels else SPIKES, lines, f"K = {K}"))
    return book_figures.frontier(rows), panels, []


def against_spikes():
    rows, found = read("02_huffman_codes"), headline("02_huffman_codes")
    ann, half = found["ann_accuracy"], found["paper_spikes"] / 2
    radix = rows["setting"].str.startswith("mixed radix")
    by_K = rows[radix].assign(setting=rows["setting"].str.removeprefix("mixed radix, "))
    panels = [
        Panel(SPENT, label, lines_of(part, "spikes_per_neuron", "accuracy"))
        for part, label in ((by_K, ACCURACY), (rows[~radix], ""))
    ]
    axes = book_figures.against_spikes(rows, reference=ann, mark=half)
    behind = [line.get_xydata() for line in axes[1].lines if line.get_color() == "0.75"]
    points = rows[radix][["spikes_per_neuron", "accuracy"]].to_numpy()
    np.testing.assert_allclose(in_order(np.concatenate(behind)), in_order(points))
    return axes, panels, ["mixed radix, any K"]


def by_steps():
    rows, ann = read("02_huffman_codes_by_steps"), headline("02_huffman_codes")["ann_accuracy"]
    panels = [
        Panel("time steps K", label, {"SNN": rows[["steps", y]].to_numpy()}, ylim=ylim)
        for y, label, ylim in (
            ("accuracy", ACCURACY, (ann - 2, ann + 0.5)), ("spikes_per_neuron", SPIKES, ())
        )
    ]  # fmt: skip
    return book_figures.by_steps(rows, reference=ann), panels, None


def by_spread(rows, x, y, xlabel, ylabel, alone, **limits):
    return [
        Panel(
            xlabel,
            "" if i else ylabel,
            lines_of(part, x, y, "kind"),
            f"scales from 1/{spread} to {spread}" if spread > 1 else alone,
            **limits,
        )
        for i, (spread, part) in enumerate(rows.groupby("spread"))
    ]


def spread_fronts():
    rows = read("03_float_codes_fronts")
    panels = by_spread(
        rows, "spikes", "snr", SPIKES, "SNR over the channels (dB)", "one scale, known",
        xlim=(0.2, 1.3), ylim=(0, 50),
    )  # fmt: skip
    return book_figures.spread_fronts(rows), panels, []


def inner_spikes():
    rows, ann = read("03_float_codes"), headline("03_float_codes")["ann_accuracy"]
    panels = by_spread(
        rows, "inner_spikes", "accuracy", "spikes per inner neuron", ACCURACY,
        "channels as trained", ylim=(ann - 4, ann + 0.6),
    )  # fmt: skip
    return book_figures.inner_spikes(rows, reference=ann), panels, []


def relative_precision():
    rows, spread = read("03_float_codes_precision"), headline("03_float_codes")["common"]
    axes = book_figures.relative_precision(rows, designed_for=spread)
    for ax in axes:
        (shaded,) = ax.patches
        assert (shaded.get_x(), shaded.get_width()) == (1 / spread, spread - 1 / spread)
    panels = [
        Panel("scale of the channel", label, lines_of(rows, "scale", y, "kind"))
        for y, label in (("snr", "SNR of the channel (dB)"), ("spikes", SPIKES))
    ]
    return axes, panels, []


def mis_set():
    rows, ann = read("03_float_codes_mis_set"), headline("03_float_codes")["ann_accuracy"]
    rows = rows[rows["design"] == "for a factor of 4"]
    panels = [
        Panel("scale of every layer / the right one", label, lines_of(rows, "factor", y, "kind"))
        for y, label in (("accuracy", ACCURACY), ("spikes_per_neuron", SPIKES))
    ]
    return book_figures.mis_set(rows, reference=ann), panels, []


def error_against_spikes():
    rows = read("04_silu_sigmoid_errors")
    panels = [
        Panel(SPIKES, "mean squared error", lines_of(part, "spikes", "mse"))
        for _, part in rows.groupby(["function", "distribution"], sort=False)
    ]
    axes = book_figures.error_against_spikes(rows)
    titles = [ax.get_legend().get_title().get_text() for ax in axes]
    groups = rows[["function", "distribution"]].drop_duplicates()
    assert titles == [f"{plain(function)}, {where}" for function, where in groups.to_numpy()]
    return axes, panels, []


def networks_against_spikes():
    rows, panels, below = read("04_silu_sigmoid"), [], []
    for network, part in rows.groupby("network", sort=False):
        ann = part["ann_accuracy"].iloc[0]
        lines = lines_of(part, "spikes_per_neuron", "accuracy")
        label = "" if panels else ACCURACY
        panels.append(Panel(SPIKES, label, lines, network, ylim=(ann - 2, ann + 0.4)))
        below.append(part.loc[part["accuracy"] < ann - 2, "spikes_per_neuron"])
    axes = book_figures.networks_against_spikes(rows)
    for ax, spikes in zip(axes, below, strict=True):
        arrows = [x for line in ax.lines if line.get_marker() == "v" for x in line.get_xdata()]
        assert sorted(arrows) == sorted(spikes)
    return axes, panels, []


def against_others():
    rows, runs = read("05_cifar10_frontier"), read("05_cifar10")
    ann = headline("05_cifar10")["ann_accuracy"]
    others = runs[~runs["setting"].str.startswith("mixed radix")]
    axes = book_figures.against_others(rows, others, reference=ann)
    others = others[others["accuracy"] > ann - 6]
    spiking = others[others["spikes_per_neuron"].notna()].sort_values("spikes_per_neuron")
    bits = others["setting"][others["spikes_per_neuron"].isna()].str.removeprefix("quantised ANN, ")
    at_edge = [text for text in axes[0].texts if "ANN" not in text.get_text()]
    assert sorted(text.get_text() for text in at_edge) == sorted(bits)
    assert np.all(np.diff([text.xy[1] for text in at_edge]) > 0.2)  # no two labels on each other
    named = [text.get_text() for text in axes[1].texts]
    assert [name.split(", K = ")[0] for name in named[::2] if "rate" in name] == 4 * ["rate"]
    assert named[1::2] == [f"{accuracy:.2f} %" for accuracy in spiking["accuracy"]]
    found = in_order(np.concatenate([line.get_xydata() for line in axes[1].lines]))
    np.testing.assert_allclose(found[:, 0], spiking["spikes_per_neuron"])
    tuned = spiking["setting"] == "fine-tuned"
    spiking["setting"] = np.where(tuned, "fine-tuned", "other codes and baselines")
    lines = lines_of(pd.concat([rows, spiking]), "spikes_per_neuron", "accuracy")
    panels = [Panel(SPENT, ACCURACY, lines, ylim=(ann - 6, ann + 0.9)), Panel(SPENT, "", {})]
    return axes, panels, []


def diagnosis():
    rows = read("05_cifar10_diagnosis")
    rows["y"] = range(len(rows))
    axes = figures.diagnosis(rows)
    assert [text.get_text() for text in axes[0].get_yticklabels()] == [*rows["layer"]]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1]  # the first layer on top
    for ax, values in (
        (axes[2], rows["spikes_per_neuron"]), (axes[3], 100 - rows["agreement_alone"])
    ):  # fmt: skip
        np.testing.assert_array_equal([bar.get_width() for bar in ax.patches], values)
    named = (
        {"snr": "its code alone", "snr_to_ann": "with all before it"},
        {"saturated": "values saturated", "dead": "neurons dead"},
        {},
        {},
    )
    labels = "SNR (dB)", "percent", "spikes per\nneuron", "answers it alone\nchanges (%)"
    panels = [
        Panel(label, "", {name: rows[[x, "y"]].to_numpy() for x, name in names.items()})
        for label, names in zip(labels, named, strict=True)
    ]
    return axes, panels, []


def fine_tuning():
    rows, ann = read("05_cifar10_history"), headline("05_cifar10")["ann_calibration"]
    rows = rows[rows["name"] == rows["name"].iloc[0]]
    axes = book_figures.fine_tuning(rows, reference=ann)
    panels = [
        Panel("epoch", label, {"SNN": rows[["epoch", y]].to_numpy()})
        for y, label in (
            ("calibration_accuracy", "accuracy on held-out images (%)"),
            ("spikes_per_neuron", "spikes per neuron, training"),
        )
    ]
    return axes, panels, None


def kept_answers():
    rows = read("07_imagenet_budgets")
    lines = lines_of(rows, "spikes_per_neuron", "same_answers")
    ax = book_figures.kept_answers(rows, enough=97.0)
    assert ax.lines[0].get_ydata() == [97, 97]
    return ax, [Panel(SPENT, "answers that stay the same (%)", lines)], []


def low_end():
    rows = read("09_low_end_one_neuron")
    rows = rows[rows["K"].isin([4, 8])]
    named = {
        "no dead zone": ("spikes", "snr_without"), "with dead zones": ("spikes", "snr"),
        "any neuron alone": ("scalar_bound", "snr"), "rate-distortion": ("bound", "snr"),
    }  # fmt: skip
    panels = [
        Panel(
            SPIKES, "" if i else "SNR (dB)",
            {name: part[[*xy]].to_numpy() for name, xy in named.items()}, f"K = {K}",
        )
        for i, (K, part) in enumerate(rows.groupby("K"))
    ]  # fmt: skip
    return book_figures.low_end(rows), panels, []


CASES = (
    against_others, against_spikes, against_steps, by_steps, diagnosis, error_against_spikes,
    fine_tuning, frontier, inner_spikes, kept_answers, low_end, mis_set, networks_against_spikes,
    price_of_spikes, ratio_to_bound, relative_precision, spikes_against_steps, spread_fronts,
)  # fmt: skip


def legends(figure):
    """The names that each legend of a figure explains."""
    found = [*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))]
    return [[text.get_text() for text in legend.get_texts()] for legend in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_lines_are_those_of_the_published_table(case):
    axes, panels, more = case()
    axes = np.ravel(axes)
    assert len(plt.get_fignums()) == 1
    for ax, panel in zip(axes, panels, strict=True):
        assert (ax.get_xlabel(), ax.get_ylabel()) == (panel.xlabel, panel.ylabel)
        assert ax.get_title() == panel.title
        drawn = {str(line.get_label()): line.get_xydata() for line in ax.lines}
        for text in ax.texts:  # a line across is where its name says
            if match := re.fullmatch(r"ANN \((.+) %\)", text.get_text()):
                heights = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "0.55"]
                assert match[1] in [f"{height:.2f}" for height in heights]
        drawn = {n: xy for n, xy in drawn.items() if len(xy) and not n.startswith(NOT_OF_THE_TABLE)}
        assert set(drawn) == set(panel.lines)
        for name, points in panel.lines.items():
            np.testing.assert_allclose(in_order(drawn[name]), in_order(points))
        limits, everything = (ax.get_xlim(), ax.get_ylim()), [*panel.lines.values()]
        for k, expected in enumerate((panel.xlim, panel.ylim)):
            if expected:
                assert limits[k] == pytest.approx(expected)
            elif everything:
                values = np.concatenate(everything)[:, k]
                assert min(limits[k]) <= np.nanmin(values) <= np.nanmax(values) <= max(limits[k])
    named = {name for legend in legends(axes[0].figure) for name in legend}
    if more is None:
        assert not named
    else:
        assert named == {name for panel in panels for name in panel.lines} | set(more)


@pytest.mark.parametrize("networks", [1, 2, 5])
def test_accuracy_far_below_the_ann_is_an_arrow(networks):
    rows = read("07_imagenet_frontier")
    rows = rows[rows["network"].isin(rows["network"].unique()[:networks])]
    axes = book_figures.loss_against_spikes(rows)
    for ax, (network, part) in zip(axes, rows.groupby("network", sort=False), strict=True):
        assert ax.get_title() == plain(network)
        assert ax.get_ylim() == pytest.approx((-5, min(3, -rows["low"].min() + 0.3)))
        bars = [container.lines[0] for container in ax.containers]
        inside, outside = part[part["loss"] <= 5], part[part["loss"] > 5]
        points = np.concatenate([bar.get_xydata() for bar in bars])
        expected = np.column_stack([inside["spikes_per_neuron"], -inside["loss"]])
        np.testing.assert_allclose(in_order(points), in_order(expected))
        ends = [
            ends for container in ax.containers for ends in container.lines[2][0].get_segments()
        ]
        ends = np.sort(np.concatenate(ends)[:, 1])
        expected = np.sort(np.concatenate([-inside["low"], -inside["high"]]))
        np.testing.assert_allclose(ends, expected, atol=1e-6)
        arrows = [x for line in ax.lines if line.get_mfc() == "white" for x in line.get_xdata()]
        assert sorted(arrows) == sorted(outside["spikes_per_neuron"])
    assert [set(legend) for legend in legends(axes[0].figure)] == [set(rows["setting"])]
    assert axes[0].figure.get_supxlabel() == SPENT
    assert axes[0].figure.get_supylabel() == "accuracy minus the ANN's (points)"


def check_layers(ax, rows):
    """A bar for each row, in a deep network a point in the row of its block; settings named."""
    assert (ax.get_xlabel(), ax.get_ylabel()) == (SPENT, "")
    parts = (
        [part for _, part in rows.groupby("setting", sort=False)] if "setting" in rows else [rows]
    )
    names = [text.get_text() for text in ax.get_yticklabels()]
    deep = rows["layer"].nunique() > 24
    for i, part in enumerate(parts):
        if deep:
            drawn = [(names[round(y)], x) for x, y in ax.lines[i].get_xydata()]
            words = part["layer"].str.extract(r"([A-Za-z]+)_?(\d*)")
            rows_of = (words[0] + " " + words[1]).str.rstrip()
        else:
            bars = ax.containers[i]
            drawn = [(names[round(b.get_y() + b.get_height() / 2)], b.get_width()) for b in bars]
            rows_of = part["layer"]
        assert drawn == [*zip(rows_of, part["spikes_per_neuron"], strict=True)]
    if not deep:
        longest = max(parts, key=len)["layer"]
        assert names[: len(longest)] == list(longest)
    settings = [list(rows["setting"].unique())] if "setting" in rows else []
    assert legends(ax.figure) == settings


def check_raster(axes, rows):
    """A point for each spike, within the time steps and the row of its layer."""
    images = rows["image"].unique() if "image" in rows else [""]
    layers = rows["layer"].unique()
    names = [text.get_text() for text in axes[0].get_yticklabels()]
    assert names == [*layers]
    for ax, image in zip(axes, images, strict=True):
        assert (ax.get_title(), ax.get_xlabel()) == (image, "time step")
        part, start = rows[rows["image"] == image] if image else rows, 0
        for row, (layer, drawn) in enumerate(zip(layers, ax.collections, strict=True)):
            words = part[part["layer"] == layer]["word"]
            x, y = np.asarray(drawn.get_offsets()).T.reshape(2, -1)
            assert len(x) == words.str.count("1").sum()
            times = [start + 1 + k for word in words for k in range(len(word)) if word[k] == "1"]
            assert sorted(x) == sorted(times)
            assert np.all((y > row) & (y < row + 1))
            start += len(words.iloc[0])
        assert ax.get_xlim() == (0, start + 1)


@pytest.mark.parametrize("name", ["01_relu_baseline", "07_imagenet"])
def test_spikes_of_every_layer(name):
    rows = read(f"{name}_layers")
    for _, part in rows.groupby("network") if "network" in rows else [("", rows)]:
        check_layers(figures.spikes_per_layer(part), part)


@pytest.mark.parametrize("name", ["05_cifar10", "06_mlgenn"])
def test_raster_of_images(name):
    rows = read(f"{name}_words")
    check_raster(figures.raster(rows), rows)


def test_confusion_counts_every_image():
    rows = read("01_relu_baseline_confusion")
    ax = book_figures.confusion(rows)
    names = list(rows["label"].unique())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer of the spiking network", "label")
    assert [text.get_text() for text in ax.get_xticklabels()] == names
    assert [text.get_text() for text in ax.get_yticklabels()] == names
    counts = np.array([int(text.get_text()) for text in ax.texts]).reshape(len(names), -1)
    for row in rows.itertuples():
        assert counts[names.index(row.label), names.index(row.answer)] == row.images
    assert counts.sum() == rows["images"].sum()


def test_pictures_have_the_first_answers_of_both_networks():
    rows = read("07_imagenet_answers")
    names = rows["picture"].unique()
    images = {name: np.full((4, 4, 3), i, "uint8") for i, name in enumerate(names)}
    axes = book_figures.first_answers(images, rows)
    first = rows[rows["place"] == 1]
    for i, (name, ax) in enumerate(zip(names, axes, strict=False)):
        assert np.all(ax.images[0].get_array() == i)
        expected = first[first["picture"] == name].itertuples()
        expected = [f"{plain(row.network)}: {row.answer}, {row.percent:.0f} %" for row in expected]
        assert ax.get_title().split("\n") == expected
    assert not any(ax.images or ax.axison for ax in axes[len(names) :])


def test_codes():
    shown = [codes.binary(3, 4.0), codes.binary(3, 4.0, rounding=True), codes.rate(4, 4.0)]
    x = np.linspace(-1, 5, 50, dtype=np.float32)
    target = np.maximum(x, 0)
    axes = book_figures.curves(
        {"relu": shown, "twice": shown[:1]}, x, {"relu": target, "twice": target}
    )
    assert [len(ax.lines) for ax in axes] == [4, 2, 3, 1]
    assert [ax.get_title() for ax in axes] == ["relu", "twice", "", ""]
    for code, curve, error in zip(shown, axes[0].lines[1:], axes[2].lines, strict=True):
        assert curve.get_label() == code.name
        np.testing.assert_array_equal(curve.get_ydata(), code.quantise(x))
        np.testing.assert_array_equal(error.get_ydata(), code.quantise(x) - target)
    axes = book_figures.neuron_traces(shown, 2.7)
    assert len(axes) == 4 and not axes[3].get_visible()
    for code, ax in zip(shown, axes, strict=False):
        spikes = code.encode(np.float32([2.7]))[:, 0]
        assert ax.get_title(loc="left").startswith(f"{code.name}: x = 2.7")
        expected = [f"{weight:g}" for weight in code.weight[spikes == 1]]
        assert [text.get_text() for text in ax.texts] == expected
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("time step t", "potential")


def test_activations_have_a_density_per_layer():
    x = np.random.default_rng(0).normal(0, 3, 1_000_000)
    ax = book_figures.activations({"act1": x, "act2": np.maximum(x, 0)})
    assert legends(ax.figure) == [["act 1", "act 2"]]
    normal = ax.lines[0].get_xydata()
    np.testing.assert_allclose(normal[:, 1], np.exp(-(normal[:, 0] ** 2) / 2) / 2.507, atol=0.01)


def test_what_the_library_returns():
    images = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    layers += [keras.layers.Dense(10, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    snn = convert(model, images, code="binary", steps=4)
    layers = measures.evaluate(snn, images).layers
    check_layers(figures.spikes_per_layer(layers), layers)
    words = measures.sample_words(snn, images[0])
    check_raster(figures.raster(words), words)
    table = diagnose(model, snn, images)
    assert len(figures.diagnosis(table)[2].patches) == len(table)


def test_accuracies_have_the_intervals_of_the_points_lost():
    """Two of 90 % and 88 % below an ANN of 91 %; of the third the interval is not known."""
    rows = pd.DataFrame(
        {
            "setting": ["a", "a", "b"], "steps": [4, 8, 8], "accuracy": [88.0, 90.0, 89.0],
            "loss": [3.0, 1.0, 2.0], "low": [2.5, 0.75, np.nan], "high": [3.75, 1.5, np.nan],
        }
    )  # fmt: skip
    ax = book_figures.against_steps(rows, reference=91)
    bars = [bar for bars in ax.collections for bar in bars.get_segments() if len(bar)]
    np.testing.assert_allclose(bars, [[[4, 87.25], [4, 88.5]], [[8, 89.5], [8, 90.25]]])
    bare = book_figures.against_steps(rows.drop(columns="loss"), reference=91)
    assert not bare.collections


def test_spread_shows_every_part_and_the_mean_of_a_training():
    rows = pd.DataFrame(
        [(b, t, p, b + t + p) for b in (0.4, 0.5) for t in (0, 3) for p in (1, 2)],
        columns=["budget", "training", "part", "loss"],
    )
    axes = book_figures.spread(rows)
    for ax, budget in zip(axes, (0.4, 0.5), strict=True):
        assert ax.get_title() == f"budget {budget}"
        points = ax.lines[0].get_xydata()
        losses = rows[rows["budget"] == budget]["loss"]
        np.testing.assert_allclose(points, np.transpose([[0, 0, 1, 1], losses]))
        (means,) = ax.collections
        heights = [bar[0, 1] for bar in means.get_segments()]
        np.testing.assert_allclose(heights, [budget + 1.5, budget + 4.5])
        assert [label.get_text() for label in ax.get_xticklabels()] == ["seed 0", "seed 3"]


def test_energy_is_what_spikes_and_multiplications_take():
    runs = read("10_nothing_analog")
    ax = book_figures.energy_parts(runs)
    spikes, left = ([bar.get_width() for bar in bars] for bars in ax.containers)
    np.testing.assert_allclose(np.add(spikes, left), runs["energy"], rtol=1e-6)
    np.testing.assert_allclose(left, runs["macs_left"])
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[:2] == [
        f"{runs['network'][0]}, budget {runs['budget'][0]:g},\npicture analog",
        f"{runs['network'][1]}, budget {runs['budget'][1]:g},\npicture in spikes",
    ]


@pytest.mark.parametrize("several", [True, False])
def test_what_was_trained_lies_where_the_table_says(several):
    runs = read("11_training")
    runs["K"] = np.arange(len(runs)) if several else 8
    axes = book_figures.trained_frontier(runs)
    shown = runs[runs["by_channel"]]
    assert [ax.get_title() for ax in axes] == list(shown["network"].unique())
    for ax in axes:
        part = shown[shown["network"] == ax.get_title()]
        labels = {label.get_text() for label in ax.texts} - {"ANN"}
        assert labels == ({f"K = {K}" for K in part["K"]} if several else set())
        points = np.concatenate([bars[0].get_xydata() for bars in ax.containers])
        expected = part[["spikes_per_neuron", "loss"]].to_numpy()
        np.testing.assert_allclose(in_order(points), in_order(expected))
        labels = [bars.get_label() for bars in ax.containers]
        classes = ("training-free", "refitted", "calibrated", "fine-tuned")
        assert labels == [name for name in classes if name in set(part["weights"])]


@pytest.mark.parametrize(
    "name,words",
    [
        ("stage1_block2_1_act", "stage 1 block 2.1"), ("block_16_project", "block 16 project"),
        ("Conv1_relu", "Conv 1"), ("stem_act", "stem"),
    ],
)  # fmt: skip
def test_layers_are_called_as_a_reader_would(name, words):
    assert book_figures.layer_name(name) == words


def test_a_deep_network_of_a_stranger_has_a_row_for_each_layer():
    names = [f"conv2d_{n}" for n in range(40)]
    ax = figures.spikes_per_layer(pd.DataFrame({"layer": names, "spikes_per_neuron": 0.5}))
    assert [text.get_text() for text in ax.get_yticklabels()] == names
    assert len(ax.containers[0]) == 40


@pytest.fixture(scope="module")
def draw():
    module = script("book/draw.py")
    plt.switch_backend("agg")
    return module


def drawn_by(draw, chapter, folder, monkeypatch):
    """The legends of every figure of a chapter, which lies in the folder afterwards."""
    found, close = [], plt.close
    see = lambda figure: (found.extend(legends(figure)), close(figure))  # noqa: E731
    monkeypatch.setattr(draw.plt, "close", see)
    getattr(draw, chapter)(folder)
    monkeypatch.undo()
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_book_has_what_its_pages_show(draw, chapter, tmp_path, monkeypatch):
    named = drawn_by(draw, chapter, tmp_path, monkeypatch)
    page = (PROJECT / "book" / f"{chapter}.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"figures/(\w+\.(?:svg|csv))", page))
    narrow = {name.replace(".svg", ".narrow.svg") for name in shown if name.endswith(".svg")}
    assert {path.name for path in tmp_path.iterdir()} == shown | narrow
    assert not plt.get_fignums()
    assert all(len(names) <= 6 for names in named), "more than a reader keeps apart"
    for path in tmp_path.glob("*.svg"):
        smallest, width = smallest_text(path.read_text(encoding="utf-8"))
        column = (
            358 if ".narrow." in path.name else 688
        )  # pixels beside a phone's, a desk's margins
        assert smallest * min(1, column / width) >= 8.5, path.name
    for path in tmp_path.glob("*.csv"):
        cells = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w)])-\.?\d|\de[+-]\d|\d\d_[a-z]|resnet\d|_relu|_act", cells)


def smallest_text(svg):
    """The size of the smallest text, and the width of the picture, in pixels."""
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1]) * 4 / 3
    # Matplotlib draws letters as outlines, of a hundred units each.
    sizes = re.findall(r"scale\((0\.\d+) -0\.\d+\)", svg)
    return min((float(size) * 100 * 4 / 3 for size in sizes), default=np.inf), width


def test_book_has_all_chapters(draw):
    assert [chapter.__name__ for chapter in draw.CHAPTERS] == CHAPTERS
