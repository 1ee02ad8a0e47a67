"""What a spiking network achieves and what it spends, each count defined once.

- *spikes per neuron*: all spikes of hidden neurons / number of hidden spiking neurons, per image.
  The input is analog and the output layer does not spike; neither counts.
- *synaptic operations* (SynOps): sum over spikes of the fan-out of the neuron that fired; what a
  synapse is, :mod:`fsrepro.synapses` says.
- *agreement*: percent of images on which the SNN gives the answer of the ANN, right or wrong.
- *decoder look-ups*: a neuron whose words need a decoder causes one for every time step until its
  word ends.
- *steps* K: time steps of the longest code; *latency*: the sum of K over the longest path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from .codes import PrefixCode, entropy
from .conversion import SpikingModel, check_images, record
from .conversion.graph import batch_slices, predict
from .synapses import Synapses, count_synapses

__all__ = [
    "Report",
    "decoding_costs",
    "evaluate",
    "predict_classes",
    "report",
    "sample_words",
    "sampled",
]


@dataclass(frozen=True)
class Report:
    """The result of :func:`evaluate`; printed, its figures and layers.

    Parameters
    ----------
    images : int
    accuracy, agreement : float
        Percent; NaN without labels, without an ANN.
    spikes_per_neuron, synops_per_image : float
        Per image.
    macs_per_image, ann_macs_per_image : int
        Multiplications per image: those left, by layers that read analog values; the ANN's.
    steps, latency_steps, neurons : int
    layers : pandas.DataFrame
        A row per spiking layer with its own spikes per neuron and SynOps.
    predictions : (N,) int
        The class answered.
    """

    images: int
    accuracy: float
    agreement: float
    spikes_per_neuron: float
    synops_per_image: float
    macs_per_image: int
    ann_macs_per_image: int
    steps: int
    latency_steps: int
    neurons: int
    layers: pd.DataFrame
    predictions: np.ndarray

    def row(self) -> dict[str, float]:
        """The scalars, as one row of a result table."""
        return {k: v for k, v in vars(self).items() if k not in ("layers", "predictions")}

    def __str__(self) -> str:
        lines = {
            "accuracy": f"{self.accuracy:.2f} % of {self.images:,} images",
            "same answer as ANN": f"{self.agreement:.2f} %",
            "spikes per neuron": f"{self.spikes_per_neuron:.3f}",
            "SynOps per image": f"{self.synops_per_image:,.0f}",
            "multiplications": f"{self.macs_per_image:,} of {self.ann_macs_per_image:,}",
            "latency": f"{self.latency_steps} time steps",
        }
        if np.isnan(self.accuracy):
            del lines["accuracy"]
        if np.isnan(self.agreement):
            del lines["same answer as ANN"]
        layers = self.layers.to_string(index=False, float_format="%.3f")
        return "\n".join([layers, *(f"{name:<18} {value}" for name, value in lines.items())])


def evaluate(
    snn: SpikingModel,
    images: np.ndarray | Iterable,
    labels: np.ndarray | None = None,
    *,
    ann: keras.Model | np.ndarray | None = None,
    simulator: str = "keras",
    options: Mapping[str, object] | None = None,
    batch_size: int | None = None,
) -> Report:
    """Run ``snn`` on ``images`` and count.

    Parameters
    ----------
    snn : SpikingModel
    images : (N, H, W, C) array, list of (H, W, C) arrays, or iterable
        Normalised as for the ANN. Or, for more images than memory holds, a stream of batches,
        images or pairs (images, labels), such as a ``tf.data.Dataset``, with ``labels`` None.
    labels : (N,) int
        Classes, from 0; without them there is no accuracy.
    ann : keras.Model or (N,) int
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
        For images of the wrong shape or not finite, for labels that are out of range, not one per
        image or beside a stream, for another simulator and for options it does not have.
    ImportError
        Where GeNN is not installed.
    NotImplementedError
        Where the fan-out differs between channels, see :func:`~fsrepro.synapses.count_synapses`.
    """
    if simulator not in _SIMULATORS:
        raise ValueError(f"simulator must be {' or '.join(_SIMULATORS)}, got {simulator!r}")
    options = dict(options or {})
    if unknown := set(options) - set(_OPTIONS[simulator]):
        raise ValueError(
            f"simulator {simulator!r} has no option {', '.join(sorted(unknown))}; it has "
            f"{', '.join(_OPTIONS[simulator]) or 'none'}"
        )
    parts: Iterable[tuple]
    if _is_one_array(snn, images):
        images = check_images(snn.keras_model, images, "images")
        if ann is not None and not isinstance(ann, keras.Model):
            _check_labels(snn, images, ann, "answers of the ANN")
        parts = [(images, labels)]
    elif labels is not None:
        raise ValueError("labels of a stream come with it, in pairs (images, labels)")
    else:
        parts = (part if isinstance(part, tuple) else (part, None) for part in images)
    run = None
    spikes = dict.fromkeys(snn.codes, np.zeros(()))  # by layer, at each position, over all images
    known, given, answers = [], [], []
    for x, y in parts:
        x = check_images(snn.keras_model, x, "images")
        known.append(np.full(len(x), -1) if y is None else _check_labels(snn, x, y, "labels"))
        if isinstance(ann, keras.Model):
            given.append(predict_classes(ann, x, batch_size=batch_size))
        run = run or _SIMULATORS[simulator](snn, batch_size, **options)
        for classes, fired in run(x):
            answers.append(classes)
            spikes = {name: z + fired[name] for name, z in spikes.items()}
    if run is None:
        raise ValueError("the images are empty")
    predictions = np.concatenate(answers)
    reference = np.concatenate(given) if given else ann
    if reference is not None:
        reference = _check_labels(snn, predictions, reference, "answers of the ANN")
    synapses = count_synapses(snn)
    total = [z.sum() for z in spikes.values()]
    synops = [(z * synapses.fan_out[name]).sum() for name, z in spikes.items()]
    return report(snn, synapses, np.concatenate(known), reference, predictions, total, synops)


def report(
    snn: SpikingModel,
    synapses: Synapses,
    labels: np.ndarray,
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
    labels, reference, predictions : (N,) int
        Classes: the right ones, -1 where unknown, and then there is no accuracy; those answered by
        the ANN, if it was asked; those answered by the SNN.
    spikes, synops : sequence of float
        Of each layer, over all images.
    """
    images = len(labels)
    layers = snn.layers.copy()
    per_image = np.asarray(spikes, float) / images
    layers["spikes_per_neuron"] = per_image / layers["neurons"]
    layers["synops_per_image"] = np.asarray(synops, float) / images
    return Report(
        images=images,
        accuracy=float("nan") if (labels < 0).any() else _percent(predictions == labels),
        agreement=float("nan") if reference is None else _percent(predictions == reference),
        spikes_per_neuron=float(per_image.sum() / snn.neurons),
        synops_per_image=float(layers["synops_per_image"].sum()),
        macs_per_image=synapses.macs,
        ann_macs_per_image=synapses.ann_macs,
        steps=snn.steps,
        latency_steps=synapses.latency_steps,
        neurons=snn.neurons,
        layers=layers,
        predictions=predictions,
    )


def _keras(snn: SpikingModel, batch_size: int | None) -> Callable:
    """From images to answers, (n,), and by layer the spikes at each position, batch by batch."""

    def run(images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        slices = batch_slices(snn.keras_model, len(images), batch_size)
        for part in tqdm(slices, desc="evaluate"):
            logits, *counts = snn.counting_model.predict_on_batch(images[part])
            summed = (count.sum(0, dtype=np.float64) for count in counts)
            yield logits.argmax(1), dict(zip(snn.codes, summed, strict=True))

    return run


def _genn(snn: SpikingModel, batch_size: int | None, **options) -> Callable:
    """The same, event by event."""
    from . import genn

    network = genn.to_mlgenn(snn, **options)

    def run(images: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        outputs, spikes = network.run(images)
        yield outputs.argmax(1), {k: z.sum(-1, dtype=np.float64) for k, z in spikes.items()}

    return run


_SIMULATORS: Mapping[str, Callable] = {"keras": _keras, "genn": _genn}
_OPTIONS: Mapping[str, tuple[str, ...]] = {"keras": (), "genn": ("optimize_code", "backend")}


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
    images = check_images(snn.keras_model, images, "images")
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


def predict_classes(
    model: keras.Model, images: np.ndarray, *, batch_size: int | None = None
) -> np.ndarray:
    """The answers of an ANN, (N,): the class of the largest output."""
    return predict(model, check_images(model, images, "images"), batch_size).argmax(1)


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
    images = check_images(snn.keras_model, np.asarray(image)[None], "the image")
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


def _is_one_array(snn: SpikingModel, images) -> bool:
    """Whether ``images`` is an array or a list of images, and not a stream of batches."""
    if not isinstance(images, Sequence):
        return hasattr(images, "__array__")
    rank = len(snn.keras_model.input_shape)
    return not any(isinstance(x, tuple) or np.ndim(x) >= rank for x in images)


def _check_labels(snn: SpikingModel, images: np.ndarray, labels, what: str) -> np.ndarray:
    labels = np.asarray(labels)
    classes = snn.keras_model.output_shape[-1]
    if labels.shape != (len(images),):
        raise ValueError(f"{len(images)} images need as many {what}, got shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} must be integers from 0 to {classes - 1}, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{what} must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
        )
    return labels


def _percent(right: np.ndarray) -> float:
    return 100 * float(right.mean())
