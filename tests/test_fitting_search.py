"""The exhaustive search, against codes measured one by one."""

import numpy as np
import pytest

from fsrepro.codes import binary, compositions, mixed_radix
from fsrepro.fitting import (
    best_mixed_radix,
    best_scale,
    empirical,
    gaussian,
    laplace,
    lognormal,
    measure,
    mixed_radix_front,
    relu,
)

SOURCE = gaussian(-0.3, 1)


@pytest.mark.parametrize("steps, most", [(8, 0.52), (16, 0.40)])
def test_spikes_at_30_db(steps, most):
    found = best_mixed_radix(SOURCE, steps, snr=30)
    assert found.measure.snr >= 30
    assert found.measure.spikes <= most
    assert found.measure == measure(found.code, relu, SOURCE)
    assert found.code.steps == steps


def test_binary_floor_at_30_db_needs_over_60_percent_more():
    best = min(
        best_scale(
            lambda a, K=K: binary(K, a), relu, SOURCE, np.geomspace(2, 9, 120), snr=30
        ).measure.spikes
        for K in (7, 8)
    )
    assert 0.83 < best < 0.85
    assert best > 1.6 * best_mixed_radix(SOURCE, 8, snr=30).measure.spikes


@pytest.mark.parametrize("source", [laplace(0, 1), lognormal(0, 1), empirical([0, 0.1, 1, 1, 2.5])])
def test_nothing_beats_the_search(source):
    penalty = 0.01
    found = best_mixed_radix(source, 5, spike_penalty=penalty).measure
    for digits in compositions(5):
        for scale in np.geomspace(0.5, 60, 60):
            m = measure(mixed_radix(digits, float(scale)), relu, source)
            rival = m.mse + penalty * m.spikes
            assert found.mse + penalty * found.spikes <= rival * 1.005


def test_front_is_what_its_codes_do():
    front = mixed_radix_front(SOURCE, 6)
    assert front["snr"].is_monotonic_increasing
    assert front["spikes"].is_monotonic_increasing
    for row in front.iloc[::25].itertuples():
        found = measure(mixed_radix(row.digits, row.scale), relu, SOURCE)
        assert found.mse == pytest.approx(row.mse, rel=1e-3)
        assert found.spikes == pytest.approx(row.spikes, abs=1e-3)


def test_overflow_is_counted():
    """With a scale far too small nearly every input is above the range."""
    front = mixed_radix_front(empirical(np.linspace(1, 3, 500)), 4)
    row = front.loc[front["spikes"].idxmax()]
    found = measure(mixed_radix(row.digits, row.scale), relu, empirical(np.linspace(1, 3, 500)))
    assert found.spikes == pytest.approx(row.spikes, abs=0.02)
    assert row.spikes > 1.5


def test_more_steps_and_lower_targets_cost_fewer_spikes():
    spikes = [best_mixed_radix(SOURCE, K, snr=25).measure.spikes for K in (6, 8, 10)]
    assert spikes == sorted(spikes, reverse=True)
    spikes = [best_mixed_radix(SOURCE, 8, snr=dB).measure.spikes for dB in (15, 20, 30, 40)]
    assert spikes == sorted(spikes)


@pytest.mark.parametrize(
    "steps, criteria, message",
    [
        (0, {"snr": 30}, "steps must be a whole number from 1 to 18 for an exhaustive search"),
        (65, {"snr": 30}, "got 65"),
        (2.5, {"snr": 30}, "got 2.5"),
        (8, {}, "give either snr or spike_penalty, got snr=None and spike_penalty=None"),
        (8, {"snr": 30, "spike_penalty": 1}, "give either"),
        (8, {"snr": np.nan}, "snr must be finite, in dB, got nan"),
        (8, {"spike_penalty": -1}, "spike_penalty must be finite and at least 0, got -1"),
        (8, {"spike_penalty": np.inf}, "got inf"),
        (8, {"spike_penalty": np.nan}, "got nan"),
        (3, {"snr": 60}, "no mixed radix of 3 steps reaches 60 dB"),
    ],
)
def test_bad_input_is_refused(steps, criteria, message):
    with pytest.raises(ValueError, match=message):
        best_mixed_radix(SOURCE, steps, **criteria)


def test_nothing_to_write_is_refused():
    with pytest.raises(ValueError, match="no positive values"):
        best_mixed_radix(empirical([-1.0, 0.0]), 4, snr=20)
    with pytest.raises(ValueError, match="no scale tried reaches 90 dB"):
        best_scale(lambda a: binary(4, a), relu, SOURCE, [1, 2], snr=90)
    for penalty in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"spike_penalty must be .*, got {penalty}"):
            best_scale(lambda a: binary(4, a), relu, SOURCE, [1, 2], spike_penalty=penalty)
