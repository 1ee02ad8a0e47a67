"""Spiking networks on more pictures than memory holds, on one machine or many.

Pictures are read as a stream and counted in tasks of a few hundred. Whatever the tasks, the workers
and the interruptions, the figures are the same: a picture is always computed in the same company of
at most sixteen, because convolutions round in another order for another number.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from ..codes import SpikeCode
from ..conversion.spiking_model import SpikingModel
from ..measures import Report, report, simulator_of
from ..networks.graph import batch_slices
from ..networks.population import Population
from .identity import source_of
from .picture_stream import batches
from .pictures import Pictures
from .sweep import Sweep

if TYPE_CHECKING:
    import distributed

__all__ = ["PictureReport", "evaluate_pictures", "packed"]

_AT_ONCE = 16  # pictures that are computed together, fewer for large networks
_LOADING = threading.Lock()


@dataclass(frozen=True, eq=False)
class PictureReport:
    """The result of :func:`evaluate_pictures`.

    ``report`` is as from :func:`~fsrepro.measures.evaluate`, over the pictures that could be read,
    without accuracies unless all of these have labels;
    ``answers`` has a row for each of them: file, label, ann, snn (the classes answered);
    ``unreadable`` has file and reason of the others.
    """

    report: Report
    answers: pd.DataFrame
    unreadable: pd.DataFrame


def evaluate_pictures(
    ann: keras.Model,
    snn: SpikingModel,
    pictures: Pictures,
    preprocessing: Callable,
    *,
    checkpoint: str | Path | None = None,
    client: distributed.Client | None = None,
    pictures_per_task: int = 320,
    workers: int | None = None,
    simulator: str = "keras",
    options: Mapping[str, object] | None = None,
) -> PictureReport:
    """Run ANN and SNN on ``pictures`` and count; memory does not depend on their number.

    Unreadable pictures are left out, and reported.

    Parameters
    ----------
    ann : keras.Model
    snn : SpikingModel
    pictures : Pictures
    preprocessing : callable
        From a picture to what the networks take, see
        :class:`~fsrepro.experiments.preprocessing.Preprocessing`.
    checkpoint : str or Path
        A file that keeps finished tasks; if it exists, the evaluation goes on from there, unless
        it belongs to other pictures, networks or another version of the library: then it starts
        afresh.
    client : distributed.Client
        Of a Dask cluster, whose workers see the pictures under the same names.
    pictures_per_task, workers : int
        The figures depend on neither; so many threads read ahead. In GeNN a task takes as many
        presentations more as the network has layers.
    simulator, options
        As for :func:`~fsrepro.measures.evaluate`. In GeNN every spike is sent.

    Raises
    ------
    ValueError
        If the networks do not take what ``preprocessing`` makes, answer other classes than the
        pictures have, or if no picture could be read.
    TypeError
        For a network with decoders on a cluster.
    """
    _check(ann, snn, pictures, preprocessing, pictures_per_task)
    simulator_of(simulator, options)  # refuses what is unknown
    together = min(_AT_ONCE, batch_slices(snn.keras_model, _AT_ONCE, None)[0].stop)
    per_task = max(1, round(pictures_per_task / together)) * together
    synapses = snn.synapses
    sweep = Sweep(
        checkpoint,
        pictures=pictures.checksum,
        networks=[_fingerprint(ann), _fingerprint(snn.keras_model)],
        preprocessing=source_of(preprocessing),
    )
    networks = _Networks(ann, snn) if client is None else packed(ann, snn)
    names = [os.path.relpath(file, pictures.folder) for file in pictures.files]
    starts = range(0, len(pictures), per_task)
    rows = sweep.table(
        f"{snn.name}, tasks of {per_task} pictures"
        + (f", {simulator} {options or ''}" if simulator != "keras" else ""),
        [{"start": start, "stop": min(start + per_task, len(pictures))} for start in starts],
        _count if simulator == "keras" else _count_events,
        each=lambda task: {"names": names[task["start"] : task["stop"]]},
        shared={
            "folder": pictures.folder,
            "preprocessing": preprocessing,
            "together": together,
            "fan_out": [synapses.fan_out[name] for name in snn.codes],
            "workers": workers,
            "networks": networks,
            **({"options": dict(options or {})} if simulator != "keras" else {}),
        },
        client=client,
    )
    return _report(snn, synapses, pictures, rows)


@dataclass(frozen=True, eq=False)
class _Networks:
    ann: keras.Model
    snn: SpikingModel


def _count(
    *, start, stop, names, folder, preprocessing, together, fan_out, workers, networks
) -> dict:
    """Answers, spikes and synaptic operations of one task."""
    networks = _unpacked(networks)
    row: dict[str, list] = {"index": [], "ann": [], "snn": [], "unreadable": []}
    spikes, synops = np.zeros((2, len(fan_out)))
    pictures = _of_task(folder, names, start, stop)
    for batch in batches(pictures, preprocessing, together, workers):
        images, n = _answered(row, batch, start, together, networks.ann)
        if n:
            logits, counts = networks.snn.count(images)
            row["snn"] += logits[:n].argmax(1).tolist()
            fired = [count[:n].sum(0, dtype=np.float64) for count in counts.values()]
            spikes += [f.sum() for f in fired]
            synops += [(f * fan).sum() for f, fan in zip(fired, fan_out, strict=True)]
    return {**row, "spikes": spikes.tolist(), "synops": synops.tolist()}


def _count_events(
    *, start, stop, names, folder, preprocessing, together, fan_out, workers, networks, options
) -> dict:
    """The same in GeNN, one picture behind the other through the whole task."""
    networks = _unpacked(networks)
    row: dict[str, list] = {"index": [], "ann": [], "snn": [], "unreadable": []}
    every = []
    pictures = _of_task(folder, names, start, stop)
    for batch in batches(pictures, preprocessing, together, workers):
        images, n = _answered(row, batch, start, together, networks.ann)
        every.append(images[:n])
    spikes, synops = np.zeros((2, len(fan_out)))
    if row["index"]:
        ((logits, fired),) = _events(networks.snn, **options)(np.concatenate(every))
        row["snn"] = logits.argmax(1).tolist()
        for i, (z, fan) in enumerate(zip(fired.values(), fan_out, strict=True)):
            spikes[i], synops[i] = z.sum(), (z * fan).sum()
    return {**row, "spikes": spikes.tolist(), "synops": synops.tolist()}


@lru_cache(maxsize=1)
def _events(snn: SpikingModel, **options):
    """What runs a network in GeNN, built once in a process."""
    return simulator_of("genn", options)(snn, None)


def _of_task(folder, names, start, stop) -> Pictures:
    files = tuple(folder / name for name in names)
    return Pictures(folder, files, np.zeros(stop - start, np.int64), ())


def _answered(row, batch, start, together, ann) -> tuple[np.ndarray, int]:
    """Put answers of the ANN into a ``row``; return images, and how many are none of padding."""
    row["unreadable"] += [[str(file), reason] for file, reason in batch.unreadable]
    n = len(batch.images)
    images = np.zeros((together, *batch.images.shape[1:]), np.float32)
    images[:n] = batch.images
    if n:
        row["index"] += (start + batch.index).tolist()
        row["ann"] += ann.predict_on_batch(images)[:n].argmax(1).tolist()
    return images, n


def _report(snn, synapses, pictures, rows: pd.DataFrame) -> PictureReport:
    index, ann, predictions = (np.array(rows[n].sum(), np.int64) for n in ("index", "ann", "snn"))
    unreadable = pd.DataFrame(rows["unreadable"].sum(), columns=["file", "reason"])
    if len(index) == 0:
        raise ValueError(
            f"none of the {len(pictures)} pictures could be read; the first: "
            f"{unreadable['file'][0]} ({unreadable['reason'][0]})"
        )
    labels = pictures.labels[index]
    files = [str(pictures.files[i]) for i in index]
    answers = pd.DataFrame({"file": files, "label": labels, "ann": ann, "snn": predictions})
    spikes, synops = (np.sum(rows[name].tolist(), axis=0) for name in ("spikes", "synops"))
    known = None if (labels < 0).any() else labels
    counted = report(snn, synapses, known, ann, predictions, spikes, synops)
    return PictureReport(counted, answers, unreadable)


def _check(ann, snn, pictures, preprocessing, pictures_per_task) -> None:
    if pictures_per_task < 1:
        raise ValueError(f"pictures_per_task must be at least 1, got {pictures_per_task}")
    size = getattr(preprocessing, "size", None)
    for model in (ann, snn.keras_model):
        expected = tuple(model.input_shape[1:])
        if size is not None and (size, size, 3) != expected:
            raise ValueError(
                f"model {model.name!r} takes pictures of shape {expected}, but the preprocessing "
                f"makes {(size, size, 3)}"
            )
        classes, wanted = model.output_shape[-1], len(pictures.classes)
        if classes != wanted:
            background = "; if its first class is background, see models.without_background"
            raise ValueError(
                f"model {model.name!r} answers {classes} classes, the pictures have {wanted}"
                f"{background if classes == wanted + 1 else ''}"
            )


def _fingerprint(model: keras.Model) -> str:
    """A checksum of layers, weights, and what the codes make of a range of values."""
    digest = hashlib.sha256()
    probe = np.linspace(-20, 20, 4001, dtype=np.float32)
    for layer in model.layers:
        if isinstance(layer, Population):
            code = layer.code
            for each in code.channels if isinstance(code, SpikeCode) else (code,):
                digest.update(each.quantise(probe).tobytes() + each.count(probe).tobytes())
        else:
            digest.update(json.dumps(layer.get_config(), default=str, sort_keys=True).encode())
        for weight in layer.get_weights():
            digest.update(weight.tobytes())
    return digest.hexdigest()


# --- networks on their way to workers ------------------------------------------------------------


def packed(ann: keras.Model, snn: SpikingModel) -> tuple[bytes, bytes]:
    """What a worker gets of the networks."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "ann.keras"), Path(folder, "snn.fs")
        snn.save(paths[1])
        ann.save(paths[0])
        return paths[0].read_bytes(), paths[1].read_bytes()


def _unpacked(networks: _Networks | tuple[bytes, bytes]) -> _Networks:
    """Once per process, whatever its threads."""
    if isinstance(networks, _Networks):
        return networks
    with _LOADING:
        return _loaded(networks)


@lru_cache(maxsize=2)
def _loaded(networks: tuple[bytes, bytes]) -> _Networks:
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "ann.keras"), Path(folder, "snn.fs")
        for draft, content in zip(paths, networks, strict=True):
            draft.write_bytes(content)
        ann = keras.saving.load_model(paths[0], compile=False)
        return _Networks(ann, SpikingModel.load(paths[1]))
