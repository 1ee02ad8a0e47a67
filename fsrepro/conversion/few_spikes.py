"""The FS neuron as a Keras layer: the time-step loop itself, fused by the compiler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache

import keras
import numpy as np
from keras import ops

from .. import activations
from ..codes import SpikeCode
from ..networks.population import Population

__all__ = ["FewSpikes"]


class FewSpikes(Population):
    """FS neurons of a linear :class:`SpikeCode`, whose spikes synapses read by a weighted sum.

    Input and output as in :class:`Population`; ``TypeError`` for another code. The layer runs the
    K time steps of :class:`~fsrepro.codes.SpikeCode` as written there: only comparisons, additions
    and selections, which round alike everywhere. On TensorFlow they are compiled into one loop
    (XLA), so the steps cost little more than a ReLU; once, whatever the code, for all layers of one
    shape, number of steps and function of the soma. Exactness is tested against
    ``SpikeCode.encode``.
    """

    code: SpikeCode

    def __init__(self, code: SpikeCode, **kwargs):
        super().__init__(code, **kwargs)
        if not (isinstance(code, SpikeCode) and code.linear):
            raise TypeError(f"layer {self.name!r} needs a linear SpikeCode, got {code!r}")

    def call(self, x):
        code = self.code
        soma = code.activation if code.soma else None
        # A potential is of float32 whatever sums are; what is decoded is of the sums' precision.
        tables = [ops.convert_to_tensor(table) for table in (code.threshold, code.reset)]
        decoded = [
            ops.convert_to_tensor(np.asarray(table, self.compute_dtype))
            for table in (code.weight, code.offset)
        ]
        run: Callable = _compiled() if keras.backend.backend() == "tensorflow" else time_steps
        x = ops.cast(x, "float32")
        y, fired = run(x, *tables, *decoded, soma, code.max_spikes, self.counting)
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


def time_steps(v, threshold, reset, weight, offset, soma, max_spikes, counting):
    """From x to decoded values and spikes, see :class:`Population` (None unless ``counting``).

    ``soma``: the name of the activation that it computes first, or None.
    """
    if soma is not None:
        v = activations.get(soma).on_tensor(v) - ops.cast(offset, v.dtype)
    y = ops.zeros_like(v, weight.dtype) + offset
    fired = ops.zeros_like(v)
    for k in range(len(threshold)):
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


@cache
def _compiled():
    import tensorflow as tf

    return tf.function(time_steps, jit_compile=True)
