"""The figures of the chapters, from result tables; they compute nothing and write nothing.

A table is as its notebook has it, or as it is read from ``results/full``. ``reference`` is the
accuracy of the ANN in percent, a horizontal line. A function that takes ``ax`` may draw there; any
other makes a figure. All return their ``Axes``. What the library returns, :mod:`fsrepro.figures`
draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from ..codes import SpikeCode
from ..energy import energy_ratio
from ..figures import _MARKERS, INK, _look, _panels, neuron_trace, quantiser_curve

__all__ = [
    "activations", "against_others", "against_spikes", "against_steps", "by_steps", "confusion",
    "curves", "energy_parts", "error_against_spikes", "examples", "fine_tuning", "first_answers",
    "frontier", "inner_spikes", "kept_answers", "loss_against_spikes", "mis_set",
    "networks_against_spikes", "neuron_traces", "price_of_spikes", "ratio_to_bound",
    "relative_precision", "spikes_needed", "spread_fronts", "trained_frontier",
]  # fmt: skip

_ACCURACY = "accuracy", "accuracy (%)"
_SPIKES = "spikes_per_neuron", "spikes per neuron"


def _reference(ax, y, label=None) -> None:
    ax.axhline(y, color="0.55", lw=1.2, zorder=0, label=label)


def _lines(ax, table, x, y, *, by="setting", names=None, **look) -> None:
    """A line or a point for each of the ``names`` in column ``by``, from column ``x`` to ``y``."""
    for i, name in enumerate(table[by].unique() if names is None else names):
        rows = table[table[by] == name]
        ax.plot(rows[x], rows[y], **{**_look(i), **look}, label=name)


def _pair(table, x, *ys, by, reference=None, size=(9, 4), ms=4) -> Sequence[Axes]:
    """Two columns against a third side by side; each column comes with its label."""
    axes = _panels(1, 2, size, sharex=True)
    if reference is not None:
        _reference(axes[0], reference, "ANN")
    for ax, (y, label) in zip(axes, ys, strict=True):
        _lines(ax, table, x[0], y, by=by, ms=ms)
        ax.set(xlabel=x[1], ylabel=label)
    axes[1].set_ylim(0, None)
    return axes


def _octaves(ax) -> None:
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda x, _: f"1/{1 / x:.0f}" if x < 1 else f"{x:.0f}")


def _by_spread(table, x, y, alone, **look) -> Sequence[Axes]:
    """A panel for each ``spread``, called ``alone`` if that is 1; a line for each ``kind``."""
    spreads = sorted(table["spread"].unique())
    axes = _panels(1, len(spreads), (9.6, 4), sharex=True, sharey=True)
    for factor, ax in zip(spreads, axes, strict=True):
        part, kinds = table[table["spread"] == factor], table["kind"].unique()
        _lines(ax, part, x, y, by="kind", names=kinds, **look)
        ax.set_title(alone if factor == 1 else f"scales from 1/{factor:g} to {factor:g}")
    return axes


def against_steps(table: pd.DataFrame, *, reference: float | None = None) -> Axes:
    """Accuracy against the time steps K, or without ``reference`` spikes; a line per ``setting``.

    What lies more than twelve points below ``reference`` is cut off.
    """
    _, ax = plt.subplots()
    column, label = _SPIKES if reference is None else _ACCURACY
    if reference is not None:
        _reference(ax, reference, f"ANN ({reference:.2f} %)")
        ax.set_ylim(max(table[column].min(), reference - 12), reference + 1)
    _lines(ax, table, "steps", column)
    ax.set(xlabel="time steps K", ylabel=label, xticks=sorted(table["steps"].unique()))
    ax.legend()
    return ax


def confusion(table: pd.DataFrame) -> Axes:
    """``label``, ``answer``, ``images`` as a matrix of counts; right answers on the diagonal."""
    _, ax = plt.subplots(figsize=(7.2, 6.8))
    order = table["label"].unique()
    matrix = table.pivot(index="label", columns="answer", values="images")
    matrix = matrix.reindex(index=order, columns=order).fillna(0).astype(int)
    look = {"cmap": "Blues", "cbar": False, "square": True, "annot_kws": {"fontsize": 9}}
    sns.heatmap(matrix, annot=True, fmt="d", **look, ax=ax)
    ax.set(xlabel="answer of the spiking network", ylabel="label")
    ax.tick_params(axis="x", length=0, rotation=45)
    ax.tick_params(axis="y", length=0, rotation=0)
    return ax


def examples(
    images: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 6
) -> Sequence[Axes]:
    """Pictures, uint8 (H, W, C), with a title each, in rows of ``columns``."""
    rows, shown, side = -(-len(images) // columns), min(columns, len(images)), 9.2 / columns
    axes = _panels(rows, shown, (side * shown, (side + 0.4) * rows))
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
    titles = ["\n".join(lines[first["picture"] == name]) for name in images]
    return examples(list(images.values()), titles, columns=4)


def price_of_spikes(words: pd.DataFrame, radix: pd.DataFrame) -> Axes:
    """Spikes against mean latency: ``words`` for rising prices of a spike, ``radix`` codes."""
    _, ax = plt.subplots()
    label = "words, by the price of a spike in steps"
    ax.plot(words["mean_latency"], words["spikes"], color="C0", marker="o", label=label)
    text = {"textcoords": "offset points", "fontsize": "small", "color": "C0"}
    for row in words.itertuples():
        ax.annotate(f"{row.price:g}", (row.mean_latency, row.spikes), xytext=(5, 5), **text)
    label = "mixed radix, decoded by a weighted sum"
    ax.plot(radix["steps"], radix["spikes"], color="C1", ls="--", marker="s", label=label)
    ax.set(xlabel="mean latency (time steps)", ylabel="spikes per neuron", ylim=(0, None))
    ax.legend()
    return ax


def activations(recorded: Mapping[str, np.ndarray]) -> Axes:
    """Densities of the pre-activations of each layer, in units of the layer's root mean square."""
    _, ax = plt.subplots()
    edges = np.linspace(-3, 4, 141)
    colours = sns.color_palette("crest", len(recorded))
    for (name, x), colour in zip(recorded.items(), colours, strict=True):
        density, _ = np.histogram(x / np.sqrt(np.mean(x**2)), edges, density=True)
        ax.plot((edges[1:] + edges[:-1]) / 2, density, color=colour, label=name)
    ax.axvline(0, color="0.55", lw=1)
    ax.set(xlabel="pre-activation / its root mean square", ylabel="density")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def ratio_to_bound(table: pd.DataFrame) -> Axes:
    """Spikes over the fewest possible, a row per ``kind``: synthetic source and recorded layers.

    ``table``: of :func:`~fsrepro.fitting.compare`, with a column ``source``.
    """
    _, ax = plt.subplots(figsize=(7.2, 5.6))
    synthetic = table[table["source"] == "synthetic"].sort_values("ratio_to_bound")
    row = {kind: y for y, kind in enumerate(synthetic["kind"])}
    layers = table[table["source"] != "synthetic"]
    look = {"marker": "|", "ms": 11, "mew": 1.4, "color": "C0", "label": "layers of the network"}
    ax.plot(layers["ratio_to_bound"], layers["kind"].map(row), ls="", **look)
    look = {"marker": "o", "mec": "C1", "mew": 1.5, "ms": 7}
    for linear, face, how in ((True, "C1", "weighted sum"), (False, "white", "needs a decoder")):
        part = synthetic[synthetic["linear"] == linear]
        look |= {"mfc": face, "label": f"synthetic source, {how}"}
        ax.plot(part["ratio_to_bound"], part["kind"].map(row), ls="", **look)
    ax.axvline(1, color=INK, lw=1)
    ax.set_xscale("log")
    ticks = [t for t in (1, 1.2, 1.5, 2, 3, 5, 10, 20) if t <= 1.2 * ax.get_xlim()[1]]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(list(row.values()), list(row))
    ax.grid(axis="y", color="0.9")
    ax.invert_yaxis()
    ax.set(xlabel="spikes / fewest possible (bound = 1)")
    ax.legend(fontsize="small", loc="upper right")
    return ax


def frontier(table: pd.DataFrame) -> Sequence[Axes]:
    """Fewest spikes of each ``family`` against the SNR, a panel for each number of steps.

    ``table``: of :func:`~fsrepro.fitting.frontier`.
    """
    budgets = sorted(table["steps"].unique())
    axes = _panels(1, len(budgets), (max(7.2, 2.88 * len(budgets)), 4), sharex=True, sharey=True)
    families = table.sort_values("spikes", ascending=False)["family"].unique()
    for K, ax in zip(budgets, axes, strict=True):
        part = table[table["steps"] == K].sort_values("snr_target")
        _lines(ax, part, "snr_target", "spikes", by="family", names=families)
        bound = part.drop_duplicates("snr_target")
        ax.plot(bound["snr_target"], bound["bound"], color=INK, lw=1.5, label="bound")
        ax.set(title=f"K = {K}", xlabel="SNR (dB)")
    axes[0].set(ylabel="spikes per neuron", ylim=(0, None))
    axes[-1].legend(fontsize="small", loc="upper left")
    return axes


def low_end(table: pd.DataFrame) -> Sequence[Axes]:
    """SNR against spikes, a panel for each K: codes, and the bounds on the spikes for their SNR.

    ``table``: with columns K, spikes, snr_without, snr (dB), scalar_bound and bound.
    """
    axes = _panels(1, table["K"].nunique(), (9, 4), sharex=True, sharey=True)
    for (K, part), ax in zip(table.groupby("K"), axes, strict=True):
        ax.plot(part["spikes"], part["snr_without"], **_look(1), ms=4, label="no dead zone")
        ax.plot(part["spikes"], part["snr"], **_look(0), ms=4, label="with dead zones")
        ax.plot(part["scalar_bound"], part["snr"], color=INK, lw=1.5, label="any neuron alone")
        ax.plot(part["bound"], part["snr"], color=INK, lw=1, ls=":", label="rate-distortion")
        ax.set(title=f"K = {K}", xlabel="spikes per neuron")
    axes[0].set(ylabel="SNR (dB)")
    axes[0].legend(fontsize="small", loc="lower right")
    return axes


def against_spikes(
    table: pd.DataFrame, *, reference: float, mark: float | None = None, ax: Axes | None = None
) -> Axes:
    """Accuracy against spikes per neuron, a line or a point per ``setting``.

    What lies more than six points under ``reference`` is cut off. ``mark``: a number of spikes to
    show as a vertical line.
    """
    ax = ax or plt.subplots(figsize=(8.6, 4.6))[1]
    _reference(ax, reference, f"ANN ({reference:.2f} %)")
    if mark is not None:
        ax.axvline(mark, color="0.55", lw=1.2, ls=":", zorder=0, label="half of the paper's spikes")
    _lines(ax, table, "spikes_per_neuron", "accuracy", ms=5)
    ax.set_ylim(reference - 6, reference + 0.9)
    ax.set(xlabel="spikes per neuron and image", ylabel="accuracy (%)")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def against_others(table: pd.DataFrame, others: pd.DataFrame, *, reference: float) -> Axes:
    """:func:`against_spikes`, and the networks ``others`` as single points, by ``setting``.

    Those without spikes are quantised ANNs: short lines at the right edge.
    """
    ax = against_spikes(table, reference=reference, ax=plt.subplots(figsize=(9.6, 6.4))[1])
    low, high = ax.get_ylim()
    others = others[others["accuracy"] > low]
    spiking = others[others["spikes_per_neuron"].notna()]
    for i, (setting, rows) in enumerate(spiking.groupby("setting", sort=False)):
        look: dict = {"marker": _MARKERS[i % len(_MARKERS)], "color": f"C{(i + 4) % 10}", "ms": 7}
        face = "white" if i < len(_MARKERS) else None
        ax.plot(rows["spikes_per_neuron"], rows["accuracy"], ls="", mfc=face, **look, label=setting)
    free = -np.inf  # the height from which on a label covers no other
    text: dict = {"ha": "right", "va": "bottom", "fontsize": "x-small", "color": "0.35"}
    for row in others[others["spikes_per_neuron"].isna()].sort_values("accuracy").itertuples():
        ax.axhline(row.accuracy, xmin=0.98, color="0.35", lw=1)
        place = (0.975, max(row.accuracy, free))
        ax.annotate(row.setting, place, xycoords=("axes fraction", "data"), **text)
        free = place[1] + (high - low) / 32
    ax.set_xscale("log")
    ax.set_xlim(left=0.85 * pd.concat([table, others])["spikes_per_neuron"].min())
    left, right = ax.get_xlim()
    ticks = [t for t in (0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10) if left <= t <= 1.3 * right]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def spikes_needed(table: pd.DataFrame) -> Axes:
    """A row per ``network``, a mark per ``kind`` of code at its ``spikes_per_neuron``."""
    _, ax = plt.subplots(figsize=(7.2, 3.4))
    rows = list(table["network"].unique())[::-1]
    for row, network in enumerate(rows):
        spikes = table.loc[table["network"] == network, "spikes_per_neuron"]
        ax.plot([spikes.min(), spikes.max()], [row, row], color="0.8", lw=2, zorder=0)
    text: dict = {"textcoords": "offset points", "ha": "center", "fontsize": "small"}
    for i, (kind, marks) in enumerate(table.groupby("kind", sort=False)):
        where = marks["network"].map(rows.index)
        look: dict = {"ls": "", "ms": 9, "color": f"C{i}", "marker": _MARKERS[i]}
        ax.plot(marks["spikes_per_neuron"], where, **look, label=kind)
        if i in (0, table["kind"].nunique() - 1):  # the most and the fewest have their number
            for x, y in zip(marks["spikes_per_neuron"], where, strict=True):
                ax.annotate(f"{x:.2f}", (x, y), (0, 8), **text)
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="spikes per neuron and image", xlim=(0, None), ylim=(-0.5, len(rows) - 0.3))
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=3)
    return ax


def kept_answers(table: pd.DataFrame, *, enough: float) -> Axes:
    """Share of the ANN's answers that stay the same against spikes, a line per ``setting``.

    ``enough``: a share in percent to show as a line across.
    """
    _, ax = plt.subplots()
    _reference(ax, enough)
    _lines(ax, table, "spikes_per_neuron", "same_answers", ms=5)
    ax.set(xlabel="spikes per neuron and image", ylabel="answers that stay the same (%)")
    ax.legend(fontsize="small", loc="lower right")
    return ax


def loss_against_spikes(table: pd.DataFrame) -> Sequence[Axes]:
    """Accuracy minus the ANN's against spikes: a panel per ``network``, a line per ``setting``.

    In points; the bars are the intervals from ``low`` to ``high``. What lies more than five points
    under the ANN is an arrow at the lower edge.
    """
    networks, most = table["network"].unique(), table["spikes_per_neuron"].max()
    rows = -(-len(networks) // 2)
    axes = _panels(rows, 2, (7.2, 3 * rows), sharex=True, sharey=True)
    looks = {setting: _look(i) for i, setting in enumerate(table["setting"].unique())}
    shown = {}  # what the legend explains, from all panels
    for network, ax in zip(networks, axes, strict=False):
        _reference(ax, 0)
        part = table[table["network"] == network].sort_values("spikes_per_neuron")
        for setting, points in part.groupby("setting", sort=False):
            inside, outside = points[points["loss"] <= 5], points[points["loss"] > 5]
            bar = inside["loss"] - inside["low"]  # symmetric
            look = {**looks[setting], "ms": 5, "capsize": 2, "elinewidth": 0.8}
            shown[setting] = ax.errorbar(inside["spikes_per_neuron"], -inside["loss"], bar, **look)
            arrow = {"ls": "", "marker": "v", "color": look["color"], "mfc": "white"}
            ax.plot(outside["spikes_per_neuron"], 0 * outside["loss"] - 4.75, **arrow)
        ax.set(title=network, ylim=(-5, 3), xlim=(0, 1.05 * most))
    axes[0].figure.supxlabel("spikes per neuron and image", fontsize="medium")
    axes[0].figure.supylabel("accuracy minus the ANN's (points)", fontsize="medium")
    explained, where = axes[0], "lower right"
    if len(axes) > len(networks):  # a free panel has room for the legend
        explained, where = axes[-1], "center"
        explained.axis("off")
        if rows > 1:
            axes[-3].tick_params(labelbottom=True)
    explained.legend([shown[s] for s in looks], list(looks), fontsize="small", loc=where)
    return axes[: len(networks)]


def curves(
    codes: Mapping[str, Sequence[SpikeCode]], x: np.ndarray, targets: Mapping[str, np.ndarray]
) -> Sequence[Axes]:
    """What codes make of ``x`` above and their errors below, a column for each function."""
    n = len(codes)
    axes = _panels(2, n, (8.6, 6.4), sharex=True, height_ratios=[2, 1])
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
    axes = _panels(*shape, (8.6, 7.6), sharey="row")
    panels = table.groupby(["function", "distribution"], sort=False)
    for ax, ((function, distribution), part) in zip(axes, panels, strict=True):
        names = part["setting"].unique()
        _lines(ax, part.sort_values("spikes"), "spikes", "mse", names=names, ms=4)
        ax.set(xlabel="spikes per neuron", ylabel="mean squared error", yscale="log")
        ax.set_title(f"{function}, {distribution}")
        ax.legend(fontsize="small")
    return axes


def networks_against_spikes(table: pd.DataFrame) -> Sequence[Axes]:
    """:func:`against_spikes` for each ``network`` side by side, down to twelve points below."""
    networks = table.groupby("network", sort=False)
    axes = _panels(1, len(networks), (4.4 * len(networks), 3.8))
    for ax, (network, part) in zip(axes, networks, strict=True):
        ann = part["ann_accuracy"].iloc[0]
        against_spikes(part, reference=ann, ax=ax)
        ax.set(title=network, ylim=(ann - 12, ann + 1.8))
        ax.legend(fontsize="small", loc="lower right")
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
        ax.axvspan(1 / designed_for, designed_for, color="0.94", zorder=0)
    axes[0].set_ylim(0, None)
    axes[1].legend(fontsize="small", loc="upper left")
    return axes


def spread_fronts(table: pd.DataFrame) -> Sequence[Axes]:
    """The best SNR of each ``kind`` against spikes, a panel for each ``spread`` of the channels.

    ``table``: of :func:`~fsrepro.fitting.spread_front`, with a column ``spread``.
    """
    axes = _by_spread(table, "spikes", "snr", "one scale, known", ms=4, markevery=0.1)
    plt.setp(axes, xlabel="spikes per neuron", xlim=(0.2, 1.3), ylim=(0, 50))
    axes[0].set_ylabel("SNR over the channels (dB)")
    axes[0].legend(fontsize="small", loc="lower right")
    return axes


def mis_set(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy and spikes against the ``factor`` by which scales are wrong, a line per ``kind``."""
    x = "factor", "scale of every layer / the right one"
    axes = _pair(table, x, _ACCURACY, _SPIKES, by="kind", reference=reference, ms=5)
    _octaves(axes[0])
    axes[1].legend(fontsize="small")
    return axes


def inner_spikes(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy against spikes in the rescaled layers, a panel for each ``spread``.

    What lies more than four points under ``reference`` is cut off.
    """
    axes = _by_spread(table, "inner_spikes", "accuracy", "channels as trained", ms=5)
    for ax in axes:
        _reference(ax, reference)
        ax.set_xlabel("spikes per inner neuron")
    axes[0].set(ylabel="accuracy (%)", ylim=(reference - 4, reference + 0.6))
    axes[-1].legend(fontsize="small", loc="lower right")
    return axes


def by_steps(table: pd.DataFrame, *, reference: float) -> Sequence[Axes]:
    """Accuracy and spikes per neuron against the time steps K, one row of ``table`` for each K.

    What lies more than two points under ``reference`` is cut off.
    """
    table, x = table.sort_values("steps").assign(name="SNN"), ("steps", "time steps K")
    look = {"by": "name", "size": (8.2, 3.6), "ms": 6}
    axes = _pair(table, x, _ACCURACY, _SPIKES, reference=reference, **look)
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
    look = {"by": "name", "reference": reference, "size": (8.2, 3.6)}
    axes = _pair(table, ("epoch", "epoch"), accuracy, spikes, **look)
    axes[0].locator_params(axis="x", integer=True)
    axes[0].legend(fontsize="small", loc="lower right")
    return axes


def trained_frontier(table: pd.DataFrame) -> Sequence[Axes]:
    """Points below the ANN against spikes per neuron, with intervals; a panel for each ``network``.

    A look for each of ``weights``: training-free (by channel), calibrated, fine-tuned. Points say
    their ``K`` where there are several.
    """
    table = table[table["by_channel"]]
    networks, classes = table["network"].unique(), ("training-free", "calibrated", "fine-tuned")
    axes = _panels(1, len(networks), (max(5.4, 4.6 * len(networks)), 4))
    for ax, network in zip(axes, networks, strict=True):
        _reference(ax, 0, "ANN")
        for i, name in enumerate(classes):
            rows = table[(table["network"] == network) & (table["weights"] == name)]
            if rows.empty:
                continue
            below = rows[["loss", "low", "high"]].to_numpy().T
            interval = [below[0] - below[1], below[2] - below[0]]
            look = {**_look(i), "ls": "", "capsize": 3}
            ax.errorbar(rows[_SPIKES[0]], below[0], interval, **look, label=name)
            if table["K"].nunique() > 1:
                for spikes, loss, K in zip(rows[_SPIKES[0]], below[0], rows["K"], strict=True):
                    ax.annotate(f" K = {K}", (spikes, loss), fontsize="small", va="bottom")
        ax.margins(x=0.18)
        ax.invert_yaxis()
        ax.set(title=network, xlabel=_SPIKES[1])
    axes[0].set_ylabel("points below the ANN")
    axes[-1].legend(fontsize="small", loc="lower right")
    return axes


def energy_parts(table: pd.DataFrame) -> Axes:
    """Energy by counts over that of the ANN: what spikes take, and the multiplications left.

    A bar for every row: ``network``, ``picture``, ``budget``, ``synops_per_mac``, ``macs_left``.
    """
    _, ax = plt.subplots(figsize=(8.2, 0.8 + 0.45 * len(table)))
    how = {"analog": "analog", "spikes": "in spikes"}
    names = [
        f"{row.network}, budget {row.budget:g}, picture {how[row.picture]}"
        for row in table.itertuples()
    ]
    spikes = np.array([energy_ratio(synops, 0, 1) for synops in table["synops_per_mac"]])
    left = table["macs_left"].to_numpy()
    ax.barh(names, spikes, color=_look(0)["color"], label="synaptic operations")
    ax.barh(names, left, left=spikes, color=_look(1)["color"], label="multiplications left")
    for place, total in enumerate(spikes + left):
        ax.annotate(f" {total:.3f}", (total, place), va="center")
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set(xlabel="energy by counts / that of the ANN")
    ax.legend(fontsize="small", loc="lower right")
    return ax


def neuron_traces(codes: Sequence[SpikeCode], x: float) -> Sequence[Axes]:
    """Neurons of different codes on the same value, two side by side."""
    rows = -(-len(codes) // 2)
    axes = _panels(rows, 2, (9.6, 3.6 * rows), sharex=True)
    plt.setp(axes[len(codes) :], visible=False)
    for code, ax in zip(codes, axes, strict=False):
        neuron_trace(code, x, ax)
        ax.set_title(f"{code.name}: {ax.get_title(loc='left')}", loc="left", pad=16)
        ax.legend().set_visible(ax is axes[0])
    return axes
