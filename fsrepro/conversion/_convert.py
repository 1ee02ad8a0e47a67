"""Conversion in one call: a plan, and the network that serves one criterion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ._plan import CodeOrDesigner, plan
from .spiking_model import SpikingModel

__all__ = ["convert"]


def convert(
    model,
    calibration: np.ndarray,
    *,
    code: CodeOrDesigner | Mapping[str, CodeOrDesigner] = "mixed_radix",
    steps: int | None = None,
    scale: str | float | Mapping[str, float] = "mse",
    snr: float | None = None,
    spikes_per_neuron: float | None = None,
    synops_per_mac: float | None = None,
    by_channel: bool = False,
    bias_correction: bool | None = None,
    refit: bool = False,
    analog: str = "forbidden",
    spiking_input: bool = False,
    task: str | None = None,
    seed: int = 0,
) -> SpikingModel:
    """Convert a trained network into a spiking one with the same answers.

    Batch norm is folded, biases are kept (see :func:`normal_form`), and every activation becomes
    a layer of FS neurons; so does every other signal on its way to a layer with weights. ReLU
    emerges from their tables; any other function of :mod:`fsrepro.activations` is computed by
    their soma and written with an offset, see :func:`~fsrepro.codes.soma`, unless a code is given
    that writes it otherwise. The first layer receives the picture as an analog input current; the
    outputs are the membrane potentials of the last layer, which does not spike. For several
    networks of one, as under several budgets, call :func:`plan` once and :meth:`Plan.network` for
    each.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, or path of an .onnx, .keras or .h5 file
        Trained; left unchanged.
    calibration : (N, ...) array
        Images as the network takes them, from which the scales come: (N, H, W, C) of Keras,
        (N, C, H, W) of PyTorch and ONNX.
    code : str, function, Designer, SpikeCode, or dict of these
        ``"mixed_radix"`` (chooses digits and scale of every layer, see
        :func:`~fsrepro.fitting.mixed_radix_of`), ``"binary"`` (rounding), ``"binary_floor"`` or
        ``"rate"`` (rounding), with K = ``steps``; or a function from a scale to a
        :class:`SpikeCode`, such as ``lambda scale: leading_one(8, scale, spikes=2)``, which has
        steps of its own; or a :class:`~fsrepro.fitting.Designer`; or a :class:`SpikeCode`, used
        as it is in every layer; or one of these for each layer by name, or for each activation
        function (``{"silu": published.silu(), "sigmoid": ...}``; ``"linear"`` for signals without
        one, and the negative half of a pair is written as ``"relu"`` unless it is named).
    steps : int
        K of codes that go by name, 8 unless given.
    scale : "mse", "max", float, or dict of float
        ``"mse"``, chosen by the criterion; ``"max"``, the largest activation seen; a number for
        all layers (25 with ``"binary_floor"`` and 10 steps is the setting of Stöckl & Maass
        2021), or one for each layer by name.
    snr, spikes_per_neuron, synops_per_mac, by_channel, bias_correction, refit
        The criterion by which codes and scales are chosen, and what else
        :meth:`Plan.network` takes.
    task : str
        What the outputs are: ``"classification"``, ``"binary"``, ``"regression"`` or
        ``"segmentation"``; where the network's last layer, or the loss it was compiled with, does
        not tell. See :func:`~fsrepro.tasks.task_of`.
    analog : "forbidden" or "allowed"
        What neurons do not write goes on as numbers only where this is allowed: sums of layers
        without an activation (linear bottlenecks), products, maxima. By default they get neurons
        of their own, see :mod:`~fsrepro.conversion.signals`, and nothing is analog but the picture.
    spiking_input : bool
        Give the picture neurons too; it is not spikes that the first layer reads otherwise.
    seed : int

    Raises
    ------
    UnsupportedLayerError
        As :func:`normal_form` does, whose other errors are raised too.
    ValueError
        For calibration images that are missing, constant, not finite or of the wrong shape, for
        an unknown code or scale, for criteria that exclude each other, would be ignored or are
        out of reach, for ``steps`` where no code goes by name, for a network without any
        activation, and for a code that writes another function than its layer computes.
    TypeError
        For a code whose decoder is not linear, or that is no code.
    """
    if scale != "mse":
        criteria = {"snr": snr, "spikes_per_neuron": spikes_per_neuron}
        for name, value in {**criteria, "synops_per_mac": synops_per_mac}.items():
            if value is not None:
                shown = "scale" if isinstance(scale, Mapping) else f"scale={scale!r}"
                raise ValueError(f"{name}={value} and {shown} exclude each other; give one of them")
    planned = plan(
        model, calibration, code=code, steps=steps, scale=scale, analog=analog,
        spiking_input=spiking_input, task=task, seed=seed,
    )  # fmt: skip
    return planned.network(
        snr=snr,
        spikes_per_neuron=spikes_per_neuron,
        synops_per_mac=synops_per_mac,
        by_channel=by_channel,
        bias_correction=bias_correction,
        refit=refit,
    )
