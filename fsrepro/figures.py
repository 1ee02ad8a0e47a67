"""Result tables -> figures. Computes nothing; every function takes ``Axes`` and returns it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from .codes import SpikeCode

__all__ = [
    "against_steps",
    "confusion",
    "examples",
    "neuron_trace",
    "quantiser_curve",
    "set_style",
    "spikes_per_layer",
]

INK, SIGNAL = "#33373d", "#c4442a"
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


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
        ax.plot(
            rows["steps"], rows[y], color=f"C{i}", ls=_LINES[i], marker=_MARKERS[i], label=setting
        )
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
