"""Codes for channels of different scales: the measure against a loop, and who wins when."""

import numpy as np
import pytest

from fsrepro.codes import binary, geometric, leading_one, mixed_radix
from fsrepro.fitting import (
    Spread,
    empirical,
    gaussian,
    mixed_radices,
    mixed_radix_of,
    spread_front,
)

SOURCE = gaussian(-0.3, 1)


def test_measure_is_that_of_each_channel_alone():
    spread = Spread(SOURCE, 4, channels=3)
    np.testing.assert_allclose(spread.scales, [0.25, 1, 4])
    code = leading_one(8, 8.0, spikes=2)
    table = spread.measure(code)
    x, w = spread.distribution.points, spread.distribution.weights
    for scale, row in zip(spread.scales, table.itertuples(), strict=True):
        target = np.maximum(scale * x, 0)
        noise = w @ (target - code.quantise(scale * x)) ** 2 / (w @ target**2)
        np.testing.assert_allclose(row.noise, noise, rtol=1e-6)
        np.testing.assert_allclose(row.snr, -10 * np.log10(noise), rtol=1e-6)
        np.testing.assert_allclose(row.spikes, w @ code.count(scale * x), rtol=1e-9)


def test_a_silent_channel_has_0_dB():
    table = Spread(SOURCE, 16, channels=2).measure(binary(2, 64.0))
    assert table["snr"][0] == 0
    assert table["spikes"][0] == 0


@pytest.mark.parametrize(
    "families",
    [
        [lambda a, n=n: binary(n, a, rounding=True) for n in (3, 5)],
        [lambda a: geometric(8, a, ratio=1.6, spikes=2)],
    ],
)
def test_front_is_what_its_codes_do_to_the_channels(families):
    spread = Spread(SOURCE, 2, channels=3)
    front = spread_front(families, spread)
    assert (front.table["mse"] < 1).all()  # better than silence
    for row in front.table.itertuples():
        found = spread.measure(row.code)
        assert row.spikes == found["spikes"].mean()
        assert row.worst_snr == found["snr"].min()
        np.testing.assert_allclose(row.mse, found["noise"].mean())


def test_floats_win_where_channels_differ_and_mixed_radix_where_they_do_not():
    radices = mixed_radices(12)
    floats = [
        lambda a, r=r, m=m: geometric(12, a, ratio=r, spikes=m)
        for r in (1.3, 1.6, 2.0)
        for m in (1, 2, 3)
    ]

    def spikes(families, spread, snr):
        return spread.measure(spread_front(families, spread).choose(snr=snr).code)["spikes"].mean()

    known, wide = Spread(SOURCE, 1), Spread(SOURCE, 16, channels=5)
    assert spikes(radices, known, 28) < 0.9 * spikes(floats, known, 28)
    assert spikes(floats, wide, 20) < 0.8 * spikes(radices, wide, 20)


@pytest.mark.parametrize("steps", [4, 8])
def test_growing_digits_are_close_to_the_best_of_all_compositions(steps):
    digits = [family(1.0).name for family in mixed_radices(steps)]
    assert len(digits) == {4: 5, 8: 22}[steps]  # the partitions of K
    assert mixed_radix((1,) * steps, 1.0).name in digits
    known = Spread(SOURCE, 1)
    best = mixed_radix_of(steps).best(known.distribution, snr=20)
    found = spread_front(mixed_radices(steps), known).choose(snr=20).code
    # Scales here are four to the octave: up to 1.5 dB more than was asked for.
    assert known.measure(found)["spikes"].item() < 1.15 * best.spikes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0.5}, "factor must be finite and at least 1, got 0.5"),
        ({"factor": np.nan}, "factor must be finite and at least 1, got nan"),
        ({"factor": 2, "channels": 1}, "at least two channels, got 1"),
        ({"factor": 1, "distribution": empirical([-1.0, 0.0])}, "no positive values to write"),
    ],
)
def test_bad_spread_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Spread(**{"distribution": SOURCE, **options})


def test_bad_search_is_refused():
    with pytest.raises(ValueError, match="no code tried reaches 40 dB"):
        spread_front([lambda a: binary(2, a)], Spread(SOURCE, 1)).choose(snr=40)
    with pytest.raises(ValueError, match="whole number from 1 to 18"):
        mixed_radices(19)
