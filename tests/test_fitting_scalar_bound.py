"""What a neuron that encodes alone cannot beat: known cases, and every code held against it."""

import numpy as np
import pytest

from fsrepro.codes import compositions, mixed_radix
from fsrepro.fitting import (
    Distribution,
    any_decoder,
    bound,
    gaussian,
    laplace,
    measure,
    mixed_radix_of,
    relu,
    scalar_bound,
    scalar_rate,
    uniform,
    word_bound,
)
from fsrepro.fitting._bound import spikes_for_rate

SOURCE = gaussian(-0.3, 1)
RECTIFIED = SOURCE.map(relu)


@pytest.mark.parametrize("levels", [2, 3, 8, 20])
def test_equal_cells_of_a_uniform_source(levels):
    rate = scalar_rate(uniform(0, 1), 1 / 12 / levels**2)
    assert rate == pytest.approx(np.log2(levels), abs=1e-3)


def test_a_discrete_source_without_error_needs_its_entropy():
    source = Distribution(np.array([0.0, 1.0, 5.0]), np.array([0.7, 0.2, 0.1]))
    entropy = -sum(p * np.log2(p) for p in (0.7, 0.2, 0.1))
    assert scalar_rate(source, 1e-9) == pytest.approx(entropy, abs=1e-3)
    assert scalar_rate(source, 100.0) == 0


def test_fine_quantisers_are_a_quarter_bit_above_the_rate_distortion_function():
    """pi e / 6 in variance (Gish & Pierce 1968), .2546 bits."""
    power = 1.0
    for snr in (25, 30):
        mse = power / 10 ** (snr / 10)
        shannon = 0.5 * np.log2(power / mse)
        found = scalar_rate(gaussian(0, 1), mse)
        assert found == pytest.approx(shannon + 0.5 * np.log2(np.pi * np.e / 6), abs=0.01)


@pytest.mark.parametrize("snr", [10, 20, 30, 40])
def test_it_lies_between_the_bound_and_every_code(snr):
    low, high = bound(RECTIFIED, 8, snr), scalar_bound(RECTIFIED, 8, snr)
    assert low < high
    assert high <= mixed_radix_of(8).best(SOURCE, snr=snr).spikes


@pytest.mark.parametrize("source", [SOURCE, laplace(-1, 1)], ids=str)
@pytest.mark.parametrize("digits", [*compositions(4)], ids=str)
def test_no_code_is_below_it(digits, source):
    for scale in (1.0, 3.0):
        for dead_zone in (0.0, 0.5):
            code = mixed_radix(digits, scale, dead_zone=dead_zone)
            found = measure(code, relu, source)
            assert found.spikes >= scalar_bound(source.map(relu), code.steps, found.snr) - 1e-6


@pytest.mark.parametrize("penalty", [0.3, 0.03, 0.003])
def test_no_scalar_quantiser_is_below_it(penalty):
    found = any_decoder(RECTIFIED, 6, penalty)
    assert found.spikes >= scalar_bound(RECTIFIED, 6, found.snr) - 1e-6


@pytest.mark.parametrize(
    "steps, spikes", [(2, (2 + 9 * 2) / 12), (3, (3 + 8 * 2) / 12), (11, 11 / 12)]
)
def test_twelve_likely_values_need_as_many_words(steps, spikes):
    """One word has no spike, K have one; the others two at least. All values must differ."""
    source = Distribution(np.arange(12.0), np.full(12, 1 / 12))
    assert word_bound(source, steps, 1e-9) == pytest.approx(spikes, abs=2e-4)


def test_the_likeliest_value_is_silent():
    source = Distribution(np.array([0.0, 1.0, 5.0]), np.array([0.7, 0.2, 0.1]))
    assert word_bound(source, 8, 1e-9) == pytest.approx(0.3, abs=2e-4)
    assert scalar_bound(source, 8, 60.0) == pytest.approx(0.3, abs=1e-3)  # entropy alone: 0.15
    assert word_bound(source, 8, 100.0) == 0


@pytest.mark.parametrize("snr", [9, 12, 15])
def test_few_spikes_are_bound_by_words_and_not_by_entropy(snr):
    mse = RECTIFIED.mean(np.square) / 10 ** (snr / 10)
    by_entropy = spikes_for_rate(scalar_rate(RECTIFIED, mse), 8)
    assert scalar_bound(RECTIFIED, 8, snr) == word_bound(RECTIFIED, 8, mse) > 1.05 * by_entropy
    best = mixed_radix_of(8).best(SOURCE, snr=snr).spikes
    assert 1 < best / scalar_bound(RECTIFIED, 8, snr) < 1.15


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="snr must be finite"):
        scalar_bound(RECTIFIED, 8, np.inf)
    with pytest.raises(ValueError, match="mse must be positive"):
        scalar_rate(RECTIFIED, 0.0)
    with pytest.raises(ValueError, match="steps"):
        scalar_bound(RECTIFIED, 0, 10.0)
