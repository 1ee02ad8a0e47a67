"""A converted network: a Keras model with FS neurons, and the table of its spiking layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np
import pandas as pd

from .. import archive
from ..codes import Code, SpikeCode
from ..files import Refused, check_place, reading
from ..networks import few_bits
from ..networks.execution import counting
from ..networks.graph import at_most, plain_layers, predict, predict_list, rewrite
from ..networks.kinds import LINEAR_LAYERS, POOLING_BY_MAXIMUM, PRODUCTS
from ..networks.population import Population, by_layer, check_function
from ..synapses import Synapses, count_synapses
from ..tasks import Task
from .calibration import check_images
from .few_spikes import FewSpikes

if TYPE_CHECKING:
    import nir
    import torch

__all__ = ["BUDGETS", "Budget", "SpikingModel"]

_FORMAT = "fsrepro spiking model 1"
_KINDS = (*LINEAR_LAYERS, *PRODUCTS, *POOLING_BY_MAXIMUM)
_OTHER_UNITS = 4

BUDGETS = ("spikes_per_neuron", "synops_per_mac")
"""What a budget may be counted in."""


class Budget(NamedTuple):
    """What a network was to spend.

    Parameters
    ----------
    asked : float
    planned : float
        By the codes chosen, on the ANN's pre-activations on the calibration images.
    unit : str
        Of ``BUDGETS``: spikes per neuron, mean over the network, or synaptic operations for each
        multiplication of the ANN.
    """

    asked: float
    planned: float
    unit: str = BUDGETS[0]


class SpikingModel:
    """A spiking network, made by :func:`~fsrepro.conversion.convert` or :meth:`load`.

    Parameters
    ----------
    keras_model : keras.Model
        The network; its activations are :class:`FewSpikes` layers, or :class:`Decoded` ones if it
        comes from :func:`~fsrepro.conversion.with_decoders`.
    scales : dict of float
        By name of the spiking layer, the range of its code, where there is one.
    task : Task
        What its outputs mean; classes unless told.
    inputs : (float, float), optional
        The least and the largest value of the images that it was calibrated on.
    budget : Budget, optional
        The spikes it was made for.
    """

    def __init__(
        self,
        keras_model: keras.Model,
        scales: Mapping[str, float],
        *,
        task: Task | None = None,
        inputs: tuple[float, float] | None = None,
        budget: Budget | None = None,
    ):
        self.keras_model = keras_model
        self.scales = dict(scales)
        self.task = task or Task()
        self.inputs, self.budget = inputs, budget

    def __repr__(self) -> str:
        count = len(self.spiking_layers)
        layers = f"{count} spiking layer{'s' if count != 1 else ''}"
        return (
            f"SpikingModel({self.name!r}, {self.task.name}, {layers}, {self.neurons:,} neurons, "
            f"K = {self.steps})"
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """As :meth:`predict`."""
        return self.predict(images)

    @property
    def name(self) -> str:
        return self.keras_model.name

    @property
    def spiking_layers(self) -> list[Population]:
        """The populations of neurons, in the order of computation."""
        return [layer for layer in self.keras_model.layers if isinstance(layer, Population)]

    @property
    def codes(self) -> dict[str, Code]:
        """The code of every spiking layer, by name."""
        return {layer.name: layer.code for layer in self.spiking_layers}

    @property
    def steps(self) -> int:
        """K: the time steps a layer takes for one image; the longest code of the network."""
        return max(code.steps for code in self.codes.values())

    @property
    def neurons(self) -> int:
        """The number of hidden spiking neurons."""
        return int(self.layers["neurons"].sum())

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per spiking layer: layer, code, steps, scale, shape, neurons."""
        return pd.DataFrame(
            {
                "layer": layer.name,
                "code": layer.code.name,
                "steps": layer.code.steps,
                "scale": self.scales.get(layer.name, float("nan")),
                "shape": "x".join(str(size) for size in layer.output.shape[1:]),
                "neurons": int(np.prod(layer.output.shape[1:])),
            }
            for layer in self.spiking_layers
        )

    @cached_property
    def synapses(self) -> Synapses:
        """See :func:`~fsrepro.synapses.count_synapses`."""
        return count_synapses(self)

    def predict(self, images: np.ndarray, *, batch_size: int | None = None) -> np.ndarray:
        """Membrane potentials of the output layer (logits), float32, (N, classes) or maps.

        Images, (N, ...), as for the ANN; errors for them as in :func:`~fsrepro.evaluate`. What
        the network makes of logits, ``snn.task.values(logits)`` and ``snn.task.answers(logits)``
        say.
        """
        return predict(self.keras_model, self.check(images), batch_size)

    def check(self, images, what: str = "images") -> np.ndarray:
        """``images`` as float32 if the network can take them.

        ``ValueError`` that names ``what`` for those of the wrong shape or not finite, and for
        values so far out of the range of the calibration images that they are in other units.
        """
        checked = check_images(self.keras_model, images, what)
        if self.inputs is not None:
            largest = max(map(abs, self.inputs))
            if np.abs(checked).mean() > _OTHER_UNITS * largest:
                raise ValueError(
                    f"the {what} go from {checked.min():g} to {checked.max():g}, those of the "
                    f"calibration went from {self.inputs[0]:g} to {self.inputs[1]:g}: this looks "
                    "like raw pixels; normalise them alike"
                )
        return checked

    def spike_trains(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every spike: by name of the layer, 0 or 1, uint8, (K, N, ...).

        Images as in :meth:`predict`; few, since nothing is summed up.
        """
        probe = keras.Model(self.keras_model.inputs, [layer.input for layer in self.spiking_layers])
        potentials = predict_list(probe, np.asarray(images, np.float32))
        return {
            name: code.encode(v)
            for (name, code), v in zip(self.codes.items(), potentials, strict=True)
        }

    def with_codes(self, codes: Mapping[str, SpikeCode]) -> SpikingModel:
        """The same synapses with other codes, by name of the spiking layer; scales are unknown.

        Raises
        ------
        ValueError
            Unless ``codes`` names every spiking layer, and none else; for a code that writes
            another function than its layer computes.
        TypeError
            For codes that are not linear.
        """
        codes = by_layer("codes", codes, self.codes)

        def replace(call, *args, **kwargs):
            layer = call.operation
            if not isinstance(layer, Population):
                return None
            check_function(layer.name, layer.code.activation, codes[layer.name])
            code = codes[layer.name]
            return FewSpikes(code, name=layer.name, dtype=layer.dtype_policy)(*args)

        return SpikingModel(
            rewrite(self.keras_model, replace), {}, task=self.task, inputs=self.inputs
        )

    def in_double_precision(self) -> SpikingModel:
        """The same weights and codes; what arrives at a neuron is added up in float64.

        Sums of real numbers in float32 depend on their order, and a potential that meets its
        threshold to the last digit falls on one side or the other. In float64 the order shows in
        digits that rounding to the float32 of the neurons takes away: simulators that add
        differently agree spike for spike. For such comparisons; it takes about twice the time.
        """

        def replace(call, *args, **kwargs):
            layer = call.operation
            if isinstance(layer, Population):
                return type(layer)(layer.code, name=layer.name, dtype="float64")(*args)
            double = type(layer).from_config({**layer.get_config(), "dtype": "float64"})
            outputs = double(*args)
            double.set_weights(layer.get_weights())
            return outputs

        model = rewrite(self.keras_model, replace)
        return SpikingModel(
            model, self.scales, task=self.task, inputs=self.inputs, budget=self.budget
        )

    def count(self, images: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Of one batch of images, the outputs as in :meth:`predict`, and spikes by layer.

        Spikes are summed over channels, (N, ...), or those of every neuron where the fan-out
        differs between channels, (N, ..., C).
        """
        logits, *counts = self._counting(images)
        return logits, dict(zip(self.codes, counts, strict=True))

    @cached_property
    def _counting(self) -> Callable:
        fan_out = self.synapses.fan_out
        each = {
            layer.name: fan_out[layer.name].ndim == len(layer.output.shape) - 1
            for layer in self.spiking_layers
        }
        return counting(self.keras_model, {n: "each" if e else "sum" for n, e in each.items()})

    def to_spikingjelly(self) -> torch.nn.Module:
        """As :func:`fsrepro.export.to_spikingjelly`."""
        from ..export import to_spikingjelly

        return to_spikingjelly(self)

    def to_nir(self) -> nir.NIRGraph:
        """As :func:`fsrepro.export.to_nir`."""
        from ..export import to_nir

        return to_nir(self)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the network to one file: a zip of JSON and plain arrays, no pickles.

        Raises
        ------
        FileExistsError
            If ``path`` exists, unless ``overwrite``; else as
            :func:`~fsrepro.files.check_place`.
        TypeError
            For a network with decoders, which is made anew from its codes.
        """
        path = Path(path)
        for name, code in self.codes.items():
            if not code.linear:
                raise TypeError(
                    f"layer {name!r} has the code {code.name!r}, which needs decoders; only "
                    "networks of linear codes can be saved. Make it again by with_decoders()"
                )
        check_place(path, overwrite=overwrite)
        header = {
            "format": _FORMAT,
            "scales": self.scales,
            "model": self.keras_model.get_config(),
            "task": asdict(self.task),
            "inputs": self.inputs,
            "budget": self.budget,
        }
        arrays: dict[str, np.ndarray] = {}
        for i, weight in enumerate(self.keras_model.get_weights()):
            weight = np.asarray(weight, np.float32)  # whatever they are added up in
            if packed := few_bits.pack(weight):
                arrays[f"weight_{i}"], arrays[f"step_{i}"] = packed
            else:
                arrays[f"weight_{i}"] = weight
        archive.write(path, header, arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> SpikingModel:
        """Read what :meth:`save` wrote; runs nothing from the file.

        Raises
        ------
        FileNotFoundError
            If ``path`` is no file.
        ValueError
            For a file that is damaged, of another kind, that holds other numbers or more weights
            than it declares, or names a layer which conversion never produces, or objects of
            foreign packages.
        """
        with reading(path, "a spiking model", "make it again with fsrepro.convert"):
            header, arrays = archive.read(path)
            if (found := header.get("format")) != _FORMAT:
                raise Refused(f"has format {found!r}, expected {_FORMAT!r}")
            scales, config = header["scales"], header["model"]
            task = Task(**header.get("task", {}))
            inputs, budget = (header.get(key) for key in ("inputs", "budget"))
            inputs = inputs and (float(inputs[0]), float(inputs[1]))
            if budget:
                asked, planned, *unit = budget  # the unit came later
                budget = Budget(float(asked), float(planned), *map(str, unit))
                if budget.unit not in BUDGETS:
                    expected = " or ".join(BUDGETS)
                    raise Refused(f"has a budget in {budget.unit!r}, expected {expected}")
            scales = {str(name): float(scale) for name, scale in scales.items()}
            if not np.isfinite([*scales.values(), *(inputs or ()), *(budget or ())[:2]]).all():
                raise Refused("holds a scale, range or budget that is not finite: refused")
            _check_config(config)
            count = sum(name.startswith("weight_") for name in arrays)
            weights = [arrays.pop(f"weight_{i}") for i in range(count)]
            for i, weight in enumerate(weights):
                if f"step_{i}" in arrays:
                    weights[i] = few_bits.unpack(weight, arrays.pop(f"step_{i}"))
            if arrays:
                raise Refused(f"holds arrays of no use: {', '.join(arrays)}")
            if not all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights):
                raise Refused("holds weights that are not finite float32 numbers: refused")
            with plain_layers(), at_most(sum(weight.size for weight in weights)):
                model = keras.Model.from_config(config, custom_objects={"FewSpikes": FewSpikes})
            model.set_weights(weights)
            if not any(isinstance(layer, Population) for layer in model.layers):
                raise Refused("has no spiking layer")
            return cls(model, scales, task=task, inputs=inputs, budget=budget)


def _check_config(config: dict) -> None:
    """Refuse what conversion never produces."""
    for layer in config["layers"]:
        if layer["class_name"] not in {
            kind.__name__ for kind in (keras.layers.InputLayer, FewSpikes, *_KINDS)
        }:
            raise Refused(f"names a layer of kind {layer['class_name']!r}: refused")
    if foreign := sorted(_modules(config) - {"builtins", "keras", "fsrepro"}):
        raise Refused(f"names objects of {', '.join(foreign)}: refused")


def _modules(config) -> set[str]:
    """The top-level packages that a Keras configuration would take objects from."""
    if isinstance(config, dict):
        own = {str(config["module"]).split(".")[0]} if config.get("module") else set()
        return own.union(*(_modules(value) for value in config.values()))
    if isinstance(config, list):
        return set().union(*(_modules(value) for value in config))
    return set()
