"""The stored tables are as good as they claim, and better than the published ones."""

import numpy as np
import pytest

from fsrepro.codes import fitted, published
from fsrepro.fitting import gaussian, measure

SOURCE = gaussian(0, 1.5)
F = np.float32


def silu(x):
    return x / (1 + np.exp(-x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


TARGETS = [  # function, K, mean squared error and spikes to reach
    (silu, 8, 1.8e-3, 8),
    (silu, 16, 3e-4, 2.6),
    (sigmoid, 12, 1e-4, 1.6),
]


def code_of(f, steps):
    return getattr(fitted, f.__name__)(steps)


@pytest.mark.parametrize("f, steps, mse, spikes", TARGETS)
def test_error_and_spikes(f, steps, mse, spikes):
    found = measure(code_of(f, steps), f, SOURCE)
    assert found.mse <= mse
    assert found.spikes <= spikes
    stored = fitted.details(f.__name__, steps)["measured"]
    assert found.mse == pytest.approx(stored["mse"], rel=1e-4)
    assert found.spikes == pytest.approx(stored["spikes"], abs=1e-5)


def test_published_tables_are_beaten():
    old, new = (measure(code, silu, SOURCE) for code in (published.silu(), fitted.silu(16)))
    assert old.mse > 8 * new.mse
    old, new = (measure(c, sigmoid, SOURCE) for c in (published.sigmoid(), fitted.sigmoid(12)))
    assert old.mse > 3 * new.mse
    assert old.spikes > 2 * new.spikes


@pytest.mark.parametrize("f, steps, mse, spikes", TARGETS)
def test_look_up_is_the_time_step_loop(f, steps, mse, spikes):
    code = code_of(f, steps)
    at = np.concatenate([code.staircase.breakpoint, code.threshold[np.abs(code.threshold) < 100]])
    x = np.concatenate(
        [
            np.nextafter(at, F(-np.inf)), at, np.nextafter(at, F(np.inf)),
            np.random.default_rng(0).uniform(-12, 12, 20_000).astype(F),
        ]
    )  # fmt: skip
    spikes = code.encode(x)
    assert (code.quantise(x) == code.decode(spikes)).all()
    assert (code.count(x) == spikes.sum(0)).all()


def test_tables_that_do_not_exist():
    known = "there are sigmoid 12, silu 8, silu 16"
    with pytest.raises(ValueError, match=f"no fitted table for 'silu' with 9 steps; {known}"):
        fitted.silu(9)
    with pytest.raises(ValueError, match="no fitted table for 'tanh' with 8 steps"):
        fitted.details("tanh", 8)
