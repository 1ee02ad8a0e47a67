"""Scales are right for all activations, rare large ones too, though codes are designed on few."""

import keras
import numpy as np
import pytest
from effort import effort
from keras import layers

from fsrepro import activations
from fsrepro.codes import binary, soma
from fsrepro.conversion import distributions, normal_form, plan

N = 40_000


def heavy(outlier: bool) -> np.ndarray:
    x = np.random.default_rng(1).standard_t(5, (N, 4)).astype(np.float32)
    if outlier:
        x[123, 2] = 100.0
    return x


def network(function) -> keras.Model:
    """What its neurons get is the picture itself."""
    inputs = keras.Input((4,))
    hidden = layers.Dense(4, use_bias=False, activation=function, name="hidden")
    model = keras.Model(inputs, layers.Dense(2, name="logits")(hidden(inputs)))
    hidden.set_weights([np.eye(4, dtype=np.float32)])
    return model


def test_the_extremes_are_kept_with_their_weight():
    x = heavy(outlier=True)
    (found,) = distributions(normal_form(network("relu")), x, samples=2000).values()
    assert (found.points[0], found.points[-1]) == (x.min(), 100.0)
    assert found.weights[-1] == pytest.approx(1 / x.size)
    power = float(np.mean(np.square(x, dtype=float)))
    assert found.mean(np.square) == pytest.approx(power, rel=0.1)
    assert len(found.points) < 40_000


@pytest.mark.parametrize("steps", [10])
@pytest.mark.parametrize("outlier", [False, True], ids=["t", "t and one of 100"])
@pytest.mark.parametrize("budget", [None, 3.0])
@pytest.mark.parametrize("function", ["relu", "silu", "gelu", "tanh", "sigmoid", "softplus"])
def test_the_scale_has_nearly_the_least_error_over_all_values(function, budget, outlier, steps):
    x = heavy(outlier)
    found = plan(network(function), x, code="binary", steps=steps).choose(spikes_per_neuron=budget)
    ((name, chosen),) = found.items()
    code, f = chosen.code, activations.get(function)
    value = f(x).astype(float)

    def error(code):
        return float(np.mean((value - code.quantise(x)) ** 2))

    def rival(scale):
        code_of = binary(steps, float(np.float32(scale)), rounding=True)
        return code_of if function == "relu" else soma(code_of, function, code.offset)

    rivals = [rival(chosen.scale * factor) for factor in np.geomspace(0.05, 20, effort(81, 41))]
    if budget is not None:
        most = code.count(x).mean()
        rivals = [other for other in rivals if other.count(x).mean() <= most]
    assert error(code) <= 1.05 * min([error(code), *map(error, rivals)]), (name, chosen.scale)
