"""Codes of every kind designed for one SNR: they reach it, and stay above the bound."""

from functools import partial

import numpy as np
import pytest

from fsrepro.codes import (
    ExponentMantissa,
    binary,
    entropy,
    fewest_spikes_words,
    huffman_words,
    leading_one,
    level_probability,
    mixed_radix,
    rate,
)
from fsrepro.fitting import (
    bound,
    compare,
    empirical,
    fitted_to,
    gaussian,
    lognormal,
    mixed_radix_of,
    relu,
    scaled,
    words_of,
)

SOURCE = gaussian(-0.3, 1)
KINDS = {
    "rate": scaled(lambda a: rate(64, a, rounding=True)),
    "binary": scaled(*(lambda a, K=K: binary(K, a, rounding=True) for K in range(4, 9))),
    "mixed radix": mixed_radix_of(8),
    "float": scaled(lambda a: ExponentMantissa(2, 6, a, rounding=True, silent_zero=True)),
    "Huffman": words_of(huffman_words, name="Huffman"),
    "fewest spikes": words_of(lambda p: fewest_spikes_words(p, 8), name="fewest spikes"),
    "fitted": fitted_to(8, seconds=0.5),
}


@pytest.fixture(scope="module")
def table():
    return compare(KINDS, SOURCE, 25.0).set_index("kind")


def test_every_kind_reaches_the_snr_and_none_beats_the_bound(table):
    assert list(table.index) == list(KINDS)
    assert table["snr"].between(25, 26.5).all()
    assert (table["ratio_to_bound"] > 1).all()
    for row in table.itertuples():
        lowest = bound(SOURCE.map(relu), row.steps, row.snr)
        assert row.bound == pytest.approx(lowest, rel=1e-3)
        assert row.ratio_to_bound == pytest.approx(row.spikes / row.bound)


def test_order_of_the_kinds(table):
    spikes = table["spikes"]
    assert spikes["mixed radix"] == mixed_radix_of(8).best(SOURCE, snr=25).spikes
    assert spikes["fitted"] <= spikes["mixed radix"] < spikes["binary"] < spikes["rate"]
    # Of all codes that round to these levels; a dead zone makes other cells, of fewer spikes still.
    families = [partial(mixed_radix, digits) for digits in ((8,), (1, 7), (2, 6), (1, 1, 6))]
    rounding = scaled(*families).best(SOURCE, snr=25).spikes
    assert spikes["fewest spikes"] < rounding
    assert spikes["mixed radix"] < rounding


def test_words(table):
    row = table.loc["Huffman"]
    assert not row["linear"]
    assert row["entropy"] <= row["mean_latency"] < row["entropy"] + 1.05  # a little for the floor
    assert row["steps"] <= 14
    assert table.loc["fewest spikes", "mean_latency"] == pytest.approx(8)
    assert table["entropy"].isna().sum() == 4
    assert table["linear"].sum() == 4


def test_a_kind_that_cannot_reach_the_snr_says_so():
    table = compare({"one spike": scaled(lambda a: leading_one(8, a, spikes=1))}, SOURCE, 30.0)
    assert table["spikes"].isna().all()
    assert "no code tried reaches 30 dB" in table.loc[0, "code"]


def test_scaled_takes_the_family_of_fewest_spikes():
    poor, good = (lambda a: binary(8, a)), (lambda a: binary(6, a, rounding=True))
    spikes = [compare({"": scaled(*f)}, SOURCE, 20.0)["spikes"][0] for f in ((poor,), (poor, good))]
    assert spikes[1] < spikes[0]


def test_heavy_tails_and_recorded_samples():
    samples = np.random.default_rng(0).gamma(0.5, 2, 20_000) - 0.3
    for source in (lognormal(0, 1), empirical(samples)):
        table = compare({k: KINDS[k] for k in ("mixed radix", "Huffman")}, source, 20.0)
        assert (table["snr"] >= 20).all()
        assert (table["ratio_to_bound"] > 1).all()


def test_rarest_bounds_the_longest_word():
    longest = [
        compare({"": words_of(huffman_words, rarest=rarest, name="")}, SOURCE, 30.0)["steps"][0]
        for rarest in (2**-8, 2**-20)
    ]
    assert longest[0] < longest[1]


def test_words_are_made_from_the_probabilities_of_their_levels():
    x = np.repeat(np.float32([0, 1, 2, 4]), [8, 4, 2, 2])
    code = words_of(huffman_words, rarest=1e-9, name="").best(empirical(x), snr=40.0).code
    p = level_probability(code.levels, x)
    assert sorted(p[p > 0]) == [0.125, 0.125, 0.25, 0.5]
    # Levels that never occur hang on one of the rarest words, which grows by one step.
    assert code.mean_latency(p) == pytest.approx(entropy(p) + 0.125)
