"""Huffman's words, words with priced letters, and words with the fewest spikes."""

from functools import cache
from itertools import pairwise, permutations, product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsrepro.codes import (
    entropy,
    fewest_spikes_words,
    huffman_words,
    letter_cost_words,
    letter_costs,
)

weights = st.lists(st.integers(0, 1000), min_size=2, max_size=60).filter(any)
COSTS = [0.0, 0.5, 0.7, 1.0, np.sqrt(2), 2.0, 3.0, 10.0]


def distribution(weights):
    return np.array(weights) / np.sum(weights)


def kraft(words):
    return sum(2.0 ** -len(word) for word in words)


def prefix_free(words):
    ordered = sorted(words)
    return not any(b.startswith(a) for a, b in pairwise(ordered))


@cache
def all_trees(leaves):
    """The words of every binary tree with so many leaves."""
    if leaves == 1:
        return [("",)]
    return [
        tuple("0" + w for w in left) + tuple("1" + w for w in right)
        for n in range(1, leaves)
        for left, right in product(all_trees(n), all_trees(leaves - n))
    ]


def word_cost(words, p, *, spike_cost):
    return p @ [len(word) + spike_cost * word.count("1") for word in words]


def cheapest_tree(p, spike_cost):
    """By trying every tree; in each, the cheaper words go to the more probable levels."""
    descending = np.sort(p)[::-1]
    costs = [sorted(len(w) + spike_cost * w.count("1") for w in tree) for tree in all_trees(len(p))]
    return (np.array(costs) @ descending).min()


@settings(max_examples=150, deadline=None)
@given(weights)
def test_huffman_is_complete_prefix_free_and_within_a_bit_of_the_entropy(weights):
    p = distribution(weights)
    words = huffman_words(p)
    mean = word_cost(words, p, spike_cost=0.0)
    assert prefix_free(words)
    assert kraft(words) == pytest.approx(1)
    if all(weights):
        assert entropy(p) - 1e-9 <= mean < entropy(p) + 1
    else:
        assert entropy(p) - 1e-9 <= mean <= entropy(p) + 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=8).filter(any))
def test_huffman_is_the_shortest_of_all_trees(weights):
    p = distribution(weights)
    shortest = cheapest_tree(p, spike_cost=0.0)
    assert word_cost(huffman_words(p), p, spike_cost=0.0) == pytest.approx(shortest)


def test_huffman_lengths_of_a_dyadic_distribution():
    assert huffman_words([0.5, 0.25, 0.125, 0.125]) == ["0", "10", "110", "111"]


@settings(max_examples=60, deadline=None)
@given(weights)
def test_the_less_probable_branch_begins_with_a_spike(weights):
    p = distribution(weights)
    words = huffman_words(p)
    for prefix in {word[:n] for word in words for n in range(len(word))}:
        silent, spike = (
            sum(q for q, word in zip(p, words, strict=True) if word.startswith(prefix + letter))
            for letter in "01"
        )
        assert silent >= spike - 1e-12


@pytest.mark.parametrize("spike_cost", COSTS)
@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_priced_letters_against_every_tree(size, spike_cost):
    rng = np.random.default_rng(size)
    for spread in (0.3, 1.0, 5.0):
        p = rng.dirichlet(np.full(size, spread))
        words = letter_cost_words(p, spike_cost=spike_cost)
        assert prefix_free(words)
        assert kraft(words) == pytest.approx(1)
        expected = cheapest_tree(p, spike_cost)
        assert word_cost(words, p, spike_cost=spike_cost) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(weights, st.floats(0, 20), st.integers(1, 50))
def test_priced_letters_are_never_worse_than_huffman(weights, spike_cost, width):
    p = distribution(weights)
    with mock.patch.object(letter_costs, "_WIDTH", width):
        words = letter_cost_words(p, spike_cost=spike_cost)
    cost = word_cost(words, p, spike_cost=spike_cost)
    assert prefix_free(words)
    assert cost <= word_cost(huffman_words(p), p, spike_cost=spike_cost) + 1e-9


@pytest.mark.parametrize("spike_cost", [1.0, np.sqrt(2), 5.0])
def test_4096_levels_cost_within_half_a_percent_of_the_entropy_bound(spike_cost):
    p = np.exp(-np.arange(4096) / 200.0)
    p /= p.sum()
    rate = np.linspace(0.01, 1, 100_001)  # 2^-rate + 2^-(rate (1 + spike_cost)) = 1
    rate = rate[np.argmin(np.abs(2**-rate + 2 ** (-rate * (1 + spike_cost)) - 1))]
    words = letter_cost_words(p, spike_cost=spike_cost)
    assert len(words) == 4096
    assert prefix_free(words)
    bound = entropy(p) / rate
    assert 0.999 * bound < word_cost(words, p, spike_cost=spike_cost) < 1.005 * bound
    assert word_cost(huffman_words(p), p, spike_cost=spike_cost) > 1.02 * bound


@pytest.mark.parametrize("make", [huffman_words, lambda p: letter_cost_words(p, spike_cost=1.0)])
def test_degenerate_alphabets(make):
    assert make([1.0]) == [""]
    assert sorted(make([1.0, 0.0])) == ["0", "1"]
    assert make([1.0, 0.0])[0] == "0"
    rare = make([1.0] + [0.0] * 4095)
    assert len(rare[0]) == 1
    assert len(set(rare)) == 4096
    assert prefix_free(rare)
    assert max(map(len, rare)) <= 64


@pytest.mark.parametrize("steps", [3, 4])
def test_fewest_spikes_against_every_assignment(steps):
    p = np.random.default_rng(steps).dirichlet(np.ones(5))
    spikes = sorted(word.count("1") for word in map("".join, product("01", repeat=steps)))
    best = min(p @ np.array(order) for order in permutations(spikes[:5]))
    words = fewest_spikes_words(p, steps)
    assert {len(word) for word in words} == {steps}
    assert len(set(words)) == 5
    assert p @ [word.count("1") for word in words] == pytest.approx(best)


def test_fewest_spikes_of_all_words():
    words = fewest_spikes_words(np.full(16, 1 / 16), 4)
    assert sorted(words) == sorted(map("".join, product("01", repeat=4)))
    assert fewest_spikes_words([0.2, 0.5, 0.3], 64)[1] == "0" * 64


@pytest.mark.parametrize(
    "make",
    [
        entropy,
        huffman_words,
        lambda p: letter_cost_words(p, spike_cost=1.0),
        lambda p: fewest_spikes_words(p, 4),
    ],
)
@pytest.mark.parametrize(
    ("probability", "message"),
    [
        ([0.5, 0.6], "probabilities must sum to 1, got 1.1; divide by the sum"),
        ([1.5, -0.5], "probabilities must be finite and not negative, got -0.5"),
        ([np.nan, 1.0], "probabilities must be finite and not negative, got nan"),
        ([], "probability must be a list of .* numbers, got shape"),
        ([[1.0]], "probability must be a list"),
    ],
)
def test_refuses_what_is_not_a_distribution(make, probability, message):
    with pytest.raises(ValueError, match=message):
        make(probability)


@pytest.mark.parametrize(
    ("spike_cost", "message"),
    [
        (np.inf, "spike_cost must be finite and not negative, got inf"),
        (np.nan, "spike_cost must be finite and not negative, got nan"),
        (-1.0, "spike_cost must be finite and not negative, got -1"),
    ],
)
def test_refuses_bad_prices(spike_cost, message):
    with pytest.raises(ValueError, match=message):
        letter_cost_words([0.5, 0.5], spike_cost=spike_cost)


def test_refuses_more_levels_than_words_and_too_many_steps():
    with pytest.raises(ValueError, match="2 time steps have 4 words, got 5 levels"):
        fewest_spikes_words(np.full(5, 0.2), 2)
    with pytest.raises(ValueError, match="steps must be a whole number from 1 to 64, got 65"):
        fewest_spikes_words([1.0], 65)
