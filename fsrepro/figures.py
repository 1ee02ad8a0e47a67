"""Result tables -> figures. Computes nothing; every function takes ``Axes`` and returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from .codes import SpikeCode

__all__ = [
    "activations",
    "against_spikes",
    "against_steps",
    "by_steps",
    "confusion",
    "diagnosis",
    "error_against_spikes",
    "examples",
    "fine_tuning",
    "frontier",
    "inner_spikes",
    "kept_answers",
    "loss_against_spikes",
    "mis_set",
    "neuron_trace",
    "points",
    "price_of_spikes",
    "quantiser_curve",
    "raster",
    "ratio_to_bound",
    "relative_precision",
    "set_style",
    "spikes_per_layer",
    "spread_fronts",
]

INK, SIGNAL = "#33373d", "#c4442a"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def _look(i: int) -> dict:
    """Colour, dash and marker of the line number ``i``; told apart in grey print too."""
    return {
        "color": f"C{i % 10}",
        "ls": _LINES[i % len(_LINES)],
        "marker": _MARKERS[i % len(_MARKERS)],
        "mfc": "white" if i >= len(_MARKERS) else None,
    }


def _lines(table: pd.DataFrame, x: str, y: str, ax: Axes) -> None:
    """A line or a point for each ``setting``, from column ``x`` to column ``y``."""
    for i, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        ax.plot(rows[x], rows[y], **_look(i), ms=5, label=setting)


def set_style() -> None:
    """One look for all figures: colour-blind safe, told apart by marker and dash in grey print."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.figsize": (7.2, 4.2),
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "svg.hashsalt": "fsrepro",  # the same figure gives the same file
        }
    )
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    set_matplotlib_formats("svg", metadata={"Date": None})


def neuron_trace(code: SpikeCode, x: float, ax: Axes | None = None) -> Axes:
    """One FS neuron on one value: membrane potential, threshold and spikes at every time step."""
    ax = ax or plt.gca()
    membrane, spikes = (a[:, 0] for a in code.trace(np.float32([x])))
    t = np.arange(1, code.steps + 1)
    ax.step(t, membrane, where="mid", color="C0", label="membrane potential v(t)")
    ax.plot(t, membrane, "o", color="C0", ms=4)
    ax.hlines(code.threshold, t - 0.4, t + 0.4, color=INK, ls="--", lw=1.5, label="threshold T(t)")
    top = 1.18 * max(membrane.max(), code.threshold.max())
    fired = t[spikes == 1]
    ax.vlines(fired, top * 0.93, top, color=SIGNAL, lw=2.5, label="spike z(t)")
    for step in fired:
        ax.annotate(
            f"{code.weight[step - 1]:g}",
            (step, top),
            ha="center",
            va="bottom",
            color=SIGNAL,
            fontsize="small",
        )
    value = code.decode(spikes[:, None])[0]
    ax.set_title(f"x = {x:g}  →  y = {value:g}  ({len(fired)} spikes)", loc="left", pad=16)
    ax.set(xlabel="time step t", ylabel="potential", xticks=t)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def quantiser_curve(
    codes: Sequence[SpikeCode], x: np.ndarray, target: np.ndarray, ax: Axes | None = None
) -> Axes:
    """What codes make of ``x``, over the function ``target`` that they write."""
    ax = ax or plt.gca()
    ax.plot(x, target, color="0.55", lw=1.2, label="target")
    for i, code in enumerate(codes):
        ax.plot(x, code.quantise(x), color=f"C{i}", ls=_LINES[i], label=code.name)
    ax.set(xlabel="input x", ylabel="decoded value y")
    ax.legend()
    return ax


def against_steps(
    table: pd.DataFrame,
    y: str,
    ylabel: str,
    *,
    reference: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Column ``y`` against the time steps K, one line per ``setting``.

    ``reference``: the accuracy of the ANN in percent, a horizontal line; what lies more than
    twelve points below it is cut off.
    """
    ax = ax or plt.gca()
    if reference is not None:
        ax.axhline(reference, color="0.55", lw=1.2, zorder=0, label=f"ANN ({reference:.2f} %)")
        ax.set_ylim(max(table[y].min(), reference - 12), reference + 1)
    for i, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        ax.plot(rows["steps"], rows[y], **_look(i), label=setting)
    ax.set(xlabel="time steps K", ylabel=ylabel, xticks=sorted(table["steps"].unique()))
    ax.legend()
    return ax


def spikes_per_layer(layers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Spikes per neuron of every layer, side by side for each ``setting``."""
    ax = ax or plt.gca()
    sns.barplot(layers, x="spikes_per_neuron", y="layer", hue="setting", ax=ax)
    for container, hatch in zip(ax.containers, ("", "//", "xx", ".."), strict=False):
        for bar in container:
            bar.set(hatch=hatch, edgecolor="white", linewidth=0)
    ax.set(xlabel="spikes per neuron and image", ylabel="")
    handles = list(ax.containers)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    ax.legend(handles, names, loc="upper left", bbox_to_anchor=(0, -0.14), ncols=len(names))
    return ax


def confusion(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """``label``, ``answer``, ``images`` as a matrix of counts; right answers on the diagonal."""
    ax = ax or plt.gca()
    order = list(dict.fromkeys(table["label"]))
    matrix = table.pivot(index="label", columns="answer", values="images")
    matrix = matrix.reindex(index=order, columns=order).fillna(0).astype(int)
    sns.heatmap(
        matrix,
        annot=True,
        fmt="d",
        cmap="Blues",
        cbar=False,
        square=True,
        annot_kws={"fontsize": 9},
        ax=ax,
    )
    ax.set(xlabel="answer of the spiking network", ylabel="label")
    ax.tick_params(length=0)
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)
    return ax


def examples(
    images: np.ndarray, titles: Sequence[str], axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """A row of pictures, uint8 (N, H, W, C), with a title each."""
    if axes is None:
        _, axes = plt.subplots(1, len(images), figsize=(7.2, 1.9))
        axes = np.atleast_1d(axes)
    for image, title, ax in zip(images, titles, axes, strict=True):
        ax.imshow(image.squeeze(), cmap="gray", interpolation="nearest")
        ax.set_title(title, fontsize="small")
        ax.axis("off")
    return axes


def first_answers(
    images: Mapping[str, np.ndarray], answers: pd.DataFrame, *, columns: int = 4
) -> Sequence[Axes]:
    """Pictures by name, uint8 (H, W, C), each with the first answer of every ``network``.

    ``answers``: picture, network, place (from 1), answer, percent.
    """
    rows = -(-len(images) // columns)
    _, axes = plt.subplots(rows, columns, figsize=(2.3 * columns, 2.7 * rows))
    for ax in axes.flat:
        ax.axis("off")
    first = answers[answers["place"] == 1]
    titles = [
        "\n".join(
            f"{row.network}: {row.answer}, {row.percent:.0f} %"
            for row in first[first["picture"] == name].itertuples()
        )
        for name in images
    ]
    examples(list(images.values()), titles, axes.flat[: len(images)])
    return axes


def price_of_spikes(words: pd.DataFrame, radix: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Spikes against mean latency: ``words`` for rising prices of a spike, ``radix`` codes."""
    ax = ax or plt.gca()
    ax.plot(
        words["mean_latency"],
        words["spikes"],
        color="C0",
        marker="o",
        label="words, by the price of a spike in steps",
    )
    for row in words.itertuples():
        ax.annotate(
            f"{row.price:g}",
            (row.mean_latency, row.spikes),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize="small",
            color="C0",
        )
    ax.plot(
        radix["steps"],
        radix["spikes"],
        color="C1",
        ls="--",
        marker="s",
        label="mixed radix, decoded by a weighted sum",
    )
    ax.set(xlabel="mean latency (time steps)", ylabel="spikes per neuron", ylim=(0, None))
    ax.legend()
    return ax


def activations(recorded: Mapping[str, np.ndarray], ax: Axes | None = None) -> Axes:
    """Densities of the pre-activations of each layer, in units of the layer's root mean square."""
    ax = ax or plt.gca()
    edges = np.linspace(-3, 4, 141)
    colours = sns.color_palette("crest", len(recorded))
    for (name, x), colour in zip(recorded.items(), colours, strict=True):
        density, _ = np.histogram(x / np.sqrt(np.mean(x**2)), edges, density=True)
        ax.plot((edges[1:] + edges[:-1]) / 2, density, color=colour, label=name)
    ax.axvline(0, color="0.55", lw=1)
    ax.set(xlabel="pre-activation / its root mean square", ylabel="density")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def ratio_to_bound(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Spikes over the fewest possible, a line per ``kind``: synthetic source and recorded layers.

    ``table``: of :func:`fsrepro.fitting.compare`, with a column ``source``.
    """
    ax = ax or plt.gca()
    synthetic = table[table["source"] == "synthetic"].set_index("kind")
    order = synthetic["ratio_to_bound"].sort_values(na_position="last").index
    row = {kind: y for y, kind in enumerate(order)}
    layers = table[table["source"] != "synthetic"]
    ax.plot(
        layers["ratio_to_bound"],
        layers["kind"].map(row),
        ls="",
        marker="|",
        ms=11,
        mew=1.4,
        color="C0",
        label="layers of the network",
    )
    for linear, marker, face in ((True, "o", "C1"), (False, "o", "white")):
        part = synthetic[synthetic["linear"] == linear]
        ax.plot(
            part["ratio_to_bound"],
            part.index.map(row),
            ls="",
            marker=marker,
            mfc=face,
            mec="C1",
            mew=1.5,
            ms=7,
            label=f"synthetic source, {'weighted sum' if linear else 'needs a decoder'}",
        )
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


def frontier(table: pd.DataFrame, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Fewest spikes of each ``family`` against the SNR, a panel for each number of steps.

    ``table``: of :func:`fsrepro.fitting.frontier`.
    """
    budgets = sorted(table["steps"].unique())
    if axes is None:
        width = 7.2 / 2 * max(2, len(budgets)) * (0.8 if len(budgets) > 2 else 1)
        _, axes = plt.subplots(1, len(budgets), sharex=True, sharey=True, figsize=(width, 4))
        axes = np.atleast_1d(axes)
    families = list(dict.fromkeys(table.sort_values("spikes", ascending=False)["family"]))
    for K, ax in zip(budgets, axes, strict=True):
        part = table[table["steps"] == K]
        for i, family in enumerate(families):
            rows = part[part["family"] == family].sort_values("snr_target")
            ax.plot(rows["snr_target"], rows["spikes"], **_look(i), label=family)
        rows = part.drop_duplicates("snr_target").sort_values("snr_target")
        ax.plot(rows["snr_target"], rows["bound"], color=INK, lw=1.5, label="bound")
        ax.set(title=f"K = {K}", xlabel="SNR (dB)", ylabel="")
    axes[0].set(ylabel="spikes per neuron", ylim=(0, None))
    axes[-1].legend(fontsize="small", loc="upper left")
    return axes


def against_spikes(
    table: pd.DataFrame,
    *,
    reference: float,
    mark: float | None = None,
    below: float = 6.0,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy against spikes per neuron, a line or a point per ``setting``.

    ``reference``: the accuracy of the ANN in percent; what lies more than ``below`` points under
    it is cut off. ``mark``: a number of spikes to show as a vertical line.
    """
    ax = ax or plt.gca()
    ax.axhline(reference, color="0.55", lw=1.2, zorder=0, label=f"ANN ({reference:.2f} %)")
    if mark is not None:
        ax.axvline(mark, color="0.55", lw=1.2, ls=":", zorder=0, label="half of the paper's spikes")
    _lines(table, "spikes_per_neuron", "accuracy", ax)
    ax.set_ylim(reference - below, reference + 0.15 * below)
    ax.set(xlabel="spikes per neuron and image", ylabel="accuracy (%)")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def kept_answers(table: pd.DataFrame, *, enough: float, ax: Axes | None = None) -> Axes:
    """Share of the ANN's answers that stay the same against spikes, a line per ``setting``.

    ``table``: columns ``setting``, ``spikes_per_neuron`` and ``same_answers`` (percent).
    ``enough``: a share in percent to show as a line across.
    """
    ax = ax or plt.gca()
    ax.axhline(enough, color="0.55", lw=1.2, zorder=0)
    _lines(table, "spikes_per_neuron", "same_answers", ax)
    ax.set(xlabel="spikes per neuron and image", ylabel="answers that stay the same (%)")
    ax.legend(fontsize="small", loc="lower right")
    return ax


def loss_against_spikes(
    table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, below: float = 5.0
) -> Sequence[Axes]:
    """Accuracy minus the ANN's against spikes: a panel per ``network``, a line per ``setting``.

    ``table``: columns ``network``, ``setting``, ``spikes_per_neuron``, and in points ``loss``,
    ``low`` and ``high``, its interval, shown as a bar. What lies more than ``below`` points under
    the ANN is an arrow at the lower edge.
    """
    networks = list(dict.fromkeys(table["network"]))
    if axes is None:
        size = {"figsize": (7.2, 3 * -(-len(networks) // 2)), "squeeze": False}
        _, axes = plt.subplots(-(-len(networks) // 2), 2, sharex=True, sharey=True, **size)
        axes = list(axes.flat)
    looks = {setting: _look(i) for i, setting in enumerate(dict.fromkeys(table["setting"]))}
    most = table["spikes_per_neuron"].max()
    shown = {}  # what the legend explains, from all panels
    for network, ax in zip(networks, axes, strict=False):
        ax.axhline(0, color="0.55", lw=1.2, zorder=0)
        part = table[table["network"] == network].sort_values("spikes_per_neuron")
        for setting, rows in part.groupby("setting", sort=False):
            inside = rows[rows["loss"] <= below]
            bar = inside["loss"] - inside["low"]  # symmetric
            look = {**looks[setting], "ms": 5, "capsize": 2, "elinewidth": 0.8}
            shown[setting] = ax.errorbar(inside["spikes_per_neuron"], -inside["loss"], bar, **look)
            outside = rows.loc[rows["loss"] > below, "spikes_per_neuron"]
            ax.plot(outside, [0.25 - below] * len(outside), "v", color=look["color"], mfc="white")
        ax.set(title=network, ylim=(-below, 0.6 * below), xlim=(0, 1.05 * most))
    for ax in axes[len(networks) :]:
        ax.set_visible(False)
    figure = axes[0].figure
    figure.supxlabel("spikes per neuron and image", fontsize="medium")
    figure.supylabel("accuracy minus the ANN's (points)", fontsize="medium")
    order = [setting for setting in looks if setting in shown]
    axes[0].legend([shown[s] for s in order], order, fontsize="small", loc="upper right")
    return axes


def error_against_spikes(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Mean squared error against spikes per neuron, a line or a point per ``setting``."""
    ax = ax or plt.gca()
    for i, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        rows = rows.sort_values("spikes")
        ax.plot(rows["spikes"], rows["mse"], **_look(i), ms=4, label=setting)
    ax.set(xlabel="spikes per neuron", ylabel="mean squared error", yscale="log")
    ax.legend(fontsize="small")
    return ax


def relative_precision(
    table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, designed_for: float
) -> Sequence[Axes]:
    """SNR and spikes of channels against their scale, a line per ``kind``: (2,) axes.

    ``table``: of :meth:`fsrepro.fitting.Spread.measure`, with a column ``kind``.
    ``designed_for``: the spread that the codes were made for, shaded.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, sharex=True, figsize=(9, 4))
    for ax in axes:
        ax.axvspan(1 / designed_for, designed_for, color="0.94", zorder=0)
    for i, (kind, rows) in enumerate(table.groupby("kind", sort=False)):
        look = {**_look(i), "ms": 4, "label": kind}
        axes[0].plot(rows["scale"], rows["snr"], **look)
        axes[1].plot(rows["scale"], rows["spikes"], **look)
    for ax, label in zip(axes, ("SNR of the channel (dB)", "spikes per neuron"), strict=True):
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda x, _: f"1/{1 / x:.0f}" if x < 1 else f"{x:.0f}")
        ax.set(xlabel="scale of the channel", ylabel=label, ylim=(0, None))
    axes[1].legend(fontsize="small", loc="upper left")
    return axes


def spread_fronts(
    table: pd.DataFrame, axes: Sequence[Axes] | None = None, *, value: str = "snr"
) -> Sequence[Axes]:
    """The best SNR of each ``kind`` against spikes, a panel for each ``spread`` of the channels.

    ``table``: of :func:`fsrepro.fitting.spread_front`, with a column ``spread``.
    """
    spreads = sorted(table["spread"].unique())
    if axes is None:
        _, axes = plt.subplots(1, len(spreads), sharex=True, sharey=True, figsize=(9.6, 4))
        axes = np.atleast_1d(axes)
    kinds = list(dict.fromkeys(table["kind"]))
    for factor, ax in zip(spreads, axes, strict=True):
        part = table[table["spread"] == factor]
        for i, kind in enumerate(kinds):
            rows = part[part["kind"] == kind]
            ax.plot(
                rows["spikes"], rows[value], **_look(i), ms=4, markevery=0.1, label=kind,
            )  # fmt: skip
        title = "one scale, known" if factor == 1 else f"scales from 1/{factor:g} to {factor:g}"
        ax.set(title=title, xlabel="spikes per neuron", xlim=(0.2, 1.3), ylim=(0, 50))
    axes[0].set(ylabel="SNR over the channels (dB)")
    axes[0].legend(fontsize="small", loc="lower right")
    return axes


def mis_set(
    table: pd.DataFrame, *, reference: float, axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """Accuracy and spikes per neuron against the ``factor`` of mis-set scales, a line per ``kind``.

    ``reference``: the accuracy of the ANN in percent.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, sharex=True, figsize=(9, 4))
    axes[0].axhline(reference, color="0.55", lw=1.2, zorder=0)
    for i, (kind, rows) in enumerate(table.groupby("kind", sort=False)):
        look = {**_look(i), "ms": 5, "label": kind}
        axes[0].plot(rows["factor"], rows["accuracy"], **look)
        axes[1].plot(rows["factor"], rows["spikes_per_neuron"], **look)
    for ax, label in zip(axes, ("accuracy (%)", "spikes per neuron"), strict=True):
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda x, _: f"1/{1 / x:.0f}" if x < 1 else f"{x:.0f}")
        ax.set(xlabel="scale of every layer / the right one", ylabel=label)
    axes[1].set_ylim(0, None)
    axes[1].legend(fontsize="small")
    return axes


def inner_spikes(
    table: pd.DataFrame,
    *,
    reference: float,
    below: float = 4.0,
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Accuracy against spikes in the rescaled layers, a panel for each ``spread``.

    ``reference``: the accuracy of the ANN in percent; what lies more than ``below`` points under
    it is cut off.
    """
    spreads = sorted(table["spread"].unique())
    if axes is None:
        _, axes = plt.subplots(1, len(spreads), sharex=True, sharey=True, figsize=(9.6, 4))
        axes = np.atleast_1d(axes)
    kinds = list(dict.fromkeys(table["kind"]))
    for factor, ax in zip(spreads, axes, strict=True):
        ax.axhline(reference, color="0.55", lw=1.2, zorder=0)
        for i, kind in enumerate(kinds):
            rows = table[(table["spread"] == factor) & (table["kind"] == kind)]
            ax.plot(rows["inner_spikes"], rows["accuracy"], **_look(i), ms=5, label=kind)
        title = "channels as trained" if factor == 1 else f"scales from 1/{factor:g} to {factor:g}"
        ax.set(title=title, xlabel="spikes per inner neuron")
    axes[0].set(ylabel="accuracy (%)", ylim=(reference - below, reference + 0.15 * below))
    axes[-1].legend(fontsize="small", loc="lower right")
    return axes


def by_steps(
    table: pd.DataFrame, *, reference: float, axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """Accuracy and spikes per neuron against the time steps K, one row of ``table`` for each K.

    ``reference``: the accuracy of the ANN in percent.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, sharex=True, figsize=(8.2, 3.6))
    table = table.sort_values("steps")
    axes[0].axhline(reference, color="0.55", lw=1.2, zorder=0)
    axes[0].plot(table["steps"], table["accuracy"], marker="o")
    axes[0].set(ylabel="accuracy (%)", ylim=(reference - 2, reference + 0.5))
    axes[1].plot(table["steps"], table["spikes_per_neuron"], marker="o")
    axes[1].set(ylabel="spikes per neuron", ylim=(0, None))
    for ax in axes:
        ax.set(xlabel="time steps K", xticks=table["steps"])
    return axes


def diagnosis(table: pd.DataFrame, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Where the accuracy went, a row per layer: (4,) axes.

    ``table``: of :func:`fsrepro.conversion.diagnose`. Panels: SNR of the code alone and against
    the ANN; saturated values and dead neurons; spikes per neuron; answers that change if only
    this layer spikes.
    """
    if axes is None:
        height = 1.4 + 0.24 * len(table)
        _, axes = plt.subplots(1, 4, sharey=True, figsize=(10.4, height))
    y = np.arange(len(table))
    axes[0].plot(table["snr"], y, ls="", marker="o", color="C0", label="its code alone")
    axes[0].plot(table["snr_to_ann"], y, ls="", marker="s", color="C1", label="with all before it")
    axes[0].set(xlabel="SNR (dB)", yticks=y)
    axes[0].set_yticklabels(table["layer"])
    axes[1].plot(table["saturated"], y, ls="", marker="^", color="C2", label="values saturated")
    axes[1].plot(table["dead"], y, ls="", marker="x", mew=2, color="C3", label="neurons dead")
    axes[1].set(xlabel="percent", xlim=(0, None))
    axes[2].barh(y, table["spikes_per_neuron"], height=0.7, color="C0")
    axes[2].set(xlabel="spikes per neuron")
    axes[3].barh(y, 100 - table["agreement_alone"], height=0.7, color="C1")
    axes[3].set(xlabel="answers changed by\nthis layer alone (%)")
    for ax in axes:
        ax.grid(axis="y", color="0.93", zorder=0)
        ax.set_axisbelow(True)
    axes[0].invert_yaxis()
    for ax in axes[:2]:
        ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return axes


def fine_tuning(
    table: pd.DataFrame, *, reference: float, axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """Accuracy on held-out images and spikes per neuron over the epochs, a line per ``name``.

    A single network is called SNN. ``table``: of :func:`fsrepro.training.fine_tune`, with a column
    ``name``. ``reference``: the accuracy of the ANN on the same images in percent.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, sharex=True, figsize=(8.2, 3.6))
    axes[0].axhline(reference, color="0.55", lw=1.2, zorder=0, label="ANN")
    several = table["name"].nunique() > 1
    for i, (name, rows) in enumerate(table.groupby("name", sort=False)):
        look = {**_look(i), "ms": 4, "label": name if several else "SNN"}
        axes[0].plot(rows["epoch"], rows["calibration_accuracy"], **look)
        axes[1].plot(rows["epoch"], rows["spikes_per_neuron"], **look)
    labels = ("accuracy on held-out images (%)", "spikes per neuron, training")
    for ax, label in zip(axes, labels, strict=True):
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axes[0].legend(fontsize="small", loc="lower right")
    axes[1].set_ylim(0, None)
    return axes


def raster(table: pd.DataFrame, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Spikes of images through the network: time to the right, layers from top to bottom.

    ``table``: a row per neuron with columns ``image`` (a title), ``layer`` and ``word``, see
    :func:`fsrepro.measures.sample_words`. A panel per image. A layer starts when the one before it
    has finished.
    """
    images = list(dict.fromkeys(table["image"]))
    layers = list(dict.fromkeys(table["layer"]))
    if axes is None:
        size = (0.8 + 4.4 * len(images), 1.3 + 0.3 * len(layers))
        _, axes = plt.subplots(1, len(images), sharex=True, sharey=True, figsize=size)
        axes = np.atleast_1d(axes)
    for image, ax in zip(images, axes, strict=True):
        start = 0
        for row, layer in enumerate(layers):
            words = table.loc[(table["image"] == image) & (table["layer"] == layer), "word"]
            z = np.array([list(word) for word in words]) == "1"  # (neurons, K)
            i, t = np.nonzero(z)
            steps = z.shape[1]
            ax.axvspan(start + 0.5, start + steps + 0.5, color="0.955", zorder=0, lw=0)
            ax.axvline(start + steps + 0.5, color="white", lw=1, zorder=0)
            ax.scatter(
                start + t + 1, row + (i + 0.5) / len(z), s=3, marker="o", lw=0, color=f"C{row % 2}"
            )
            start += steps
        ax.set_title(image, fontsize="medium")
        ax.set(xlabel="time step", xlim=(0, start + 1), ylim=(len(layers), 0))
        ax.set_yticks(np.arange(len(layers)) + 0.5, layers, fontsize="small")
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False)
    return axes


def points(table: pd.DataFrame, ax: Axes) -> Axes:
    """Networks as single points on an axis of accuracy against spikes, each with its ``setting``.

    Rows without spikes are quantised ANNs: short lines at the right edge.
    """
    low, high = ax.get_ylim()
    spiking = table[table["spikes_per_neuron"].notna()]
    for i, (setting, rows) in enumerate(spiking.groupby("setting", sort=False)):
        rows = rows[rows["accuracy"] > low]
        ax.plot(
            rows["spikes_per_neuron"],
            rows["accuracy"],
            ls="",
            marker=_MARKERS[i % len(_MARKERS)],
            mfc="white" if i < len(_MARKERS) else None,
            color=f"C{(i + 4) % 10}",
            ms=7,
            label=setting,
        )
    rest = table[table["spikes_per_neuron"].isna() & (table["accuracy"] > low)]
    free = -np.inf  # the height from which on a label covers no other
    for row in rest.sort_values("accuracy").itertuples():
        ax.axhline(row.accuracy, xmin=0.98, color="0.35", lw=1)
        height = max(row.accuracy, free)
        ax.annotate(
            row.setting, (0.975, height), xycoords=("axes fraction", "data"), ha="right",
            va="bottom", fontsize="x-small", color="0.35",
        )  # fmt: skip
        free = height + (high - low) / 32
    ax.set_xscale("log")
    drawn = [
        x for line in ax.lines for x in np.ravel(line.get_xdata()) if line.get_marker() != "None"
    ]
    ax.set_xlim(left=0.85 * min(drawn))
    left, right = ax.get_xlim()
    ticks = [t for t in (0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10) if left <= t <= 1.3 * right]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(low, high)
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return ax
