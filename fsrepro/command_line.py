"""The command line: convert, evaluate and diagnose a network of your own, design codes.

Exit codes: 0 done, 1 refused, 2 wrong usage, 130 interrupted; whatever is wrong is one line on
stderr. Nothing is ever overwritten unless told so. Images come as ``.npz`` files with arrays
``images`` (N, ...), as the network takes them, and ``labels``: (N,), classes from 0, or what else
the network's task has, see :mod:`fsrepro.tasks`.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from . import __version__
from .files import TABLES, atomic, check_place, one_line, write_table

_FIGURES = (".svg", ".pdf", ".png")
# Of click, or of the click that Typer has within.
_WrongUsage: Any = typer.BadParameter.__mro__[1]


class _OneLine(typer.core.TyperGroup):
    """Commands whose errors are one line; with ``--debug``, wherever it stands, a traceback."""

    def main(self, args=None, *rest, **options):
        given = list(sys.argv[1:] if args is None else args)
        debug = "--debug" in given
        arguments = [argument for argument in given if argument != "--debug"]
        options["standalone_mode"] = False
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: _say("warning", message)
            try:
                sys.exit(super().main(arguments, *rest, **options) or 0)
            except _WrongUsage as error:
                if message := error.format_message():  # none after the help
                    command = error.ctx.command_path if error.ctx else "fsrepro"
                    _say("error", f"{message.rstrip('.')}; see {command} --help")
                sys.exit(error.exit_code)
            except (typer.Abort, KeyboardInterrupt):
                _say("error", "interrupted")
                sys.exit(130)
            except Exception as error:
                if debug:
                    raise
                _say("error", error)
                sys.exit(1)


def _say(kind: str, what) -> None:
    """One line on stderr, with the kind of error where an error's text alone would not tell."""
    unnamed = isinstance(what, Exception) and not isinstance(what, (ValueError, TypeError, OSError))
    name = f"{type(what).__name__}: " if unnamed else ""
    typer.echo(f"{kind}: {name}{one_line(what)}", err=True)


app = typer.Typer(
    name="fsrepro",
    cls=_OneLine,
    help="Few-spikes conversion: a trained network becomes one that writes in spikes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # which would take a quarter of a second to import
    pretty_exceptions_enable=False,
)


def _start_tensorflow() -> None:
    """Import it, which takes seconds, in sight; nothing that its compiler says once is shown."""
    from tqdm import tqdm

    with tqdm(total=2, desc="starting TensorFlow", leave=False, bar_format="{desc} {bar}") as bar:
        import keras

        bar.update()
        if keras.backend.backend() != "tensorflow":
            return
        import tensorflow as tf

        stderr = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nowhere)
        bar.update()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fsrepro {__version__}")
        raise typer.Exit


def _checked_steps(steps: int) -> int:
    from .codes.checks import check_steps

    try:
        return check_steps(steps)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Which this is.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    # Before TensorFlow is imported, which otherwise talks on stderr.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel("ERROR")


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
Steps = Annotated[
    int, typer.Option(help="Time steps K of every layer, 1 to 64.", callback=_checked_steps)
]
Table = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write all of it to this .csv or .json file.")
]


@app.command()
def convert(
    model: Model,
    calibration: Annotated[Path, typer.Option(help="An .npz or .npy file of images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The spiking network to write.")],
    steps: Steps = 8,
    spikes: Annotated[
        float | None,
        typer.Option(
            "--spikes-per-neuron", "--spikes", help="Budget: mean over the neurons of the network."
        ),
    ] = None,
    synops: Annotated[
        float | None,
        typer.Option(
            "--synops-per-mac",
            "--synops",
            help="Instead: synaptic operations, for each multiplication of the trained network.",
        ),
    ] = None,
    by_channel: Annotated[
        bool, typer.Option("--by-channel", help="Under a budget, a code of its own per channel.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Refit weights to what codes carry; no labels needed.")
    ] = False,
    snr: Annotated[
        float | None, typer.Option(help="Instead: signal-to-noise ratio of every layer, in dB.")
    ] = None,
    code: Annotated[
        str, typer.Option(help="binary, binary_floor, rate or mixed_radix.")
    ] = "mixed_radix",
    analog: Annotated[
        bool, typer.Option("--allow-analog", help="No neurons but those of activations.")
    ] = False,
    spiking_input: Annotated[
        bool, typer.Option("--spiking-input", help="Write the picture in spikes too.")
    ] = False,
    task: Task = None,
    overwrite: Overwrite = False,
    any_range: AnyRange = False,
) -> None:
    """Convert a trained network into a spiking one.

    Example: fsrepro convert model.keras --calibration images.npz --steps 8 --spikes 0.6 -o net.fs
    """
    _writable(output, overwrite)
    images, _ = _images(calibration, any_range, labels=False)
    _start_tensorflow()
    from .conversion import convert

    snn = convert(
        model, images, code=code, steps=steps, snr=snr, spikes_per_neuron=spikes,
        synops_per_mac=synops, by_channel=by_channel, refit=refit,
        analog="allowed" if analog else "forbidden", spiking_input=spiking_input, task=task,
    )  # fmt: skip
    snn.save(output, overwrite=overwrite)
    typer.echo(snn.layers.to_string(index=False))
    typer.echo(f"{output}: {snn.task.name}, {snn.neurons:,} neurons, K = {snn.steps}")
    if snn.budget:
        asked, planned, unit = snn.budget
        typer.echo(f"{unit.replace('_', ' ')}: asked {asked:g}, planned {planned:.3f}")


@app.command()
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
    _writable(output, overwrite, TABLES)
    x, labels = _images(images, any_range)
    _start_tensorflow()
    from . import measures
    from .conversion import SpikingModel

    report = measures.evaluate(SpikingModel.load(spiking), x, labels, ann=ann)
    if output:
        report.write(output, overwrite=overwrite)
    typer.echo(report)


@app.command()
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
    _writable(figure, overwrite, _FIGURES)
    _writable(output, overwrite, TABLES)
    x, labels = _images(images, any_range)
    _start_tensorflow()
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


@app.command()
def codes(
    steps: Steps = 8,
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
    _writable(output, overwrite, TABLES)
    import pandas as pd

    from . import fitting
    from .archive import read_arrays

    distribution = fitting.gaussian(-0.3, 1)
    if samples:
        values = read_arrays(samples)
        if isinstance(values, dict):
            raise ValueError(f"{samples} holds arrays by name; save the samples with numpy.save")
        distribution = fitting.empirical(values.reshape(-1), name=samples.name)
    code = fitting.mixed_radix_of(steps).best(distribution, snr=snr).code
    found = fitting.measure(code, fitting.relu, distribution)
    lowest = 0.0
    if math.isfinite(found.snr):  # a code may be exact
        lowest = fitting.bound(distribution.map(fitting.relu), steps, found.snr)
    tables = {name: getattr(code, name) for name in ("threshold", "reset", "weight")}
    table = pd.DataFrame({"t": range(1, code.steps + 1), **tables})
    if output:
        write_table(table, output, overwrite=overwrite)
    typer.echo(table.to_string(index=False))
    against = f" ({found.spikes / lowest:.2f} times the bound)" if lowest else ""
    typer.echo(
        f"{code.name}: {found.spikes:.3f} spikes per neuron at {found.snr:.2f} dB{against} on "
        f"{distribution.name}"
    )


def _writable(path: Path | None, overwrite: bool, suffixes: tuple[str, ...] = ()) -> None:
    if path is None:
        return
    try:
        check_place(path, suffixes=suffixes, overwrite=overwrite)
    except FileExistsError:
        raise FileExistsError(f"{path} exists; choose another name or pass --overwrite") from None


def _images(path: Path, any_range: bool, labels: bool = True):
    """Images as float32, and labels or None, or ``ValueError`` with what is wrong."""
    import numpy as np

    from .archive import read_arrays

    found = read_arrays(path)
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
