"""Figures of what the library returns; they compute nothing and write nothing.

They need Matplotlib and seaborn (``pip install fsrepro[book]``). A function that takes ``ax`` draws
there, by default into the current axes; any other makes a figure. All return their ``Axes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from .codes import SpikeCode

__all__ = [
    "diagnosis", "neuron_trace", "quantiser_curve", "raster", "set_style", "spikes_per_layer",
]  # fmt: skip

INK, _SIGNAL = "#33373d", "#c4442a"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def _look(i: int) -> dict:
    """Colour, dash and marker of the line number ``i``; told apart in grey print too."""
    look = {"color": f"C{i % 10}", "mfc": "white" if i >= len(_MARKERS) else None}
    return look | {"ls": _LINES[i % len(_LINES)], "marker": _MARKERS[i % len(_MARKERS)]}


def _panels(rows: int, columns: int, size: tuple[float, float], **shared) -> Sequence[Axes]:
    """The panels of a new figure, row by row."""
    return plt.subplots(rows, columns, figsize=size, squeeze=False, **shared)[1].ravel()


def set_style() -> None:
    """One look for all figures: colour-blind safe, told apart by marker and dash in grey print."""
    rc: dict = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    rc |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    rc |= {"figure.figsize": (7.2, 4.2), "figure.constrained_layout.use": True}
    rc["svg.hashsalt"] = "fsrepro"  # the same figure gives the same file
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", rc=rc)
    with suppress(ImportError):  # outside Jupyter
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})


def neuron_trace(code: SpikeCode, x: float, ax: Axes | None = None) -> Axes:
    """One FS neuron on one value: membrane potential, threshold and spikes at every time step.

    ``ValueError`` for a code that differs between channels: draw one of its ``channels``.
    """
    if len(code.channels) > 1:
        raise ValueError(f"{code!r} has a neuron for each channel; draw one of code.channels")
    ax = ax or plt.gca()
    membrane, spikes = (a[:, 0] for a in code.trace([x]))
    t = np.arange(1, code.steps + 1)
    ax.step(t, membrane, where="mid", color="C0", label="membrane potential v(t)")
    ax.plot(t, membrane, "o", color="C0", ms=4)
    ax.hlines(code.threshold, t - 0.4, t + 0.4, color=INK, ls="--", lw=1.5, label="threshold T(t)")
    top = 1.18 * max(membrane.max(), code.threshold.max())
    fired = t[spikes == 1]
    ax.vlines(fired, top * 0.93, top, color=_SIGNAL, lw=2.5, label="spike z(t)")
    for step in fired:
        d = code.weight[step - 1]
        ax.annotate(f"{d:g}", (step, top), ha="center", va="bottom", color=_SIGNAL, size="small")
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


def spikes_per_layer(layers: pd.DataFrame) -> Axes:
    """Spikes per neuron of every layer.

    Parameters
    ----------
    layers : pandas.DataFrame
        Of a :class:`fsrepro.measures.Report`; or of several, one below the other with a column
        ``setting``, then bars side by side. Layers are in the order of the one that has the most.
    """
    _, ax = plt.subplots(figsize=(7.2, max(4.2, 1.4 + 0.2 * layers["layer"].nunique())))
    hue = "setting" if "setting" in layers else None
    parts = [part["layer"] for _, part in layers.groupby(hue, sort=False)] if hue else []
    parts = [*sorted(parts, key=len, reverse=True), layers["layer"]]
    order = pd.concat(parts).unique()
    sns.barplot(layers, x="spikes_per_neuron", y="layer", hue=hue, order=order, ax=ax)
    for container, hatch in zip(ax.containers, ("", "//", "xx", ".."), strict=False):
        plt.setp(container, hatch=hatch, edgecolor="white", linewidth=0)
    ax.set(xlabel="spikes per neuron and image", ylabel="")
    if hue:
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": len(names)}
        ax.legend(list(ax.containers), names, **place)
    return ax


def raster(table: pd.DataFrame) -> Sequence[Axes]:
    """Spikes on their way through the network: time to the right, layers from top to bottom.

    A layer starts when the one before it has finished.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`fsrepro.measures.sample_words`; or of several images, one below the other with a
        column ``image``, the title of a panel each.
    """
    if "image" not in table:
        table = table.assign(image="")
    images, layers = table["image"].unique(), table["layer"].unique()
    size = (0.8 + 4.4 * len(images), 1.3 + 0.3 * len(layers))
    axes = _panels(1, len(images), size, sharex=True, sharey=True)
    for image, ax in zip(images, axes, strict=True):
        start = 0
        for row, layer in enumerate(layers):
            words = table.loc[(table["image"] == image) & (table["layer"] == layer), "word"]
            z = np.array([list(word) for word in words]) == "1"  # (neurons, K)
            i, t = np.nonzero(z)
            end = start + z.shape[1]
            ax.axvspan(start + 0.5, end + 0.5, color="0.955", zorder=0, lw=0)
            ax.axvline(end + 0.5, color="white", lw=1, zorder=0)
            height = row + (i + 0.5) / len(z)
            ax.scatter(start + t + 1, height, s=3, marker="o", lw=0, color=f"C{row % 2}")
            start = end
        ax.set_title(image, fontsize="medium")
        ax.set(xlabel="time step", xlim=(0, start + 1), ylim=(len(layers), 0))
        ax.set_yticks(np.arange(len(layers)) + 0.5, layers, fontsize="small")
        ax.tick_params(axis="y", length=0)
    return axes


def diagnosis(table: pd.DataFrame) -> Sequence[Axes]:
    """Where the accuracy went, a row per layer of :func:`fsrepro.conversion.diagnose`.

    Four panels: SNR of the code alone and against the ANN; saturated values and dead neurons;
    spikes per neuron; answers that change if only this layer spikes.
    """
    axes = _panels(1, 4, (10.4, 1.4 + 0.24 * len(table)), sharey=True)
    y = np.arange(len(table))
    axes[0].plot(table["snr"], y, ls="", marker="o", color="C0", label="its code alone")
    axes[0].plot(table["snr_to_ann"], y, ls="", marker="s", color="C1", label="with all before it")
    axes[1].plot(table["saturated"], y, ls="", marker="^", color="C2", label="values saturated")
    axes[1].plot(table["dead"], y, ls="", marker="x", mew=2, color="C3", label="neurons dead")
    axes[2].barh(y, table["spikes_per_neuron"], height=0.7, color="C0")
    axes[3].barh(y, 100 - table["agreement_alone"], height=0.7, color="C1")
    labels = "SNR (dB)", "percent", "spikes per neuron", "answers changed by\nthis layer alone (%)"
    for ax, label in zip(axes, labels, strict=True):
        ax.set_xlabel(label)
        ax.grid(axis="y", color="0.93", zorder=0)
        ax.set_axisbelow(True)
    axes[0].set_yticks(y, table["layer"])
    axes[0].invert_yaxis()
    axes[1].set_xlim(0, None)
    for ax in axes[:2]:
        ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return axes
