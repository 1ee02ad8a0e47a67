"""Signed binary against the definition of the non-adjacent form."""

from itertools import product

import numpy as np
import pytest

from fsrepro.codes import signed_binary


def digits(code, n):
    """The signed digits of level n, the most significant first."""
    plus, minus = np.array([int(z) for z in code.words[n]]).reshape(-1, 2).T
    return plus - minus


@pytest.mark.parametrize("bits", [1, 4, 6])
def test_words_are_the_non_adjacent_form(bits):
    code = signed_binary(bits, 1.0)
    assert code.steps == 2 * (bits + 1)
    place = 2 ** np.arange(bits, -1, -1)
    for n in range(2**bits):
        s = digits(code, n)
        assert s @ place == n
        assert not np.any(s[1:] * s[:-1])


def test_no_signed_word_has_fewer_spikes():
    code = signed_binary(4, 1.0)
    fewest = {}
    for s in product((-1, 0, 1), repeat=5):
        n = int(np.dot(s, 2 ** np.arange(4, -1, -1)))
        fewest[n] = min(fewest.get(n, 9), sum(map(abs, s)))
    assert code.spike_counts.tolist() == [fewest[n] for n in range(16)]


def test_seven_is_eight_minus_one():
    code = signed_binary(3, 8.0)
    assert code.words[7] == "10" + "00" + "00" + "01"
    assert code.count(7.0) == 2


def test_rounds_to_the_nearest_level_halves_upwards():
    code = signed_binary(3, 8.0)
    x = np.float32([-1, 0.49, 0.5, 1.5, 2.49, 6.5, 7.4, 100, np.inf])
    np.testing.assert_array_equal(code.quantise(x), [0, 0, 1, 2, 2, 7, 7, 7, 7])
    np.testing.assert_array_equal(code.decode(code.encode(x)), code.quantise(x))
    np.testing.assert_array_equal(code.encode(x).sum(0), code.count(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.0), "bits must be a whole number from 1 to 18, got 0"),
        ((19, 1.0), "bits must be a whole number from 1 to 18, got 19"),
        ((4, np.inf), "scale must be positive and finite, got inf"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        signed_binary(*arguments)
