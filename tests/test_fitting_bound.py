"""The rate-distortion bound, against closed forms, and below every code."""

import numpy as np
import pytest

from fsrepro.codes import mixed_radix
from fsrepro.fitting import (
    Distribution,
    _bound,
    bound,
    gaussian,
    measure,
    rate_distortion,
    relu,
    spikes_for_rate,
    uniform,
)

SOURCE = gaussian(-0.3, 1).map(relu)


def entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@pytest.mark.parametrize("mse", [0.9, 0.5, 0.1, 0.01, 0.001])
def test_gaussian_source(mse):
    """R(D) = 1/2 log2(variance / D): Cover & Thomas, theorem 10.3.2."""
    exact = 0.5 * np.log2(4 / (4 * mse))
    found = rate_distortion(gaussian(1, 2), 4 * mse)
    assert exact - 0.006 < found <= exact + 1e-4


@pytest.mark.parametrize("mse", [0.8, 0.5, 0.2, 0.05, 0.001])
def test_symmetric_binary_source(mse):
    """y = ±1: a channel with crossover p and reproductions ±(1 - 2p) has D = 4p(1 - p).

    R(D) = 1 - H_b(p), for the entropy left is concave in the variance left.
    """
    exact = 1 - entropy((1 - np.sqrt(1 - mse)) / 2)
    found = rate_distortion(Distribution([-1, 1], [0.5, 0.5]), mse)
    assert exact - 0.002 < found <= exact + 1e-6


def test_small_errors_need_the_entropy_of_a_discrete_source():
    """A uniform source on eight points has three bits."""
    source = Distribution(np.arange(8), np.full(8, 1 / 8))
    assert rate_distortion(source, 1e-3) == pytest.approx(3, abs=0.02)


def test_uniform_source_lies_above_the_shannon_lower_bound():
    """R(D) >= h - 1/2 log2(2 pi e D), which is tight as D falls: Shannon (1959)."""
    for mse in (1e-3, 1e-4):
        shannon = -0.5 * np.log2(2 * np.pi * np.e * mse)
        assert shannon - 0.005 < rate_distortion(uniform(0, 1), mse) < shannon + 0.08


def test_a_finer_grid_changes_little(monkeypatch):
    mse = SOURCE.mean(np.square) / 10**2.5
    coarse = rate_distortion(SOURCE, mse)
    monkeypatch.setattr(_bound, "_RESOLUTION", 8)
    monkeypatch.setattr(_bound, "_TOLERANCE", 3e-4)
    fine = rate_distortion(SOURCE, mse)
    assert coarse - 1e-3 < fine < coarse + 0.005


def test_rectified_gaussian():
    power = SOURCE.mean(np.square)
    rates = [rate_distortion(SOURCE, power / 10 ** (snr / 10)) for snr in (20, 25, 30, 35)]
    for steps, expected in ((8, [0.248, 0.330, 0.415, 0.504]), (16, [0.207, 0.271, 0.337, 0.403])):
        found = [spikes_for_rate(rate, steps) for rate in rates]
        np.testing.assert_allclose(found, expected, atol=1e-3)
    assert bound(SOURCE, 8, 25) == spikes_for_rate(rates[1], 8)


@pytest.mark.parametrize("digits", [(1, 1, 1, 1), (4,), (1, 3), (2, 1, 1)])
def test_no_code_is_below_the_bound(digits):
    for scale in (1, 2, 4):
        found = measure(mixed_radix(digits, scale), relu, gaussian(-0.3, 1))
        assert found.spikes > bound(SOURCE, 4, found.snr)


def test_one_fair_bit_needs_one_fair_step():
    assert spikes_for_rate(1, 1) == 0.5
    assert spikes_for_rate(0, 5) == 0
    s = spikes_for_rate(2, 10)
    assert 10 * entropy(s / 10) == pytest.approx(2)
    assert s < 5


def test_the_mean_alone_needs_no_bits():
    assert rate_distortion(gaussian(3, 1), 1.01) == 0
    assert bound(Distribution([3.0, 3.1], [0.5, 0.5]), 4, 10) == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: bound(SOURCE, 0, 30), "steps must be a whole number from 1 to 64, got 0"),
        (lambda: bound(SOURCE, 65, 30), "got 65"),
        (lambda: bound(SOURCE, 8, np.inf), "snr must be finite, in dB, got inf"),
        (lambda: bound(SOURCE, 1, 30), "1 time steps carry at most 1 bits, 2.* are needed"),
        (lambda: rate_distortion(SOURCE, 0), "mse must be positive and finite, got 0"),
        (lambda: spikes_for_rate(np.nan, 4), "nan"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
