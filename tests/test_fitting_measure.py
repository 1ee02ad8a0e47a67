"""Error and spikes of a code, against integrals done another way."""

import numpy as np
import pytest
from scipy import integrate, stats

from fsrepro.codes import binary, mixed_radix, published
from fsrepro.fitting import Distribution, gaussian, measure, relu, snr, uniform


def test_uniform_source_has_the_textbook_error():
    lsb = 1 / 16
    floor = measure(binary(4, 1), relu, uniform(0, 1))
    assert floor.mse == pytest.approx(lsb**2 / 3, rel=1e-4)
    assert floor.spikes == pytest.approx(2)
    assert floor.max_error == pytest.approx(lsb, rel=0.01)
    rounded = measure(binary(4, 1, rounding=True), relu, uniform(0, 1 - lsb / 2))
    assert rounded.mse == pytest.approx(lsb**2 / 12, rel=1e-3)
    assert floor.snr == pytest.approx(10 * np.log10((1 / 3) / (lsb**2 / 3)), abs=1e-3)


@pytest.mark.parametrize("code", [mixed_radix((1, 1, 6), 2.2), published.silu()])
def test_midpoint_rule_agrees_with_integrals_over_the_pieces(code):
    law, stairs = stats.norm(-0.3, 1), code.staircase
    edges = np.clip(np.concatenate([[-6.3], stairs.breakpoint, [5.7]]), -6.3, 5.7)
    spikes = stairs.count.astype(float) @ np.diff(law.cdf(edges))
    mse = sum(
        integrate.quad(lambda x, y=y: law.pdf(x) * (max(x, 0) - y) ** 2, a, b)[0]
        for a, b, y in zip(edges[:-1], edges[1:], stairs.value.astype(float), strict=True)
    )
    found = measure(code, relu, gaussian(-0.3, 1))
    assert found.mse == pytest.approx(mse, rel=2e-3)
    assert found.spikes == pytest.approx(spikes, abs=1e-3)


def test_any_object_with_quantise_and_count_is_measured():
    class Compiled:
        def __init__(self, code):
            self.quantise, self.count = code.quantise, code.count

    code, source = published.sigmoid(), gaussian(0, 1.5)
    assert measure(Compiled(code), np.tanh, source) == measure(code, np.tanh, source)


def test_snr_of_perfect_and_of_pointless_codes():
    grid = Distribution([0, 0.5], [0.5, 0.5])
    assert snr(binary(1, 1), relu, grid) == np.inf
    assert np.isnan(snr(binary(1, 1), relu, Distribution([0.0], [1.0])))
    assert snr(binary(1, 1), lambda x: 0 * x, grid) == -np.inf


def test_f_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="f must return one finite number per point"):
        measure(binary(4, 1), lambda x: 1.0, uniform(0, 1))
