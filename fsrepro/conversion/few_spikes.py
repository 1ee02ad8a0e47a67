"""The FS neuron as a Keras layer: the time-step loop itself, as one graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from keras import ops

from .. import activations
from ..codes import SpikeCode
from ..networks.compiled import compiled, traced
from ..networks.population import Population

__all__ = ["FewSpikes"]

_FEW = 1024  # neurons: to compile a loop for them takes longer than to run thousands of images


class FewSpikes(Population):
    """FS neurons of a linear :class:`SpikeCode`, whose spikes synapses read by a weighted sum.

    Input and output as in :class:`Population`; ``TypeError`` for another code. The layer runs the
    K time steps of :class:`~fsrepro.codes.SpikeCode` as written there: only comparisons, additions
    and selections, which round alike everywhere. On TensorFlow they are compiled into one loop
    (XLA), so the steps cost little more than a ReLU; once, whatever the code, for all layers of one
    shape, number of steps and function of the soma. Layers of few neurons share one graph for all
    codes and shapes instead. Exactness is tested against ``SpikeCode.encode``.
    """

    code: SpikeCode

    def __init__(self, code: SpikeCode, **kwargs):
        super().__init__(code, **kwargs)
        if not (isinstance(code, SpikeCode) and code.linear):
            raise TypeError(f"layer {self.name!r} needs a linear SpikeCode, got {code!r}")

    @property
    def tables(self) -> tuple[np.ndarray, ...]:
        # A potential is of float32 whatever sums are; what is decoded is of the sums' precision.
        code, of_sums = self.code, self.compute_dtype
        decoded = (np.asarray(table, of_sums) for table in (code.weight, code.offset))
        return (code.threshold, code.reset, *decoded)

    @property
    def structure(self) -> tuple:
        code = self.code
        shapes = code.threshold.shape, np.shape(code.offset)
        return (*shapes, code.max_spikes, code.activation if code.soma else None)

    def call(self, x, *tables):
        code, sizes = self.code, x.shape[1:]
        tables = tables or tuple(map(ops.convert_to_tensor, self.tables))
        how = code.activation if code.soma else None, code.max_spikes, self.counting
        few = None not in sizes and math.prod(sizes) <= _FEW
        run: Callable = _step_by_step if few else _at_once
        y, fired = run(ops.cast(x, "float32"), *tables, *how)
        return (y, fired) if self.counting else y

    def get_config(self):
        code = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in asdict(self.code).items()
        }
        return {**super().get_config(), "code": code, "counting": self.counting}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "code": SpikeCode(**config["code"])})


@compiled
def _at_once(x, threshold, reset, weight, offset, soma, max_spikes, counting):
    """From x to decoded values and spikes, see :class:`Population` (None unless ``counting``).

    ``soma``: the name of the activation that it computes first, or None.
    """
    v = _first_potential(x, offset, soma)
    y = ops.zeros_like(v, weight.dtype) + offset
    fired = ops.zeros_like(v)
    for k in range(threshold.shape[0]):
        z = v >= threshold[k]
        if max_spikes is not None:
            z = ops.logical_and(z, fired < max_spikes)
        v = ops.where(z, v - reset[k], v)
        y = ops.where(z, y + weight[k], y)
        if counting or max_spikes is not None:
            fired = ops.where(z, fired + 1, fired)
    if counting == "sum":
        fired = ops.sum(fired, axis=-1)
    return y, fired if counting else None


def _step_by_step(x, threshold, reset, weight, offset, soma, max_spikes, counting):
    """The same in one graph for all codes: a row for each position, a column for each channel."""
    v, steps = _first_potential(x, offset, soma), threshold.shape[0]
    rows = ops.reshape(v, (-1, v.shape[-1]))
    tables = [ops.reshape(table, (steps, -1)) for table in (threshold, reset, weight)]
    most = ops.cast(steps if max_spikes is None else max_spikes, "float32")
    found = _loop(rows, *tables, ops.reshape(offset, (1, -1)), most)
    y, fired = (ops.reshape(table, ops.shape(v)) for table in found)
    return y, ops.sum(fired, axis=-1) if counting == "sum" else fired


@traced
def _loop(v, threshold, reset, weight, offset, most):
    """From v(1), (rows, channels), to decoded values and spikes."""

    def step(k, state):
        v, y, fired = state
        z = ops.logical_and(v >= threshold[k], fired < most)
        return (
            ops.where(z, v - reset[k], v),
            ops.where(z, y + weight[k], y),
            ops.where(z, fired + 1, fired),
        )

    first = v, ops.zeros_like(v, weight.dtype) + offset, ops.zeros_like(v)
    _, y, fired = ops.fori_loop(0, ops.shape(threshold)[0], step, first)
    return y, fired


def _first_potential(x, offset, soma):
    return x if soma is None else activations.get(soma).on_tensor(x) - ops.cast(offset, x.dtype)
