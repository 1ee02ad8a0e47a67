"""The synapses of a spiking network, counted once: fan-out, multiplications, latency.

What is a synapse is a convention, and this is ours. A spike passes unchanged through layers
without weights of their own (pooling, flattening, padding, concatenation); pooling is thus merged
into the synapses that follow it. It then meets

- every weight of the next convolution or dense layer that reads it: one synapse each;
- the neuron or output behind an addition (a skip connection): one synapse;
- a product with another branch (the gates of squeeze-and-excite): one synapse.

A weighted layer that reads analog values, such as the first one, which reads the image, is not
event-driven: each of its weights is a multiplication for every image. So it is behind neurons
with decoders, which pass numbers on, and behind products: a product takes one multiplication for
each of its values, and what comes out is no longer a spike.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from .conversion.graph import calls, retrace
from .conversion.kinds import PRODUCTS, WEIGHTED_LAYERS
from .conversion.population import Population
from .conversion.spiking_model import SpikingModel

__all__ = ["Synapses", "count_synapses"]


@dataclass(frozen=True)
class Synapses:
    """What :func:`count_synapses` counts.

    Parameters
    ----------
    fan_out : dict of (H, W) or () int64
        By spiking layer, synapses per neuron, the same in all channels. Zero for neurons with
        decoders.
    macs : int
        Multiplications per image in products and in layers that read analog values.
    ann_macs : int
        Multiplications per image of the same network as an ANN.
    latency_steps : int
        Time steps from the image to the output, layers computing one after another.
    """

    fan_out: dict[str, np.ndarray]
    macs: int
    ann_macs: int
    latency_steps: int


def count_synapses(snn: SpikingModel) -> Synapses:
    """Count the synapses of ``snn`` by the convention at the top of this module.

    The network is rebuilt with every weight 1, so that a neuron's fan-out is the derivative of
    all that arrives anywhere with respect to its spike.

    Raises
    ------
    NotImplementedError
        Where the fan-out differs between the channels of a layer.
    """
    sources = {}  # spiking layer -> a new input that stands for its spikes
    arrivals = []  # sums over synapses of what arrives

    def replace(call, *args, **kwargs):
        layer = call.operation
        (x,) = args
        if isinstance(layer, Population):
            arrivals.append(_total(x))  # over skip connections; weighted layers send zeros
            sources[layer.name] = keras.Input(layer.output.shape[1:], dtype="float64")
            return sources[layer.name]
        if isinstance(layer, WEIGHTED_LAYERS):
            y = _with_ones(layer)(x)
            arrivals.append(_total(y))
            return 0 * y
        if isinstance(layer, PRODUCTS):
            arrivals.extend(_total(factor) for factor in x)
            return 0 * _unnamed(layer)(x)
        if isinstance(layer, (layers.AveragePooling2D, layers.MaxPooling2D)):
            window = {"strides": layer.strides, "padding": layer.padding, "use_bias": False}
            ones = {"depthwise_initializer": "ones", "dtype": "float64"}
            return layers.DepthwiseConv2D(layer.pool_size, **window, **ones)(x)
        if isinstance(layer, (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)):
            return ops.sum(x, axis=(1, 2), keepdims=layer.keepdims)
        return _unnamed(layer)(x, **kwargs)

    inputs, outputs = retrace(snn.keras_model, replace)
    arrivals.append(_total(outputs[0]))
    names = list(sources)
    total = keras.Model([*inputs, *sources.values()], sum(arrivals))
    image = np.ones((1, *inputs[0].shape[1:]), np.float32)
    spikes = [np.ones((1, *sources[name].shape[1:]), np.float32) for name in names]

    slopes = _gradients(total, [0 * image, *spikes])[1:]
    linear = {name: code.linear for name, code in snn.codes.items()}
    fan_out = {
        name: _same_in_all_channels(name, linear[name] * slope[0])
        for name, slope in zip(names, slopes, strict=True)
    }
    macs = _multiplications(snn.keras_model, spikes_are_analog=False)
    ann_macs = _multiplications(snn.keras_model, spikes_are_analog=True)
    return Synapses(fan_out, macs, ann_macs, _latency(snn.keras_model))


def _with_ones(layer):
    initializers = {"kernel_initializer", "depthwise_initializer"} & set(layer.get_config())
    ones = dict.fromkeys(initializers, "ones")
    return _unnamed(layer, **ones, use_bias=False)


def _unnamed(layer, **changes):
    """A new layer alike: its name is free to clash with those Keras gives to operations.

    In float64, where counts are exact, and where TensorFlow's kernels do not crash on gradients of
    filters that nobody asked for, as those of oneDNN may.
    """
    config = {**layer.get_config(), **changes, "name": None, "dtype": "float64"}
    return type(layer).from_config(config)


def _total(x):
    return ops.sum(ops.cast(ops.reshape(x, (-1,)), "float64"))  # float32 counts to 2^24 only


def _gradients(model: keras.Model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    import tensorflow as tf

    inputs = [tf.constant(x, tf.float64) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = model(inputs)
    zeros = tf.UnconnectedGradients.ZERO
    return [g.numpy() for g in tape.gradient(total, inputs, unconnected_gradients=zeros)]


def _same_in_all_channels(name: str, slope: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (H, W) or (C,) -> ()."""
    if not (slope == slope[..., :1]).all():
        raise NotImplementedError(
            f"neurons of layer {name!r} have a fan-out that differs between channels"
        )
    return np.rint(slope[..., 0]).astype(np.int64)


def _multiplications(model: keras.Model, *, spikes_are_analog: bool) -> int:
    """Weights met by analog values: count the non-zero products of ones with ones."""
    products = []

    def replace(call, *args, **kwargs):
        layer = call.operation
        (x,) = args
        if isinstance(layer, WEIGHTED_LAYERS):
            y = _with_ones(layer)(x)
            products.append(_total(y))
            return ops.ones_like(y)
        if isinstance(layer, PRODUCTS):
            y = ops.ones_like(_unnamed(layer)(x))
            products.append(_total(y))
            return y
        if isinstance(layer, Population):
            analog = spikes_are_analog or not layer.code.linear
            return ops.ones_like(x) if analog else ops.zeros_like(x)
        y = _unnamed(layer)(x, **kwargs)
        # An addition or pooling of analog values is one analog value.
        return ops.cast(y > 0, y.dtype)

    inputs, _ = retrace(model, replace)
    total = keras.Model(inputs, sum(products))
    image = np.ones((1, *model.input_shape[1:]), np.float32)
    return round(float(ops.convert_to_numpy(total([image]))))


def _latency(model: keras.Model) -> int:
    done = {id(x): 0 for x in model.inputs}
    for call in calls(model):
        steps = call.operation.code.steps if isinstance(call.operation, Population) else 0
        ready = max(done[id(x)] for x in call.input_tensors)
        done[id(call.outputs[0])] = ready + steps
    return done[id(model.outputs[0])]
