r"""FS neurons that gradients pass through: the exact code forward, stand-ins for slopes backward.

With the step of the code as its unit, a channel of learned scale s and dead zone :math:`\delta`
computes

.. math:: y = s\, Q(u), \qquad u = x / s, \qquad T(K) = \tfrac12 d(K) + \delta, \qquad \delta \ge 0,

for the decoded value Q and the number of spikes n; s is rounded to eight significant bits as in
the network that is exported. Where these jump they have no slope, so

.. math:: \frac{\partial Q}{\partial u} := [\,0 < u < u_{\max}], \qquad
          \frac{\partial n}{\partial u} := \frac{n(u + 1) - n(u - 1)}{2}, \\
          \frac{\partial Q}{\partial \delta} := -d(K)\, w, \quad
          \frac{\partial n}{\partial \delta} := -w, \qquad
          w = [\,|v(K) - T(K)| < \tfrac12\,].

The first stand-in is the straight-through estimator (Bengio et al. 2013), from which the gradient
of s follows as in Esser et al. (2020); the second is the slope of the spike count averaged over one
unit to either side; the others take the potential that meets the last threshold to be spread evenly
over one unit. A soma computes its function before, with the gradient it has; the value of silence
is taken off before and added behind.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import keras
import numpy as np
from keras import ops

from .. import activations
from ..codes import SpikeCode
from ..networks.compiled import compiled
from ..networks.population import Population

__all__ = ["LearnedCode", "counted", "in_units"]

_PACE = 3.0  # of log s and dead zones, which hear from many neurons, beside that of weights


def counted(images):
    """Of how many images at the front of a batch spikes are counted: enough to hold a budget."""
    return ops.minimum(16, (images + 3) // 4)


def in_units(code: SpikeCode) -> tuple[SpikeCode, np.ndarray]:
    """The time steps of ``code`` in units of its step, and that unit, of each channel if they have.

    They write max(x, 0): without the soma, from silence as 0 on. Exact where weights are multiples
    of the unit: that is the least weight, or a half or third of it if all are multiples of that
    only, as with a large dead zone. Raises ``ValueError`` for a code with a weight that is not
    positive.
    """
    least = code.weight.min(0).astype(np.float64)
    if not (least > 0).all():
        raise ValueError(
            f"code {code.name!r} has a weight of {least.min()}; training needs positive ones"
        )
    multiples, unit = code.weight / least, least
    for n in (3, 2, 1):  # the largest unit wins
        whole = np.isclose(n * multiples, np.rint(n * multiples), 1e-5).all(0)
        unit = np.where(whole, least / n, unit)
    silence = 0.0 if code.soma else np.float64(code.offset)

    def in_unit(table):
        return (table.astype(np.float64) / unit).astype(np.float32)

    return replace(
        code, threshold=in_unit(code.threshold - silence), reset=in_unit(code.reset),
        weight=in_unit(code.weight), offset=0.0, activation="relu", soma=False,
    ), unit  # fmt: skip


class LearnedCode(Population):
    """A population of FS neurons whose scale and dead zone are learned, for training only.

    Input and output as in :class:`Population`, never counting; the output has the precision of
    the layer. ``code`` is that of the network it begins as; what it has for each channel is
    learned for each. ``price`` is what a spike costs in the loss, ``share`` that of the layer's
    neurons among all. ``spikes`` holds the mean per neuron in the first images of the last batch,
    so many as :func:`counted` says. The two variables are log s and the dead zone over their pace.
    """

    code: SpikeCode

    def __init__(self, code: SpikeCode, *, price: keras.Variable, share: float, **kwargs):
        super().__init__(code, **kwargs)
        self._plain, unit = in_units(code)
        last = self._plain.threshold[-1]
        self._half_way = np.minimum(self._plain.weight[-1] / 2, last)
        self._log_unit, self._first_zone = np.log(unit), last - self._half_way
        largest = [channel.staircase.value.max() for channel in self._plain.channels]
        self._largest = np.reshape(largest, last.shape).astype(np.float32)
        self._soma = activations.get(code.activation).tensor_function if code.soma else None
        self.share, self._price = share, price

    def build(self, shape):
        def learned(name: str, first, **options):
            def initial(*_, **__):
                return ops.convert_to_tensor(first / _PACE, "float32")

            return self.add_weight(
                first.shape, initial, "float32", name=name, autocast=False, **options
            )

        self.log_scale = learned("log_scale", self._log_unit)
        self.dead_zone = learned("dead_zone", self._first_zone, constraint="non_neg")
        self.spikes = self.add_weight(
            (), "zeros", "float32", name="spikes", trainable=False, autocast=False
        )

    def compute_output_spec(self, x, training=False):
        return super().compute_output_spec(x)

    @property
    def scale(self) -> np.ndarray:
        """The learned unit, what the code's step is worth, of eight significant bits."""
        return np.asarray(_rounded(ops.exp(self.log_scale * _PACE)))

    def exported(self) -> SpikeCode:
        """The code with the scale and the dead zone that were learned."""
        tables, scale = self._tables(), self.scale
        silence = np.float32(0.0 if self.code.soma else self.code.offset)
        threshold, reset, weight = (np.asarray(table) * scale for table in tables)
        return replace(self.code, threshold=threshold + silence, reset=reset, weight=weight)

    def _tables(self) -> tuple:
        """Thresholds, resets and weights in units."""
        plain = self._plain
        last = ops.expand_dims(self.dead_zone * _PACE + self._half_way, 0)
        return ops.concatenate([plain.threshold[:-1], last]), plain.reset, plain.weight

    def call(self, x, training=False):
        if self._soma is not None:
            x = self._soma(ops.cast(x, "float32"))
        run = _through_the_code(self._plain.max_spikes, self.compute_dtype)
        log_scale, dead_zone = self.log_scale * _PACE, self.dead_zone * _PACE
        scale, silence = _rounded(ops.exp(log_scale)), np.float32(self.code.offset)
        fixed = (scale, silence, self._largest, *self._tables())
        y, spikes = run(x, log_scale, dead_zone, *map(ops.stop_gradient, fixed))
        if training:
            self.spikes.assign(ops.stop_gradient(spikes))
            self.add_loss(ops.stop_gradient(self._price) * self.share * spikes)
        return y


def _rounded(scale):
    """As :func:`~fsrepro.fitting.round_scale`, so that what is trained is what is exported."""
    unit = ops.exp2(ops.floor(ops.log2(scale)) - 7)
    return ops.round(scale / unit) * unit


@cache
def _through_the_code(max_spikes: int | None, dtype: str):
    """The function, and its gradient, in loops of one output, each of which compiles into one.

    From x, log s, the dead zone, and what has no gradient: s, the value of silence, the largest
    value in units, and the tables. To y in the precision ``dtype``, and the mean number of spikes,
    as counted on the first images of the batch: enough to hold a budget.
    """
    import tensorflow as tf

    def units(x, scale, silence):
        return (tf.cast(x, tf.float32) - silence) / scale

    def fire(v, threshold, reset, weight):
        """Decoded values, spikes, and the potential that meets the last threshold, if one may."""
        y, fired = tf.zeros_like(v), tf.zeros_like(v)
        for T, h, d in zip(*map(tf.unstack, (threshold, reset, weight)), strict=True):
            last = v
            if max_spikes is not None:
                last = tf.where(fired < max_spikes, v, -np.inf)
            z = last >= T
            v, y = tf.where(z, v - h, v), tf.where(z, y + d, y)
            fired = tf.where(z, fired + 1, fired)
        return y, fired, last

    def by_channel(g):
        """The sum for each channel and image: a whole sum would be slow to compile into one."""
        return tf.reduce_sum(g, list(range(1, g.shape.rank - 1)))

    @compiled
    def decoded(x, scale, silence, largest, *tables):
        y, *_ = fire(units(x, scale, silence), *tables)
        return tf.cast(scale * y + silence, dtype)

    @compiled
    def spikes(x, scale, silence, largest, *tables):
        _, fired, _ = fire(units(x, scale, silence), *tables)
        return by_channel(fired)

    @compiled
    def slope_of_x(dy, dn, x, scale, silence, largest, *tables):
        u, dy = units(x, scale, silence), tf.cast(dy, tf.float32)
        more, fewer = (fire(u + unit, *tables)[1] for unit in (1.0, -1.0))
        du = tf.where((u > 0) & (u < largest), dy, 0.0) + dn / scale * (more - fewer) / 2
        return tf.cast(du, x.dtype)

    @compiled
    def slope_of_log_scale(dy, y, dx, x, silence):
        dy, y, dx, x = (tf.cast(array, tf.float32) for array in (dy, y, dx, x))
        return by_channel(dy * (y - silence) - dx * (x - silence))

    @compiled
    def slope_of_dead_zone(dy, dn, x, scale, silence, largest, *tables):
        threshold, _, weight = tables
        *_, last = fire(units(x, scale, silence), *tables)
        near = tf.abs(last - threshold[-1]) < 0.5
        return by_channel(tf.where(near, -tf.cast(dy, tf.float32) * scale * weight[-1] - dn, 0.0))

    @tf.custom_gradient
    def both(x, log_scale, dead_zone, *fixed):
        y = decoded(x, *fixed)
        some = x[: counted(tf.shape(x)[0])]
        mean = tf.reduce_sum(spikes(some, *fixed)) / tf.cast(tf.size(some), tf.float32)

        def gradient(dy, dn):
            scale, silence, *_ = fixed
            dn = dn / tf.cast(tf.size(x), tf.float32)
            dx = slope_of_x(dy, dn, x, *fixed)
            slopes = (
                slope_of_log_scale(dy, y, dx, x, silence),
                slope_of_dead_zone(dy, dn, x, *fixed),
            )
            # One for the layer, or for each channel.
            sums = [tf.reduce_sum(g, 0 if scale.shape.rank else None) for g in slopes]
            return dx, *sums, *(None for _ in fixed)

        return (y, mean), gradient

    return both
