"""A front: what is kept, and which candidate each criterion takes."""

import numpy as np
import pandas as pd
import pytest

from fsrepro.codes import binary, mixed_radix
from fsrepro.fitting import Designer, Front, empirical, gaussian, given, scaled, with_soma


def front(*rows, power=1.0):
    table = pd.DataFrame(rows, columns=["mse", "spikes"])
    return Front(table.assign(code=[binary(2, 1.0)] * len(rows), scale=np.arange(len(rows))), power)


ROWS = [(0.5, 0.1), (0.2, 0.3), (0.3, 0.3), (0.2, 0.4), (0.05, 0.8), (0.05, 0.8), (0.6, 0.9)]


def test_only_candidates_that_none_beats_are_kept_by_rising_spikes():
    found = front(*ROWS)
    assert list(found.table["scale"]) == [0, 1, 4]
    assert [(c.mse, c.spikes) for c in found] == [(0.5, 0.1), (0.2, 0.3), (0.05, 0.8)]
    assert len(found) == 3


@pytest.mark.parametrize("seed", range(20))
def test_choices_are_the_best_of_all_rows(seed):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.01, 1, (50, 2))
    found, power = front(*rows, power=2.0), 2.0
    for snr in (4.0, 8.0, 12.0):
        reach = rows[rows[:, 0] <= power / 10 ** (snr / 10)]
        assert found.choose(snr=snr).spikes == reach[:, 1].min()
    for price in (0.0, 0.1, 3.0):
        best = found.choose(price=price)
        assert best.mse + price * best.spikes == pytest.approx((rows @ [1, price]).min())
        assert found.choose(penalty=price / power) == best
    assert found.choose(price=np.inf).spikes == rows[:, 1].min()


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ({}, "exactly one of snr, penalty and price, got none"),
        ({"snr": 20, "price": 1}, "got snr=20 and price=1"),
        ({"snr": np.nan}, "snr must be finite, in dB, got nan"),
        ({"penalty": -1}, "penalty must be finite and at least 0, got -1"),
        ({"penalty": np.inf}, "got inf"),
        ({"price": -0.5}, "price must be at least 0, got -0.5"),
        ({"price": np.nan}, "price must be at least 0, got nan"),
        ({"snr": 60}, r"no code tried reaches 60 dB; the best has 13\.0 dB"),
    ],
)
def test_bad_criteria(criterion, message):
    with pytest.raises(ValueError, match=message):
        front(*ROWS).choose(**criterion)


def test_a_front_needs_a_candidate():
    with pytest.raises(ValueError, match="needs at least one candidate"):
        front()


def test_designers_take_samples_and_distributions_alike():
    x = np.random.default_rng(0).normal(-0.3, 1, 3000).astype(np.float32)
    designer = scaled(lambda a: binary(5, a))
    of_samples, of_distribution = designer(x), designer(empirical(x))
    assert of_samples.table["mse"].equals(of_distribution.table["mse"])
    assert designer.best(x, snr=15) == designer.best(empirical(x, points=len(x)), snr=15)
    with pytest.raises(ValueError, match="got snr=15 and penalty=0"):
        designer(x, snr=15, penalty=0)


def test_a_code_that_is_given_is_measured():
    code, source = mixed_radix((1, 3), 3.0), gaussian(0, 1)
    (only,) = given(code)(source)
    assert only.code is code
    assert only.spikes == pytest.approx(source.weights @ code.count(source.points))


def test_a_designer_is_one_function():
    @Designer
    def halves(source, **criterion):
        table = pd.DataFrame({"code": [binary(1, 1.0)], "scale": 1.0, "mse": 0.25, "spikes": 0.5})
        return Front(table, source.mean(np.square))

    assert halves.best(np.ones(4), penalty=0.0).code == binary(1, 1.0)


def test_a_soma_shifts_what_its_code_writes():
    x = np.random.default_rng(1).normal(0, 2, 4000).astype(np.float32)
    found = with_soma(scaled(lambda a: binary(6, a, rounding=True)), "silu")(x)
    y = x / (1 + np.exp(-x.astype(float)))
    for candidate in list(found)[:: max(1, len(found) // 5)]:
        error = np.mean((candidate.code.quantise(x) - y) ** 2)
        assert candidate.mse == pytest.approx(error, rel=0.05, abs=1e-6)
        assert candidate.code.soma and candidate.code.activation == "silu"
    of_distribution = with_soma(scaled(lambda a: binary(6, a, rounding=True)), "silu")(empirical(x))
    assert of_distribution.power == pytest.approx(found.power)
