"""Distributions: the moments that textbooks give, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fsrepro.fitting import (
    Distribution,
    empirical,
    gaussian,
    laplace,
    lognormal,
    mixture,
    relu,
    uniform,
)


@pytest.mark.parametrize(
    "distribution, mean, variance",
    [
        (gaussian(-0.3, 1), -0.3, 1),
        (gaussian(2, 0.1), 2, 0.01),
        (laplace(1, 0.5), 1, 0.5),
        (lognormal(0, 1), np.exp(0.5), np.e * (np.e - 1)),
        (uniform(-1, 3), 1, 16 / 12),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_mean_and_variance(distribution, mean, variance):
    assert distribution.mean() == pytest.approx(mean, abs=1e-4)
    found = distribution.mean(lambda x: (x - mean) ** 2)
    assert found == pytest.approx(variance, rel=2e-4)
    assert distribution.weights.sum() == pytest.approx(1, abs=1e-12)


def test_weights_of_bins_are_exact_in_both_tails():
    d = gaussian(0, 1, points=1200)
    for edge in (-5.5, -3, 0, 3, 5.5):
        expected = stats.norm.cdf(edge)
        assert d.weights[d.points < edge].sum() == pytest.approx(expected, rel=1e-4, abs=2e-9)
    assert d.weights[-1] == pytest.approx(d.weights[0], rel=1e-6)


def test_rectified_gaussian_has_an_atom_at_zero():
    d = gaussian(-0.3, 1).map(relu)
    assert d.points[0] == 0
    assert d.weights[0] == pytest.approx(stats.norm.cdf(0.3), abs=3e-4)
    square = 1.09 * stats.norm.cdf(-0.3) - 0.3 * stats.norm.pdf(0.3)
    assert d.mean(np.square) == pytest.approx(square, rel=1e-4)
    assert "relu" in d.name


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60))
def test_empirical_has_the_moments_of_its_samples(samples):
    d = empirical(samples)
    assert d.mean() == pytest.approx(np.mean(samples), abs=1e-6)
    assert d.mean(np.square) == pytest.approx(np.mean(np.square(samples)), rel=1e-9, abs=1e-9)


def test_empirical_takes_any_shape_and_limits_its_points():
    samples = np.random.default_rng(0).normal(size=(100, 50, 4))
    d = empirical(samples, points=500)
    assert len(d.points) <= 500
    assert d.mean() == pytest.approx(samples.mean(), abs=1e-12)
    assert d.mean(np.square) == pytest.approx((samples**2).mean(), rel=1e-3)


def test_mixture_adds_weights_of_equal_points():
    d = mixture([(0.5, Distribution([0, 1], [0.5, 0.5])), (0.5, Distribution([1, 2], [0.2, 0.8]))])
    np.testing.assert_allclose(d.points, [0, 1, 2])
    np.testing.assert_allclose(d.weights, [0.25, 0.35, 0.4])


@given(st.integers(1, 300), st.integers(0, 10))
def test_thinning_keeps_total_and_mean(size, seed):
    rng = np.random.default_rng(seed)
    w = rng.random(200)
    d = Distribution(np.sort(rng.normal(size=200)), w / w.sum())
    thin = d.thin(size)
    assert len(thin.points) <= size
    assert thin.mean() == pytest.approx(d.mean(), abs=1e-12)
    assert thin.mean(np.square) <= d.mean(np.square) + 1e-12


@pytest.mark.parametrize("size", [3, 10, 500])
def test_thinning_keeps_the_extremes(size):
    x = np.random.default_rng(0).standard_t(3, 20_000)
    x[7] = 1000.0
    thin = empirical(x, points=size)
    assert (thin.points[0], thin.points[-1]) == (x.min(), 1000.0)
    assert thin.weights[-1] == pytest.approx(1 / len(x))


def test_thinning_is_finest_where_it_matters():
    thin = gaussian(0, 1).thin(200)
    gap = np.diff(thin.points)
    middle = np.abs(thin.points[:-1]) < 1
    assert gap[middle].max() < gap[~middle].min() * 1.5
    assert thin.mean(np.square) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: empirical([]), "samples must be a list of at least one number"),
        (lambda: empirical([1, np.nan, np.inf]), "2 of 3 are NaN or infinite"),
        (lambda: Distribution([], []), "points must be a list of at least one number"),
        (lambda: Distribution([0, np.nan], [0.5, 0.5]), "points must be finite; 1 of 2"),
        (lambda: Distribution([0, 1], [0.5, 0.6]), "weights must sum to 1, got a sum of 1.1"),
        (lambda: Distribution([0, 1], [1.5, -0.5]), "weights must not be negative, got -0.5"),
        (lambda: Distribution([0, 0], [0.5, 0.5]), "points must be strictly increasing"),
        (lambda: Distribution([0, 1], [1]), "one weight per point is needed, got 1 for 2"),
        (lambda: gaussian(0, 0), "std must be positive and finite, got 0"),
        (lambda: gaussian(np.nan, 1), "mean must be finite, got nan"),
        (lambda: laplace(0, -1), "scale must be positive and finite, got -1"),
        (lambda: uniform(1, 1), "low must be below high, got 1 and 1"),
        (lambda: mixture([]), "at least one"),
        (lambda: mixture([(0.5, uniform(0, 1))]), r"sum to 1, got \[0.5\]"),
        (lambda: uniform(0, 1).thin(0), "size must be at least 1, got 0"),
        (lambda: uniform(0, 1).map(lambda x: x[:3]), r"got shape \(3,\) for \(8192,\)"),
        (lambda: uniform(0, 1).map(lambda x: x * np.inf), "with NaN or infinity"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_tables_are_frozen():
    d = uniform(0, 1)
    with pytest.raises(ValueError, match="read-only"):
        d.weights[0] = 1
    assert relu(np.array([-1.0, 2.0])).tolist() == [0, 2]
