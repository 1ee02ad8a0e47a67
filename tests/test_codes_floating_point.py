"""Leading-one and geometric codes: relative precision with a limited number of spikes."""

from dataclasses import replace

import numpy as np
import pytest

from fsrepro.codes import binary, geometric, leading_one


def relative_snr(code, low, high):
    """dB, for log-uniform x between ``low`` and ``high``."""
    x = np.geomspace(low, high, 2001).astype(np.float32)
    return -10 * np.log10(np.mean(((code.decode(code.encode(x)) - x) / x) ** 2))


def test_without_a_limit_it_is_the_binary_code_with_rounding():
    assert leading_one(8, 3.0, spikes=None) == binary(8, 3.0, rounding=True)
    limited, free = leading_one(8, 3.0, spikes=8), binary(8, 3.0, rounding=True)
    np.testing.assert_array_equal(limited.threshold, free.threshold)


def test_one_spike_is_the_nearest_power_of_two():
    code = leading_one(6, 64.0, spikes=1)  # weights 32, 16, ..., 1
    x = np.arange(1, 47)  # powers of two, and the midpoints between them go up
    nearest = 2 ** np.floor(np.log2(x / 1.5) + 1)
    np.testing.assert_array_equal(code.quantise(x.astype(float)), np.minimum(nearest, 32))
    np.testing.assert_array_equal(code.count(x), 1)


@pytest.mark.parametrize("spikes", [1, 2, 3, 5])
@pytest.mark.parametrize("make", [leading_one, geometric])
def test_never_fires_more_often_than_allowed(make, spikes):
    code = make(16, 4.0, spikes=spikes)
    x = np.random.default_rng(0).exponential(1.0, 50_000)
    assert code.encode(x).sum(0).max() == spikes
    assert code.quantise(np.inf) == code.weight[:spikes].sum(dtype=np.float32)


@pytest.mark.parametrize("ratio", [1.4, 1.6, 1.8, 2.0])
@pytest.mark.parametrize("spikes", [1, 2, 3, 4])
def test_factor_is_within_half_a_decibel_of_the_best(ratio, spikes):
    """Over one period of the weights, far from both ends of the word."""

    code = geometric(40, ratio, ratio=ratio, spikes=spikes)  # d(1) = 1
    latest = code.weight - code.weight[-1] / 2

    def snr(factor):
        threshold = np.minimum(np.float32(factor) * code.weight, latest)
        period = ratio**-8.0
        return relative_snr(replace(code, threshold=threshold), period, period * ratio)

    best = max(snr(c) for c in np.linspace(1 / ratio + 1e-3, 1, 40))
    assert relative_snr(code, ratio**-8.0, ratio**-7.0) > best - 0.5


@pytest.mark.parametrize("spikes", [2, 3])
def test_precision_does_not_depend_on_the_size_of_x(spikes):
    code = leading_one(40, 1.0, spikes=spikes)
    large, small = relative_snr(code, 0.25, 0.5), relative_snr(code, 2.0**-20, 2.0**-19)
    assert large == pytest.approx(small, abs=1e-3)
    assert relative_snr(leading_one(40, 1.0, spikes=spikes + 1), 0.25, 0.5) > large + 6


@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("ratio", [1.5, 1.6, 2.0])
@pytest.mark.parametrize("spikes", [1, 2, 4, None])
def test_look_up_equals_the_time_step_loop(ratio, spikes, scale):
    code = geometric(12, scale, ratio=ratio, spikes=spikes)
    edge = code.staircase.breakpoint
    x = np.random.default_rng(2).normal(0, scale, 100_000).astype(np.float32)
    x = np.concatenate([x, edge, np.nextafter(edge, -np.inf), np.nextafter(edge, np.inf)])
    word = code.encode(x)
    np.testing.assert_array_equal(code.quantise(x), code.decode(word))
    np.testing.assert_array_equal(code.count(x), word.sum(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 64, got 0"),
        ({"steps": 65}, "steps must be a whole number from 1 to 64, got 65"),
        ({"scale": -2.0}, "scale must be positive and finite, got -2"),
        ({"scale": float("nan")}, "scale must be positive and finite, got nan"),
        ({"ratio": 1.0}, "ratio must be above 1 and at most 2"),
        ({"ratio": 2.5}, r"ratio must be above 1 and at most 2 \(no gaps\), got 2.5"),
        ({"ratio": float("nan")}, "ratio must be above 1 and at most 2"),
        ({"spikes": 0}, "spikes must be a whole number of at least 1 or None, got 0"),
        ({"spikes": 1.5}, "spikes must be a whole number of at least 1 or None, got 1.5"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        geometric(**{"steps": 8, "scale": 1.0, "spikes": 2, **arguments})
