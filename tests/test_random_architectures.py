"""Networks drawn at random, as strangers write them: with 16 bits they are the ANN, or refused.

A network is drawn from the number of its world and its seed, the same at every run: ``pytest -k
pictures`` names the seeds that fail, and ``stranger("pictures", 17)`` is the network.
"""

import re
from collections import Counter
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from effort import effort
from keras import layers, ops

from fsrepro import genn
from fsrepro.codes import binary
from fsrepro.conversion import (
    UnsupportedLayerError,
    convert,
    normal_form,
    rescalable_layers,
    rescale_channels,
)
from fsrepro.genn.arrivals import arrivals
from fsrepro.networks.graph import calls
from fsrepro.networks.kinds import AVERAGES, POOLING_BY_MAXIMUM, WEIGHTED_LAYERS
from fsrepro.networks.population import Population
from fsrepro.synapses import count_synapses

FUNCTIONS = {  # by name of the activation, what people pass as one
    "relu": ["relu", tf.nn.relu, ops.relu, lambda x: ops.maximum(x, 0.0), layers.ReLU],
    "relu6": ["relu6", tf.nn.relu6, lambda: layers.ReLU(6.0)],
    "silu": ["silu", "swish", tf.nn.silu, ops.silu, lambda x: x * ops.sigmoid(x)],
    "sigmoid": ["sigmoid", tf.nn.sigmoid, tf.sigmoid, ops.sigmoid],
    "tanh": ["tanh", tf.nn.tanh, tf.math.tanh, keras.activations.tanh],
    "gelu": ["gelu", tf.nn.gelu, keras.activations.gelu],
    "gelu_tanh": [ops.gelu, lambda x: tf.nn.gelu(x, approximate=True)],
    "hard_silu": ["hard_silu", "hard_swish", ops.hard_silu],
    "hard_sigmoid": ["hard_sigmoid", keras.activations.hard_sigmoid],
    "hard_tanh": ["hard_tanh", lambda x: ops.clip(x, -1.0, 1.0)],
    "selu": ["selu", tf.nn.selu],
    "softplus": ["softplus", tf.nn.softplus, ops.softplus],
    "softsign": ["softsign", tf.nn.softsign],
    "mish": ["mish", ops.mish] if hasattr(ops, "mish") else ["mish"],
    "elu": ["elu", tf.nn.elu, layers.ELU, lambda: layers.ELU(0.5)],
    "leaky_relu": ["leaky_relu", tf.nn.leaky_relu, lambda: layers.LeakyReLU(negative_slope=0.1),
                   lambda: layers.ReLU(negative_slope=0.3)],
    "other limits": [lambda: layers.ReLU(max_value=1.5),
                     lambda: layers.ReLU(max_value=2.0, negative_slope=0.1)],
    "linear": [None, "linear", lambda x: x],
}  # fmt: skip

ONLY_OF_ARRAYS = [
    function
    for given in FUNCTIONS.values()
    for function in given
    if getattr(function, "__module__", "").startswith("tensorflow")
    or function is FUNCTIONS["gelu_tanh"][1]
]


class Draw:
    """Chance, with the size of what was drawn so far."""

    def __init__(self, world: str, seed: int):
        self.rng = np.random.default_rng([list(WORLDS).index(world), seed])
        self.odd = None  # what was drawn that must be refused

    def of(self, options):
        return options[int(self.rng.integers(len(options)))]

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, percent: int) -> bool:
        return bool(self.rng.integers(100) < percent)

    def numbers(self, *shape):
        return self.rng.normal(0, 1, shape).astype(np.float32)


def given_or_made(function):
    """A fresh layer of those that are made; any other activation as it is."""
    makes = function is layers.ReLU or function is layers.ELU
    if makes or (getattr(function, "__name__", "") == "<lambda>" and not takes_one(function)):
        return function()
    return function


def takes_one(function) -> bool:
    return function.__code__.co_argcount == 1


def any_activation(draw, names=tuple(FUNCTIONS)):
    return given_or_made(draw.of(FUNCTIONS[draw.of(names)]))


NO_LINEAR = tuple(name for name in FUNCTIONS if name != "linear")


def activate(draw, x, names=tuple(FUNCTIONS)):
    """An activation as a layer, of some function, or as a call of the function itself."""
    if draw.chance(10) and None not in x.shape[1:]:
        return layers.PReLU()(x)
    if draw.chance(10):
        return layers.PReLU(shared_axes=[*range(1, len(x.shape) - 1)] or None)(x)
    function = any_activation(draw, names)
    if isinstance(function, layers.Layer):
        return function(x)
    if callable(function) and function not in ONLY_OF_ARRAYS and draw.chance(30):
        return function(x)
    return layers.Activation(function or "linear")(x)


# --- parts for any number of dimensions ----------------------------------------------------------


def rank(x) -> int:
    return len(x.shape) - 2


def of_rank(name: str, x):
    return getattr(layers, f"{name}{rank(x)}D")


def fits(x, span: int) -> bool:
    return all(size is None or size >= span for size in x.shape[1:-1])


def is_open(x) -> bool:
    return None in x.shape[1:]


def at_most(x, size: int) -> bool:
    """Whether there is room to grow."""
    return not is_open(x) and max(x.shape[1:-1]) <= size and np.prod(x.shape[1:]) < 1500


def window(draw, x):
    """Kernel size and padding with either strides or dilation, such that something is left."""
    size = draw.between(1, 3)
    options = {"padding": "same", "use_bias": draw.chance(70)}
    if draw.chance(50) and fits(x, 4) and not is_open(x):
        options["padding"] = "valid"
    if draw.chance(30):
        options["strides"] = 2
    elif draw.chance(30) and (options["padding"] == "same" or fits(x, 2 * size)):
        options["dilation_rate"] = 2
    return size, options


def convolution(draw, x, activation=None):
    kind = draw.of(["", "", "depthwise", "separable", "grouped", "transposed", "causal"])
    size, options = window(draw, x)
    options["activation"] = activation
    filters = 2 * draw.between(1, 3)
    if kind == "depthwise" and rank(x) < 3:
        return of_rank("DepthwiseConv", x)(size, depth_multiplier=draw.between(1, 2), **options)(x)
    if kind == "separable" and rank(x) < 3:
        return of_rank("SeparableConv", x)(filters, size, **options)(x)
    if kind == "transposed" and (at_most(x, 6) or "strides" not in options):
        layer = getattr(layers, f"Conv{rank(x)}DTranspose")
        if options.get("strides") and draw.chance(30) and size > 1:
            options["output_padding"] = 1
        return layer(filters, size, **options)(x)
    if kind == "causal" and rank(x) == 1:
        options["padding"] = "causal"
    groups = 2 if kind == "grouped" and x.shape[-1] % 2 == 0 else 1
    return of_rank("Conv", x)(filters, size, groups=groups, **options)(x)


def normalised(draw, x):
    axis = -1 if is_open(x) or draw.chance(80) else draw.between(1, len(x.shape) - 1)
    if draw.chance(80):
        return layers.BatchNormalization(axis=axis, scale=draw.chance(80))(x)
    layer = layers.Normalization(axis=axis, invert=draw.chance(20))
    shape = [8, *(size or 5 for size in x.shape[1:])]
    layer.adapt(3 * draw.numbers(*shape) + 1)
    return layer(x)


def block(draw, x):
    if draw.chance(50):
        return convolution(draw, x, any_activation(draw))
    x = convolution(draw, x)
    if draw.chance(20):
        x = layers.Dropout(0.5)(x)
    before = draw.chance(50)
    x = normalised(draw, x) if before else x
    x = activate(draw, x)
    return normalised(draw, x) if not before and draw.chance(50) else x


def same_size(draw, x):
    """A convolution that can be added to ``x``."""
    return of_rank("Conv", x)(x.shape[-1], 3, padding="same", activation=any_activation(draw))(x)


def merged(draw, x):
    how = draw.of(["add", "+", "-", "*", "average", "subtract", "multiply", "reversed"])
    y = same_size(draw, activate(draw, x))
    if how == "+":
        return x + y
    if how == "-":
        return x - y
    if how == "*":
        return x * ops.sigmoid(y)
    if how == "reversed":
        return y - x
    layer = {"add": layers.Add, "average": layers.Average, "subtract": layers.Subtract}
    return layer.get(how, layers.Multiply)()([x, y])


def joined(draw, x):
    y = same_size(draw, x)
    how = draw.of(["layer", "ops", "stack", "split"])
    if how == "layer":
        return layers.Concatenate()([x, y])
    if how == "ops" or is_open(x) or not at_most(x, 7):
        return ops.concatenate([x, y], axis=-1)
    if how == "split" and x.shape[-1] % 2 == 0:
        a, b = ops.split(y, 2, axis=-1)
        return ops.concatenate([b, a * 2, x], axis=-1)
    stacked = ops.stack([x, y], axis=1)
    return stacked[:, draw.between(0, 1)]


def gated(draw, x):
    """Squeeze and excite."""
    gate = of_rank("GlobalAveragePooling", x)(keepdims=True)(x)
    gate = layers.Dense(2, activation=any_activation(draw))(gate)
    gate = layers.Dense(x.shape[-1], activation="sigmoid")(gate)
    return layers.Multiply()([x, gate]) if draw.chance(50) else x * gate


ADAPTIVE = hasattr(layers, "AdaptiveMaxPooling1D")


def pooled(draw, x):
    kind = draw.of(["AveragePooling", "MaxPooling"])
    if ADAPTIVE and not is_open(x) and fits(x, 2) and draw.chance(20):
        # Not to a single place: there Keras 3.15 itself divides by zero, and the process ends.
        sizes = tuple(draw.of([n for n in range(2, s + 1) if s % n == 0]) for s in x.shape[1:-1])
        return of_rank(f"Adaptive{kind}", x)(sizes[0] if rank(x) == 1 else sizes)(x)
    size = 2 if fits(x, 2) else 1
    padding = "same" if is_open(x) else draw.of(["same", "valid"])
    return of_rank(kind, x)(size, strides=draw.of([None, 1, 2]), padding=padding)(x)


def resized(draw, x):
    if draw.chance(40) and at_most(x, 5):
        return of_rank("UpSampling", x)(2)(x)
    if draw.chance(50):
        widths = [(draw.between(0, 1), draw.between(0, 2)) for _ in range(rank(x))]
        if draw.chance(30):
            return ops.pad(x, [(0, 0), *widths, (0, 0)])
        return of_rank("ZeroPadding", x)(widths[0] if rank(x) == 1 else tuple(widths))(x)
    if is_open(x) or not fits(x, 3):
        return x
    if draw.chance(30):
        return x[:, 1:]
    return of_rank("Cropping", x)(1)(x)


def moved(draw, x):
    if is_open(x):
        return x
    shape, axes = x.shape[1:], [*range(1, len(x.shape))]
    how = draw.of(["permute", "transpose", "reshape", "slice", "last"])
    if how in ("permute", "transpose"):
        order = [int(axis) for axis in draw.rng.permutation(axes)]
        return layers.Permute(order)(x) if how == "permute" else ops.transpose(x, (0, *order))
    if how == "reshape" and shape[-1] % 2 == 0:
        new = (shape[0] * 2, *shape[1:-1], shape[-1] // 2)
        return layers.Reshape(new)(x) if draw.chance(50) else ops.reshape(x, (-1, *new))
    if how == "slice" and shape[0] > 2:
        return x[:, ::2] if draw.chance(50) else x[:, : shape[0] - 1]
    return x[..., : max(1, shape[-1] - 1)]


def shifted(draw, x):
    """Numbers and arrays, in every order."""
    row = draw.numbers(x.shape[-1])
    return draw.of(
        [
            lambda: x * 2 - 1,
            lambda: 1 - x / 3,
            lambda: -x,
            lambda: x * row + 0.5,
            lambda: layers.Rescaling(0.5, offset=-0.25)(x),
            lambda: layers.Rescaling(row.tolist(), offset=1.0)(x),
        ]
    )()


def shared(draw, x):
    layer = of_rank("Conv", x)(x.shape[-1], 3, padding="same", activation=any_activation(draw))
    norm = layers.BatchNormalization()
    x = norm(layer(x))
    return layer(norm(x)) if draw.chance(50) else layer(x) + layer(activate(draw, x))


def within(draw, x):
    """A model in the model: functional, a list of layers, or with a call of its own."""
    inputs = keras.Input(x.shape[1:])
    inner = keras.Model(inputs, block(draw, inputs))
    how = draw.of(["functional", "sequential", "subclassed"])
    if how == "subclassed":
        return Own(inner)(x)
    if how == "sequential":
        inner = keras.Sequential([layers.Input(x.shape[1:]), inner, layers.Activation("relu")])
    return inner(x)


class Own(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x, training=False):
        return 2 * self.inner(x, training=training) + 0.5


class Residual(layers.Layer):
    def __init__(self, filters, kind, function):
        super().__init__()
        self.first = kind(filters, 3, padding="same")
        self.norm = layers.BatchNormalization()
        self.drop = layers.Dropout(0.3)
        self.function = function

    def call(self, x, training=None):
        y = self.drop(self.norm(self.first(x), training=training), training=training)
        return self.function(y) + x


class Gain(layers.Layer):
    """Weights of its own."""

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), name="gain")
        self.shift = self.add_weight(shape=(1, shape[-1]), name="shift")

    def call(self, x):
        return ops.add(x * self.gain, ops.reshape(self.shift, (-1,)))


class Projection(layers.Layer):
    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 4), name="matrix")

    def call(self, x):
        return ops.matmul(x, self.matrix)


def own_layer(draw, x):
    function = draw.of([ops.relu, ops.tanh, keras.activations.silu])
    if rank(x) and draw.chance(60):
        return Residual(x.shape[-1], of_rank("Conv", x), function)(x)
    if x.sparse:  # as Keras calls, by mistake, what was multiplied by an array
        x = layers.Identity()(x)
    return draw.of([Gain, Projection])()(x)


def only_in_training(draw, x):
    name = draw.of(["Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout",
                    "Identity", "ActivityRegularization", "RandomFlip"])  # fmt: skip
    if name == "RandomFlip":
        return layers.RandomFlip()(x) if rank(x) == 2 and not is_open(x) else x
    if name == "SpatialDropout":
        return of_rank(name, x)(0.2)(x) if rank(x) else x
    arguments = () if name == "Identity" else (0.2,)
    return getattr(layers, name)(*arguments)(x)


def over_time(draw, x):
    if is_open(x) or x.shape[1] > 8:
        return x
    inside = [layers.Dense(4, activation=any_activation(draw))]
    if rank(x) > 1:
        conv = (layers.Conv1D, layers.Conv2D)[rank(x) - 2]
        inside = [conv(3, 2, padding="same", activation=any_activation(draw))]
    if draw.chance(30):
        stack = [layers.Input(x.shape[2:]), *inside, layers.BatchNormalization()]
        inside = [keras.Sequential(stack)]
    return layers.TimeDistributed(inside[0])(x)


def dense_over_channels(draw, x):
    return layers.Dense(draw.between(2, 5), activation=any_activation(draw))(x)


# --- vectors -------------------------------------------------------------------------------------


def dense(draw, x):
    if draw.chance(50):
        return layers.Dense(draw.between(3, 9), activation=any_activation(draw))(x)
    x = layers.Dense(draw.between(3, 9), use_bias=draw.chance(50))(x)
    x = only_in_training(draw, x) if draw.chance(30) else x
    x = normalised(draw, x) if draw.chance(50) else x
    return activate(draw, x)


def two_ways(draw, x):
    a, b = dense(draw, x), layers.Dense(x.shape[-1])(dense(draw, x))
    how = draw.of(["+", "*", "-", "add", "concatenate", "average"])
    if how == "concatenate":
        return draw.of([layers.Concatenate(), lambda xs: ops.concatenate(xs, axis=1)])([a, b, x])
    if how in ("add", "average"):
        return (layers.Add if how == "add" else layers.Average)()([x, b])
    return {"+": x + b, "*": x * ops.sigmoid(b), "-": b - x}[how]


def as_map(draw, x):
    """Dense -> Reshape -> convolution, or the same vector at several steps."""
    if draw.chance(30):
        x = layers.RepeatVector(3)(x)
        return layers.Flatten()(block(draw, x))
    x = layers.Dense(36, activation=any_activation(draw))(x)
    shape = draw.of([(3, 3, 4), (9, 4), (3, 3, 2, 2)])
    x = layers.Reshape(shape)(x) if draw.chance(70) else ops.reshape(x, (-1, *shape))
    return layers.Flatten()(block(draw, x))


def shared_dense(draw, x):
    layer = layers.Dense(x.shape[-1], activation=any_activation(draw))
    return layer(layer(x)) + layer(x)


def part_of(draw, x):
    return x[:, : max(1, x.shape[-1] - 2)] if draw.chance(50) else x[:, ::2]


# --- what must be refused ------------------------------------------------------------------------

ODD = {
    "LayerNormalization": lambda x: layers.LayerNormalization()(x),
    "Lambda": lambda x: layers.Lambda(lambda y: y * 2)(x),
    "Maximum": lambda x: layers.Maximum()([x, layers.Dense(x.shape[-1])(x)]),
    "activation 'exponential'": lambda x: layers.Activation("exponential")(x),
    "softmax": lambda x: layers.Softmax()(layers.Dense(3)(x)),
    "UnitNormalization": lambda x: layers.UnitNormalization()(x),
    "operation Square": lambda x: ops.square(x),
    "operation Maximum": lambda x: ops.maximum(x, layers.Dense(x.shape[-1])(x)),
    "operation TrueDivide": lambda x: x / (1 + ops.relu(x)),
    "LSTM": lambda x: layers.LSTM(3)(x if len(x.shape) == 3 else layers.RepeatVector(3)(x)),
}


def odd(draw, x):
    name = draw.of(list(ODD))
    if name == "LSTM" and len(x.shape) > 3:
        return x
    draw.odd = draw.odd or name
    return ODD[name](x)


# --- ends, and the whole -------------------------------------------------------------------------


def vector(draw, x):
    """The head's input, whatever it was."""
    if not rank(x):
        return x
    if is_open(x) or draw.chance(50):
        axes = tuple(range(1, rank(x) + 1))
        pool = draw.of(["GlobalAveragePooling", "GlobalMaxPooling", "mean", "max"])
        if pool in ("mean", "max"):
            return getattr(ops, pool)(x, axis=axes)
        return of_rank(pool, x)()(x)
    size = int(np.prod(x.shape[1:]))
    return draw.of([layers.Flatten(), layers.Reshape((size,)), lambda x: ops.reshape(x, (-1, size)),
                    lambda x: ops.reshape(x, (-1, size))])(x)  # fmt: skip


TASKS = ["classes", "classes", "softmax", "yes or no", "several", "value", "values", "maps"]


def head(draw, x):
    """The outputs, and the task that has to be told."""
    name = draw.of(TASKS)
    if name == "maps" and rank(x):
        end = draw.of([(3, None), (3, "softmax"), (1, "sigmoid")])
        return layers.Dense(end[0], activation=end[1])(x), None
    x = vector(draw, x)
    if draw.chance(30):
        x = dense(draw, x)
    if name == "softmax":
        how = draw.of(["argument", "layer", "activation", "function", "and linear"])
        if how == "argument":
            return layers.Dense(4, activation="softmax")(x), None
        x = layers.Dense(4)(x)
        if how == "activation":
            return layers.Activation(tf.nn.softmax)(x), None
        x = ops.softmax(x) if how == "function" else layers.Softmax()(x)
        return layers.Activation("linear")(x) if how == "and linear" else x, None
    if name == "yes or no":
        return layers.Dense(1, activation="sigmoid")(x), None
    if name == "several":
        return layers.Dense(3, activation="sigmoid")(x), "binary"
    if name in ("value", "values"):
        end = draw.of([None, None, "tanh", "softplus"])
        return layers.Dense(1 if name == "value" else 3, activation=end)(x), "regression"
    return layers.Dense(4)(x), None


MAPS = [block, block, merged, joined, gated, pooled, resized, moved, shifted, shared, within,
        own_layer, only_in_training, over_time, dense_over_channels]  # fmt: skip
VECTORS = [dense, dense, two_ways, as_map, shared_dense, shifted, own_layer, only_in_training,
           part_of]  # fmt: skip
SHAPES = {
    "vectors": [(6,), (9,)],
    "sequences": [(10, 2), (8, 4)],
    "pictures": [(7, 7, 1), (7, 7, 3), (6, 5, 2)],
    "volumes": [(4, 4, 4, 1), (5, 3, 4, 2)],
}
WORLDS = {  # 300 in all
    "vectors": effort(80, 24),
    "sequences": effort(70, 21),
    "pictures": effort(100, 30),
    "volumes": effort(50, 15),
}


@dataclass
class Stranger:
    """A network as somebody else wrote it, images for it, and what is to be expected."""

    model: keras.Model
    x: np.ndarray
    task: str | None
    odd: str | None  # what it has to be refused for
    tolerance: float = 1e-3


def stranger(world: str, seed: int) -> Stranger:
    keras.utils.clear_session(free_memory=False)  # which resets the names that Keras makes
    draw = Draw(world, seed)
    shape = draw.of(SHAPES[world])
    opened = draw.chance(15) and world != "vectors"
    integers = draw.chance(8)
    spec = (*[None] * (len(shape) - 1), shape[-1]) if opened else shape
    x = inputs = keras.Input(spec, dtype="uint8" if integers else None)
    if integers:
        x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    for _ in range(draw.between(1, 3)):
        x = draw.of(MAPS if rank(x) else VECTORS)(draw, x)
    x = activate(draw, same_size(draw, x) if rank(x) else dense(draw, x), NO_LINEAR)
    if draw.chance(4):
        x = odd(draw, x)
    outputs, task = head(draw, x)
    model = keras.Model(inputs, outputs)
    if draw.chance(30):
        model = as_sequential(model)
    last = model.outputs[0]._keras_history.operation
    linear = isinstance(last, layers.Dense) and last.activation is keras.activations.linear
    if draw.chance(15) and linear and not integers:
        model = Own(model)
        model(np.zeros((1, *shape), np.uint8 if integers else np.float32))
    randomise(model, draw)
    x = draw.numbers(8, *shape)
    if integers:
        x = draw.rng.integers(0, 256, (8, *shape)).astype(np.uint8)
    found = Stranger(model, x, task, draw.odd)
    if draw.chance(15):
        requantised(draw, found)
    return found


def as_sequential(model):
    """The same layers as a list, where they follow one another."""
    every = [*calls(model)]
    last = model.inputs[0]
    for call in every:
        if not isinstance(call.operation, layers.Layer) or [*call.input_tensors] != [last]:
            return model
        last = call.outputs[0]
    if len({id(call.operation) for call in every}) < len(every):
        return model
    first = model.inputs[0]
    stack = [layers.Input(first.shape[1:], dtype=first.dtype), *(call.operation for call in every)]
    return keras.Sequential(stack)


def randomise(model, draw):
    for weight in model.weights:
        name = weight.name
        if name in ("mean", "variance", "count"):  # of Normalization, which was adapted
            continue
        size = 1 / np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 0.5
        value = draw.rng.normal(0, size, weight.shape)
        if name == "moving_variance":
            value = 1 + np.abs(value)
        elif name in ("gamma", "gain"):
            value = np.where(value > -0.5, 1, -1) + value / 4
        elif name == "alpha":
            value = np.abs(value)
        weight.assign(value)


def requantised(draw, found):
    """Low-rank updates, or numbers of 8 bits."""
    dense = [layer for layer in found.model._flatten_layers() if type(layer) is layers.Dense]
    if draw.chance(50) and all(len(layer.kernel.shape) == 2 for layer in dense):
        for layer in dense:
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(0.3 * draw.numbers(*layer.lora_kernel_b.shape))
    elif found.x.ndim == 2 and len(dense) < 4:
        for layer in dense:
            layer.quantize("int8")
        found.tolerance = 0.1


def in_bits(steps):
    """A little more than the range seen, which is rounded to eight bits."""
    return lambda scale: binary(steps, 1.01 * scale, rounding=True)


pytestmark = pytest.mark.usefixtures("uncompiled")

REFUSAL = re.compile(r"layer '[^']+' \((.*?)\) has no spiking form; .+")


def answers(model, x):
    return np.asarray(ops.cast(model(x, training=False), "float32"))


def verdict(found: Stranger, bits: int = 16) -> str:
    """``""`` if the spiking network is the ANN or was refused as it has to be, or what is wrong."""
    try:
        snn = convert(found.model, found.x, code=in_bits(bits), scale="max", task=found.task)
    except UnsupportedLayerError as error:
        refused = REFUSAL.fullmatch(str(error))
        if refused and found.odd and refused[1].startswith(found.odd):
            return ""
        return f"refused, {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if found.odd:
        return f"{found.odd} was taken"
    expected = answers(found.model, found.x)
    given = snn.task.values(answers(snn.keras_model, snn.check(found.x)))
    if given.shape != expected.shape:
        return f"shape {given.shape} for {expected.shape}"
    error = np.abs(given - expected).max() / max(np.ptp(expected), 1e-3)
    if error <= found.tolerance:
        return ""
    if bits == 16 and error < 5 * found.tolerance:  # where it is but rounding, which is amplified
        return verdict(found, 20)
    return f"differs by {error:.1e} of the range in {bits} bits"


@pytest.mark.parametrize("world", WORLDS)
def test_with_16_bits_it_is_the_ann(world):
    wrong, refused = {}, Counter()
    for seed in range(WORLDS[world]):
        found = stranger(world, seed)
        refused[found.odd] += 1
        if text := verdict(found):
            wrong[seed] = text
    assert not wrong, "\n".join(f"{seed}: {text}" for seed, text in wrong.items())
    assert sum(refused.values()) - refused[None] <= max(3, WORLDS[world] // 10), refused


def drawn(examples):
    """A test of so many of the networks that convert, of all worlds."""

    def decorate(test):
        def run():
            tried, worlds = 0, list(WORLDS)
            for n in range(2 * examples):
                found = stranger(worlds[n % len(worlds)], 1000 + n)
                if found.odd is None and found.tolerance < 0.01 and tried < examples:
                    tried += 1
                    test(found.model, found.x)
            assert tried == examples

        run.__name__ = test.__name__
        return run

    return decorate


@drawn(effort(16, 8))
def test_channels_in_other_units_change_nothing(model, x):
    graph, rng = normal_form(model, x), np.random.default_rng(2)
    factors = {
        name: np.exp2(rng.integers(-3, 4, graph.get_layer(name).output.shape[-1]))
        for name in rescalable_layers(graph)
    }
    expected, found = graph(x), rescale_channels(graph, factors)(x)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@drawn(effort(16, 8))
def test_corrected_biases_bring_the_mean_output_back(model, x):
    check_mean_output(model, x, bias_correction=True)


@drawn(effort(8, 4))
def test_so_do_refitted_weights(model, x):
    check_mean_output(model, x, refit=True)


def check_mean_output(model, x, **options):
    graph = normal_form(model, x)
    snn = convert(model, x, code=lambda a: binary(3, a), scale="max", **options)
    expected, found = np.asarray(graph(x)), np.asarray(snn.keras_model(x))
    axes = tuple(range(expected.ndim - 1))
    difference = np.abs(found.mean(axes) - expected.mean(axes)).max()
    assert difference <= 1e-3 * np.abs(expected).max()


def linear_in_a_row(model):
    """Whether a weighted layer reads what another wrote, with no neurons between."""
    analog = set()  # tensors that weighted layers wrote, or that come from them
    for call in calls(model):
        behind = any(id(x) in analog for x in call.input_tensors)
        weighted = isinstance(call.operation, WEIGHTED_LAYERS)
        if weighted and behind:
            return True
        if weighted or (behind and not isinstance(call.operation, Population)):
            analog.add(id(call.outputs[0]))
    return False


@drawn(effort(16, 8))
def test_no_synapse_is_forgotten(model, x):
    """Held against the matrices between populations, where there are such."""
    snn = convert(model, x, code=in_bits(16), scale="max")
    counted = count_synapses(snn)
    assert 0 < counted.macs <= counted.ann_macs
    try:
        maps = arrivals(snn)
    except UnsupportedLayerError:  # products and pooling by maximum are no matrices
        return
    if linear_in_a_row(snn.keras_model):  # their matrices multiply, synapses end at the first
        return
    for layer in snn.spiking_layers:
        shape, fan_out = layer.output.shape[1:], counted.fan_out[layer.name]
        if fan_out.shape != shape:  # of each place, alike in all channels
            assert fan_out.shape == shape[:-1]
            fan_out = np.broadcast_to(fan_out[..., None], shape)
        synapses = sum(
            linear.fan_out()
            for arriving in maps.values()
            for _, source, linear in arriving.maps
            if source == layer.name and not arriving.shares
        )
        # Two ways to one target, by windows that overlap, are one entry of a matrix, two synapses.
        assert (synapses <= fan_out.ravel()).all()
        # What pooling leaves over reaches no neuron, but its weights are counted.
        pooling = (*AVERAGES, *POOLING_BY_MAXIMUM)
        if not any(isinstance(kind, pooling) for kind in snn.keras_model.layers):
            assert (synapses == fan_out.ravel()).all()


def dilates_transposed(model) -> bool:
    """What TensorFlow computes in single precision only."""
    return any(
        isinstance(layer, layers.Conv2DTranspose) and max(layer.dilation_rate) > 1
        for layer in model._flatten_layers()
    )


@pytest.mark.genn
@pytest.mark.skipif(not genn.available(), reason="pygenn and ml_genn are not installed")
def test_event_by_event_they_send_the_same_spikes():
    """Drawn networks in GeNN, with bottlenecks, gates and maxima, sums in double precision."""
    somas = Counter()
    for n in range(36):  # fewer would not have every kind of soma
        found = stranger("pictures", 2000 + n)
        if found.odd or found.tolerance > 0.01 or dilates_transposed(found.model):
            continue
        options = {"code": in_bits(5), "scale": "max", "spiking_input": n % 3 > 0}
        snn = convert(found.model, found.x, **options).in_double_precision()
        try:
            simulated = genn.to_mlgenn(snn)
        except UnsupportedLayerError as error:
            assert "reads the image and spikes" in str(error)
            assert not options["spiking_input"]
            continue
        somas.update({arriving.soma for arriving in simulated.arrivals.values()})
        somas["pair"] += bool(simulated.pairs)
        expected, sent = snn.spike_trains(found.x[:2]), simulated.spike_trains(found.x[:2])
        differ = {name: int((sent[name] != z).sum()) for name, z in expected.items()}
        assert not any(differ.values()), (n, differ)
        outputs, _ = simulated.run(found.x[:2])
        np.testing.assert_allclose(outputs, snn.predict(found.x[:2]), atol=1e-9)
    assert min(somas[kind] for kind in ("sum", "product", "maximum", "pair")) >= 3, somas
