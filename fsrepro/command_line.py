"""The command line: convert, evaluate and diagnose a network of your own, design codes.

Exit codes: 0 done, 1 refused (with the reason), 2 wrong usage. Nothing is ever overwritten unless
told so. Images come as ``.npz`` files with arrays ``images`` (N, ...), as the network takes them,
and ``labels``: (N,), classes from 0, or what else the network's task has, see
:mod:`fsrepro.tasks`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Annotated

import typer

from .files import atomic, check_table_path, write_table

app = typer.Typer(
    help="Few-spikes conversion: a trained network becomes one that writes in spikes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Model = Annotated[Path, typer.Argument(help="A trained network: .keras, .h5 or .onnx.")]
Task = Annotated[
    str | None,
    typer.Option(help="classification, binary, segmentation or regression, unless it shows."),
]
Spiking = Annotated[Path, typer.Argument(help="A spiking network, made by `fsrepro convert`.")]
Images = Annotated[Path, typer.Option(help="An .npz file with arrays `images` and `labels`.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]
AnyRange = Annotated[
    bool, typer.Option("--any-range", help="Take images whose values look like raw pixels.")
]
Table = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write all of it to this .csv or .json file.")
]


def _command(function):
    """A command; errors that name what was wrong become a line on stderr and exit code 1."""

    @app.command()
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        try:
            return function(*args, **kwargs)
        except (ValueError, TypeError, OSError) as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None

    return wrapped


@_command
def convert(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="An .npz or .npy file of images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The spiking network to write.")],
    steps: Annotated[int, typer.Option(help="Time steps K of every layer.")] = 8,
    spikes: Annotated[
        float | None,
        typer.Option(
            "--spikes-per-neuron", "--spikes", help="Budget: mean over the neurons of the network."
        ),
    ] = None,
    snr: Annotated[
        float | None, typer.Option(help="Instead: signal-to-noise ratio of every layer, in dB.")
    ] = None,
    code: Annotated[
        str, typer.Option(help="binary, binary_floor, rate or mixed_radix.")
    ] = "mixed_radix",
    task: Task = None,
    overwrite: Overwrite = False,
    any_range: AnyRange = False,
) -> None:
    """Convert a trained network into a spiking one.

    Example: fsrepro convert model.keras --calibration images.npz --steps 8 --spikes 0.6 -o net.fs
    """
    _writable(overwrite, output)
    images, _ = _images(calibration, any_range, labels=False)
    from .conversion import convert

    snn = convert(
        model, images, code=code, steps=steps, snr=snr, spikes_per_neuron=spikes, task=task
    )
    snn.save(output, overwrite=overwrite)
    typer.echo(snn.layers.to_string(index=False))
    typer.echo(f"{output}: {snn.task.name}, {snn.neurons:,} neurons, K = {snn.steps}")
    if snn.budget:
        asked, planned = snn.budget
        typer.echo(f"spikes per neuron: asked {asked:g}, planned {planned:.3f}")


@_command
def evaluate(
    spiking: Spiking,
    images: Images,
    ann: Annotated[
        Path | None, typer.Option(help="The trained network, to compare answers with.")
    ] = None,
    output: Table = None,
    overwrite: Overwrite = False,
    any_range: AnyRange = False,
) -> None:
    """Accuracy, spikes and synaptic operations on images with labels.

    Example: fsrepro evaluate net.fs --images test.npz --ann model.keras
    """
    _table_writable(overwrite, output)
    x, labels = _images(images, any_range)
    from . import measures
    from .conversion import SpikingModel

    report = measures.evaluate(SpikingModel.load(spiking), x, labels, ann=ann)
    if output:
        report.write(output, overwrite=overwrite)
    typer.echo(report)


@_command
def diagnose(
    model: Model,
    spiking: Spiking,
    images: Images,
    most: Annotated[int, typer.Option(help="Use the first so many images.", min=1)] = 500,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the table to this .svg, .pdf or .png file.")
    ] = None,
    output: Table = None,
    overwrite: Overwrite = False,
    any_range: AnyRange = False,
) -> None:
    """Where did my accuracy go? Error, saturation, dead neurons and spikes, layer by layer.

    Example: fsrepro diagnose model.keras net.fs --images test.npz --figure layers.svg
    """
    _writable(overwrite, figure)
    _table_writable(overwrite, output)
    x, labels = _images(images, any_range)
    from .conversion import SpikingModel
    from .conversion import diagnose as diagnosed

    table = diagnosed(model, SpikingModel.load(spiking), x[:most], labels[:most])
    if output:
        write_table(table, output, overwrite=overwrite)
    if figure:
        from matplotlib import pyplot as plt

        from . import figures

        plt.switch_backend("agg")
        figures.set_style()
        figures.diagnosis(table)
        with atomic(figure) as partial:
            plt.savefig(partial)
        plt.close()
    typer.echo(table.to_string(index=False, float_format="%.2f"))


@_command
def codes(
    steps: Annotated[int, typer.Option(help="Time steps K.")] = 8,
    snr: Annotated[float, typer.Option(help="Signal-to-noise ratio to reach, in dB.")] = 30.0,
    samples: Annotated[
        Path | None,
        typer.Option(help="An .npy file of pre-activations; by default N(-0.3, 1)."),
    ] = None,
    output: Table = None,
    overwrite: Overwrite = False,
) -> None:
    """Design a code for ReLU: thresholds, resets and weights of the best mixed radix.

    Example: fsrepro codes --steps 8 --snr 30 -o tables.csv
    """
    _table_writable(overwrite, output)
    import pandas as pd

    from . import fitting

    distribution = fitting.gaussian(-0.3, 1)
    if samples:
        distribution = fitting.empirical(_array(samples).reshape(-1), name=samples.name)
    code = fitting.mixed_radix_of(steps).best(distribution, snr=snr).code
    found = fitting.measure(code, fitting.relu, distribution)
    lowest = fitting.bound(distribution.map(fitting.relu), steps, found.snr)
    tables = {name: getattr(code, name) for name in ("threshold", "reset", "weight")}
    table = pd.DataFrame({"t": range(1, code.steps + 1), **tables})
    if output:
        write_table(table, output, overwrite=overwrite)
    typer.echo(table.to_string(index=False))
    typer.echo(
        f"{code.name}: {found.spikes:.3f} spikes per neuron at {found.snr:.2f} dB "
        f"({found.spikes / lowest:.2f} times the bound) on {distribution.name}"
    )


def _writable(overwrite: bool, *paths: Path | None) -> None:
    for path in filter(None, paths):
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; choose another name or pass --overwrite")
        if not path.resolve().parent.is_dir():
            raise FileNotFoundError(f"the folder {path.resolve().parent} does not exist")


def _table_writable(overwrite: bool, path: Path | None) -> None:
    if path:
        check_table_path(path, overwrite=True)
        _writable(overwrite, path)


def _images(path: Path, any_range: bool, labels: bool = True):
    """Images as float32, and labels or None, or ``ValueError`` with what is wrong."""
    import numpy as np

    found = _array(path)
    arrays = found if isinstance(found, dict) else {"images": found}
    if "images" not in arrays:
        raise ValueError(f"{path} has no array `images`, only {', '.join(arrays) or 'nothing'}")
    x = arrays["images"]
    if x.ndim < 2 or len(x) == 0:
        raise ValueError(f"{path}: `images` must have shape (N, ...), got {x.shape}")
    if not np.issubdtype(x.dtype, np.number):
        raise ValueError(f"{path}: `images` must be numbers, got {x.dtype}")
    if not any_range and np.issubdtype(x.dtype, np.floating) and np.abs(x).max() > 64:
        raise ValueError(
            f"{path}: `images` go from {x.min():g} to {x.max():g} ({x.dtype}), which looks like "
            "raw pixels; normalise them as for training, or pass --any-range if the network takes "
            "them so"
        )
    if labels and "labels" not in arrays:
        raise ValueError(f"{path} has no array `labels`")
    return x.astype(np.float32) if any_range else x, arrays.get("labels")


def _array(path: Path):
    import zipfile

    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        found = np.load(path, allow_pickle=False)
        return dict(found) if hasattr(found, "files") else found
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a file of plain arrays, or is damaged ({error})") from None


if __name__ == "__main__":
    app()
