"""Activations are the same function in NumPy, in Keras and by their definition, bit for bit."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsrepro import activations

NAMES = [*activations.names(), "leaky_relu(0.1)", "leaky_relu(0.2)"]
DEFINED = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "hard_silu": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "hard_sigmoid": lambda x: min(max(x + 3, 0.0), 6.0) / 6,
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
    others = np.unique(y[y != x])
    assert (len(others) < 5) == f.selects
    if f.selects:
        np.testing.assert_array_equal(y.view(np.uint32), on_tensor(f, x).view(np.uint32))


@pytest.mark.parametrize("name", NAMES)
@given(st.floats(-20, 20, width=32))
def test_is_what_its_name_says(name, x):
    assert activations.get(name)(x) == pytest.approx(DEFINED[name](x), rel=2e-7, abs=1e-9)


@pytest.mark.parametrize("name", [*activations.names()])
def test_keras_functions_are_recognised(name):
    assert activations.of_keras_function(keras.activations.get(name)) is activations.get(name)


@pytest.mark.parametrize("name", NAMES)
def test_homogeneous_functions_are(name):
    f = activations.get(name)
    x = np.linspace(-8, 8, 101)
    assert np.allclose(f(4 * x), 4 * f(x), rtol=1e-6) == f.homogeneous


@pytest.mark.parametrize("name", ["softplus", "leaky_relu", "leaky_relu()", "silu(2)", "", "(1)"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"unknown activation .* known are relu, .*register adds"):
        activations.get(name)


@pytest.fixture
def registry(monkeypatch):
    for table in ("_REGISTERED", "_KERAS_FUNCTIONS"):
        monkeypatch.setattr(activations, table, dict(getattr(activations, table)))


def test_register(registry):
    function = keras.activations.softplus
    assert activations.of_keras_function(function) is None
    added = activations.register("softplus", lambda x: np.logaddexp(0, x), function)
    assert activations.get("softplus") is activations.of_keras_function(function) is added
    np.testing.assert_allclose(added(np.float32([0, 50])), [np.log(2), 50], rtol=1e-6)


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
