"""Figures of what the library returns; they compute nothing and write nothing.

They need Matplotlib and seaborn (``pip install fsrepro[book]``). A function that takes ``ax`` draws
there, by default into the current axes; any other makes a figure. All return their ``Axes``.

Figures are as wide as a column of text, so that their letters are as large as it says here. In the
narrow style (:func:`set_style`) they are as wide as a phone, their panels below each other.
"""

from __future__ import annotations

import re
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
_WIDE, _NARROW = 7.2, 3.75  # inches: 690 and 360 pixels of a screen
_MANY = 24  # layers, from which on a figure has no row for each
_OF_BLOCK = 12  # layers, at most, that the row of a block has
_LOWER = 0.75  # so high is a panel in the narrow style, of what it is else


def _look(i: int) -> dict:
    """Colour, dash and marker of the line number ``i``; told apart in grey print too."""
    look = {"color": f"C{i % 10}", "mfc": "white" if i >= len(_MARKERS) else None}
    return look | {"ls": _LINES[i % len(_LINES)], "marker": _MARKERS[i % len(_MARKERS)]}


def _narrow() -> bool:
    return plt.rcParams["figure.figsize"][0] < _WIDE


def _panels(
    rows: int,
    columns: int,
    height: float,
    *,
    narrow: tuple[int, int] | None = None,
    **shared,
) -> Sequence[Axes]:
    """The panels of a new figure, row by row; in the narrow style below each other.

    ``height`` is that of a row in inches, ``narrow`` the rows and columns in the narrow style.
    """
    width = _WIDE
    if _narrow():
        rows, columns = narrow or (rows * columns, 1)
        width, height = _NARROW, _LOWER * height
    size = (width, rows * height)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, **shared)[1].ravel()


def _label_outer(axes: Sequence[Axes], xlabel: str = "", ylabel: str = "") -> None:
    """Label the axes that panels share at the edge of the figure only."""
    for ax in axes:
        place = ax.get_subplotspec()
        assert place is not None  # panels are subplots
        if xlabel and place.is_last_row():
            ax.set_xlabel(xlabel)
        if ylabel and place.is_first_col():
            ax.set_ylabel(ylabel)


def _legend(axes: Sequence[Axes], columns: int = 6) -> None:
    """One legend for all panels, above them, where it hides nothing."""
    found: dict = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    room = (52 if _narrow() else 104) // (max(map(len, found)) + 8)  # of letters
    where: dict = {
        "loc": "outside upper left",
        "ncols": max(1, min(columns, room)),
        "fontsize": "small",
    }
    figure = plt.gcf()  # which the panels were just made in
    figure.legend(found.values(), found.keys(), **where)
    if _narrow():  # panels stay as high as they are
        figure.set_figheight(figure.get_figheight() + 0.16 * -(-len(found) // where["ncols"]))


def _legend_above(ax: Axes, title: str) -> None:
    """A title and below it the legend of one panel, both above it."""
    where = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "ncols": 2, "columnspacing": 1}
    ax.legend(title=title, alignment="left", fontsize="small", **where)


def set_style(*, narrow: bool = False) -> None:
    """One look for all figures: colour-blind safe, told apart by marker and dash in grey print.

    ``narrow``: for a phone, panels below each other.
    """
    rc: dict = {"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
    rc |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    size = (_NARROW, _LOWER * 4) if narrow else (_WIDE, 4)
    rc |= {"figure.figsize": size, "figure.constrained_layout.use": True}
    rc["svg.hashsalt"] = "fsrepro"  # the same figure gives the same file
    sns.set_theme(context="paper", style="ticks", palette="colorblind", rc=rc)
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
    """Spikes per neuron of every layer: bars; of a deep network, points in the row of their block.

    Parameters
    ----------
    layers : pandas.DataFrame
        Of a :class:`fsrepro.measures.Report`; or of several, one below the other with a column
        ``setting``. Layers are in the order of the one that has the most. A block is what the names
        of more than 24 layers begin with, such as ``block3`` or ``stem``; without such names each
        layer has its row.
    """
    settings = layers["setting"].unique() if "setting" in layers else [None]
    parts = [layers[layers["setting"] == s] if s else layers for s in settings]
    order = pd.concat([*sorted(parts, key=len, reverse=True)])["layer"].unique()
    blocks = pd.Series(order).map(_block).value_counts()
    deep = len(order) > _MANY and blocks.max() <= _OF_BLOCK
    row_of = {name: _block(name) if deep else name for name in order}
    rows = list(dict.fromkeys(row_of.values()))
    (ax,) = _panels(1, 1, 1 + len(rows) * max(0.14 * len(parts), 0.24))
    for i, (setting, part) in enumerate(zip(settings, parts, strict=True)):
        shift = (i - (len(parts) - 1) / 2) * 0.8 / len(parts)
        y = part["layer"].map(row_of).map(rows.index) + shift
        if deep:
            look = {**_look(i), "ls": "", "ms": 4.5, "mfc": "none"}
            ax.plot(part["spikes_per_neuron"], y, label=setting, **look)
        else:
            look = {"color": f"C{i}", "hatch": ("", "//", "xx", "..")[i % 4], "edgecolor": "white"}
            size = 0.8 / len(parts)
            ax.barh(y, part["spikes_per_neuron"], size, lw=0, label=setting, **look)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, None)
    if deep:
        ax.grid(axis="y", color="0.5", alpha=0.2)
        ax.set_axisbelow(True)
    ax.set(xlabel="spikes per neuron and image", ylabel="")
    if settings[0] is not None:
        _legend([ax])
    return ax


def _block(name: str) -> str:
    """``block 3`` of ``block3_expand_act`` and of ``block_3_expand_relu``."""
    found = re.match(r"([A-Za-z]+)_?(\d*)", name)
    return " ".join(filter(None, found.groups())) if found else name


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
    tall = 1.1 + 0.24 * len(layers)
    axes = _panels(1, len(images), tall, sharex=True, sharey=True)
    for image, ax in zip(images, axes, strict=True):
        start = 0
        for row, layer in enumerate(layers):
            words = table.loc[(table["image"] == image) & (table["layer"] == layer), "word"]
            z = np.array([list(word) for word in words]) == "1"  # (neurons, K)
            i, t = np.nonzero(z)
            end = start + z.shape[1]
            ax.axvspan(start + 0.6, end + 0.4, color="0.5", alpha=0.15, zorder=0, lw=0)
            height = row + (i + 0.5) / len(z)
            ax.scatter(start + t + 1, height, s=3, marker="o", lw=0, color=f"C{row % 2}")
            start = end
        ax.set_title(image, fontsize="medium")
        ax.set(xlim=(0, start + 1), ylim=(len(layers), 0))
        ax.set_yticks(np.arange(len(layers)) + 0.5, layers)
        ax.tick_params(axis="y", length=0)
    _label_outer(axes, "time step")
    return axes


def diagnosis(table: pd.DataFrame) -> Sequence[Axes]:
    """Where the accuracy went, a row per layer of :func:`fsrepro.conversion.diagnose`.

    Four panels: SNR of the code alone and against the ANN; saturated values and dead neurons;
    spikes per neuron; answers that change if only this layer spikes.
    """
    axes = _panels(1, 4, 1.4 + 0.24 * len(table), narrow=(2, 2), sharey=True)
    y = np.arange(len(table))
    axes[0].plot(table["snr"], y, ls="", marker="o", color="C0", label="its code alone")
    axes[0].plot(table["snr_to_ann"], y, ls="", marker="s", color="C1", label="with all before it")
    axes[1].plot(table["saturated"], y, ls="", marker="^", color="C2", label="values saturated")
    axes[1].plot(table["dead"], y, ls="", marker="x", mew=2, color="C3", label="neurons dead")
    axes[2].barh(y, table["spikes_per_neuron"], height=0.7, color="C0")
    axes[3].barh(y, 100 - table["agreement_alone"], height=0.7, color="C1")
    labels = "SNR (dB)", "percent", "spikes per\nneuron", "answers it alone\nchanges (%)"
    for ax, label in zip(axes, labels, strict=True):
        ax.set_xlabel(label)
        ax.grid(axis="y", color="0.5", alpha=0.2, zorder=0)
        ax.set_axisbelow(True)
    axes[0].set_yticks(y, table["layer"])
    axes[0].invert_yaxis()
    axes[1].set_xlim(0, None)
    for ax in axes[:2]:
        ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=1)
    return axes
