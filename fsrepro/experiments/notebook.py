"""What the notebooks repeat: how they start, data and network, rows of results, choices, tables."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from .. import figures, training
from ..codes import Code
from ..conversion import (
    Plan,
    SpikingModel,
    activation_layers,
    convert,
    distributions,
    normal_form,
    plan,
    record,
    with_decoders,
)
from ..fitting import Designer, Distribution
from ..measures import Report, answers, evaluate
from . import datasets, identity, models
from .picture_stream import arrays
from .pictures import Pictures
from .results import HEADLINE_COLUMNS, shown

__all__ = [
    "Study",
    "fewest_spikes",
    "headline_rows",
    "key",
    "parameters",
    "quoted",
    "shown",
    "spikes_at",
    "varied",
]


def parameters(names: Mapping[str, object]) -> dict:
    """Start a notebook: its parameters, as ``globals()`` has them behind the first cell.

    Every plain value there is one. The notebook runs in the top folder of the project, as paths
    are written; TensorFlow keeps its start-up to itself; figures get their look.
    """
    if Path.cwd().name == "notebooks":  # as in JupyterLab
        os.chdir("..")
    logging.getLogger("tensorflow").setLevel("ERROR")
    figures.set_style()
    plain = (str, int, float, bool, list, dict, type(None))
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, plain) and name[0] != "_" and name not in ("In", "Out", "results")
    }


@dataclass(frozen=True, eq=False)
class Study:
    """A trained network, the images it is studied on, and what it answers.

    ``x``, ``labels``: test images as the network takes them, only ever measured.
    ``x_calibration``, ``calibration_labels``: held out from training; every choice is made on them.
    ``weights``: where those of ``ann`` come from, for the identity of results.
    """

    ann: keras.Model
    weights: str
    x: np.ndarray
    labels: np.ndarray
    x_calibration: np.ndarray
    calibration_labels: np.ndarray
    seed: int = 0

    @classmethod
    def of(
        cls,
        data: datasets.Dataset,
        network: str,
        *,
        images: int,
        checkpoint: str = "",
        epochs: int = 0,
        seed: int = 0,
        **options,
    ) -> Study:
        """``network`` built with ``options``, its weights from a ``checkpoint`` or trained here.

        What is trained is kept in ``~/.cache/fsrepro``, so that other notebooks, and this one when
        it runs again, need not train it again while neither library nor recipe changes.
        """
        cls._check(data, images)
        ann = models.build(network, data.image_shape, len(data.classes), seed=seed, **options)
        weights = f"{epochs} epochs"
        if checkpoint:
            weights = models.load_checkpoint(ann, checkpoint)["weights_sha256"]
        else:
            recipe = [identity.library(), data.summary(), network, options, epochs, seed]
            named = hashlib.sha256(json.dumps(recipe, default=str).encode()).hexdigest()[:16]
            training.train(
                ann, *data.arrays("train"), epochs=epochs, batch_size=64, seed=seed,
                checkpoint=Path.home() / ".cache" / "fsrepro" / f"{network}-{named}.training",
            )  # fmt: skip
        return cls.on(data, ann, weights, images=images, seed=seed)

    @classmethod
    def on(
        cls, data: datasets.Dataset, ann: keras.Model, weights: str, *, images: int, seed: int = 0
    ) -> Study:
        """A trained network on the first so many test images of a data set."""
        cls._check(data, images)
        test = data.test[:images]
        x, (x_calibration, labels) = data.normalise(test.images), data.arrays("calibration")
        return cls(ann, weights, x, test.labels, x_calibration, labels, seed)

    @classmethod
    def of_pictures(
        cls, network: models.ImageNetNetwork, test: Pictures, calibration: Pictures, seed: int = 0
    ) -> Study:
        """A network for ImageNet on pictures that memory holds."""
        seen, held_out = (arrays(some, network.preprocessing) for some in (test, calibration))
        return cls(network.model, network.weights_sha256, *seen, *held_out, seed=seed)

    @staticmethod
    def _check(data: datasets.Dataset, images: int) -> None:
        if not 1 <= images <= len(data.test):
            raise ValueError(
                f"{data.name} has {len(data.test):,} test images; images must be from 1 "
                f"to that, got {images:,}"
            )

    @cached_property
    def answers(self) -> np.ndarray:
        """Of the ANN, to the test images."""
        return answers(self.ann, self.x)

    @cached_property
    def calibration_answers(self) -> np.ndarray:
        return answers(self.ann, self.x_calibration)

    @property
    def accuracy(self) -> float:
        """Of the ANN on the test images, percent."""
        return 100 * float((self.answers == self.labels).mean())

    @property
    def calibration_accuracy(self) -> float:
        return 100 * float((self.calibration_answers == self.calibration_labels).mean())

    @cached_property
    def _graph(self) -> keras.Model:
        return normal_form(self.ann, self.x_calibration)

    @cached_property
    def recorded(self) -> dict[str, np.ndarray]:
        """By layer, pre-activations on the calibration images."""
        return record(self._graph, self.x_calibration, seed=self.seed)

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """By layer, the same with the rare ones, for codes to be designed for."""
        return distributions(self._graph, self.x_calibration, seed=self.seed)

    @cached_property
    def functions(self) -> dict[str, str]:
        """By layer of the ANN that has one, its activation."""
        graph = normal_form(self.ann, analog="allowed")
        return {name: graph.get_layer(name).function for name in activation_layers(graph)}

    @cache  # noqa: B019 - as long as the notebook
    def plan(self, steps: int, **options) -> Plan:
        """What networks of mixed radices of so many time steps are made from."""
        return self._measured(**options).with_code(steps=steps)

    @cache  # noqa: B019 - as long as the notebook
    def _measured(self, **options) -> Plan:
        """A plan of codes of no interest, for those that share what it measures."""
        return plan(self.ann, self.x_calibration, seed=self.seed, **options)

    def report(self, snn: SpikingModel, **options) -> Report:
        """A spiking network on the test images."""
        return evaluate(snn, self.x, self.labels, ann=self.answers, **options)

    def held_out(self, snn: SpikingModel) -> dict[str, float]:
        """A spiking network on the calibration images, where every choice is made."""
        labels, answers = self.calibration_labels, self.calibration_answers
        report = evaluate(snn, self.x_calibration, labels, ann=answers)
        return {
            "calibration_accuracy": report.accuracy,
            "calibration_agreement": report.agreement,
            "calibration_spikes": report.spikes_per_neuron,
        }

    def row(self, snn: SpikingModel) -> dict:
        """A row of results: measured on test images, and what choices are made by."""
        return {**self.report(snn).row(), **self.held_out(snn)}

    def source(self, layer: str, points: int = 8192) -> Distribution:
        """What was recorded from a layer, in so many points."""
        return self.distributions[layer].thin(points)

    def coded(self, designer: Designer, snr: float, points: int = 8192) -> SpikingModel:
        """The network whose layers are each designed for this SNR on what was recorded there."""
        layers = self.distributions
        return self.spiking(
            {n: designer.best(self.source(n, points), snr=snr).code for n in layers}
        )

    def spiking(self, codes: Mapping[str, Code]) -> SpikingModel:
        """The network in these codes, by layer; with decoders where synapses cannot read them."""
        if all(code.linear for code in codes.values()):
            return convert(self.ann, self.x_calibration, code=codes)
        return with_decoders(self.ann, codes)

    def __str__(self) -> str:
        return f"The ANN answers {self.accuracy:.2f} % of {len(self.labels):,} test images rightly."


def fewest_spikes(rows: pd.DataFrame, held: pd.Series, accuracy: pd.Series):
    """The label of the row with the fewest spikes where ``held``; else of the best accuracy."""
    return rows.loc[held, "calibration_spikes"].idxmin() if held.any() else accuracy.idxmax()


def spikes_at(rows: pd.DataFrame, accuracy: float) -> float:
    """Spikes per neuron at which the settings of a code reach an ``accuracy``, NaN if none does.

    Linear between neighbours, without settings that one of fewer spikes equals. Codes whose spikes
    are compared have the same accuracy then, if not the same settings.
    """
    rows = rows.sort_values("spikes_per_neuron")
    front = rows[rows["accuracy"] > rows["accuracy"].cummax().shift(fill_value=-np.inf)]
    reached = front["accuracy"].to_numpy()
    if len(reached) == 0 or accuracy > reached[-1]:
        return math.nan
    return float(np.interp(accuracy, reached, front["spikes_per_neuron"]))


def varied(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """How far the points lost vary over ``part`` s of the calibration images and ``training`` s.

    A row for each value of the column ``by``: mean, least, most, the standard deviation over the
    parts of one training (pooled), and that of the means of trainings, NaN if there is only one.
    """
    losses = table.groupby([by, "training"])["loss"]
    found = table.groupby(by)["loss"].agg(mean="mean", least="min", most="max")
    found["sd over parts"] = np.sqrt(losses.var().groupby(by).mean())
    found["sd over trainings"] = losses.mean().groupby(by).std()
    return found


def headline_rows(rows: pd.DataFrame, **fixed) -> list[dict]:
    """Rows of ``headline.csv`` from a table of results.

    ``fixed``: columns that are the same for all, or a list; the others are read from the table,
    where ``code`` is ``setting`` and ``snn_accuracy`` is ``accuracy``.
    """
    fixed = {"activation": "relu", "fine_tuned": False, "simulator": "keras", **fixed}
    rows = rows.assign(**{end: math.nan for end in ("low", "high") if end not in rows})
    tuned = np.broadcast_to(np.asarray(fixed["fine_tuned"], bool), len(rows))
    fixed = {"weights": np.where(tuned, "fine-tuned", "training-free"), **fixed}
    known = {"code": "setting", "snn_accuracy": "accuracy"}
    wanted = [c for c in HEADLINE_COLUMNS if c not in ("experiment", "commit")]
    table = pd.DataFrame(
        {c: fixed[c] if c in fixed else rows[known.get(c, c)].to_numpy() for c in wanted},
        index=range(len(rows)),
    )
    return table.to_dict("records")


_SHORT = {
    "spikes": "spikes_per_neuron",
    "synops": "synops_per_image",
    "macs": "macs_per_image",
    "latency": "latency_steps",
}


def key(name: str) -> str:
    """What a number of the headline is called by the ``name`` of a network or setting."""
    return re.sub(r"[ .-]+", "_", name.lower())


def quoted(name: str, row: Report | pd.Series, numbers: str) -> dict[str, float]:
    """``{NAME_number: ...}`` for the headline: some ``numbers`` of a report or a row of results."""
    found = row.row() if isinstance(row, Report) else row
    chosen = {number: found[_SHORT.get(number, number)] for number in numbers.split()}
    return {f"{name}_{n}": v.item() if hasattr(v, "item") else v for n, v in chosen.items()}
