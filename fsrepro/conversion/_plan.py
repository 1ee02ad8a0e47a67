"""A plan: what every layer of a network may be written in, computed once for many networks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .. import activations
from ..codes import Code, SpikeCode, above, binary, by_channel, rate, soma
from ..fitting import (
    Candidate,
    Designer,
    Distribution,
    Front,
    empirical,
    given,
    mixed_radix_of,
    mixture,
    rescaled,
    round_scale,
    scaled,
    with_soma,
)
from ..frontends import read
from ..networks.population import activation_layers, by_layer, populate
from ..synapses import ann_macs, fan_out
from ._measured import Measured
from ._normal_form import fold
from .allocation import allocate
from .calibration import check_images
from .correction import correct_biases
from .few_spikes import FewSpikes
from .spiking_model import BUDGETS, Budget, SpikingModel

__all__ = ["SPIKE_PENALTY", "Plan", "plan"]

Family = Callable[[float], SpikeCode]
"""From a scale to a code."""

FAMILIES: Mapping[str, Callable[[int], Family]] = {
    "binary": lambda steps: lambda scale: binary(steps, scale, rounding=True),
    "binary_floor": lambda steps: lambda scale: binary(steps, scale),
    "rate": lambda steps: lambda scale: rate(steps, scale, rounding=True),
}
"""Codes that go by a name in :func:`convert`, by K; beside them ``"mixed_radix"``."""

STEPS = 8  # unless told

SPIKE_PENALTY = 0.003
"""What a spike per neuron may cost in relative mean squared error, for ``"mixed_radix"`` without a
criterion: without any price the binary code, which has the most levels, would always win."""

BIAS_IMAGES = 1000
BIAS_FLOATS = 2**28  # of one layer: those of a few are held in memory

CodeOrDesigner = str | Code | Family | Designer


@dataclass(frozen=True)
class _Site:
    """An activation layer: its function, and what it may be written in."""

    function: str
    neurons: int
    designer: Designer | None = None  # chooses by a criterion,
    penalty: float = 0.0  # this one unless told
    given: Candidate | None = None  # or: the code is given,
    of_range: Callable[[Distribution], Candidate] | None = None  # or made for what is seen


class Plan:
    """Everything that is computed once for many spiking networks, when it is first needed.

    Made by :func:`plan`, from an ANN in normal form and calibration images, (N, H, W, C) float32.
    """

    def __init__(self, measured: Measured, sites: Mapping[str, _Site]):
        self._measured, self._sites = measured, dict(sites)

    @property
    def graph(self) -> keras.Model:
        """The ANN in normal form."""
        return self._measured.graph

    @property
    def calibration(self) -> NDArray:
        """The calibration images."""
        return self._measured.images

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """By layer, pre-activations on the calibration images, see :func:`distributions`."""
        return self._measured.distributions

    @property
    def sensitivity(self) -> dict[str, NDArray[np.float64]]:
        """By layer, (C,): :func:`~fsrepro.conversion.sensitivity` to errors in each channel."""
        return self._measured.sensitivity

    @property
    def neurons(self) -> dict[str, int]:
        """The number of neurons of each layer."""
        return {name: site.neurons for name, site in self._sites.items()}

    @cached_property
    def fan_out(self) -> dict[str, NDArray]:
        """Synapses per neuron of each layer, see :class:`~fsrepro.synapses.Synapses`."""
        return fan_out(self.graph)

    @cached_property
    def ann_macs(self) -> int:
        """Multiplications per image of the ANN."""
        return ann_macs(self.graph)

    def with_code(
        self,
        code: CodeOrDesigner | Mapping[str, CodeOrDesigner] = "mixed_radix",
        *,
        steps: int | None = None,
        scale: str | float | Mapping[str, float] = "mse",
    ) -> Plan:
        """The same network and images for other codes; what was measured of them is shared.

        Arguments and errors as for :func:`plan`.
        """
        return Plan(self._measured, _sites(self.graph, code, steps, scale))

    @cached_property
    def fronts(self) -> dict[str, Front]:
        """By layer, the codes a budget may choose from."""
        return {name: self._front(name) for name in tqdm(self._sites, desc="codes to choose from")}

    @cached_property
    def channel_fronts(self) -> dict[str, list[Front]]:
        """By layer, for each of its channels, the codes a budget may choose from."""
        seen = self._measured.channel_samples
        return {
            name: self._channel_fronts(name, *seen[name])
            for name in tqdm(self._sites, desc="codes of channels")
        }

    def choose(
        self,
        *,
        spikes_per_neuron: float | None = None,
        synops_per_mac: float | None = None,
        snr: float | None = None,
        penalty: float | None = None,
        by_channel: bool = False,
    ) -> dict[str, Candidate]:
        """The code of every layer. Arguments and errors as in :meth:`network`."""
        criterion = self._criterion(
            spikes_per_neuron=spikes_per_neuron, synops_per_mac=synops_per_mac, snr=snr,
            penalty=penalty,
        )  # fmt: skip
        ((unit, budget),) = criterion.items() or [("", 0.0)]
        if unit not in BUDGETS:
            if by_channel:
                raise ValueError(f"by_channel needs a budget; pass {' or '.join(BUDGETS)} too")
            return {name: self._alone(name, criterion) for name in self._sites}
        if by_channel:
            return self._by_channel(budget, unit)
        gain = {name: float(channels.mean()) for name, channels in self.sensitivity.items()}
        cost = {name: self._cost(name, unit).mean() for name in self._sites}
        return self._allocated(self.fronts, self.neurons, gain, budget, cost, unit)

    def network(
        self,
        *,
        spikes_per_neuron: float | None = None,
        synops_per_mac: float | None = None,
        snr: float | None = None,
        penalty: float | None = None,
        by_channel: bool = False,
        bias_correction: bool | None = None,
        refit: bool = False,
    ) -> SpikingModel:
        """The spiking network that serves one criterion.

        By default the least error, of ``"mixed_radix"`` with a penalty of :data:`SPIKE_PENALTY`.
        Errors as in :func:`~fsrepro.conversion.convert`, and ``ValueError`` for ``by_channel``
        without a budget.

        Parameters
        ----------
        spikes_per_neuron : float
            A budget for the whole network, spent where it matters most to its answers, see
            :func:`~fsrepro.conversion.allocate`; kept by the spikes that the ANN's
            pre-activations on the calibration images would cause.
        synops_per_mac : float
            Another kind of budget: synaptic operations, as many as the ANN multiplies times this.
            A spike costs the fan-out of its neuron.
        snr : float
            The fewest spikes that reach this signal-to-noise ratio, in dB, in every layer.
        penalty : float
            In every layer, the least sum of relative mean squared error and this for each spike
            per neuron.
        by_channel : bool
            Under a budget, give every channel a code of its own, for its values and its
            sensitivity, see :func:`~fsrepro.codes.by_channel`.
        bias_correction : bool
            Whether to take the mean out of the errors of the codes, and give them slope 1, see
            :func:`~fsrepro.conversion.correct_biases`; by default under a budget only.
        refit : bool
            Correct biases, and before refit the weights of every layer to the decoded values that
            it reads, by least squares, so that its pre-activations are those of the ANN on the
            calibration images. It takes no labels and little time, and is worth most where spikes
            are few. What comes out is not training-free: call it refitted.
        """
        if refit and bias_correction is False:
            raise ValueError("refit=True corrects biases too; leave bias_correction out")
        chosen = self.choose(
            spikes_per_neuron=spikes_per_neuron, synops_per_mac=synops_per_mac, snr=snr,
            penalty=penalty, by_channel=by_channel,
        )  # fmt: skip
        budget = None
        for unit, asked in zip(BUDGETS, (spikes_per_neuron, synops_per_mac), strict=True):
            if asked is not None:
                spent = (self._cost(name, unit).mean() * c.spikes for name, c in chosen.items())
                budget = Budget(float(asked), float(sum(spent)), unit)
        codes = {name: linear(found.code) for name, found in chosen.items()}
        model = populate(self.graph, lambda name: FewSpikes(codes[name], name=name))
        if refit or bias_correction or (bias_correction is None and budget is not None):
            largest = max(math.prod(layer.output.shape[1:]) for layer in self.graph.layers)
            few = max(1, min(BIAS_IMAGES, BIAS_FLOATS // largest))
            correct_biases(model, self.graph, self.calibration[:few], weights=refit)
        scales = {n: found.scale for n, found in chosen.items() if not math.isnan(found.scale)}
        seen = float(self.calibration.min()), float(self.calibration.max())
        return SpikingModel(model, scales, task=self._measured.task, inputs=seen, budget=budget)

    def _criterion(self, **every: float | None) -> dict[str, float]:
        """The criterion that was given, if any, by name; refused if it makes no sense here."""
        found = {name: value for name, value in every.items() if value is not None}
        asked = [f"{name}={value}" for name, value in found.items()]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} exclude each other; give one of them")
        if asked and all(site.designer is None for site in self._sites.values()):
            raise ValueError(
                f"{asked[0]} would be ignored: the code of every layer is given, with its scale. "
                "Leave it out, or pass a name, a function of a scale or a designer as code"
            )
        for unit in BUDGETS:
            budget = found.get(unit, 1.0)
            if not (np.isfinite(budget) and budget > 0):
                raise ValueError(f"{unit} must be positive and finite, got {budget}")
        return found

    def _cost(self, name: str, unit: str) -> NDArray[np.float64]:
        """What a spike in all neurons of a layer takes of a budget, for each channel times C."""
        channels = self.graph.get_layer(name).output.shape[-1]
        if unit == "spikes_per_neuron":
            return np.full(channels, self.neurons[name] / sum(self.neurons.values()))
        fan_out = self.fan_out[name]
        if fan_out.ndim == len(self.graph.get_layer(name).output.shape) - 1:
            fan_out = fan_out.reshape(-1, channels).mean(0)
        else:
            fan_out = np.full(channels, fan_out.mean())
        return self.neurons[name] * fan_out / self.ann_macs

    def _allocated(self, fronts, neurons, gain, budget, cost, unit) -> dict:
        try:
            return allocate(fronts, neurons, gain, budget, cost)
        except ValueError as error:
            raise ValueError(f"{unit}={error}") from None

    def _by_channel(self, budget: float, unit: str) -> dict[str, Candidate]:
        """:func:`allocate` with every channel for itself."""
        fronts, neurons, gain, cost = {}, {}, {}, {}
        for name, channels in self.channel_fronts.items():
            for c, front in enumerate(channels):
                fronts[name, c] = front
                neurons[name, c] = self.neurons[name] / len(channels)
                gain[name, c] = float(self.sensitivity[name][c])
                cost[name, c] = float(self._cost(name, unit)[c]) / len(channels)
        chosen = self._allocated(fronts, neurons, gain, budget, cost, unit)
        return {
            name: _together([chosen[name, c] for c in range(len(channels))])
            for name, channels in self.channel_fronts.items()
        }

    def _channel_fronts(self, name: str, x: NDArray, weights: NDArray) -> list[Front]:
        """Those of a layer, for ``x``, (P, C), with weights (P,)."""
        of_layer = self.fronts[name]
        if self._sites[name].designer is None:
            return [of_layer] * x.shape[1]
        linear(of_layer[0].code)  # before long work
        function = self._sites[name].function
        designer = with_soma(rescaled(of_layer), function)  # of ReLUs too: some are never silent
        f = activations.get(function)
        fronts = []
        for values in x.T:
            y = f(values)
            if y.min() < y.max():
                seen = Distribution.collect(values.astype(np.float64), weights, name)
                fronts.append(designer(seen))
            elif y.any():  # constant: as well as it can be said without knowing more
                fronts.append(of_layer)
            else:
                fronts.append(Front(of_layer.table.assign(spikes=0.0), of_layer.power))
        return fronts

    def _alone(self, name: str, criterion: Mapping[str, float]) -> Candidate:
        """The code of a layer that nothing but its own pre-activations decides."""
        site = self._sites[name]
        if site.given is not None:
            return site.given
        if site.of_range is not None:
            return site.of_range(self._seen(name))
        criterion = criterion or {"penalty": site.penalty}
        return self._front(name, **criterion).choose(**criterion)

    def _front(self, name: str, **criterion) -> Front:
        site, x = self._sites[name], self._seen(name)
        if site.designer is None:
            code, scale, *_ = self._alone(name, {})
            front = given(code)(x)
            return Front(front.table.assign(scale=scale), front.power)
        try:
            front = site.designer(x, **criterion)
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        if not criterion and self._silent(name):
            return Front(front.table.assign(spikes=0.0), front.power)
        return front

    def _seen(self, name: str) -> Distribution:
        """Pre-activations of a layer; where they are all alike, others that it might get."""
        x, function = self.distributions[name], self._sites[name].function
        y = activations.get(function)(x.points)
        if y.min() != y.max() or (function in _RECTIFIERS and y.max() != 0):
            return x
        constant = "silent" if self._silent(name) else f"constant ({y.max():g})"
        warnings.warn(
            f"layer {name!r} is {constant} on all calibration images; it gets a code for the "
            "activations of inputs up to 1",
            stacklevel=4,
        )
        # A gate that is always open or closed, say: what it always is must be written, and well.
        up_to_one = _UP_TO_MINUS_ONE if function == "negative_part" else _UP_TO_ONE
        return up_to_one if self._silent(name) else mixture([(0.01, up_to_one), (0.99, x)])

    def _silent(self, name: str) -> bool:
        function, x = self._sites[name].function, self.distributions[name].points
        return function in _RECTIFIERS and not activations.get(function)(x).any()


_RECTIFIERS = ("relu", "negative_part")
_UP_TO_ONE = empirical(np.linspace(0, 1, 1001), name="inputs up to 1")
_UP_TO_MINUS_ONE = empirical(np.linspace(-1, 0, 1001), name="inputs up to -1")


def plan(
    model,
    calibration: np.ndarray,
    *,
    code: CodeOrDesigner | Mapping[str, CodeOrDesigner] = "mixed_radix",
    steps: int | None = None,
    scale: str | float | Mapping[str, float] = "mse",
    analog: str = "forbidden",
    spiking_input: bool = False,
    task: str | None = None,
    seed: int = 0,
) -> Plan:
    """What spiking networks are made from, to make many of one trained network.

    Arguments as in :func:`~fsrepro.conversion.convert`, which is
    ``plan(...).network(...)``; raises what it raises, before anything is computed.
    """
    calibration = np.asarray(calibration)
    network = read(model, calibration, task, what="calibration images")
    graph = fold(network.graph, calibration, analog=analog, spiking_input=spiking_input)
    sites = _sites(graph, code, steps, scale)
    images = check_images(graph, calibration, "calibration images")
    if images.min() == images.max():
        raise ValueError("the calibration images are constant; scales need real images")
    return Plan(Measured(graph, images, network.task, seed), sites)


def _sites(graph: keras.Model, code, steps: int | None, scale) -> dict[str, _Site]:
    """By layer, what it may be written in."""
    functions = {name: graph.get_layer(name).function for name in activation_layers(graph)}
    codes = _by_layer("code", code, functions)
    if steps is not None and not any(isinstance(code, str) for code in codes.values()):
        raise ValueError(
            f"steps={steps} is for codes that go by name; the code given has steps of its own. "
            "Leave steps out"
        )
    steps = STEPS if steps is None else steps
    scales = _by_layer("scale", scale, functions)
    return {
        name: _Site(
            function,
            int(np.prod(graph.get_layer(name).output.shape[1:])),
            **_choice(codes[name], steps, scales[name], function),
        )
        for name, function in functions.items()
    }


def _by_layer(what: str, given, functions: dict[str, str]) -> dict:
    """What is given for all layers, by their names, or by their activation functions."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(functions, given)
    wanted = set(functions.values())
    if set(given) == set(functions) or not set(given) <= wanted:
        return by_layer(what, given, functions)
    if "relu" in given:
        given = {"negative_part": given["relu"], **given}
    if missing := sorted(wanted - set(given)):
        layers = [name for name, function in functions.items() if function in missing]
        raise ValueError(
            f"{what} has nothing for {', '.join(missing)}, which layer{'s' * (len(layers) > 1)} "
            f"{', '.join(layers)} compute{'s' * (len(layers) == 1)}; add "
            f"{' and '.join(map(repr, missing))}"
            + (", or pass analog='allowed'" if missing == ["linear"] else "")
        )
    return {name: given[function] for name, function in functions.items()}


def _choice(code: CodeOrDesigner, steps: int, scale: str | float, function: str) -> dict:
    """Of :class:`_Site`, what a layer may be written in."""
    if isinstance(scale, str):
        if scale not in ("mse", "max"):
            raise ValueError(f"scale must be 'mse', 'max' or a number, got {scale!r}")
    elif not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive and finite, got {scale}")
    if scale != "mse" and (isinstance(code, (Code, Designer)) or code == "mixed_radix"):
        called = f"code {code.name!r}" if isinstance(code, Code) else "a designer"
        raise ValueError(
            f"scale={scale!r} would be ignored: {called} has a scale of its own, or chooses "
            "it; for a scale of yours pass a function of it, such as "
            "code=lambda scale: mixed_radix((1, 1, 6), scale)"
        )
    if isinstance(code, Code):
        if function == "negative_part" and code.activation == "relu" and not linear(code).soma:
            code = soma(linear(code), function)
        return {"given": _unmeasured(linear(code))}
    if isinstance(code, Designer) or code == "mixed_radix":
        designer = code if isinstance(code, Designer) else mixed_radix_of(steps)
        if function != "relu":
            designer = with_soma(designer, function)
        return {"designer": designer, "penalty": SPIKE_PENALTY}
    family = _family(code, steps)
    if scale == "mse":
        designer = scaled(family)
        return {"designer": designer if function == "relu" else with_soma(designer, function)}
    if function == "relu" and scale != "max":
        return {"given": _unmeasured(family(float(scale)), float(scale))}

    def of_range(x):
        """From the least to the largest value seen, or as many units from there as given."""
        y = activations.get(function)(x.points)
        least = 0.0 if function in _RECTIFIERS else float(y.min())
        size = round_scale(y.max() - least) if scale == "max" else float(scale)
        code = family(size)
        if function in ("relu", "linear"):
            return _unmeasured(above(code, least, function), size)
        return _unmeasured(soma(code, function, least), size)

    return {"of_range": of_range}


def _together(channels: list[Candidate]) -> Candidate:
    """What the channels of a layer were given, as one."""
    codes = [found.code for found in channels]
    code = codes[0] if len(set(codes)) == 1 else by_channel([linear(code) for code in codes])
    mse = float(np.mean([found.mse for found in channels]))
    return Candidate(code, math.nan, mse, float(np.mean([found.spikes for found in channels])))


def _unmeasured(code: Code, scale: float = math.nan) -> Candidate:
    return Candidate(code, scale, math.nan, math.nan)


def _family(code: str | Family, steps: int) -> Family:
    """A function from a scale to a code, checked."""
    if isinstance(code, str):
        if code not in FAMILIES:
            raise ValueError(
                f"unknown code {code!r}; choose one of {', '.join(FAMILIES)}, mixed_radix, or "
                "pass a function of a scale, such as lambda scale: codes.rate(8, scale)"
            )
        code = FAMILIES[code](steps)
    elif not callable(code):
        raise TypeError(
            f"code must be a name, a SpikeCode, a designer or a function of a scale, got "
            f"{type(code).__name__}"
        )
    try:
        example = code(1.0)
    except TypeError as error:
        raise TypeError(
            f"code must be a function of one argument, the scale ({error}); for a code of 8 steps "
            "pass lambda scale: code(8, scale)"
        ) from error
    if not isinstance(example, Code):
        raise TypeError(f"code(1.0) must return a SpikeCode, got {example!r}")
    linear(example)
    return code


def linear(code: Code) -> SpikeCode:
    """``code``, or ``TypeError`` if synapses cannot read it."""
    if not (isinstance(code, SpikeCode) and code.linear):
        raise TypeError(
            f"code {code.name!r} is not linear: its spikes cannot be read by a weighted sum, which "
            "is all that synapses compute, but need a decoder for every neuron. "
            "conversion.with_decoders(model, codes) runs the network with such decoders"
        )
    return code
