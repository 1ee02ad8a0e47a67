"""Activations are the same function in NumPy, in Keras and by their definition, bit for bit."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from fsrepro import activations

NAMES = [
    *activations.names(), "leaky_relu(0.1)", "leaky_relu(0.2)", "elu(1)", "elu(0.3)", "relu(2.5)",
    "relu(4,0.25,1)", "relu(inf,0,0.5)",
]  # fmt: skip
DEFINED = {
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
    "negative_part": lambda x: max(-x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "hard_silu": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "hard_sigmoid": lambda x: min(max(x + 3, 0.0), 6.0) / 6,
    "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "hard_tanh": lambda x: min(max(x, -1.0), 1.0),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    "softsign": lambda x: x / (1 + abs(x)),
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "elu(1)": lambda x: x if x > 0 else math.expm1(x),
    "elu(0.3)": lambda x: x if x > 0 else 0.3 * math.expm1(x),
    "relu(2.5)": lambda x: min(max(x, 0.0), 2.5),
    "relu(4,0.25,1)": lambda x: min(x, 4.0) if x >= 1 else 0.25 * (x - 1),
    "relu(inf,0,0.5)": lambda x: x if x >= 0.5 else 0.0,
    "leaky_relu(0.1)": lambda x: x if x > 0 else 0.1 * x,
    "leaky_relu(0.2)": lambda x: x if x > 0 else 0.2 * x,
}
AWKWARD = [0, -0.0, 1e-38, -1e-38, 1e-45, 3, -3, 6, 88.8, -88.8, -104, 3e38, -3e38, np.inf, -np.inf]


def on_tensor(f, x):
    return keras.ops.convert_to_numpy(f.on_tensor(keras.ops.convert_to_tensor(x)))


@pytest.mark.parametrize("name", NAMES)
def test_numpy_and_keras_agree_bit_for_bit(name):
    f = activations.get(name)
    rng = np.random.default_rng(0)
    x = np.float32([*rng.normal(0, 1, 50_000), *rng.normal(0, 10, 50_000), *AWKWARD])
    ours, theirs = f(x), on_tensor(f, x)
    assert ours.dtype == theirs.dtype == np.float32
    assert np.isfinite(ours).all()
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_what_selects_gives_x_or_a_constant(name):
    """Only such a function may stay in float32; then all bits are as by way of float64."""
    f = activations.get(name)
    x = np.random.default_rng(0).integers(0, 2**32, 500_000, dtype=np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    y = f(x)
    others = np.unique(y[(y != x) & (y != -x)])
    assert (len(others) < 5) == f.selects
    if f.selects:
        np.testing.assert_array_equal(y.view(np.uint32), on_tensor(f, x).view(np.uint32))


@pytest.mark.parametrize("name", NAMES)
@given(st.floats(-20, 20, width=32))
def test_is_what_its_name_says(name, x):
    assert activations.get(name)(x) == pytest.approx(DEFINED[name](x), rel=2e-7, abs=1e-9)


WRITTEN = {
    "relu": [keras.activations.relu, tf.nn.relu, lambda x: keras.ops.maximum(x, 0.0)],
    "relu6": [keras.activations.relu6, tf.nn.relu6, keras.layers.ReLU(6.0)],
    "silu": [keras.activations.silu, tf.nn.swish, lambda x: x * tf.sigmoid(x)],
    "sigmoid": [keras.activations.sigmoid, tf.nn.sigmoid, keras.ops.sigmoid],
    "tanh": [keras.activations.tanh, tf.tanh],
    "gelu": [keras.activations.gelu, tf.nn.gelu],
    "gelu_tanh": [lambda x: keras.activations.gelu(x, approximate=True)],
    "hard_silu": [keras.activations.hard_silu, lambda x: x * tf.nn.relu6(x + 3) / 6],
    "hard_sigmoid": [keras.activations.hard_sigmoid],
    "hard_tanh": [keras.activations.hard_tanh, lambda x: keras.ops.clip(x, -1, 1)],
    "selu": [keras.activations.selu, tf.nn.selu],
    "softplus": [keras.activations.softplus, tf.nn.softplus],
    "softsign": [keras.activations.softsign, tf.nn.softsign],
    "mish": [keras.activations.mish],
    "leaky_relu(0.2)": [keras.activations.leaky_relu, tf.nn.leaky_relu],
    "leaky_relu(0.1)": [keras.layers.LeakyReLU(0.1), lambda x: tf.nn.leaky_relu(x, 0.1)],
    "elu(1)": [keras.activations.elu, tf.nn.elu],
    "elu(0.3)": [keras.layers.ELU(0.3)],
    "relu(4.5)": [keras.layers.ReLU(4.5), lambda x: keras.ops.clip(x, 0, 4.5)],
    "relu(3,0.1)": [keras.layers.ReLU(3.0, negative_slope=0.1)],
    "linear": [keras.activations.linear, lambda x: x],
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_function_is_known_by_what_it_computes(name):
    for function in WRITTEN[name]:
        assert activations.of_function(function).name == name


@pytest.mark.parametrize(
    "function",
    [keras.activations.exponential, keras.activations.softmax, tf.square, tf.reduce_sum,
     lambda x: x + 1, lambda x: x[..., ::-1], lambda x: 1 / 0, print],
)  # fmt: skip
def test_other_functions_are_not(function):
    assert activations.of_function(function) is None


@pytest.mark.parametrize("name", NAMES)
def test_homogeneous_functions_are(name):
    f = activations.get(name)
    x = np.linspace(-8, 8, 101)
    assert np.allclose(f(4 * x), 4 * f(x), rtol=1e-6) == f.homogeneous


@pytest.mark.parametrize(
    "name",
    [
        "cosine",
        "leaky_relu",
        "leaky_relu()",
        "leaky_relu(inf)",
        "elu(nan)",
        "relu(-1)",
        "relu(1,2,3,4)",
        "silu(2)",
        "",
        "(1)",
    ],
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"unknown activation .* known are relu, .*register adds"):
        activations.get(name)


@pytest.fixture
def registry(monkeypatch):
    for table in ("_REGISTERED", "_KERAS_FUNCTIONS"):
        monkeypatch.setattr(activations, table, dict(getattr(activations, table)))


def test_register(registry):
    function = keras.activations.squareplus
    assert activations.of_function(function) is None
    added = activations.register("squareplus", lambda x: (x + np.sqrt(x**2 + 4)) / 2, function)
    assert activations.get("squareplus") is activations.of_function(function) is added
    np.testing.assert_allclose(added(np.float32([0, 1.5])), [1, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("silu", np.tanh, keras.ops.tanh), "'silu' is registered already"),
        (("leaky_relu", np.tanh, keras.ops.tanh), "'leaky_relu' is registered already"),
        (("my tanh", np.tanh, keras.ops.tanh), "must be a word, got 'my tanh'"),
        (
            ("sine", np.cos, keras.ops.sin),
            "differ: at x = .* If only the last digits differ, write both",
        ),
        (("close", lambda x: np.tanh(x) * (1 + 1e-6), keras.ops.tanh), "differ: at x ="),
        (("pole", lambda x: 1 / (x * 0), keras.ops.tanh), "one finite number for each x"),
        (("mean", lambda x: x.mean(keepdims=True), keras.ops.mean), "one finite number"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_not_registered(registry, arguments, message):
    before = activations.names()
    with pytest.raises(ValueError, match=message):
        activations.register(*arguments)
    assert activations.names() == before
