"""The FS neuron as a Keras layer: the time-step loop itself, fused by the compiler."""

from __future__ import annotations

import keras
from keras import ops

from ..codes import SpikeCode
from .population import Population

__all__ = ["FewSpikes"]


class FewSpikes(Population):
    """A population of FS neurons, whose spikes synapses read by a weighted sum.

    Input: membrane potentials v(1). Output as in :class:`Population`.

    The layer runs the K time steps of :class:`~fsrepro.codes.SpikeCode` as written there: only
    comparisons, additions and selections, which round alike everywhere. On TensorFlow they are
    compiled into one loop (XLA), so the steps cost little more than a ReLU. Exactness is tested
    against ``SpikeCode.encode``.

    ``code``: a linear :class:`~fsrepro.codes.SpikeCode`. Raises ``TypeError`` for anything else.
    """

    def __init__(self, code: SpikeCode, **kwargs):
        super().__init__(code, **kwargs)
        if not (isinstance(code, SpikeCode) and code.linear):
            raise TypeError(f"layer {self.name!r} needs a linear SpikeCode, got {code!r}")
        self._run = _compiled(self._time_steps)

    def call(self, x):
        return self._run(x)

    def _time_steps(self, x):
        code = self.code
        v, y = x, ops.zeros_like(x)
        fired = ops.zeros_like(x)
        for T, h, d in zip(code.threshold, code.reset, code.weight, strict=True):
            z = v >= T
            if code.max_spikes is not None:
                z = ops.logical_and(z, fired < code.max_spikes)
            v = ops.where(z, v - h, v)
            y = ops.where(z, y + d, y)
            if self.counting or code.max_spikes is not None:
                fired = ops.where(z, fired + 1, fired)
        return (y, ops.sum(fired, axis=-1)) if self.counting else y

    def get_config(self):
        code = {
            "threshold": self.code.threshold.tolist(),
            "reset": self.code.reset.tolist(),
            "weight": self.code.weight.tolist(),
            "max_spikes": self.code.max_spikes,
            "name": self.code.name,
        }
        return {**super().get_config(), "code": code, "counting": self.counting}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "code": SpikeCode(**config["code"])})


def _compiled(function):
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)
