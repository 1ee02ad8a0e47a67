"""The exponent + mantissa code against its definition, step by step."""

import numpy as np
import pytest

from fsrepro.codes import ExponentMantissa

SPLITS = [(4, 4), (6, 2), (7, 1)]
RANGES = [10.0, 1.0, 0.5, 0.25]


def around(x):
    return np.concatenate([np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.inf)])


def word(x, e, m, alpha):
    """One number at a time: halve alpha down to x, then compare and subtract."""
    x, unit, exponent = min(float(x), alpha), alpha, 0
    while unit > x and exponent < 2**e - 1:
        unit, exponent = unit / 2, exponent + 1
    bits = [exponent >> t & 1 for t in reversed(range(e))]
    value = 0.0
    for i in range(m):
        bits.append(int(x >= unit / 2**i))
        x -= bits[-1] * unit / 2**i
        value += bits[-1] * unit / 2**i
    return bits, value


@pytest.mark.parametrize("alpha", RANGES)
@pytest.mark.parametrize(("e", "m"), SPLITS)
def test_same_words_and_values_as_the_definition(e, m, alpha):
    code = ExponentMantissa(e, m, alpha)
    x = np.random.default_rng(e).uniform(-0.1, 1.2, 300).astype(np.float32) * np.float32(alpha)
    tiny = np.float32(alpha) * np.exp2(-np.linspace(0, 30, 300)).astype(np.float32)
    x = np.concatenate([x, tiny, around(code.breakpoints[::7]), [0, np.inf, -np.inf]])
    x = x.astype(np.float32)
    bits, values = zip(*(word(v, e, m, alpha) for v in x), strict=True)
    np.testing.assert_array_equal(code.encode(x).T, bits)
    np.testing.assert_array_equal(code.quantise(x), np.float32(values))


@pytest.mark.parametrize("options", [{}, {"rounding": True}, {"silent_zero": True}])
@pytest.mark.parametrize("alpha", [*RANGES, 0.3])
@pytest.mark.parametrize(("e", "m"), [*SPLITS, (1, 1), (3, 8)])
def test_look_up_equals_encode_and_decode(e, m, alpha, options):
    code = ExponentMantissa(e, m, alpha, **options)
    x = np.random.default_rng(m).normal(0, 0.5 * alpha, 100_000).astype(np.float32)
    x = np.concatenate([x, around(code.breakpoints), [-np.inf, np.inf, -0.0]]).reshape(1, -1)
    spikes = code.encode(x)
    assert (spikes.shape, spikes.dtype) == ((e + m, *x.shape), np.uint8)
    np.testing.assert_array_equal(code.quantise(x), code.decode(spikes))
    np.testing.assert_array_equal(code.count(x), spikes.sum(0))


def test_values_are_the_sum_of_what_the_spikes_carry():
    code = ExponentMantissa(4, 4, 10.0)
    x = np.random.default_rng(0).exponential(1.0, (5, 100)).astype(np.float32)
    spikes = code.encode(x)
    carried = code.payload(spikes)
    assert carried.shape == spikes.shape
    assert not carried[spikes == 0].any()
    assert not carried[:4].any()  # exponent spikes carry nothing
    np.testing.assert_array_equal(carried.sum(0), code.quantise(x))
    # Row E, step t of the table is what a sender with exponent E puts into its spike at t.
    E, t = code.exponent(spikes), 5
    np.testing.assert_array_equal(carried[t], code.graded_weights[E, t] * spikes[t])


def test_relative_error_is_bounded_by_the_mantissa():
    x = np.geomspace(2.0**-14, 1, 20_001).astype(np.float32)
    floor = ExponentMantissa(4, 4, 1.0).quantise(x)
    nearest = ExponentMantissa(4, 4, 1.0, rounding=True).quantise(x)
    assert ((x - floor) / x).min() >= 0
    assert ((x - floor) / x).max() < 1 / 8
    assert (np.abs(x - nearest) / x).max() <= 1 / 16


def test_silence_can_mean_zero():
    assert ExponentMantissa(4, 4, 1.0).count(0.0) == 4
    assert ExponentMantissa(4, 4, 1.0, silent_zero=True).count(0.0) == 0
    x = np.linspace(-1, 2, 1001)
    plain, silent = ExponentMantissa(4, 4, 1.0), ExponentMantissa(4, 4, 1.0, silent_zero=True)
    np.testing.assert_array_equal(plain.quantise(x), silent.quantise(x))


def test_larger_inputs_are_sent_as_the_scale():
    code = ExponentMantissa(4, 4, 10.0)
    np.testing.assert_array_equal(code.quantise([10.0, 11.0, np.inf]), 10.0)
    assert not code.linear


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 1.0), "exponent_bits must be a whole number of at least 1, got 0"),
        ((4, -1, 1.0), "mantissa_bits must be a whole number of at least 1, got -1"),
        ((4, 61, 1.0), r"at most 18 bits in all are supported, got 4 \+ 61"),
        ((4, 4, 0.0), "scale must be positive and finite, got 0"),
        ((4, 4, np.nan), "scale must be positive and finite, got nan"),
        ((8, 1, 1.0), "the smallest value, .*, is too small for float32"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ExponentMantissa(*arguments)


def test_refuses_bad_input():
    code = ExponentMantissa(4, 4, 1.0)
    with pytest.raises(ValueError, match="must not be NaN"):
        code.encode([np.nan])
    with pytest.raises(ValueError, match="has 8 time steps, got spikes of shape"):
        code.payload([0, 1])
