r"""FS neurons that gradients pass through: the exact code forward, a smooth stand-in backward.

With the step of the code as its unit, a layer of learned scale s computes

.. math:: y = s\, Q(x / s), \qquad
          \frac{\partial Q}{\partial u} := [\,0 < u < u_{\max}],
          \qquad \frac{\partial n}{\partial u} := \frac{n(u + 1) - n(u - 1)}{2}

for the decoded value Q and the number of spikes n, with s rounded to eight significant bits as in
the network that is exported. The first stand-in is the straight-through
estimator (Bengio et al. 2013), from which the gradient of s follows as in Esser et al. (2020);
the second is the slope of the spike count averaged over one unit to either side. A soma computes
its function before, with the gradient it has; the value of silence is taken off before and added
behind.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from keras import ops

from ... import activations
from ...codes import SpikeCode
from ...networks.population import Population

__all__ = ["LearnedCode", "in_units"]

_BINS_PER_UNIT = 8
_MOST_BINS = 4096


def in_units(code: SpikeCode) -> tuple[SpikeCode, float]:
    """The time steps of ``code`` in units of its step, and that unit.

    They write max(x, 0): without the soma, from silence as 0 on. Exact where weights are multiples
    of the unit: that is the least weight, or a half or third of it if all are multiples of that
    only, as with a large dead zone. Raises ``ValueError`` for a code with a weight that is not
    positive.
    """
    least = float(code.weight.min())
    if not least > 0:
        raise ValueError(
            f"code {code.name!r} has a weight of {least}; training needs positive ones"
        )
    multiples = code.weight.astype(np.float64) / least
    whole = (n for n in (1, 2, 3) if np.allclose(n * multiples, np.rint(n * multiples), 1e-5))
    unit = least / next(whole, 1)
    silence = 0.0 if code.soma else np.float64(code.offset)

    def in_unit(table):
        return (table.astype(np.float64) / unit).astype(np.float32)

    return replace(
        code, threshold=in_unit(code.threshold - silence), reset=in_unit(code.reset),
        weight=in_unit(code.weight), offset=0.0, activation="relu", soma=False,
    ), unit  # fmt: skip


class LearnedCode(Population):
    """A population of FS neurons with a scale that is learned, for training only.

    Input and output as in :class:`Population`, never counting. ``code`` is that of the network it
    begins as. ``price`` is what a spike costs in the loss, ``share`` that of the layer's neurons
    among all. ``spikes`` holds the mean per neuron in the last batch.
    """

    code: SpikeCode

    def __init__(self, code: SpikeCode, *, price: keras.Variable, share: float, **kwargs):
        super().__init__(code, **kwargs)
        self._plain, self._first_scale = in_units(code)
        self._soma = activations.get(code.activation).tensor_function if code.soma else None
        self.share, self._price = share, price
        self._largest = float(self._plain.staircase.value.max())
        self._slope, self._low = _slopes(self._plain)
        self._neuron = _with_gradients(self._time_steps, self._surrogate)

    def build(self, shape):
        self.log_scale = self.add_weight(
            name="log_scale", initializer=keras.initializers.Constant(np.log(self._first_scale))
        )
        self.spikes = self.add_weight(name="spikes", initializer="zeros", trainable=False)
        # A scale hears from every neuron of the layer; this brings its steps to those of weights.
        self._damping = float(1 / np.sqrt(np.prod(shape[1:]) * self._largest))

    def compute_output_spec(self, x, training=False):
        return super().compute_output_spec(x)

    @property
    def scale(self) -> float:
        """The learned unit, what the code's step is worth, of eight significant bits."""
        return float(_rounded(ops.exp(self.log_scale)))

    def exported(self) -> SpikeCode:
        """The code with the scale that was learned."""
        learned = self._plain.scaled(self.scale)
        silence = np.float32(0.0 if self.code.soma else self.code.offset)
        return replace(
            self.code, threshold=learned.threshold + silence, reset=learned.reset,
            weight=learned.weight,
        )  # fmt: skip

    def call(self, x, training=False):
        slow = ops.multiply(self.log_scale, self._damping)
        one = ops.exp(slow - ops.stop_gradient(slow))  # in value; it carries the gradient
        scale = one * ops.stop_gradient(_rounded(ops.exp(self.log_scale)))
        if self._soma is not None:
            x = self._soma(x)
        y, fired = self._neuron((x - self.code.offset) / scale)
        if training:
            spikes = ops.mean(fired)
            self.spikes.assign(ops.stop_gradient(spikes))
            self.add_loss(ops.stop_gradient(self._price) * self.share * spikes)
        return scale * y + self.code.offset

    def _time_steps(self, u):
        code = self._plain
        v, y, fired = u, ops.zeros_like(u), ops.zeros_like(u)
        for T, h, d in zip(code.threshold, code.reset, code.weight, strict=True):
            z = v >= T
            if code.max_spikes is not None:
                z = ops.logical_and(z, fired < code.max_spikes)
            v = ops.where(z, v - h, v)
            y = ops.where(z, y + d, y)
            fired = ops.where(z, fired + 1, fired)
        return y, fired

    def _surrogate(self, u, dy, dn):
        inside = ops.logical_and(u > 0, u < self._largest)
        index = ops.cast((u - self._low) * _BINS_PER_UNIT, "int32")
        slope = ops.take(self._slope, ops.clip(index, 0, len(self._slope) - 1))
        return ops.where(inside, dy, 0.0) + dn * slope


def _rounded(scale):
    """As :func:`~fsrepro.fitting.round_scale`, so that what is trained is what is exported."""
    unit = ops.exp2(ops.floor(ops.log2(scale)) - 7)
    return ops.round(scale / unit) * unit


def _slopes(code: SpikeCode) -> tuple[np.ndarray, float]:
    """Slopes of the smoothed spike count in bins from the second number on; zero at both ends."""
    low = -2.0
    high = min(float(code.staircase.breakpoint.max()) + 2, _MOST_BINS / _BINS_PER_UNIT)
    centre = np.arange(low + 0.5 / _BINS_PER_UNIT, high, 1 / _BINS_PER_UNIT)
    slope = code.count(centre + 1).astype(np.float32) - code.count(centre - 1)
    return np.concatenate([[0], slope / 2, [0]]).astype(np.float32), low - 1 / _BINS_PER_UNIT


def _with_gradients(function, surrogate):
    """``function(u) -> (y, n)`` compiled, with ``surrogate(u, dy, dn)`` as its gradient."""
    import tensorflow as tf

    forward = tf.function(function, jit_compile=True)
    backward = tf.function(surrogate, jit_compile=True)

    @tf.custom_gradient
    def both(u):
        return forward(u), lambda dy, dn: backward(u, dy, dn)

    return both
