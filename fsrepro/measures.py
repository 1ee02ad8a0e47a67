"""What a spiking network achieves and what it spends, each count defined once.

- *spikes per neuron*: all spikes / number of spiking neurons, per image. The picture, unless it is
  in spikes too, and the output layer do not spike; neither counts. The two populations of a pair
  are two neurons for each value.
- *synaptic operations* (SynOps): sum over spikes of the fan-out of the neuron that fired; what a
  synapse is, :mod:`fsrepro.synapses` says.
- *multiplications left* (MACs): weights that read analog values, and products, in all and in the
  first layers, which read the picture. A network of which more than :data:`PARTLY` of the ANN's
  multiplications are left besides these is *partly spiking*.
- *neuron updates*: time steps of all neurons, the sum over layers of K times neurons.
- *energy by counts*: SynOps and multiplications left, weighed, over those of the ANN, see
  :mod:`fsrepro.energy`; of 32-bit floats; also with neuron updates.
- *agreement*: percent of answers that are those of the ANN, right or wrong; in regression, of the
  variance of the ANN's answers that the SNN explains.
- *accuracy*, *mean IoU*, *RMSE*, *R²*: by the task, see :mod:`fsrepro.tasks`.
- *loss*: accuracy of the ANN minus that of the SNN, in points, with the 95 percent interval of this
  paired difference, see :func:`paired_loss`.
- *decoder look-ups*: a neuron whose words need a decoder causes one for every time step until its
  word ends.
- *steps* K: time steps of the longest code; *latency*: the sum of K over the longest path.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binomtest
from tqdm import tqdm

from .codes import PrefixCode, entropy
from .conversion import SpikingModel, check_images, record
from .conversion.spiking_model import Budget
from .energy import energy_ratio
from .files import write_table
from .frontends import read
from .networks.graph import batch_slices, predict
from .synapses import Synapses
from .tasks import Task

__all__ = [
    "PARTLY",
    "Report",
    "answers",
    "decoding_costs",
    "evaluate",
    "paired_loss",
    "report",
    "sample_words",
    "sampled",
    "simulator_of",
]


@dataclass(frozen=True)
class Report:
    """The result of :func:`evaluate`; printed, its figures and layers.

    Parameters
    ----------
    images : int
    task : Task
    quality : dict of float
        What the task measures answers by, against labels: ``{"accuracy": ...}`` in percent, in
        segmentation ``"mean_iou"`` too; in regression ``"rmse"`` and ``"r2"``. NaN without labels.
    ann_quality : dict of float
        The same of the ANN.
    agreement : float
        Percent; NaN without an ANN.
    spikes_per_neuron, synops_per_image : float
        Per image.
    macs_per_image, first_macs_per_image, ann_macs_per_image : int
        Multiplications per image: those left; of these, the first layers'; the ANN's.
    steps, latency_steps, neurons, neuron_updates : int
    layers : pandas.DataFrame
        A row per spiking layer with its own spikes per neuron and SynOps.
    predictions : (N,) int or (N, ...)
        The classes or values answered.
    loss, low, high : float
        Points of accuracy below the ANN, and their interval. NaN without labels or an ANN, and
        where an image does not give one answer, right or wrong.
    analog : dict of int
        By layer that reads the picture or other analog values, its multiplications per image.
    budget : Budget or None
        What the network was made to spend.
    """

    images: int
    task: Task
    quality: dict[str, float]
    ann_quality: dict[str, float]
    agreement: float
    spikes_per_neuron: float
    synops_per_image: float
    macs_per_image: int
    first_macs_per_image: int
    ann_macs_per_image: int
    steps: int
    latency_steps: int
    neurons: int
    neuron_updates: int
    layers: pd.DataFrame
    predictions: np.ndarray
    loss: float = math.nan
    low: float = math.nan
    high: float = math.nan
    analog: dict[str, int] = field(default_factory=dict)
    budget: Budget | None = None

    @property
    def accuracy(self) -> float:
        """Percent; NaN without labels, and in regression."""
        return self.quality.get("accuracy", math.nan)

    @property
    def ann_accuracy(self) -> float:
        """Percent; NaN also without an ANN."""
        return self.ann_quality.get("accuracy", math.nan)

    @property
    def spikes_per_image(self) -> float:
        return self.spikes_per_neuron * self.neurons

    @property
    def synops_per_mac(self) -> float:
        """Synaptic operations for each multiplication of the ANN."""
        return self.synops_per_image / self.ann_macs_per_image

    @property
    def macs_left(self) -> float:
        """Multiplications left, of the ANN's; from 0 to 1."""
        return self.macs_per_image / self.ann_macs_per_image

    @property
    def energy(self) -> float:
        """By counts, of 32-bit floats, of the ANN's: see :mod:`fsrepro.energy`."""
        return energy_ratio(self.synops_per_image, self.macs_per_image, self.ann_macs_per_image)

    @property
    def energy_with_updates(self) -> float:
        """The same, where the time steps of neurons cost an addition each."""
        counts = self.synops_per_image, self.macs_per_image, self.ann_macs_per_image
        return energy_ratio(*counts, updates=self.neuron_updates)

    @property
    def partly_spiking(self) -> bool:
        """Whether more is analog than the first layer and a trifle."""
        rest = self.macs_per_image - self.first_macs_per_image
        return rest > PARTLY * self.ann_macs_per_image

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 percent confidence intervals of accuracy and agreement, in percent, and of the loss.

        Where each image gives one answer, right or wrong. Wilson (1927); of the loss, see
        :func:`paired_loss`.
        """
        if not _one_answer(self.task, self.predictions):
            return {}
        shares = {"accuracy": self.accuracy, "agreement": self.agreement}
        found = {name: _wilson(v, self.images) for name, v in shares.items() if v == v}
        return found if math.isnan(self.loss) else found | {"loss": (self.low, self.high)}

    def row(self) -> dict[str, float]:
        """The scalars, as one row of a result table."""
        return {"images": self.images, **self.quality, **{k: getattr(self, k) for k in _SCALARS}}

    def summary(self) -> dict[str, object]:
        """Everything but layers and predictions: the row, the ANN's, intervals, budget."""
        found: dict[str, object] = {"task": self.task.name, **self.row()}
        del found["low"], found["high"]  # here they are called what they are of
        found |= {f"ann_{name}": value for name, value in self.ann_quality.items()}
        for name, (low, high) in self.intervals.items():
            found |= {f"{name}_low": low, f"{name}_high": high}
        if self.budget is not None:
            asked, planned, unit = self.budget
            what = unit.split("_")[0]  # spikes or synops
            found |= {f"{what}_asked": asked, f"{what}_planned": planned}
        found["analog_layers"] = " ".join(self.analog)
        return found

    def write(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write all of it to a .csv file (a first row for the network, one per layer) or .json.

        Raises
        ------
        ValueError
            For another suffix.
        FileExistsError
            If ``path`` exists, unless ``overwrite``.
        """
        whole = pd.DataFrame([{"layer": "(network)", **self.summary()}])
        table = pd.concat([whole, self.layers], ignore_index=True)
        return write_table(table, path, overwrite=overwrite)

    def __str__(self) -> str:
        lines = {_NAMES[name]: _shown(name, value) for name, value in self.quality.items()}
        if "accuracy" in self.intervals:
            low, high = self.intervals["accuracy"]
            lines["accuracy"] += (
                f" of {self.images:,} images (95 % interval {low:.2f} to {high:.2f})"
            )
        lines |= {
            f"ANN's {_NAMES[name]}": _shown(name, value) for name, value in self.ann_quality.items()
        }
        if self.loss == self.loss:
            lines["points below ANN"] = (
                f"{self.loss:.2f} (95 % interval {self.low:.2f} to {self.high:.2f})"
            )
        same = "variance kept" if self.task.name == "regression" else "same answer as ANN"
        lines[same] = _shown("agreement", self.agreement)
        lines |= {
            "spikes per neuron": f"{self.spikes_per_neuron:.3f}",
            "spikes per image": f"{self.spikes_per_image:,.0f}",
            "SynOps per image": f"{self.synops_per_image:,.0f}",
            "SynOps per MAC": f"{self.synops_per_mac:.3f}",
            "MACs left": self._left(),
            "neuron updates": f"{self.neuron_updates:,} per image",
            "latency": f"{self.latency_steps} time steps, K = {self.steps}",
            "energy by counts": f"{self.energy:.3f} of the ANN's (32-bit floats), "
            f"{self.energy_with_updates:.3f} with neuron updates",
        }
        if self.budget is not None:
            name = {"spikes_per_neuron": "spikes per neuron", "synops_per_mac": "SynOps per MAC"}
            asked, planned, unit = self.budget
            lines[name[unit]] += f" (asked {asked:g}, planned {planned:.3f})"
        layers = self.layers.to_string(index=False, float_format="%.3f")
        return "\n".join([layers, *(f"{name:<18} {text}" for name, text in lines.items() if text)])

    def _left(self) -> str:
        """Which multiplications are left, the largest first."""
        whole = f"{100 * self.macs_left:.2f} % of {self.ann_macs_per_image:,}"
        shares = sorted(self.analog.items(), key=lambda layer: -layer[1])
        named = [f"{name} {100 * macs / self.ann_macs_per_image:.2f} %" for name, macs in shares]
        if len(named) > _NAMED:
            named[_NAMED - 1 :] = [f"and {len(named) - _NAMED + 1} more"]
        listed = f" ({', '.join(named)})" if named else ""
        return f"{whole}{listed}{'; partly spiking' if self.partly_spiking else ''}"


PARTLY = 0.02
"""Of the ANN's multiplications, left in other layers than the first: more, and a network is only
partly spiking."""

_NAMED = 4  # layers at most, in print
_SCALARS = (
    "loss", "low", "high", "agreement", "spikes_per_neuron", "spikes_per_image",
    "synops_per_image", "synops_per_mac", "macs_per_image", "first_macs_per_image",
    "ann_macs_per_image", "macs_left", "energy", "energy_with_updates", "steps", "latency_steps",
    "neurons", "neuron_updates",
)  # fmt: skip
_NAMES = {"accuracy": "accuracy", "mean_iou": "mean IoU", "rmse": "RMSE", "r2": "R²"}


def _shown(name: str, value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.4g}" if name == "rmse" else f"{value:.2f} %"


def _one_answer(task: Task, answers: np.ndarray) -> bool:
    """Whether each image gives one answer, right or wrong."""
    return answers.ndim == 1 and task.name != "regression"


def _wilson(percent: float, n: int) -> tuple[float, float]:
    found = binomtest(round(percent * n / 100), n).proportion_ci(0.95, method="wilson")
    return 100 * found.low, 100 * found.high


def evaluate(
    snn: SpikingModel,
    images: np.ndarray | Iterable,
    labels: np.ndarray | None = None,
    *,
    ann=None,
    simulator: str = "keras",
    options: Mapping[str, object] | None = None,
    batch_size: int | None = None,
) -> Report:
    """Run ``snn`` on ``images`` and count.

    Parameters
    ----------
    snn : SpikingModel
    images : (N, H, W, C) array, list of (H, W, C) arrays, or iterable
        As for the ANN. Or, for more images than memory holds, a stream of batches, images or pairs
        (images, labels), such as a ``tf.data.Dataset``, with ``labels`` None.
    labels : (N,) int
        Classes, from 0, or one-hot; of other tasks 0 and 1, a class for each pixel, or values, see
        :meth:`~fsrepro.tasks.Task.check`. Without them there is no accuracy.
    ann : keras.Model, torch.nn.Module, path, or (N,) int
        The trained network, or its answers, to compare answers with.
    simulator : "keras" or "genn"
        ``"keras"`` computes what all time steps come to; ``"genn"`` sends every spike, one image
        at a time, see :mod:`fsrepro.genn`.
    options : mapping
        Arguments of :func:`~fsrepro.genn.to_mlgenn` such as ``{"backend": "cuda"}``.
    batch_size : int
        Convolutions may round in another order for another size: a potential that meets its
        threshold to the last digit may then fall on either side.

    Raises
    ------
    ValueError
        For images of the wrong shape, not finite or in other units than those of the calibration,
        for labels that are out of range, not one per image or beside a stream, for another
        simulator and for options it does not have.
    ImportError
        Where GeNN is not installed.
    """
    simulate = simulator_of(simulator, options)
    task, logits = snn.task, snn.keras_model.output_shape[1:]
    parts: Iterable[tuple]
    given = None if ann is None or not hasattr(ann, "__array__") else ann
    if _is_one_array(snn, images):
        images = np.asarray(images)
        if given is not None:
            given = task.check(given, (len(images), *logits), "answers of the ANN")
        parts = [(images, labels)]
    elif labels is not None:
        raise ValueError("labels of a stream come with it, in pairs (images, labels)")
    else:
        parts = (_pair(snn, part) for part in images)
    run, reader = None, None
    synapses = snn.synapses  # counted first: it is where a network may be refused
    spikes = dict.fromkeys(snn.codes, np.zeros(()))  # by layer, at each position, over all images
    known, reference, answered = [], [], []
    for x, y in parts:
        checked = snn.check(x)
        if y is not None:
            known.append(task.check(y, (len(checked), *logits), "labels"))
        if ann is not None and given is None:
            reader = reader or read(ann, x).graph
            reference.append(task.answers(predict(reader, checked, batch_size)))
        run = run or simulate(snn, batch_size)
        for outputs, fired in run(checked):
            answered.append(task.answers(outputs))
            spikes = {name: z + fired[name] for name, z in spikes.items()}
    if run is None:
        raise ValueError("the images are empty")
    predictions = np.concatenate(answered)
    if reference:
        given = np.concatenate(reference)
    elif given is not None:
        given = task.check(given, (len(predictions), *logits), "answers of the ANN")
    truth = np.concatenate(known) if known else None
    if truth is not None and len(truth) != len(predictions):
        raise ValueError("some batches of the stream have labels, others have none")
    total = [z.sum() for z in spikes.values()]
    synops = [(z * synapses.fan_out[name]).sum() for name, z in spikes.items()]
    return report(snn, synapses, truth, given, predictions, total, synops)


def report(
    snn: SpikingModel,
    synapses: Synapses,
    labels: np.ndarray | None,
    reference: np.ndarray | None,
    predictions: np.ndarray,
    spikes: Sequence[float],
    synops: Sequence[float],
) -> Report:
    """The report of what was counted.

    Parameters
    ----------
    snn : SpikingModel
    synapses : Synapses
    labels, reference, predictions : (N, ...) array
        As :meth:`~fsrepro.tasks.Task.answers` gives them: the right ones, if they are known; those
        of the ANN, if it was asked; those of the SNN.
    spikes, synops : sequence of float
        Of each layer, over all images.
    """
    images, task = len(predictions), snn.task
    layers = snn.layers.copy()
    per_image = np.asarray(spikes, float) / images
    if not per_image.any():
        warnings.warn(
            f"network {snn.name!r} is silent: not a single spike on {images} images. Are these "
            "what it was calibrated on?",
            stacklevel=3,
        )
    layers["spikes_per_neuron"] = per_image / layers["neurons"]
    layers["synops_per_image"] = np.asarray(synops, float) / images
    unknown = {"rmse": np.nan, "r2": np.nan} if task.name == "regression" else {"accuracy": np.nan}
    quality = unknown if labels is None else task.measures(predictions, labels)
    ann_quality, loss, low, high = {}, math.nan, math.nan, math.nan
    if labels is not None and reference is not None:
        ann_quality = task.measures(reference, labels)
        if _one_answer(task, predictions):
            loss, low, high = paired_loss(reference == labels, predictions == labels)
    return Report(
        images=images,
        task=task,
        quality=quality,
        ann_quality=ann_quality,
        agreement=np.nan if reference is None else task.agreement(predictions, reference),
        spikes_per_neuron=float(per_image.sum() / snn.neurons),
        synops_per_image=float(layers["synops_per_image"].sum()),
        macs_per_image=synapses.macs,
        first_macs_per_image=synapses.first_macs,
        ann_macs_per_image=synapses.ann_macs,
        steps=snn.steps,
        latency_steps=synapses.latency_steps,
        neurons=snn.neurons,
        neuron_updates=int(layers["steps"] @ layers["neurons"]),
        layers=layers,
        predictions=predictions,
        loss=loss,
        low=low,
        high=high,
        analog=synapses.analog,
        budget=snn.budget,
    )


def _keras(snn: SpikingModel, batch_size: int | None) -> Callable:
    """From images to logits and, by layer, spikes in the shape of its fan-out, batch by batch."""

    def run(images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        slices = batch_slices(snn.keras_model, len(images), batch_size)
        for part in tqdm(slices, desc="evaluate"):
            logits, counts = snn.count(images[part])
            yield logits, {name: z.sum(0, dtype=np.float64) for name, z in counts.items()}

    return run


def _genn(snn: SpikingModel, batch_size: int | None, **options) -> Callable:
    """The same, event by event."""
    from . import genn

    network = genn.to_mlgenn(snn, **options)

    def run(images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        outputs, spikes = network.run(images)
        for name, fan_out in snn.synapses.fan_out.items():
            if spikes[name].ndim > fan_out.ndim:
                spikes[name] = spikes[name].sum(-1, dtype=np.float64)
        yield outputs, spikes

    return run


_SIMULATORS: Mapping[str, Callable] = {"keras": _keras, "genn": _genn}
_OPTIONS: Mapping[str, tuple[str, ...]] = {"keras": (), "genn": ("optimize_code", "backend")}


def simulator_of(name: str, options: Mapping[str, object] | None = None) -> Callable:
    """What makes a network run: ``(snn, batch_size) -> run``, and ``run(images)`` gives, batch by
    batch, outputs and by layer the spikes, summed over images, in the shape of the fan-out.

    ``ValueError`` for an unknown name, or options that it does not have.
    """
    if name not in _SIMULATORS:
        raise ValueError(f"simulator must be {' or '.join(_SIMULATORS)}, got {name!r}")
    options = dict(options or {})
    if unknown := set(options) - set(_OPTIONS[name]):
        raise ValueError(
            f"simulator {name!r} has no option {', '.join(sorted(unknown))}; it has "
            f"{', '.join(_OPTIONS[name]) or 'none'}"
        )
    return partial(_SIMULATORS[name], **options)


def paired_loss(ann: np.ndarray, snn: np.ndarray) -> tuple[float, float, float]:
    r"""Accuracy of an ANN minus that of an SNN on the same images, and its 95 percent interval.

    In points; the score interval of Tango (1998) for paired proportions. Only images on which one
    network is right and the other wrong tell them apart, so the interval is far narrower than that
    of either accuracy; where there are none, it is :math:`\pm z^2 / (N + z^2)` and not zero.

    Parameters
    ----------
    ann, snn : (N,) bool or float
        Whether each answer is right; NaN where that is not known.
    """
    differences = np.asarray(ann, float) - np.asarray(snn, float)
    if np.isnan(differences).any():
        return (math.nan,) * 3
    lost, won, n = int((differences > 0).sum()), int((differences < 0).sum()), len(differences)
    low, high = _tango(lost, won, n)
    return 100 * (lost - won) / n, 100 * low, 100 * high


def _tango(lost: int, won: int, n: int) -> tuple[float, float]:
    """Where the score of a difference d of paired proportions is z and -z (Tango 1998, section 2).

    Its variance takes the most likely chance of ``won``, given d: a root of a quadratic equation.
    """
    z, near = 1.959964, 1e-9  # at the difference itself a deviation may be zero

    def excess(d: float, sign: int) -> float:
        b = (2 * n - lost + won) * d - lost - won
        chance = (math.sqrt(max(b * b + 8 * n * won * d * (1 - d), 0.0)) - b) / (4 * n)
        deviation = math.sqrt(max(n * (2 * chance + d * (1 - d)), 0.0))
        return lost - won - n * d - sign * z * deviation

    middle = (lost - won) / n
    low = brentq(excess, -1, middle - near, (1,)) if excess(-1, 1) > 0 else -1.0
    high = brentq(excess, middle + near, 1, (-1,)) if excess(1, -1) < 0 else 1.0
    return low, high


def decoding_costs(snn: SpikingModel, images: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """What the decoders of a network cost, a row per layer whose code is not linear.

    Parameters
    ----------
    snn : SpikingModel
        Made by :func:`~fsrepro.conversion.with_decoders`.
    images : (N, H, W, C) array
        As for :func:`evaluate`; about 100,000 activations of each layer are drawn from them.
    seed : int

    Returns
    -------
    pandas.DataFrame
        With the columns ``layer``, ``code``, ``levels`` (words of the code), ``entropy`` (bits
        per neuron, of the levels sent), ``mean_latency`` and ``worst_latency`` (time steps until
        a word ends; a layer waits for the longest), ``decoder_states`` (rows of the table a
        receiver walks, two entries each), ``lookups_per_image`` (mean latency x neurons).

    Raises
    ------
    ValueError
        For a network without decoders, and for images that ``evaluate`` refuses.
    """
    images = snn.check(images)
    coded = {n: code for n, code in snn.codes.items() if isinstance(code, PrefixCode)}
    if not coded:
        raise ValueError(f"network {snn.name!r} has no decoders: synapses read all of its codes")
    recorded = record(snn.keras_model, images, seed=seed)
    neurons = snn.layers.set_index("layer")["neurons"]
    rows = []
    for name, code in coded.items():
        level = np.searchsorted(code.breakpoints, recorded[name], side="right")
        probability = np.bincount(level, minlength=len(code.levels)) / level.size
        latency = code.mean_latency(probability)
        rows.append(
            {
                "layer": name,
                "code": code.name,
                "levels": len(code.levels),
                "entropy": entropy(probability),
                "mean_latency": latency,
                "worst_latency": code.worst_latency,
                "decoder_states": code.decoder_states,
                "lookups_per_image": latency * int(neurons[name]),
            }
        )
    return pd.DataFrame(rows)


def answers(
    model, images: np.ndarray, *, task: str | None = None, batch_size: int | None = None
) -> np.ndarray:
    """What a trained network answers: the class of the largest output, (N,), or as its task has it.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, or path
    images : (N, ...) array
    task : str
        See :func:`~fsrepro.conversion.convert`.
    batch_size : int

    Raises
    ------
    TypeError, ValueError, UnsupportedLayerError
        As :func:`~fsrepro.conversion.normal_form` does.
    """
    network = read(model, images, task)
    checked = check_images(network.graph, images, "images")
    return network.task.answers(predict(network.graph, checked, batch_size))


def sample_words(
    snn: SpikingModel, image: np.ndarray, *, neurons: int = 60, seed: int = 0
) -> pd.DataFrame:
    """What some neurons of each layer send for one image: a row per neuron.

    The columns are ``layer``, ``neuron`` (index in the flattened layer) and ``word`` (K letters, 1
    for a spike).

    Parameters
    ----------
    snn : SpikingModel
    image : (H, W, C) array
        Normalised; ``ValueError`` as in :func:`evaluate`.
    neurons : int
        So many of each layer, drawn at random, the same for the same ``seed``.
    seed : int
    """
    images = snn.check(np.asarray(image)[None], "the image")
    return sampled(snn.spike_trains(images), neurons=neurons, seed=seed)


def sampled(spikes: Mapping[str, np.ndarray], *, neurons: int = 60, seed: int = 0) -> pd.DataFrame:
    """As :func:`sample_words`, from the spikes of one image: by layer, (K, 1, ...)."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, z in spikes.items():
        z = z.reshape(len(z), -1)  # (K, neurons)
        for i in np.sort(rng.choice(z.shape[1], min(neurons, z.shape[1]), replace=False)):
            rows.append({"layer": name, "neuron": i, "word": "".join(map(str, z[:, i]))})
    return pd.DataFrame(rows)


def _pair(snn: SpikingModel, part) -> tuple:
    """A batch of a stream as (images, labels or None)."""
    rank = len(snn.keras_model.input_shape)
    pair = isinstance(part, Sequence) and len(part) == 2 and np.ndim(part[0]) == rank
    return tuple(part) if pair else (part, None)


def _is_one_array(snn: SpikingModel, images) -> bool:
    """Whether ``images`` is an array or a list of images, and not a stream of batches."""
    if not isinstance(images, Sequence):
        return hasattr(images, "__array__")
    rank = len(snn.keras_model.input_shape)
    return not any(isinstance(x, tuple | list) or np.ndim(x) >= rank for x in images)
