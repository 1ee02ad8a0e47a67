"""The exhaustive search, against codes measured one by one."""

import numpy as np
import pytest

from fsrepro.codes import binary, compositions, mixed_radix
from fsrepro.fitting import (
    decibels,
    empirical,
    gaussian,
    laplace,
    lognormal,
    measure,
    mixed_radix_of,
    relu,
    rescaled,
    scaled,
)

SOURCE = gaussian(-0.3, 1)


@pytest.mark.parametrize("steps, most", [(8, 0.52), (16, 0.40)])
def test_spikes_at_30_db(steps, most):
    found = mixed_radix_of(steps).best(SOURCE, snr=30)
    exact = measure(found.code, relu, SOURCE)
    assert exact.snr >= 30
    assert exact.spikes <= most
    assert (found.mse, found.spikes) == (exact.mse, exact.spikes)
    assert found.code.steps == steps


def test_binary_floor_at_30_db_needs_over_60_percent_more():
    best = scaled(*(lambda a, K=K: binary(K, a) for K in (7, 8))).best(SOURCE, snr=30).spikes
    assert 0.83 < best < 0.85
    assert best > 1.6 * mixed_radix_of(8).best(SOURCE, snr=30).spikes


@pytest.mark.parametrize("source", [laplace(0, 1), lognormal(0, 1), empirical([0, 0.1, 1, 1, 2.5])])
def test_nothing_beats_the_search(source):
    penalty = 0.01
    found = mixed_radix_of(5).best(source, price=penalty)
    for digits in compositions(5):
        for scale in np.geomspace(0.5, 60, 60):
            for dead_zone in (0.0, 0.25, 0.5, 1.0, 1.5, 2.0):
                code = mixed_radix(digits, float(scale), dead_zone=dead_zone)
                m = measure(code, relu, source)
                rival = m.mse + penalty * m.spikes
                assert found.mse + penalty * found.spikes <= rival * 1.005


@pytest.mark.parametrize("source", [SOURCE, laplace(-1, 1), lognormal(0, 1)], ids=str)
def test_every_code_of_a_front_is_measured_exactly(source):
    front = mixed_radix_of(6)(source)
    assert any("dead zone" in candidate.code.name for candidate in front)
    for candidate in list(front)[::15]:
        found = measure(candidate.code, relu, source)
        assert candidate.mse == pytest.approx(found.mse, rel=1e-4, abs=1e-6 * front.power)
        assert candidate.spikes == pytest.approx(found.spikes, abs=1e-5)


@pytest.mark.parametrize("snr", [10, 13, 16, 20, 25])
def test_a_design_for_an_snr_finds_the_dead_zones_of_the_whole_front(snr):
    designer = mixed_radix_of(6)
    of_front = designer(SOURCE).choose(snr=snr)
    assert designer.best(SOURCE, snr=snr).spikes <= of_front.spikes + 1e-3


@pytest.mark.parametrize(
    ("steps", "spikes", "least"),
    [(8, 0.25, 15.9), (8, 0.30, 19.7), (8, 0.35, 23.2), (4, 0.2, 11.6), (12, 0.30, 21.1)],
)
def test_few_spikes_reach_more_with_a_dead_zone(steps, spikes, least):
    """By 3 dB and more than the best mixed radix without: 12.2 dB at .25 and 16.7 at .30, K = 8."""
    front = mixed_radix_of(steps)(SOURCE)
    assert decibels(front.power, front.mse[front.spikes <= spikes].min()) >= least


@pytest.mark.parametrize("scale, shift", [(1, 0), (0.4, 0), (2.5, -0.4), (1, 0.5)])
def test_codes_of_a_front_at_other_scales_suit_a_part_nearly_as_well(scale, shift):
    """Parts of other scale and activity: at most 4 % above the search of all digits."""
    part = gaussian(-0.3 * scale + shift, scale)
    quick, all_digits = rescaled(mixed_radix_of(6)(SOURCE))(part), mixed_radix_of(6)(part)
    for price in scale**2 * np.geomspace(0.003, 0.3, 7):
        found, best = quick.choose(price=price), all_digits.choose(price=price)
        assert found.mse + price * found.spikes <= 1.04 * (best.mse + price * best.spikes)
        exact = measure(found.code, relu, part)
        assert (found.mse, found.spikes) == pytest.approx((exact.mse, exact.spikes), rel=1e-6)


def test_front_is_what_its_codes_do():
    front = mixed_radix_of(6)(SOURCE)
    assert front.table["mse"].is_monotonic_decreasing
    assert front.table["spikes"].is_monotonic_increasing
    for row in [*front][::25]:
        found = measure(row.code, relu, SOURCE)
        assert found.mse == pytest.approx(row.mse, rel=1e-3)
        assert found.spikes == pytest.approx(row.spikes, abs=1e-3)


def test_overflow_is_counted():
    """With a scale far too small nearly every input is above the range."""
    row = [*mixed_radix_of(4)(empirical(np.linspace(1, 3, 500)))][-1]
    found = measure(row.code, relu, empirical(np.linspace(1, 3, 500)))
    assert found.spikes == pytest.approx(row.spikes, abs=0.02)
    assert row.spikes > 1.5


def test_more_steps_and_lower_targets_cost_fewer_spikes():
    spikes = [mixed_radix_of(K).best(SOURCE, snr=25).spikes for K in (6, 8, 10)]
    assert spikes == sorted(spikes, reverse=True)
    spikes = [mixed_radix_of(8).best(SOURCE, snr=dB).spikes for dB in (15, 20, 30, 40)]
    assert spikes == sorted(spikes)


@pytest.mark.parametrize(
    "steps, criteria, message",
    [
        (0, {"snr": 30}, "steps must be a whole number from 1 to 18 for an exhaustive search"),
        (65, {"snr": 30}, "got 65"),
        (2.5, {"snr": 30}, "got 2.5"),
        (8, {}, "give exactly one of snr, penalty and price, got none"),
        (8, {"snr": 30, "penalty": 1}, "give exactly one"),
        (8, {"snr": np.nan}, "snr must be finite, in dB, got nan"),
        (8, {"penalty": -1}, "penalty must be finite and at least 0, got -1"),
        (8, {"penalty": np.inf}, "got inf"),
        (8, {"penalty": np.nan}, "got nan"),
        (3, {"snr": 60}, "no mixed radix of 3 steps reaches 60 dB"),
    ],
)
def test_bad_input_is_refused(steps, criteria, message):
    with pytest.raises(ValueError, match=message):
        mixed_radix_of(steps).best(SOURCE, **criteria)


def test_nothing_to_write_is_refused():
    with pytest.raises(ValueError, match="no positive values"):
        mixed_radix_of(4).best(empirical([-1.0, 0.0]), snr=20)
    with pytest.raises(ValueError, match="no activation is positive"):
        scaled(lambda a: binary(4, a)).best(empirical([-1.0, 0.0]), snr=20)
    with pytest.raises(ValueError, match="no code tried reaches 90 dB"):
        scaled(lambda a: binary(4, a)).best(SOURCE, snr=90)
