"""The rate code against an integrate-and-fire neuron driven by a constant current."""

import numpy as np
import pytest

from fsrepro.codes import rate


def integrate_and_fire(x, steps, theta, start=0.0):
    v, spikes = np.full(x.shape, start), np.zeros(x.shape, int)
    for _ in range(steps):
        v = v + x / steps
        fires = v >= theta
        v = np.where(fires, v - theta, v)
        spikes += fires
    return spikes


@pytest.mark.parametrize("rounding", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 4, 16, 32])
def test_as_many_spikes_as_the_integrate_and_fire_neuron(steps, rounding):
    theta = 0.25
    code = rate(steps, steps * theta, rounding=rounding)
    x = np.linspace(-1, 1.5, 641) * steps * theta  # dyadic: no rounding anywhere
    expected = integrate_and_fire(x, steps, theta, start=theta / 2 if rounding else 0.0)
    np.testing.assert_array_equal(code.count(x), expected)
    np.testing.assert_array_equal(code.quantise(x), theta * expected)


def test_fires_all_its_spikes_first():
    np.testing.assert_array_equal(rate(4, 1.0).encode(0.5), [1, 1, 0, 0])


@pytest.mark.parametrize("scale", [1.0, 0.3, 25.0])
@pytest.mark.parametrize("rounding", [False, True])
def test_look_up_equals_the_time_step_loop(scale, rounding):
    code = rate(10, scale, rounding=rounding)
    edge = code.staircase.breakpoint
    x = np.random.default_rng(1).normal(0, 0.7 * scale, 200_000).astype(np.float32)
    x = np.concatenate([x, edge, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf)])
    spikes = code.encode(x)
    np.testing.assert_array_equal(code.quantise(x), code.decode(spikes))
    np.testing.assert_array_equal(code.count(x), spikes.sum(0))
    assert code.count(np.inf) == 10
    assert code.quantise(np.inf) == pytest.approx(scale)


def test_refuses_bad_arguments():
    with pytest.raises(ValueError, match="steps must be a whole number from 1 to 64, got 0"):
        rate(0, 1.0)
    with pytest.raises(ValueError, match="steps must be a whole number from 1 to 64, got 65"):
        rate(65, 1.0)
    with pytest.raises(ValueError, match=r"scale must be positive and finite, got -1"):
        rate(4, -1.0)
