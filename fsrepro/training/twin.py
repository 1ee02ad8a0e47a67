"""A network as it is trained: the same weights, in the arithmetic that is fast to train in.

Keras 3 composes batch normalisation of single operations, and computes in float32. On a CPU with
AVX-512 and bfloat16 the fused operation makes training a ResNet-20 about 1.5 times as fast, and
bfloat16 between the layers (weights and statistics stay in float32) about 2.2 times. Convolutions
of maps of a few pixels are faster as one matrix product.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import cache

import keras
import numpy as np
from keras import ops

from ..networks.graph import rewrite

__all__ = [
    "FusedBatchNormalization",
    "UnfoldedConv2D",
    "bfloat16_over_float32",
    "bring_back",
    "twin",
]

PRECISIONS = ("float32", "mixed_bfloat16")
_FEW_PIXELS = 16
_MUCH_LONGER = 2.0


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the channels of NHWC arrays, by TensorFlow's fused operation.

    As in :class:`keras.layers.BatchNormalization`, but that the moving variance is that of the
    population (divided by n - 1).
    """

    def call(self, inputs, training=None, mask=None):
        import tensorflow as tf

        fused = tf.compat.v1.nn.fused_batch_norm
        learning = bool(training) and self.trainable
        y, mean, variance = fused(
            inputs,
            self.gamma.value,
            self.beta.value,
            mean=None if learning else self.moving_mean.value,
            variance=None if learning else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return y


class UnfoldedConv2D(keras.layers.Conv2D):
    """A convolution as one matrix product, (pixels, window) times (window, channels).

    So are its gradients. With stride 1, no dilation or groups, and "same" padding, of NHWC arrays.
    """

    def call(self, inputs):
        flat = ops.reshape(self.kernel, (-1, self.filters))
        y = _unfolded_convolution(*self.kernel_size)(inputs, flat)
        return self.activation(y if self.bias is None else y + self.bias)


@cache
def _unfolded_convolution(rows: int, columns: int):
    """Of a kernel of that size: (N, H, W, C) and (rows * columns * C, D) to (N, H, W, D)."""
    import tensorflow as tf

    def met(x, before: tuple[int, int]):
        """``x`` as each place of a kernel meets it that begins so far before, (N * H * W, C)."""
        (above, left), (_, height, width, channels) = before, x.shape
        x = tf.pad(x, [[0, 0], [above, rows - 1 - above], [left, columns - 1 - left], [0, 0]])
        return [
            tf.reshape(x[:, i : i + height, j : j + width], (-1, channels))
            for i in range(rows)
            for j in range(columns)
        ]

    @tf.custom_gradient
    def convolution(x, kernel):
        windows = tf.concat(met(x, ((rows - 1) // 2, (columns - 1) // 2)), -1)

        def gradient(dy):
            places = zip(
                met(dy, (rows // 2, columns // 2))[::-1],
                tf.split(kernel, rows * columns),
                strict=True,
            )
            dx = tf.add_n([tf.matmul(d, weights, transpose_b=True) for d, weights in places])
            dkernel = tf.matmul(windows, tf.reshape(dy, (-1, dy.shape[-1])), transpose_a=True)
            return tf.reshape(dx, tf.shape(x)), dkernel

        y = tf.matmul(windows, kernel)
        return tf.reshape(y, (-1, *x.shape[1:3], kernel.shape[-1])), gradient

    return convolution


def twin(
    model: keras.Model,
    precision: str = "float32",
    replace: Callable[[keras.layers.Layer], keras.layers.Layer | None] = lambda layer: None,
) -> keras.Model:
    """A copy of ``model`` to train; :func:`bring_back` takes over what it has learned.

    ``precision`` is "float32" or "mixed_bfloat16", with which outputs and models within the model
    stay in float32; another raises ``ValueError``. Where bfloat16 is emulated, which is slower than
    float32, a warning says so. With TensorFlow, batch normalisation is fused wherever that is the
    same function. ``replace`` turns a layer into a new one that stands in its place, or gives None
    for a copy.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision != "float32" and (times := bfloat16_over_float32()) > _MUCH_LONGER:
        warnings.warn(
            f"this processor has no bfloat16: gradients of convolutions take {times:.0f} times as "
            "long in it as in float32; pass precision='float32'",
            stacklevel=3,
        )
    last = {x._keras_history.operation.name for x in model.outputs}

    copies: dict[str, keras.layers.Layer] = {}  # a layer that is called twice stays one layer

    def trained(call, *args, **kwargs):
        layer = call.operation
        if layer.name in copies:
            return copies[layer.name](*args, **kwargs)
        new = copies[layer.name] = replace(layer) or copy(layer, args[0])
        output = new(*args, **kwargs)
        if isinstance(new, type(layer)):
            new.set_weights(layer.get_weights())
        return output

    def copy(layer, x):
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer)
        kind = type(layer)
        if _fusible(layer, x):
            kind = FusedBatchNormalization
        elif _unfoldable(layer, x):
            kind = UnfoldedConv2D
        policy = "float32" if layer.name in last else precision
        return kind.from_config(layer.get_config() | {"dtype": policy})

    return rewrite(model, trained)


@cache
def bfloat16_over_float32() -> float:
    """The seconds of a small convolution's gradient in bfloat16, over those in float32."""
    if keras.backend.backend() != "tensorflow":
        return 1.0
    import tensorflow as tf

    numbers = np.random.default_rng(0)
    x, kernel = numbers.normal(size=(8, 16, 16, 32)), numbers.normal(size=(3, 3, 32, 32))
    seconds = {}
    for kind in ("float32", "bfloat16"):
        a, b = tf.cast(x, kind), tf.cast(kernel, kind)
        taken = []
        for _ in range(4):
            start = time.perf_counter()
            with tf.GradientTape() as tape:
                tape.watch((a, b))
                y = tf.nn.conv2d(a, b, 1, "SAME")
            [tf.cast(slope, "float32").numpy() for slope in tape.gradient(y, (a, b))]
            taken.append(time.perf_counter() - start)
        seconds[kind] = min(taken)
    return seconds["bfloat16"] / seconds["float32"]


def bring_back(trained: keras.Model, model: keras.Model) -> None:
    """Load the weights of a twin into the ``model`` it was made of."""
    for layer in (layer for layer in model.layers if layer.weights):
        layer.set_weights(trained.get_layer(layer.name).get_weights())


def _fusible(layer, x) -> bool:
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    channels_last = layer.axis in (-1, 3) and len(x.shape) == 4
    plain = layer.center and layer.scale and not getattr(layer, "renorm", False)
    return channels_last and plain and keras.backend.backend() == "tensorflow"


def _unfoldable(layer, x) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.data_format != "channels_last":
        return False
    plain = layer.groups == 1 and layer.padding == "same"
    plain &= keras.backend.backend() == "tensorflow"
    plain &= {*layer.strides, *layer.dilation_rate} == {1} and {*layer.kernel_size} != {1}
    return plain and None not in x.shape[1:] and x.shape[1] * x.shape[2] <= _FEW_PIXELS
