"""Where did my accuracy go? A converted network against its ANN, layer by layer."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from .. import activations
from ..codes import SpikeCode
from ..fitting import decibels
from ..networks.graph import in_batches, outputs_of, predict, rewrite
from ..networks.population import activation_layers
from ._normal_form import normal_form
from .decoded import Decoded
from .few_spikes import FewSpikes
from .signals import write_in_spikes
from .spiking_model import SpikingModel

__all__ = ["diagnose"]


def diagnose(
    ann,
    snn: SpikingModel,
    x: np.ndarray,
    labels: np.ndarray | None = None,
) -> pd.DataFrame:
    """What each spiking layer does to the answers; a row per layer, in the order of computation.

    Parameters
    ----------
    ann : keras.Model, torch.nn.Module, or path
        The network that ``snn`` was converted from.
    snn : SpikingModel
    x : (N, ...) array
        Images; a few hundred are enough.
    labels : (N,) int or (N, ...) float
        Classes or values, by the task of ``snn``, if it is to be told what is lost.

    Returns
    -------
    pandas.DataFrame
        With the columns

        - ``layer``, ``code``, ``steps``, ``neurons``;
        - ``snr``: of what the layer writes over what it was to write, f(x) of its own
          pre-activations, in dB: the error of its code alone;
        - ``snr_to_ann``: of what it writes over what the ANN has there, in dB: with the errors of
          all layers before;
        - ``saturated``: percent of activations f(x) above the largest value of the code;
        - ``dead``: percent of neurons that never fire on these images;
        - ``spikes_per_neuron``;
        - ``agreement_alone``: percent of answers that are the ANN's if only this layer spikes (in
          regression, of the variance of the ANN's answers that is kept), and, with labels,
          ``accuracy_lost_alone``: what that costs, in points of accuracy; in regression
          ``rmse_added_alone``.

    Raises
    ------
    ValueError
        For images or labels that do not fit, and if ``snn`` is not of ``ann``: its spiking layers
        must be the activation layers of ``ann``.
    """
    graph = normal_form(ann, x, analog="allowed")
    shapes = {layer.name: layer.output.shape for layer in snn.spiking_layers}
    if _shapes(graph) != shapes:
        graph = write_in_spikes(graph, spiking_input=not snn.synapses.first, like=shapes)
    sites = list(shapes)
    if _shapes(graph) != shapes:
        raise ValueError(
            f"the spiking network was not converted from model {ann.name!r}: it has the layers "
            f"{', '.join(snn.codes)}, the model {', '.join(activation_layers(graph))}"
        )
    x, task = snn.check(x), snn.task
    if labels is not None:
        labels = task.check(labels, (len(x), *graph.output_shape[1:]), "labels")
    table = _activity(graph, snn, sites, x)
    reference = task.answers(predict(graph, x))
    for row, name in enumerate(tqdm(sites, desc="one layer at a time")):
        alone = task.answers(predict(_only(graph, name, snn.codes[name]), x))
        table.loc[row, "agreement_alone"] = task.agreement(alone, reference)
        if labels is not None:
            column, lost = task.loss_of_quality(alone, reference, labels)
            table.loc[row, f"{column}_alone"] = lost
    return table


def _shapes(graph) -> dict[str, tuple]:
    return {name: graph.get_layer(name).output.shape for name in activation_layers(graph)}


def _activity(graph, snn, sites, x) -> pd.DataFrame:
    wanted = keras.Model(graph.inputs, [graph.get_layer(name).output for name in sites])
    written = keras.Model(
        snn.keras_model.inputs,
        [t for layer in snn.spiking_layers for t in (layer.input, layer.output)],
    )
    functions = {name: activations.get(code.activation) for name, code in snn.codes.items()}
    largest = {name: _largest(code) for name, code in snn.codes.items()}
    sums = {name: np.zeros(5) for name in sites}  # power, error, ANN power, ANN error, saturated
    fired = {name: np.zeros(1, bool) for name in sites}
    batches = in_batches(graph, x)
    both = zip(outputs_of(wanted, batches), outputs_of(written, batches), strict=True)
    for targets, found in tqdm(both, desc="activity", total=len(batches)):
        for name, target, v, y in zip(sites, targets, found[::2], found[1::2], strict=True):
            own = functions[name](v)
            saturated = float(np.count_nonzero(own > largest[name]))
            powers = [_power(values) for values in (own, own - y, target, target - y)]
            sums[name] += [*powers, saturated]
            fired[name] = fired[name] | (snn.codes[name].count(v) > 0).any(0)
    power, error, ann_power, ann_error, above = np.transpose([sums[name] for name in sites])
    table = snn.layers[["layer", "code", "steps", "neurons"]]
    return table.assign(
        snr=[*map(decibels, power, error)],
        snr_to_ann=[*map(decibels, ann_power, ann_error)],
        saturated=100 * above / (table["neurons"] * len(x)),
        dead=[100 * (1 - np.mean(fired[name])) for name in sites],
        spikes_per_neuron=_spikes(snn, x) / table["neurons"],
    )


def _largest(code) -> np.ndarray:
    """The largest value that can be written, (1,), or in each channel, (C,)."""
    channels = code.channels if isinstance(code, SpikeCode) else (code,)
    return np.array([channel.staircase.value.max() for channel in channels])


def _spikes(snn, x) -> np.ndarray:
    """Of each layer, for each image."""
    total = np.zeros(len(snn.codes))
    for batch in in_batches(snn.keras_model, x):
        _, counts = snn.count(batch)
        total += [count.sum(dtype=np.float64) for count in counts.values()]
    return total / len(x)


def _only(graph: keras.Model, name: str, code) -> keras.Model:
    """The ANN with neurons in the place of one activation layer."""

    def replace(call, *args, **kwargs):
        if call.operation.name != name:
            return None
        neurons = FewSpikes if code.linear else Decoded
        return neurons(code, name=name)(*args, **kwargs)

    return rewrite(graph, replace)


def _power(values: np.ndarray) -> float:
    return float(np.sum(values.astype(np.float64) ** 2))
