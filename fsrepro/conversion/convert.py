"""Conversion: every activation of a trained network becomes a population of FS neurons."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from .. import activations
from ..codes import Code, SpikeCode, binary, rate, soma
from ..fitting import round_scale
from .allocation import Plan, channel_sensitivity, sensitivity
from .bias_correction import correct_biases
from .calibration import record
from .channels import best_factors, rescalable_layers, rescale_channels
from .design import (
    SPIKE_PENALTY,
    choose,
    code_front,
    design_code,
    design_mixed_radix,
    family_front,
    radix_front,
    soma_front,
)
from .few_spikes import FewSpikes
from .normal_form import normal_form
from .population import activation_layers, by_layer, populate
from .spiking_model import SpikingModel

__all__ = ["check_images", "convert", "plan"]

Family = Callable[[float], SpikeCode]
"""From a scale to a code."""

FAMILIES: Mapping[str, Callable[[int], Family]] = {
    "binary": lambda steps: lambda scale: binary(steps, scale, rounding=True),
    "binary_floor": lambda steps: lambda scale: binary(steps, scale),
    "rate": lambda steps: lambda scale: rate(steps, scale, rounding=True),
}
"""Codes that go by a name in :func:`convert`, by K; beside them ``"mixed_radix"``."""

Planned = tuple[SpikeCode, float] | Callable[[np.ndarray], tuple[SpikeCode, float]]
"""What a layer gets: a code and its scale, or how to design them from its pre-activations."""

STEPS = 8  # unless told
SENSITIVITY_IMAGES = 2500
BIAS_IMAGES = 1000
BIAS_FLOATS = 2**28  # of one layer: those of a few are held in memory


def convert(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    code: str | SpikeCode | Family | Mapping[str, str | SpikeCode | Family] | None = None,
    steps: int | None = None,
    scale: str | float | Mapping[str, float] = "mse",
    snr: float | None = None,
    spike_penalty: float | None = None,
    spikes_per_neuron: float | None = None,
    channel_scales: bool = False,
    bias_correction: bool | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> SpikingModel:
    """Convert a trained Keras model into a spiking one with the same answers.

    Batch norm is folded, biases are kept (see :func:`normal_form`), and every activation becomes
    a layer of FS neurons. ReLU emerges from their tables; any other function of
    :mod:`fsrepro.activations` is computed by their soma and written with an offset, see
    :func:`~fsrepro.codes.soma`, unless a code is given that writes it otherwise. The first layer
    receives the image as an analog input current; the outputs are the membrane potentials of the
    last layer, which does not spike.

    ``model``: functional or sequential, built, trained; left unchanged.
    ``calibration``: images as the network takes them, (N, H, W, C), from which the scales come.
    ``code``: ``"binary"`` (rounding; the default), ``"binary_floor"``, ``"rate"`` (rounding) or
    ``"mixed_radix"`` (the default under a budget of spikes), with K = ``steps``, 8 unless given;
    or a function from a scale to a :class:`SpikeCode`, such as
    ``lambda scale: leading_one(8, scale, spikes=2)``, which has steps of its own;
    or a :class:`SpikeCode`, used as it is in every layer; or one of these for each layer by name,
    or for each activation function (``{"silu": published.silu(), "sigmoid": ...}``).
    ``"mixed_radix"`` chooses digits and scale of every layer, see :func:`design_mixed_radix`.

    What a layer's scale is chosen for:

    - ``scale="mse"`` (default): the least mean squared error on the calibration images;
    - ``snr``: the fewest spikes that reach this signal-to-noise ratio, in dB, in every layer;
    - ``spike_penalty``: the least sum of relative mean squared error and this penalty for each
      spike per neuron (default 0; for ``"mixed_radix"``
      :data:`~fsrepro.conversion.design.SPIKE_PENALTY`);
    - ``spikes_per_neuron``: a budget for the whole network, spent where it matters most to its
      answers, see :func:`~fsrepro.conversion.allocate`; kept by the spikes that the ANN's
      pre-activations on the calibration images would cause;
    - ``scale="max"``: the largest activation seen; or ``scale`` is a number for all layers (25
      with ``"binary_floor"`` and 10 steps is the setting of Stöckl & Maass 2021), or one for each
      layer by name.

    ``channel_scales``: under a budget, give every channel a scale of its own where it can be folded
    into the weights before and behind, see :func:`~fsrepro.conversion.best_factors`.

    ``bias_correction``: whether to take the mean out of the errors of the codes, see
    :func:`~fsrepro.conversion.correct_biases`; by default under a budget only.

    Raises what :func:`normal_form` raises; ``ValueError`` for calibration images that are
    missing, constant, not finite or of the wrong shape, for an unknown code or scale, for
    criteria that exclude each other or are out of reach, for ``steps`` where no code goes by name,
    for a network without any activation, and for a code that writes another function than its layer
    computes; ``TypeError`` for a code whose decoder is not linear, or that is no code.
    """
    _check_criteria(scale, snr, spike_penalty, spikes_per_neuron)
    if channel_scales and spikes_per_neuron is None:
        raise ValueError("channel_scales needs a budget; pass spikes_per_neuron too")
    graph = normal_form(model)
    sites = _functions(graph)
    if spikes_per_neuron is not None:
        options = {"batch_size": batch_size, "seed": seed, "progress": progress}
        code = "mixed_radix" if code is None else code
        choices = _plan(graph, calibration, code, steps, **options)
        if channel_scales:
            graph = _with_channel_scales(graph, calibration, choices, spikes_per_neuron, **options)
            choices = _plan(graph, calibration, code, steps, **options)
        rows = choices.rows(spikes_per_neuron)
        plans = {name: (row["code"], row["scale"]) for name, row in rows.items()}
    else:
        codes = _by_layer("code", "binary" if code is None else code, sites)
        steps = _steps(steps, codes)
        scales = _by_layer("scale", scale, sites)
        criterion = {"snr": snr, "spike_penalty": spike_penalty}
        plans = {
            name: _designer(codes[name], steps, scales[name], criterion, function)
            for name, function in sites.items()
        }
    calibration = _check_calibration(graph, calibration)
    if any(callable(planned) for planned in plans.values()):
        recorded = record(graph, calibration, batch_size=batch_size, seed=seed, progress=progress)
        plans = {
            name: _designed(name, planned, recorded[name], sites[name])
            if callable(planned)
            else planned
            for name, planned in plans.items()
        }
    populated = populate(graph, lambda name: FewSpikes(plans[name][0], name=name))
    if bias_correction or (bias_correction is None and spikes_per_neuron is not None):
        largest = max(math.prod(layer.output.shape[1:]) for layer in graph.layers)
        sample = calibration[: max(1, min(BIAS_IMAGES, BIAS_FLOATS // largest))]
        correct_biases(populated, graph, sample, batch_size=batch_size, progress=progress)
    return SpikingModel(populated, {name: plans[name][1] for name in sites})


def plan(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    code: str | SpikeCode | Family | Mapping[str, str | SpikeCode | Family] = "mixed_radix",
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Plan:
    """What ``convert(..., spikes_per_neuron=...)`` chooses from, to try many budgets at once.

    Arguments as in :func:`convert`. The networks are
    ``convert(model, calibration, code=plan.codes(0.6), bias_correction=True)``.

    Raises what :func:`convert` raises.
    """
    graph = normal_form(model)
    options = {"batch_size": batch_size, "seed": seed, "progress": progress}
    return _plan(graph, calibration, code, steps, **options)


def check_images(model: keras.Model, images, what: str) -> np.ndarray:
    """``images`` as float32 if ``model`` can take them, else ``ValueError`` that names ``what``."""
    images = np.asarray(images)
    expected = tuple(model.input_shape[1:])
    if images.ndim != 1 + len(expected) or any(
        size not in (None, found) for size, found in zip(expected, images.shape[1:], strict=True)
    ):
        shape = ", ".join(str(size) for size in ("N", *expected))
        raise ValueError(f"the {what} must have shape ({shape}), got {images.shape}")
    if len(images) == 0:
        raise ValueError(f"the {what} are empty")
    images = images.astype(np.float32, copy=False)
    if not np.isfinite(images).all():
        raise ValueError(f"the {what} hold NaN or infinite values")
    return images


def _plan(graph, calibration, code, steps, *, batch_size, seed, progress) -> Plan:
    sites = _functions(graph)
    codes = _by_layer("code", code, sites)
    steps = _steps(steps, codes)
    makers = {name: _front_maker(codes[name], steps, sites[name]) for name in sites}
    calibration = _check_calibration(graph, calibration)
    options = {"batch_size": batch_size, "seed": seed, "progress": progress}
    recorded = record(graph, calibration, **options)
    fronts = {
        name: _designed(name, makers[name], recorded[name], sites[name])
        for name in tqdm(sites, desc="codes to choose from", disable=not progress)
    }
    return Plan(
        fronts=fronts,
        neurons={name: int(np.prod(graph.get_layer(name).output.shape[1:])) for name in sites},
        gain=sensitivity(graph, calibration[:SENSITIVITY_IMAGES], **options),
    )


def _with_channel_scales(graph, calibration, choices, budget, **options) -> keras.Model:
    rows, price = choices.rows(budget), choices.price(budget)
    recorded = record(graph, calibration, by_channel=True, **options)
    gain = channel_sensitivity(graph, calibration[:SENSITIVITY_IMAGES], **options)
    factors = {
        name: best_factors(rows[name]["code"], recorded[name], gain[name], price)
        for name in rescalable_layers(graph)
        if rows[name]["code"].activation == "relu"
    }
    return rescale_channels(graph, factors)


def _functions(graph) -> dict[str, str]:
    """Name -> activation function, of the layers that become neurons."""
    return {name: graph.get_layer(name).function for name in activation_layers(graph)}


def _by_layer(what: str, given, sites: dict[str, str]) -> dict:
    """What is given for all layers, by their names, or by their activation functions."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(sites, given)
    if set(given) == set(sites.values()):
        return {name: given[function] for name, function in sites.items()}
    return by_layer(what, given, sites)


def _steps(steps: int | None, codes: Mapping) -> int:
    """K of the codes that go by name."""
    if steps is None:
        return STEPS
    if not any(isinstance(code, str) for code in codes.values()):
        raise ValueError(
            f"steps={steps} is for codes that go by name; the code given has steps of its own. "
            "Leave steps out"
        )
    return steps


def _check_calibration(graph, calibration) -> np.ndarray:
    calibration = check_images(graph, calibration, "calibration images")
    if calibration.min() == calibration.max():
        raise ValueError("the calibration images are constant; scales need real images")
    return calibration


def _front_maker(code, steps: int, function: str) -> Callable[[np.ndarray], pd.DataFrame]:
    """From pre-activations to the codes a budget may choose from."""
    if isinstance(code, Code):
        fixed = _linear(code)
        return lambda x: code_front(fixed, x)
    if code == "mixed_radix":
        front = partial(radix_front, steps=steps)
    else:
        front = partial(family_front, _family(code, steps))
    return front if function == "relu" else lambda x: soma_front(front, x, function)


def _designer(code, steps: int, scale, criterion, function: str) -> Planned:
    """A code and its scale, or how to design them from pre-activations."""
    if function != "relu" and not isinstance(code, Code):
        return _soma_designer(code, steps, scale, criterion, function)
    if not isinstance(scale, str):
        _check_scale(scale)
    if isinstance(code, Code):
        return _linear(code), 1.0
    if code == "mixed_radix":
        if scale != "mse":
            raise ValueError(
                "'mixed_radix' chooses digits and scale together; for a scale of your own pass "
                "the digits too: code=lambda scale: mixed_radix((1, 1, 6), scale)"
            )
        return lambda x: design_mixed_radix(x, steps, **criterion)[:2]
    family = _family(code, steps)
    if scale == "mse":
        return lambda x: design_code(family, x, **criterion)[:2]
    if scale == "max":
        return lambda x: (family(round_scale(x.max())), round_scale(x.max()))
    return family(float(scale)), float(scale)


def _soma_designer(code, steps: int, scale, criterion, function: str) -> Planned:
    """The same for an activation that the soma computes."""
    if scale == "mse":
        front = _front_maker(code, steps, function)
        if code == "mixed_radix" and criterion == {"snr": None, "spike_penalty": None}:
            criterion = {"spike_penalty": SPIKE_PENALTY}

        def best(x):
            power = float(np.mean(activations.get(function)(x).astype(np.float64) ** 2))
            return choose(front(x), power, **criterion)

        return best
    if not isinstance(scale, str):
        _check_scale(scale)
    elif code == "mixed_radix" or scale != "max":
        _designer(code, steps, scale, criterion, "relu")  # says what is wrong
    family = _family(code, steps)

    def whole_range(x):
        y = activations.get(function)(x)
        least = float(y.min())
        size = round_scale(y.max() - least) if scale == "max" else float(scale)
        return soma(family(size), function, least), size

    return whole_range


def _family(code, steps: int) -> Family:
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
            f"code must be a name, a SpikeCode or a function of a scale, got {type(code).__name__}"
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
    _linear(example)
    return code


def _linear(code: Code) -> Code:
    if not code.linear:
        raise TypeError(
            f"code {code.name!r} is not linear: its spikes cannot be read by a weighted sum, which "
            "is all that synapses compute, but need a decoder for every neuron. "
            "conversion.with_decoders(model, codes) runs the network with such decoders"
        )
    return code


def _designed(
    name: str, plan: Callable, x: np.ndarray, function: str
) -> tuple[SpikeCode, float] | pd.DataFrame:
    y = activations.get(function)(x)
    if y.min() == y.max() and (function != "relu" or y.max() == 0):
        silent = function == "relu"
        constant = "silent" if silent else f"constant ({y.max():g})"
        warnings.warn(
            f"layer {name!r} is {constant} on all calibration images; it gets a code for the "
            "activations of inputs up to 1",
            stacklevel=3,
        )
        plan = partial(_for_silence if silent else _for_a_constant, plan)
    try:
        return plan(x)
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from None


_UP_TO_ONE = np.linspace(0, 1, 1001, dtype=np.float32)


def _for_silence(plan: Callable, x: np.ndarray) -> tuple[SpikeCode, float] | pd.DataFrame:
    found = plan(_UP_TO_ONE)
    return found.assign(spikes=0.0) if isinstance(found, pd.DataFrame) else found


def _for_a_constant(plan: Callable, x: np.ndarray) -> tuple[SpikeCode, float] | pd.DataFrame:
    """A gate that is always open or closed, say: what it always is must be written, and well."""
    return plan(np.concatenate([_UP_TO_ONE, x]))


def _check_criteria(scale, snr, spike_penalty, budget) -> None:
    given = [f"snr={snr}"] * (snr is not None)
    given += [f"spike_penalty={spike_penalty}"] * (spike_penalty is not None)
    given += [f"spikes_per_neuron={budget}"] * (budget is not None)
    if given and scale != "mse":
        given.append("scale" if isinstance(scale, Mapping) else f"scale={scale!r}")
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
    if snr is not None and not np.isfinite(snr):
        raise ValueError(f"snr must be finite, in dB, got {snr}")
    if spike_penalty is not None and not (np.isfinite(spike_penalty) and spike_penalty >= 0):
        raise ValueError(f"spike_penalty must be finite and at least 0, got {spike_penalty}")
    if budget is not None and not (np.isfinite(budget) and budget > 0):
        raise ValueError(f"spikes_per_neuron must be positive and finite, got {budget}")
    if isinstance(scale, str):
        if scale not in ("mse", "max"):
            raise ValueError(f"scale must be 'mse', 'max' or a number, got {scale!r}")
    elif not isinstance(scale, Mapping):
        _check_scale(scale)


def _check_scale(scale) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be positive and finite, got {scale}")
