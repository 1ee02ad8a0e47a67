"""The figures of the chapters, from result tables; they compute nothing and write nothing.

A table is as its notebook has it, or as it is read from ``results/full``. ``reference`` is the
accuracy of the ANN in percent, a line across. A function that takes ``ax`` may draw there; any
other makes a figure. All return their ``Axes``. What the library returns, :mod:`fsrepro.figures`
draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from ..codes import SpikeCode
from ..energy import energy_ratio
from ..figures import (
    INK,
    _label_outer,
    _legend,
    _legend_above,
    _look,
    _narrow,
    _panels,
    neuron_trace,
    quantiser_curve,
)
from .results import plain

__all__ = [
    "CLASSES_OF_WEIGHTS", "activations", "against_others", "against_spikes", "against_steps",
    "by_steps", "confusion",
    "curves", "energy_parts", "error_against_spikes", "examples", "fine_tuning", "first_answers",
    "frontier", "inner_spikes", "kept_answers", "layer_name", "loss_against_spikes", "mis_set",
    "networks_against_spikes", "neuron_traces", "price_of_spikes", "ratio_to_bound",
    "relative_precision", "spikes_needed", "spread", "spread_fronts", "trained_frontier",
]  # fmt: skip

CLASSES_OF_WEIGHTS = ("training-free", "refitted", "calibrated", "fine-tuned")
_ACCURACY = "accuracy", "accuracy (%)"
_SPIKES = "spikes_per_neuron", "spikes per neuron"
_SPENT = "spikes per neuron and image"
_MOST = 6  # lines that a panel names


def _reference(ax, y, label="", side="left") -> None:
    """A line across, named above its end."""
    ax.axhline(y, color="0.55", lw=1.2, zorder=0)
    text = {"ha": side, "va": "bottom", "fontsize": "small", "color": "0.45"}
    text |= {"xytext": (3 if side == "left" else 0, 1), "textcoords": "offset points"}
    ax.annotate(label, (side == "right", y), xycoords=("axes fraction", "data"), **text)


def _lines(ax, table, x, y, *, by="setting", names=None, within="", **look) -> None:
    """A line or a point for each of the ``names`` in column ``by``, from column ``x`` to ``y``.

    ``within``: the start of all names, which the legend need not repeat. Accuracies have their
    intervals.
    """
    for i, name in enumerate(table[by].unique() if names is None else names):
        rows, shown = table[table[by] == name], {**_look(i), **look}
        ax.plot(rows[x], rows[y], **shown, label=plain(name.removeprefix(within)))
        if y == "accuracy":
            _intervals(ax, rows, x, shown["color"])


def _intervals(ax, rows, x, colour) -> None:
    """Those of the points lost, around accuracies, where ``rows`` have them."""
    if {"loss", "low", "high"} <= set(rows):
        ann = rows["accuracy"] + rows["loss"]
        ax.vlines(rows[x], ann - rows["high"], ann - rows["low"], color=colour, lw=3, alpha=0.3)


def _pair(table, x, *ys, by, reference=None, height=3.2, ms=4) -> Sequence[Axes]:
    """Two columns against a third side by side; each column comes with its label."""
    axes = _panels(1, 2, height, sharex=True)
    for ax, (y, label) in zip(axes, ys, strict=True):
        _lines(ax, table, x[0], y, by=by, ms=ms)
        ax.set_ylabel(label)
    if reference is not None:
        _reference(axes[0], reference, "ANN", "right")
    _label_outer(axes, x[1])
    axes[1].set_ylim(0, None)
    if table[by].nunique() > 1:
        _legend(axes[:1])
    return axes


def _octaves(ax) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda x, _: f"1/{1 / x:.0f}" if x < 1 else f"{x:.0f}")


def _by_spread(table, x, y, alone, **look) -> Sequence[Axes]:
    """A panel for each ``spread``, called ``alone`` if that is 1; a line for each ``kind``."""
    spreads = sorted(table["spread"].unique())
    axes = _panels(1, len(spreads), 3.4, sharex=True, sharey=True)
    for factor, ax in zip(spreads, axes, strict=True):
        part, kinds = table[table["spread"] == factor], table["kind"].unique()
        _lines(ax, part, x, y, by="kind", names=kinds, **look)
        ax.set_title(alone if factor == 1 else f"scales from 1/{factor:g} to {factor:g}")
    _legend(axes)
    return axes


def layer_name(name: str) -> str:
    """A layer's name as a reader would say it: ``stage1_block2_1_act`` is stage 1 block 2.1."""
    name = re.sub(r"_(act|relu)$", "", name)
    name = re.sub(r"(?<=\d)_(?=\d)", ".", name)
    return re.sub(r"(?<=[a-z])(?=\d)", " ", name.replace("_", " "))


def against_steps(table: pd.DataFrame, *, reference: float | None = None) -> Axes:
    """Accuracy against the time steps K, or without ``reference`` spikes; a line per ``setting``.

    What lies more than twelve points below ``reference`` is cut off.
    """
    (ax,) = _panels(1, 1, 4)
    column, label = _SPIKES if reference is None else _ACCURACY
    if reference is not None:
        _reference(ax, reference, f"ANN ({reference:.2f} %)")
        ax.set_ylim(max(table[column].min(), reference - 12), reference + 1)
    _lines(ax, table, "steps", column)
    ax.set(xlabel="time steps K", ylabel=label, xticks=sorted(table["steps"].unique()))
    _legend([ax])
    return ax


def confusion(table: pd.DataFrame) -> Axes:
    """``label``, ``answer``, ``images`` as a matrix of counts; right answers on the diagonal."""
    (ax,) = _panels(1, 1, 5.6)
    order = table["label"].unique()
    matrix = table.pivot(index="label", columns="answer", values="images")
    matrix = matrix.reindex(index=order, columns=order).fillna(0).astype(int)
    look = {"cmap": "Blues", "cbar": False, "square": True, "annot_kws": {"fontsize": "small"}}
    sns.heatmap(matrix, annot=True, fmt="d", **look, ax=ax)
    ax.set(xlabel="answer of the spiking network", ylabel="label")
    ax.tick_params(axis="x", length=0, rotation=90)
    ax.tick_params(axis="y", length=0, rotation=0)
    return ax


def examples(
    images: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 6
) -> Sequence[Axes]:
    """Pictures, uint8 (H, W, C), with a title each, in rows of ``columns``."""
    columns = min(columns, len(images), 2 if _narrow() else columns)
    rows = -(-len(images) // columns)
    axes = _panels(rows, columns, 7.2 / columns + 0.4, narrow=(rows, columns))
    for ax in axes:
        ax.axis("off")
    for image, title, ax in zip(images, titles, axes, strict=False):
        ax.imshow(image.squeeze(), cmap="gray", interpolation="nearest")
        ax.set_title(title, fontsize="small")
    return axes


def first_answers(images: Mapping[str, np.ndarray], answers: pd.DataFrame) -> Sequence[Axes]:
    """Pictures by name, uint8 (H, W, C), each with the first answer of every ``network``.

    ``answers``: picture, network, place (from 1), answer, percent.
    """
    first = answers[answers["place"] == 1]
    lines = first["network"] + ": " + first["answer"] + first["percent"].map(", {:.0f} %".format)
    titles = ["\n".join(lines[first["picture"] == name].map(plain)) for name in images]
    return examples(list(images.values()), titles, columns=3)


def price_of_spikes(words: pd.DataFrame, radix: pd.DataFrame) -> Axes:
    """Spikes against mean latency: ``words`` for rising prices of a spike, ``radix`` codes."""
    (ax,) = _panels(1, 1, 3.8)
    label = "words, by the price of a spike in steps"
    ax.plot(words["mean_latency"], words["spikes"], color="C0", marker="o", label=label)
    text: dict = {"textcoords": "offset points", "fontsize": "small", "color": "C0"}
    for row in words.itertuples():
        ax.annotate(f"{row.price:g}", (row.mean_latency, row.spikes), xytext=(5, 5), **text)
    label = "mixed radix, decoded by a weighted sum"
    ax.plot(radix["steps"], radix["spikes"], color="C1", ls="--", marker="s", label=label)
    ax.set(xlabel="mean latency (time steps)", ylabel="spikes per neuron", ylim=(0, None))
    _legend([ax], 1)
    return ax


def activations(recorded: Mapping[str, np.ndarray]) -> Axes:
    """Densities of the pre-activations of each layer, in units of the layer's root mean square.

    Of many layers, whose colours go from the first to the last, only these two are named.
    """
    (ax,) = _panels(1, 1, 3.8)
    edges = np.linspace(-3, 4, 141)
    colours = sns.color_palette("crest", len(recorded))
    for (name, x), colour in zip(recorded.items(), colours, strict=True):
        density, _ = np.histogram(x / np.sqrt(np.mean(x**2)), edges, density=True)
        named = len(recorded) <= _MOST or name in (next(iter(recorded)), [*recorded][-1])
        label = layer_name(name) if named else None
        ax.plot((edges[1:] + edges[:-1]) / 2, density, color=colour, label=label)
    ax.axvline(0, color="0.55", lw=1)
    ax.set(xlabel="pre-activation / its root mean square", ylabel="density")
    _legend([ax])
    return ax


def ratio_to_bound(table: pd.DataFrame) -> Axes:
    """Spikes over the fewest possible, a row per ``kind``: synthetic source and recorded layers.

    ``table``: of :func:`~fsrepro.fitting.compare`, with a column ``source``.
    """
    (ax,) = _panels(1, 1, 5)
    synthetic = table[table["source"] == "synthetic"].sort_values("ratio_to_bound")
    row = {kind: y for y, kind in enumerate(synthetic["kind"])}
    layers = table[table["source"] != "synthetic"]
    look: dict = {
        "marker": "|",
        "ms": 11,
        "mew": 1.4,
        "color": "C0",
        "label": "layers of the network",
    }
    ax.plot(layers["ratio_to_bound"], layers["kind"].map(row), ls="", **look)
    look = {"marker": "o", "mec": "C1", "mew": 1.5, "ms": 7}
    for linear, face, how in ((True, "C1", "weighted sum"), (False, "white", "needs a decoder")):
        part = synthetic[synthetic["linear"] == linear]
        look |= {"mfc": face, "label": f"synthetic source, {how}"}
        ax.plot(part["ratio_to_bound"], part["kind"].map(row), ls="", **look)
    ax.axvline(1, color=INK, lw=1)
    ax.set_xscale("log")
    ticks = [t for t in (1, 1.5, 2, 3, 5, 10, 20) if t <= 1.2 * ax.get_xlim()[1]]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(list(row.values()), list(row))
    ax.grid(axis="y", color="0.5", alpha=0.2)
    ax.invert_yaxis()
    ax.set(xlabel="spikes / fewest possible")
    _legend([ax])
    return ax


def frontier(table: pd.DataFrame) -> Sequence[Axes]:
    """Fewest spikes of each ``family`` against the SNR, a panel for each number of steps.

    ``table``: of :func:`~fsrepro.fitting.frontier`.
    """
    budgets = sorted(table["steps"].unique())
    axes = _panels(1, len(budgets), 3.4, sharex=True, sharey=True)
    families = table.sort_values("spikes", ascending=False)["family"].unique()
    for K, ax in zip(budgets, axes, strict=True):
        part = table[table["steps"] == K].sort_values("snr_target")
        _lines(ax, part, "snr_target", "spikes", by="family", names=families)
        bound = part.drop_duplicates("snr_target")
        ax.plot(bound["snr_target"], bound["bound"], color=INK, lw=1.5, label="bound")
        ax.set_title(f"K = {K}")
    _label_outer(axes, "SNR (dB)", _SPIKES[1])
    axes[0].set_ylim(0, None)
    _legend(axes)
    return axes


def low_end(table: pd.DataFrame) -> Sequence[Axes]:
    """SNR against spikes, a panel for each K: codes, and the bounds on the spikes for their SNR.

    ``table``: with columns K, spikes, snr_without, snr (dB), scalar_bound and bound.
    """
    axes = _panels(1, table["K"].nunique(), 3.4, sharex=True, sharey=True)
    for (K, part), ax in zip(table.groupby("K"), axes, strict=True):
        ax.plot(part["spikes"], part["snr_without"], **_look(1), ms=4, label="no dead zone")
        ax.plot(part["spikes"], part["snr"], **_look(0), ms=4, label="with dead zones")
        ax.plot(part["scalar_bound"], part["snr"], color=INK, lw=1.5, label="any neuron alone")
        ax.plot(part["bound"], part["snr"], color=INK, lw=1, ls=":", label="rate-distortion")
        ax.set_title(f"K = {K}")
    _label_outer(axes, _SPIKES[1], "SNR (dB)")
    _legend(axes)
    return axes


def against_spikes(
    table: pd.DataFrame, *, reference: float, mark: float | None = None
) -> Sequence[Axes]:
    """Accuracy against spikes per neuron, a line or a point per ``setting``.

    Of more than six settings those of the largest family, such as mixed radix by K, have a panel of
    their own, and are grey in that of the others. What lies more than six points under
    ``reference`` is cut off. ``mark``: a number of spikes to show as an upright line, half of the
    paper's.
    """
    names = pd.Series(table["setting"].unique())
    family = names.str.split(", K = ").str[0]
    largest = family.mode()[0]
    groups = (
        [names] if len(names) <= _MOST else [names[family == largest], names[family != largest]]
    )
    axes = _panels(1, len(groups), 4.2, sharey=True)
    low = max(reference - 6, table["accuracy"].min() - 0.2)
    for ax, group in zip(axes, groups, strict=True):
        alone = len(groups) > 1 and group is groups[0]
        if group is not groups[0]:
            for i, name in enumerate(groups[0]):
                rows, label = table[table["setting"] == name], "_" if i else f"{largest}, any K"
                ax.plot(rows["spikes_per_neuron"], rows["accuracy"], color="0.75", label=label)
        _reference(ax, reference, f"ANN ({reference:.2f} %)", "right")
        if mark is not None:
            ax.axvline(mark, color="0.55", lw=1.2, ls=":", zorder=0)
        within = f"{largest}, " if alone else ""
        _lines(ax, table, "spikes_per_neuron", "accuracy", names=group, within=within, ms=4)
        _legend_above(ax, f"{largest}, by K" if alone else "")
        ax.set_xlabel(_SPENT)
    if mark is not None:
        place: dict = {"xycoords": ("data", "axes fraction"), "rotation": 90, "fontsize": "small"}
        place |= {"ha": "right", "va": "bottom", "color": "0.45"}
        axes[0].annotate("half of the paper's spikes", (mark, 0.02), **place)
    axes[0].set_ylim(low, reference + 0.08 * (reference - low))
    _label_outer(axes, ylabel=_ACCURACY[1])
    return axes


def against_others(
    table: pd.DataFrame, others: pd.DataFrame, *, reference: float
) -> Sequence[Axes]:
    """Accuracy against spikes: a line per ``setting`` of ``table``, and the networks ``others``.

    What is fine-tuned has a colour; the rest of ``others`` are grey points, named in a panel with a
    row for each and its accuracy. Those without spikes are quantised ANNs: short lines at the right
    edge. What lies more than six points under ``reference`` is cut off.
    """
    ax, named = _panels(2, 1, 4.4, height_ratios=[3, 4])
    others = others[others["accuracy"] > reference - 6]
    spiking = others[others["spikes_per_neuron"].notna()]
    spiking = spiking.sort_values("spikes_per_neuron", ignore_index=True)
    several = spiking["setting"].duplicated(keep=False)
    names = spiking["setting"].where(
        ~several, spiking["setting"] + spiking["steps"].map(", K = {:.0f}".format)
    )
    tuned = spiking["setting"] == "fine-tuned"
    low, high = pd.concat([table, others])["spikes_per_neuron"].agg(["min", "max"])
    look: dict = {"ls": "", "marker": "o", "ms": 5, "mfc": "none"}
    for part, colour, label in (
        (spiking[~tuned], "0.5", "other codes and baselines"), (spiking[tuned], "C4", "fine-tuned"),
    ):  # fmt: skip
        ax.plot(part["spikes_per_neuron"], part["accuracy"], color=colour, label=label, **look)
        _intervals(ax, part, "spikes_per_neuron", colour)
        y = np.flatnonzero(spiking.index.isin(part.index))
        named.plot(part["spikes_per_neuron"], y, color=colour, **look)
    _reference(ax, reference, f"ANN ({reference:.2f} %)")
    _lines(ax, table, "spikes_per_neuron", "accuracy", ms=4)
    text: dict = {"va": "center", "fontsize": "small", "color": "0.45"}
    edge: dict = {"xycoords": ("axes fraction", "data"), **text}
    free = -np.inf  # the height from which on a label covers no other
    for row in others[others["spikes_per_neuron"].isna()].sort_values("accuracy").itertuples():
        ax.axhline(row.accuracy, xmin=0.98, color="0.45", lw=1)
        place = (1.01, max(row.accuracy, free))
        ax.annotate(row.setting.removeprefix("quantised ANN, "), place, **edge)
        free = place[1] + 0.35
    ax.set_ylim(reference - 6, reference + 0.9)
    ends = range(len(spiking)), spiking["spikes_per_neuron"], 1.25 * high
    named.hlines(*ends, color="0.5", alpha=0.25, lw=0.8, zorder=0)
    for line, (name, accuracy) in enumerate(zip(names, spiking["accuracy"], strict=True)):
        named.annotate(name, (0.01, line), **edge | {"color": INK})
        named.annotate(f"{accuracy:.2f} %", (1.01, line), **edge)
    named.set(yticks=range(len(spiking)), yticklabels=[], ylim=(len(spiking) - 0.4, -0.6))
    named.tick_params(axis="y", length=0)
    for panel, left in (
        (ax, 0.85 * low),
        (named, low**2.2 / high**1.2),
    ):  # names lie left of ``low``
        panel.set(xscale="log", xlim=(left, 1.25 * high), xlabel=_SPENT)
        ticks = [t for t in (0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10) if 0.85 * low <= t <= 1.25 * high]
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
    ax.set_ylabel(_ACCURACY[1])
    _legend([ax])
    return [ax, named]


def spikes_needed(table: pd.DataFrame) -> Sequence[Axes]:
    """A row per ``network``, a mark per ``kind`` of code at its ``spikes_per_neuron``."""
    axes = _panels(1, 1, 3)
    ax, rows = axes[0], list(table["network"].unique())[::-1]
    for row, network in enumerate(rows):
        spikes = table.loc[table["network"] == network, "spikes_per_neuron"]
        ax.plot([spikes.min(), spikes.max()], [row, row], color="0.8", lw=2, zorder=0)
    text: dict = {"textcoords": "offset points", "ha": "center", "fontsize": "small"}
    for i, (kind, marks) in enumerate(table.groupby("kind", sort=False)):
        where = marks["network"].map(rows.index)
        look: dict = {**_look(i), "ls": "", "ms": 9}
        ax.plot(marks["spikes_per_neuron"], where, **look, label=kind)
        if i in (0, table["kind"].nunique() - 1):  # the most and the fewest have their number
            for x, y in zip(marks["spikes_per_neuron"], where, strict=True):
                ax.annotate(f"{x:.2f}", (x, y), (0, 8), **text)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="spikes per neuron and image", xlim=(0, None), ylim=(-0.5, len(rows) - 0.3))
    _legend(axes)
    return axes


def kept_answers(table: pd.DataFrame, *, enough: float) -> Axes:
    """Share of the ANN's answers that stay the same against spikes, a line per ``setting``.

    ``enough``: a share in percent to show as a line across.
    """
    (ax,) = _panels(1, 1, 4)
    _reference(ax, enough)
    _lines(ax, table, "spikes_per_neuron", "same_answers", ms=5)
    ax.set(xlabel=_SPENT, ylabel="answers that stay the same (%)")
    _legend([ax])
    return ax


def loss_against_spikes(table: pd.DataFrame) -> Sequence[Axes]:
    """Accuracy minus the ANN's against spikes: a panel per ``network``, a line per ``setting``.

    In points; the bars are the intervals from ``low`` to ``high``. What lies more than five points
    under the ANN is an arrow at the lower edge. A line that another one covers shines through.
    """
    networks, most = table["network"].unique(), table["spikes_per_neuron"].max()
    columns = min(len(networks), 2)
    rows = -(-len(networks) // columns)
    axes = _panels(rows, columns, 2.4 if rows > 1 else 3.4, sharex=True, sharey=True)
    top = min(3, (-table["low"]).max() + 0.3)
    looks = {  # what lies upon another is smaller
        setting: {**_look(i), "ms": 4 + 1.2 * i}
        for i, setting in enumerate(table["setting"].unique())
    }
    for network, ax in zip(networks, axes, strict=False):
        _reference(ax, 0)
        part = table[table["network"] == network]
        for setting in part["setting"].unique():
            points = part[part["setting"] == setting].sort_values("spikes_per_neuron")
            inside, outside = points[points["loss"] <= 5], points[points["loss"] > 5]
            bar = [inside["high"] - inside["loss"], inside["loss"] - inside["low"]]
            look = {**looks[setting], "mfc": "none", "elinewidth": 3, "alpha": 0.8}
            x, y = inside["spikes_per_neuron"], -inside["loss"]
            drawn = ax.errorbar(x, y, bar, **look, label=plain(setting))
            plt.setp(drawn.lines[2], alpha=0.3)
            arrow = {"ls": "", "marker": "v", "color": look["color"], "mfc": "white"}
            ax.plot(outside["spikes_per_neuron"], 0 * outside["loss"] - 4.75, **arrow)
        ax.set(title=plain(network), ylim=(-5, top), xlim=(0, 1.05 * most))
    for ax in axes[len(networks) :]:
        ax.set_visible(False)
        axes[len(networks) - columns].tick_params(labelbottom=True)
    figure = axes[0].figure
    figure.supxlabel(_SPENT, fontsize="medium")
    figure.supylabel("accuracy minus the ANN's (points)", fontsize="medium")
    _legend(axes[: len(networks)])
    return axes[: len(networks)]


def curves(
    codes: Mapping[str, Sequence[SpikeCode]], x: np.ndarray, targets: Mapping[str, np.ndarray]
) -> Sequence[Axes]:
    """What codes make of ``x`` above and their errors below, a column for each function."""
    n = len(codes)
    axes = _panels(2, n, 2.8, sharex=True, height_ratios=[2, 1])
    for function, above, below in zip(codes, axes[:n], axes[n:], strict=True):
        quantiser_curve(codes[function], x, targets[function], above)
        for i, code in enumerate(codes[function]):
            below.plot(x, code.quantise(x) - targets[function], color=f"C{i}", lw=0.8)
        above.set(xlabel="", title=function)
        below.set(xlabel="input x", ylabel="error")
    return axes


def error_against_spikes(table: pd.DataFrame) -> Sequence[Axes]:
    """Mean squared error against spikes per neuron, a line or a point per ``setting``.

    A panel for each ``function``, below each other, and ``distribution``, side by side.
    """
    shape = table["function"].nunique(), table["distribution"].nunique()
    axes = _panels(*shape, 4)
    panels = table.groupby(["function", "distribution"], sort=False)
    for ax, ((function, distribution), part) in zip(axes, panels, strict=True):
        names = part["setting"].unique()
        _lines(ax, part.sort_values("spikes"), "spikes", "mse", names=names, ms=4)
        ax.set(xlabel=_SPIKES[1], ylabel="mean squared error", yscale="log")
        _legend_above(ax, f"{plain(function)}, {distribution}")
    return axes


def networks_against_spikes(table: pd.DataFrame) -> Sequence[Axes]:
    """Accuracy against spikes, a line or a point per ``setting``; a panel for each ``network``.

    What lies more than two points under the ANN is an open triangle at the lower edge.
    """
    networks = table.groupby("network", sort=False)
    axes = _panels(1, len(networks), 3.4)
    for ax, (network, part) in zip(axes, networks, strict=True):
        ann = part["ann_accuracy"].iloc[0]
        _reference(ax, ann, f"ANN ({ann:.2f} %)")
        _lines(ax, part, "spikes_per_neuron", "accuracy", ms=5)
        for i, (_, rows) in enumerate(part.groupby("setting", sort=False)):
            spikes = rows.loc[rows["accuracy"] < ann - 2, "spikes_per_neuron"]
            look: dict = {"ls": "", "marker": "v", "color": f"C{i}", "mfc": "white"}
            ax.plot(spikes, 0 * spikes + ann - 1.93, **look)
        ax.set(title=plain(network), xlabel=_SPIKES[1], xlim=(0, None), ylim=(ann - 2, ann + 0.4))
    axes[0].set_ylabel(_ACCURACY[1])
    _legend(axes)
    return axes


def relative_precision(table: pd.DataFrame, *, designed_for: float) -> Sequence[Axes]:
    """SNR and spikes of channels against their scale, a line per ``kind``.

    ``table``: of :meth:`~fsrepro.fitting.Spread.measure`, with a column ``kind``.
    ``designed_for``: the spread that the codes were made for, shaded.
    """
    ys = ("snr", "SNR of the channel (dB)"), ("spikes", "spikes per neuron")
    axes = _pair(table, ("scale", "scale of the channel"), *ys, by="kind")
    _octaves(axes[0])
    for ax in axes:
        ax.axvspan(1 / designed_for, designed_for, color="0.5", alpha=0.18, lw=0, zorder=0)
    axes[0].set_ylim(0, None)
    return axes


def spread_fronts(table: pd.DataFrame) -> Sequence[Axes]:
    """The best SNR of each ``kind`` against spikes, a panel for each ``spread`` of the channels.

    ``table``: of :func:`~fsrepro.fitting.spread_front`, with a column ``spread``.
    """
    axes = _by_spread(table, "spikes", "snr", "one scale, known", ms=4, markevery=0.1)
    plt.setp(axes, xlim=(0.2, 1.3), ylim=(0, 50))
    _label_outer(axes, _SPIKES[1], "SNR over the channels (dB)")
    return axes


def mis_set(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy and spikes against the ``factor`` by which scales are wrong, a line per ``kind``."""
    x = "factor", "scale of every layer / the right one"
    axes = _pair(table, x, _ACCURACY, _SPIKES, by="kind", reference=reference, ms=5)
    _octaves(axes[0])
    return axes


def inner_spikes(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy against spikes in the rescaled layers, a panel for each ``spread``.

    What lies more than four points under ``reference`` is cut off.
    """
    axes = _by_spread(table, "inner_spikes", "accuracy", "channels as trained", ms=5)
    for ax in axes:
        _reference(ax, reference, "ANN", "right")
    axes[0].set_ylim(reference - 4, reference + 0.6)
    _label_outer(axes, "spikes per inner neuron", _ACCURACY[1])
    return axes


def by_steps(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy and spikes per neuron against the time steps K, one row of ``table`` for each K.

    What lies more than two points under ``reference`` is cut off.
    """
    table, x = table.sort_values("steps").assign(name="SNN"), ("steps", "time steps K")
    axes = _pair(table, x, _ACCURACY, _SPIKES, by="name", reference=reference, ms=6)
    axes[0].set_ylim(reference - 2, reference + 0.5)
    plt.setp(axes, xticks=table["steps"])
    return axes


def fine_tuning(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy on held-out images and spikes per neuron over the epochs, a line per ``name``.

    ``table``: of :func:`~fsrepro.training.fine_tune`, with a column ``name``. A single
    network is called SNN.
    """
    if table["name"].nunique() == 1:
        table = table.assign(name="SNN")
    accuracy = "calibration_accuracy", "accuracy on held-out images (%)"
    spikes = "spikes_per_neuron", "spikes per neuron, training"
    axes = _pair(table, ("epoch", "epoch"), accuracy, spikes, by="name", reference=reference)
    axes[0].locator_params(axis="x", integer=True)
    return axes


def spread(table: pd.DataFrame) -> Sequence[Axes]:
    """Points below the ANN, a point for every ``part`` of the calibration images, a bar their mean.

    Side by side for each ``training`` of the network; a panel for each ``budget``.
    """
    budgets = table["budget"].unique()
    axes = _panels(1, len(budgets), 3, sharey=True)
    for budget, ax in zip(budgets, axes, strict=True):
        part = table[table["budget"] == budget]
        places = pd.Series(part["training"].rank(method="dense") - 1)
        ax.plot(places, part["loss"], ls="", marker="o", mfc="none", color="C0")
        means = part.groupby(places)["loss"].mean()
        ax.hlines(means, means.index - 0.2, means.index + 0.2, color=INK)
        _reference(ax, 0, "ANN")
        ax.set_xticks(means.index, [f"seed {seed}" for seed in sorted(part["training"].unique())])
        ax.set(title=f"budget {budget:g}", xlim=(-0.5, len(means) - 0.5))
    axes[0].invert_yaxis()
    axes[0].set_ylabel("points below the ANN")
    return axes


def trained_frontier(table: pd.DataFrame) -> Sequence[Axes]:
    """Points below the ANN against spikes per neuron, with intervals; a panel for each ``network``.

    Of codes by channel, with a look for each of :data:`CLASSES_OF_WEIGHTS`. One point of each
    ``budget`` says its ``K`` where there are several.
    """
    table = table[table["by_channel"]]
    networks = table["network"].unique()
    axes = _panels(1, len(networks), 3.6)
    for ax, network in zip(axes, networks, strict=True):
        _reference(ax, 0, "ANN")
        for i, name in enumerate(CLASSES_OF_WEIGHTS):
            rows = table[(table["network"] == network) & (table["weights"] == name)]
            if rows.empty:
                continue
            below = rows[["loss", "low", "high"]].to_numpy().T
            interval = [below[0] - below[1], below[2] - below[0]]
            look = {**_look(i), "ls": "", "capsize": 3, "mfc": "none", "ms": 5 + 3 * i}
            ax.errorbar(rows[_SPIKES[0]], below[0], interval, **look, label=name)
        if table["K"].nunique() > 1:
            first = table[table["network"] == network].drop_duplicates(["K", "budget"])
            for spikes, loss, K in first[[_SPIKES[0], "loss", "K"]].itertuples(index=False):
                beside = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
                ax.annotate(f"K = {K}", (spikes, loss), fontsize="small", **beside)
        ax.margins(x=0.18)
        ax.invert_yaxis()
        ax.set(title=plain(network), xlabel=_SPIKES[1])
    axes[0].set_ylabel("points below the ANN")
    _legend(axes)
    return axes


def energy_parts(table: pd.DataFrame) -> Axes:
    """Energy by counts over that of the ANN: what spikes take, and the multiplications left.

    A bar for every row: ``network``, ``picture``, ``budget``, ``synops_per_mac``, ``macs_left``.
    """
    (ax,) = _panels(1, 1, 0.8 + 0.44 * len(table))
    how = {"analog": "analog", "spikes": "in spikes"}
    names = [
        f"{plain(row.network)}, budget {row.budget:g},\npicture {how[row.picture]}"
        for row in table.itertuples()
    ]
    spikes = np.array([energy_ratio(synops, 0, 1) for synops in table["synops_per_mac"]])
    left = table["macs_left"].to_numpy()
    ax.barh(names, spikes, color=_look(0)["color"], label="synaptic operations")
    ax.barh(names, left, left=spikes, color=_look(1)["color"], label="multiplications left")
    for place, total in enumerate(spikes + left):
        ax.annotate(f" {total:.3f}", (total, place), va="center", fontsize="small")
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set(xlabel="energy by counts, ANN = 1")
    ax.tick_params(axis="y", labelsize="small")
    _legend([ax])
    return ax


def neuron_traces(codes: Sequence[SpikeCode], x: float) -> Sequence[Axes]:
    """Neurons of different codes on the same value, two side by side."""
    rows = -(-len(codes) // 2)
    axes = _panels(rows, 2, 3, sharex=True)
    plt.setp(axes[len(codes) :], visible=False)
    for code, ax in zip(codes, axes, strict=False):
        neuron_trace(code, x, ax)
        ax.set_title(f"{code.name}: {ax.get_title(loc='left')}", loc="left", pad=16)
        ax.legend().set_visible(ax is axes[0])
    return axes
