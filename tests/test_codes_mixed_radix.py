"""Mixed-radix codes against rounding, over all compositions."""

from math import prod
from statistics import NormalDist

import numpy as np
import pytest

from fsrepro.codes import binary, compositions, mixed_radix

ALL_OF_8 = list(compositions(8))
LSB = 2.0**-5  # few mantissa bits: every sum below is exact


def exact(digits):
    return mixed_radix(digits, LSB * prod(a + 1 for a in digits))


def around(x):
    """Each value with its two float32 neighbours."""
    x = np.float32(x)
    return np.concatenate([np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.inf)])


def half_up(x, top):
    return LSB * np.clip(np.floor(x.astype(np.float64) / LSB + 0.5), 0, top)


def nonzero_digits(n, digits):
    spikes = np.zeros(n.shape, int)
    for a in reversed(digits):
        n, digit = np.divmod(n, a + 1)
        spikes += digit > 0
    return spikes


def test_there_are_two_to_the_k_minus_one_compositions():
    assert len(set(ALL_OF_8)) == 128
    assert {sum(digits) for digits in ALL_OF_8} == {8}
    assert ALL_OF_8[0] == (1,) * 8
    assert ALL_OF_8[-1] == (8,)


@pytest.mark.parametrize("digits", ALL_OF_8, ids=str)
def test_rounds_half_up_with_one_spike_per_nonzero_digit(digits):
    code, levels = exact(digits), prod(a + 1 for a in digits)
    x = around(LSB * (np.arange(2 * levels) - 1) / 2)  # levels and midpoints within the range
    x = x[x < LSB * (levels - 0.5)]
    y = code.decode(code.encode(x))
    np.testing.assert_array_equal(y, half_up(x, levels - 1))
    np.testing.assert_array_equal(
        code.encode(x).sum(0), nonzero_digits(np.rint(y / LSB).astype(int), digits)
    )


@pytest.mark.parametrize("digits", ALL_OF_8, ids=str)
def test_above_the_range_it_still_rounds_until_every_step_fires(digits):
    code = exact(digits)
    top = round(float(code.weight.sum()) / LSB)
    x = around(LSB * np.arange(2 * top + 9) / 2)
    np.testing.assert_array_equal(code.quantise(x), half_up(x, top))
    assert code.quantise(np.inf) == top * LSB
    assert code.count(np.inf) == 8


@pytest.mark.parametrize("scale", [6.0, 25.0, 0.1, 1 / 3, 7.3e-5])
@pytest.mark.parametrize("digits", [(8,), (3, 2, 2, 1), (1, 2, 5), (2,) * 4, (5, 3, 3, 2, 2, 1)])
def test_look_up_equals_the_time_step_loop(digits, scale):
    code = mixed_radix(digits, scale)
    x = np.random.default_rng(len(digits)).uniform(-0.2, 1.5, 20_000).astype(np.float32) * scale
    x = np.concatenate([x, around(code.staircase.breakpoint), [-np.inf, np.inf, -0.0]])
    spikes = code.encode(x)
    np.testing.assert_array_equal(code.quantise(x), code.decode(spikes))
    np.testing.assert_array_equal(code.count(x), spikes.sum(0))
    lsb = scale / prod(a + 1 for a in digits)
    inside = (x > 0) & (x < scale - lsb)
    float_error = 3 * scale * np.finfo(np.float32).eps
    assert np.abs(code.quantise(x) - x)[inside].max() <= lsb / 2 + float_error


def test_one_million_random_values():
    code = mixed_radix((3, 2, 2, 1), 4.2)
    x = np.random.default_rng(0).normal(-0.3, 1.5, 1_000_000).astype(np.float32)
    spikes = code.encode(x)
    np.testing.assert_array_equal(code.quantise(x), code.decode(spikes))
    np.testing.assert_array_equal(code.count(x), spikes.sum(0))


@pytest.mark.parametrize("steps", [1, 2, 8, 16, 33, 64])
@pytest.mark.parametrize("scale", [1.0, 25.0, 0.3])
def test_ones_are_the_binary_code(steps, scale):
    assert mixed_radix((1,) * steps, scale) == binary(steps, scale, rounding=True)


@pytest.mark.parametrize(
    ("digits", "lsb", "at_most"), [((1, 1, 6), 0.0972, 0.52), ((1, 15), 0.0961, 0.40)]
)
def test_30_decibels_on_a_rectified_gaussian_take_few_spikes(digits, lsb, at_most):
    source, n = NormalDist(-0.3, 1), 20_000
    x = np.array([source.inv_cdf((i + 0.5) / n) for i in range(n)], np.float32)
    code = mixed_radix(digits, lsb * prod(a + 1 for a in digits))
    relu = np.maximum(x, 0)
    assert np.mean(relu**2) / np.mean((code.quantise(x) - relu) ** 2) >= 1000
    assert code.count(x).mean() <= at_most


def test_a_single_digit_is_the_time_of_one_spike():
    code = mixed_radix((5,), 6.0)
    first = np.argmax(code.encode(np.arange(1.0, 9.0)), axis=0)
    np.testing.assert_array_equal(first, [4, 3, 2, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(code.count(np.arange(6.0)), [0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize("digits", [(), (0,), (2, -1), (1.5, 2), (np.nan,), (2, np.inf)])
def test_refuses_digits_that_are_not_positive_whole_numbers(digits):
    with pytest.raises(ValueError, match="whole numbers of at least 1, got"):
        mixed_radix(digits, 1.0)


def test_refuses_more_than_64_steps():
    with pytest.raises(ValueError, match="at most 64 time steps are supported, got 65"):
        mixed_radix((60, 5), 1.0)
    with pytest.raises(ValueError, match="steps must be a whole number from 1 to 64, got 0"):
        compositions(0)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_refuses_a_bad_scale(scale):
    with pytest.raises(ValueError, match="scale must be positive and finite, got"):
        mixed_radix((2, 2), scale)


def test_refuses_nan():
    with pytest.raises(ValueError, match="must not be NaN; 1 of 2 are"):
        mixed_radix((2, 2), 1.0).quantise([0.5, np.nan])


# --- a dead zone ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dead_zone", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("digits", [(8,), (1, 7), (2, 2, 4), (3, 2)], ids=str)
def test_a_dead_zone_silences_small_last_digits_and_nothing_else(digits, dead_zone):
    scale = float(np.prod(np.add(digits, 1)))  # q = 1
    plain, dead = mixed_radix(digits, scale), mixed_radix(digits, scale, dead_zone=dead_zone)
    x = np.arange(0, scale - 0.5, 1 / 64, dtype=np.float32)
    last = plain.quantise(x) % (digits[-1] + 1)
    left = x - (plain.quantise(x) - last)  # of the digits before
    silenced = (last > 0) & (left < 0.5 + dead_zone)
    expected = np.where(silenced, plain.quantise(x) - last, plain.quantise(x))
    np.testing.assert_array_equal(dead.quantise(x), expected)
    np.testing.assert_array_equal(dead.count(x), plain.count(x) - silenced)
    assert silenced.any()
    np.testing.assert_array_equal(dead.weight, plain.weight)
    assert dead.name == f"{plain.name}, dead zone {dead_zone:g}"


@pytest.mark.parametrize("dead_zone", [1.0, 1.5, 2.0, 2.75])
@pytest.mark.parametrize("digits", [(8,), (1, 7), (2, 2, 4), (3, 2)], ids=str)
def test_a_large_dead_zone_leaves_out_steps_that_would_never_fire(digits, dead_zone):
    """It is the code of more steps without those of the values that are not written."""
    unwritten = int(dead_zone)
    longer = (*digits[:-1], digits[-1] + unwritten)
    scale = float(np.prod(np.add(longer, 1)))  # q = 1
    dead, plain = mixed_radix(digits, scale, dead_zone=dead_zone), mixed_radix(longer, scale)
    assert dead.steps == sum(digits)
    np.testing.assert_array_equal(dead.weight, plain.weight[: sum(digits)])
    x = np.arange(0, scale - 0.5, 1 / 64, dtype=np.float32)
    last = plain.quantise(x) % (longer[-1] + 1)
    silenced = (last > 0) & (x - (plain.quantise(x) - last) < 0.5 + dead_zone)
    expected = np.where(silenced, plain.quantise(x) - last, plain.quantise(x))
    np.testing.assert_array_equal(dead.quantise(x), expected)
    np.testing.assert_array_equal(dead.count(x), plain.count(x) - silenced)
    assert dead.encode(x).reshape(dead.steps, -1).any(1).all()  # no step is idle


@pytest.mark.parametrize("price", [0.02, 0.5, 1.0])
def test_the_border_of_a_dead_zone_is_where_both_words_are_worth_the_same(price):
    """One step q = 1: silence costs r^2, a spike (r - 1)^2 and its price."""
    code = mixed_radix((3,), 4.0, dead_zone=price / 2)
    border = float(code.threshold[-1])
    assert border == pytest.approx(0.5 + price / 2)
    assert border**2 == pytest.approx((border - 1) ** 2 + price)


def test_without_a_dead_zone_it_is_the_same_code():
    assert mixed_radix((1, 7), 4.0, dead_zone=0.0) == mixed_radix((1, 7), 4.0)
    assert mixed_radix((1, 7), 4.0, dead_zone=0.0).name == mixed_radix((1, 7), 4.0).name


@pytest.mark.parametrize("dead_zone", [-0.1, np.nan, np.inf])
def test_refuses_a_bad_dead_zone(dead_zone):
    with pytest.raises(ValueError, match="the dead zone must be at least 0 and finite, got"):
        mixed_radix((4, 2), 1.0, dead_zone=dead_zone)
