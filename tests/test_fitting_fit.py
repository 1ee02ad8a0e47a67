"""Fitting: exact where it can be checked by brute force, reproducible, and good enough."""

import numpy as np
import pytest

from fsrepro.codes import SpikeCode, mixed_radix, published
from fsrepro.fitting import (
    empirical,
    fit,
    gaussian,
    measure,
    mixed_radix_of,
    mixture,
    relu,
    uniform,
)

kernels = pytest.importorskip("fsrepro.fitting._kernels", reason="needs numba")

SOURCE = gaussian(0, 1.5)
SAFE = mixture([(0.997, SOURCE), (0.003, uniform(-8, 8))])


def silu(x):
    return x / (1 + np.exp(-x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def quick(f, steps, distribution, **options):
    return fit(f, steps, distribution, **{"seconds": 0.2} | options)


def objective(code, f, distribution, penalty=0.0):
    m = measure(code, f, distribution)
    return m.mse + penalty * m.spikes


def room(steps):
    table = np.empty((steps + 1, kernels.MAX_PIECES))
    return table, table.copy(), table.copy(), np.empty(steps + 1, np.int64)


@pytest.mark.parametrize("penalty", [0.0, 0.02])
def test_one_step_is_fitted_exactly(penalty):
    rng = np.random.default_rng(3)
    x = np.sort(rng.normal(size=60))
    source = empirical(x)
    best = min(
        (np.square(f := np.sin(x)).sum() - f[k:].sum() ** 2 / (60 - k)) / 60
        + penalty * (60 - k) / 60
        for k in range(60)
    )
    code = quick(np.sin, 1, source, spike_penalty=penalty, seconds=0.01)
    assert objective(code, np.sin, source, penalty) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_never_raises_the_objective(seed):
    rng = np.random.default_rng(seed)
    thin = SAFE.thin(300)
    x, w, f = thin.points.copy(), thin.weights.copy(), silu(thin.points)
    T, h, d = rng.uniform(-1, 3, (3, 6))
    before = objective(SpikeCode(T, h, d), silu, thin, 1e-3)
    for _ in range(4):
        tries = np.column_stack([h, d, rng.uniform(-1, 4, (6, 5))])
        assert kernels.sweep(x, f, w, T, h, d, 1e-3, tries, room(6)) > 0
        finite = np.where(np.isfinite(T), T, 1e9)
        after = objective(SpikeCode(finite, h, d), silu, thin, 1e-3)
        assert after <= before + 1e-6
        before = after


def test_compiled_suffix_is_the_neuron():
    rng = np.random.default_rng(0)
    T, h, d = (np.float32(rng.uniform(-1, 3, 7)).astype(float) for _ in range(3))
    start, value, count, pieces = room(7)
    assert kernels.compile_suffixes(T, h, d, -9.0, 9.0, start, value, count, pieces)
    x = rng.uniform(-9, 9, 2000)
    for t in (0, 3, 6):
        code = SpikeCode(T[t:], h[t:], d[t:])
        i = np.searchsorted(start[t, : pieces[t]], x, side="right") - 1
        same = np.isclose(value[t, i], code.quantise(x), atol=1e-5)
        assert same.mean() > 0.998  # float32 may fall on the other side of a breakpoint
        assert (count[t, i] == code.count(x))[same].all()


def test_hopeless_tables_are_given_up():
    """2^16 different sums of powers of two are more pieces than a sweep will follow."""
    d = np.exp2(-np.arange(16.0))
    x = np.linspace(0, 2, 50)
    work = kernels.sweep(x, x, x / x.sum(), d.copy(), d.copy(), d.copy(), 0.0, d[:, None], room(16))
    assert work == 0


def test_same_seed_same_code():
    first, again = (quick(silu, 6, SAFE, seed=5) for _ in range(2))
    assert first == again
    assert first != quick(silu, 6, SAFE, seed=6)


def test_eight_steps_beat_the_published_sixteen():
    code = quick(silu, 8, SAFE, seconds=2.0)
    assert measure(code, silu, SOURCE).mse < 2.2e-3 < measure(published.silu(), silu, SOURCE).mse
    tails = measure(code, silu, uniform(-8, 8))
    assert tails.max_error < 1.5
    assert tails.mse < 0.05


def test_sigmoid_beats_the_published_table_in_both_respects():
    found = measure(quick(sigmoid, 12, SAFE, spike_penalty=1e-4, seconds=2.0), sigmoid, SOURCE)
    theirs = measure(published.sigmoid(), sigmoid, SOURCE)
    assert found.mse < theirs.mse / 2
    assert found.spikes < theirs.spikes / 1.7


def test_a_penalty_saves_spikes_and_costs_error():
    free, dear = (
        measure(quick(silu, 8, SAFE, spike_penalty=p, seconds=1.0), silu, SOURCE) for p in (0, 5e-3)
    )
    assert dear.spikes < 0.6 * free.spikes
    assert dear.mse > free.mse


def test_a_start_is_only_improved_on():
    source, penalty = gaussian(-0.3, 1), 1e-3
    start = mixed_radix_of(6).best(source, price=penalty).code
    code = quick(relu, 6, source, spike_penalty=penalty, start=start, seconds=1.0)
    assert objective(code, relu, source, penalty) < objective(start, relu, source, penalty)


def test_unused_steps_stay_silent():
    code = quick(relu, 5, empirical([0.0, 1.0]))
    np.testing.assert_allclose(code.quantise([0.0, 1.0]), [0, 1], atol=1e-6)
    assert code.count([1e6]) <= 5


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 64, got 0"),
        ({"steps": -1}, "got -1"),
        ({"steps": 65}, "got 65"),
        ({"steps": np.inf}, "got inf"),
        ({"spike_penalty": -1.0}, "spike_penalty must be finite and at least 0, got -1.0"),
        ({"spike_penalty": np.nan}, "got nan"),
        ({"spike_penalty": np.inf}, "got inf"),
        ({"seconds": 0}, "seconds must be positive and finite, got 0"),
        ({"seconds": np.nan}, "seconds must be positive and finite, got nan"),
        ({"start": mixed_radix((3,), 1)}, "start must have at most 2 steps and no max_spikes"),
        ({"f": lambda x: x[:2]}, "f must return one finite number per point"),
        ({"f": lambda x: x * np.nan}, "with NaN or infinity"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**{"f": silu, "steps": 2, "distribution": SOURCE} | options)
