"""Prefix codes over the levels of a quantiser: look-up, decoding, and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrepro.codes import (
    PrefixCode,
    fewest_spikes_words,
    huffman_words,
    letter_cost_words,
    level_probability,
    uniform_levels,
)
from fsrepro.codes.prefix_code import midpoints


def around(x):
    return np.concatenate([np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.inf)])


def verify(code, x):
    """``quantise`` and ``count`` against the words themselves."""
    spikes = code.encode(x)
    assert spikes.shape == (code.steps, *x.shape)
    assert spikes.dtype == np.uint8
    y = code.decode(spikes)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(code.quantise(x), y)
    np.testing.assert_array_equal(code.count(x), spikes.sum(0))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40, unique=True),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["huffman", "costs", "fewest"]),
)
def test_round_trip(levels, seed, kind):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(len(levels), 0.7))
    words = {
        "huffman": lambda: huffman_words(p),
        "costs": lambda: letter_cost_words(p, spike_cost=rng.uniform(0, 4)),
        "fewest": lambda: fewest_spikes_words(p, 6),
    }[kind]()
    code = PrefixCode(words, np.unique(np.float32(levels)))
    np.testing.assert_array_equal(code.quantise(code.levels), code.levels)
    x = np.concatenate([rng.normal(0, 1e6, 50).astype(np.float32), around(code.breakpoints)])
    verify(code, x.reshape(1, -1))


@pytest.mark.parametrize("count", [1, 2, 17, 256, 4096])
def test_look_up_equals_the_words(count):
    levels = uniform_levels(count, 6.0)
    x = np.random.default_rng(count).normal(-0.3, 2.0, 100_000).astype(np.float32)
    code = PrefixCode(huffman_words(level_probability(levels, x)), levels)
    verify(code, np.concatenate([x, around(code.breakpoints), [-np.inf, np.inf, -0.0]]))


def test_goes_to_the_nearest_level_and_halves_upwards():
    code = PrefixCode(["0", "10", "11"], [0.0, 1.0, 4.0])
    np.testing.assert_array_equal(code.quantise([-9, 0.49, 0.5, 2.49, 2.5, 99]), [0, 0, 1, 1, 4, 4])
    assert midpoints([0.0, 1.0, 4.0]).tolist() == [0.5, 2.5]


def test_given_breakpoints_are_kept():
    code = PrefixCode(["0", "1"], [0.0, 1.0], [0.9])
    np.testing.assert_array_equal(code.quantise([0.8, 0.9]), [0, 1])


def test_latency_spikes_and_size_of_the_decoder():
    code = PrefixCode(["0", "10", "11"], [0, 1, 2])
    p = [0.5, 0.25, 0.25]
    assert code.mean_latency(p) == 1.5
    assert code.mean_spikes(p) == 0.75
    assert code.worst_latency == code.steps == 2
    assert code.decoder_states == 2
    assert code.lengths.tolist() == [1, 2, 2]
    assert not code.linear


def test_a_single_level_needs_no_spikes_and_no_time():
    code = PrefixCode([""], [3.0])
    assert (code.steps, code.worst_latency, code.decoder_states) == (1, 0, 0)
    np.testing.assert_array_equal(code.encode([1.0, 2.0]), [[0, 0]])
    verify(code, np.float32([-1, 0, 7]))


def test_uniform_levels_have_the_step_of_the_binary_code():
    np.testing.assert_array_equal(uniform_levels(8, 4.0), np.arange(8) / 2)


def test_level_probability_counts_the_nearest():
    np.testing.assert_array_equal(level_probability([0, 1, 2], [0.4, 0.5, 0.6, -3]), [0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("words", "levels", "message"),
    [
        (["0", "01"], [0, 1], "word '01' and another word begin alike: not prefix-free"),
        (["01", "0"], [0, 1], "word '0' and another word begin alike"),
        (["1", "1"], [0, 1], "word '1' and another word begin alike"),
        (["0", "2"], [0, 1], "words must be strings of 0 and 1, got '2'"),
        (["0", "1"], [0], "L levels need L words and L - 1 breakpoints, got 1, 2 and 0"),
        ([], [], "L levels need L words"),
        (["0", "1"], [1, 1], "levels must be finite and strictly increasing"),
        (["0", "1"], [0, np.nan], "levels must be finite"),
        (["0" * 65, "1"], [0, 1], "at most 64 time steps are supported, got 65"),
    ],
)
def test_refuses_what_is_not_a_prefix_code(words, levels, message):
    with pytest.raises(ValueError, match=message):
        PrefixCode(words, levels)


def test_refuses_what_is_not_a_word():
    code = PrefixCode(["0", "10", "110"], [0, 1, 2], name="toy")
    with pytest.raises(ValueError, match="2 of 3 spike trains are no words of 'toy'"):
        code.decode([[0, 1, 1], [0, 1, 0], [1, 1, 0]])  # a late spike, 111, and the word 10
    with pytest.raises(ValueError, match="code 'toy' has 3 time steps, got spikes of shape"):
        code.decode([[0], [1]])
    with pytest.raises(ValueError, match="spikes must be 0 or 1"):
        code.decode([2, 0, 0])
    for method in (code.encode, code.quantise, code.count):
        with pytest.raises(ValueError, match="must not be NaN"):
            method([np.nan])


def test_refuses_bad_quantisers():
    for count in (0, -1, 1.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"count must be a whole .* at least 1, got {count}"):
            uniform_levels(count, 1.0)
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        uniform_levels(4, 0.0)
    with pytest.raises(ValueError, match="at least one value and one level, got 0 and 2"):
        level_probability([0, 1], [])
    with pytest.raises(ValueError, match="at least one value and one level, got 1 and 0"):
        level_probability([], [0.5])
    with pytest.raises(ValueError, match="levels must be finite and strictly increasing"):
        level_probability([1, 0], [0.5])
    with pytest.raises(ValueError, match="must not be NaN"):
        level_probability([0, 1], [np.nan])
    with pytest.raises(ValueError, match="breakpoints must be finite"):
        PrefixCode(["0", "1"], [0, 1], [np.nan])


def test_refuses_what_is_not_a_distribution_of_its_levels():
    code = PrefixCode(["0", "1"], [0, 1])
    for mean in (code.mean_latency, code.mean_spikes):
        with pytest.raises(ValueError, match="a list of 2 numbers, got shape"):
            mean([1.0])
        with pytest.raises(ValueError, match=r"must sum to 1, got 1\.1"):
            mean([0.5, 0.6])
