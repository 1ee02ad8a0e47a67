"""Neurons whose words a decoder must read: codes without a weighted sum, as a Keras layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from keras import ops

from ..codes import Code
from ..frontends import read
from ..networks.population import Population, activation_layers, by_layer, populate
from ._normal_form import fold
from .spiking_model import SpikingModel

__all__ = ["Decoded", "with_decoders"]


class Decoded(Population):
    """Neurons of any :class:`~fsrepro.codes.Code`, each with a decoder behind it.

    Input and output as in :class:`Population`; ``TypeError`` for anything but a code. Values and
    counts are looked up in the code's staircase, as :meth:`~fsrepro.codes.Code.quantise` and
    ``count`` do: comparisons with the breakpoints, exact.
    """

    def __init__(self, code: Code, **kwargs):
        super().__init__(code, **kwargs)
        if not isinstance(code, Code):
            raise TypeError(f"layer {self.name!r} needs a Code, got {code!r}")
        self._breakpoint = np.asarray(code.staircase.breakpoint, np.float32)
        self._value = np.asarray(code.staircase.value, np.float32)
        self._count = np.asarray(code.staircase.count, np.float32)

    def call(self, x):
        flat = ops.cast(ops.reshape(x, (-1,)), "float32")
        index = ops.searchsorted(self._breakpoint, flat, side="right")
        index = ops.reshape(index, ops.shape(x))
        values = ops.cast(ops.take(self._value, index), self.compute_dtype)
        if not self.counting:
            return values
        counts = ops.take(self._count, index)
        return values, counts if self.counting == "each" else ops.sum(counts, axis=-1)


def with_decoders(
    model, codes: Mapping[str, Code], images: np.ndarray | None = None, *, task: str | None = None
) -> SpikingModel:
    """A trained network whose activations pass through ``codes``, read back by decoders.

    For codes that are not linear, which :func:`~fsrepro.conversion.convert` refuses: Huffman's
    words and their kin, explicit exponent and mantissa. ``evaluate`` counts their spikes like any
    others. What the decoders pass on are numbers, so the weighted layers behind them multiply:
    these are counted as multiplications, not as SynOps, and what decoding costs is told by
    :func:`~fsrepro.measures.decoding_costs`.

    Parameters
    ----------
    model : keras.Model, torch.nn.Module, or path
    codes : mapping of Code
        By name of the activation layer of the ANN, as in ``normal_form(model, analog="allowed")``.
    images : (N, ...) array
        A few, for what :func:`~fsrepro.conversion.normal_form` needs them for, and so that images
        in other units are refused later.
    task : str
        See :func:`~fsrepro.conversion.convert`.

    Raises
    ------
    ValueError
        Unless every activation layer has a code; beside what :func:`normal_form` raises.
    """
    network = read(model, images, task)
    graph = fold(network.graph, images, analog="allowed")  # decoders pass numbers on anyway
    codes = by_layer("codes", codes, activation_layers(graph))
    spiking = populate(graph, lambda name: Decoded(codes[name], name=name))
    inputs = None if images is None else (float(np.min(images)), float(np.max(images)))
    return SpikingModel(spiking, {}, task=network.task, inputs=inputs)
