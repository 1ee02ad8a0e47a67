"""The free decoder: a yardstick between the bound and the codes that are linear."""

import numpy as np
import pytest

from fsrepro.fitting import any_decoder, bound, gaussian, mixed_radix_of, relu, uniform

SOURCE = gaussian(-0.3, 1).map(relu)


def test_free_spikes_make_a_uniform_quantiser_of_all_words():
    found = any_decoder(uniform(0, 1), 4, 0.0)
    assert len(found.level) == 16
    assert found.mse == pytest.approx((1 / 16) ** 2 / 12, rel=0.02)
    np.testing.assert_allclose(np.diff(found.level), 1 / 16, rtol=0.1)
    assert sorted(found.count) == sorted(n.bit_count() for n in range(16))


def test_likelier_levels_have_fewer_spikes():
    found = any_decoder(SOURCE, 6, 1e-3)
    assert found.count[0] == 0  # half of the inputs are zero
    nearest = np.abs(SOURCE.points[:, None] - found.level).argmin(1)
    p = np.bincount(nearest, SOURCE.weights, len(found.level))
    assert np.corrcoef(p, found.count)[0, 1] < 0
    assert p[found.count <= 1].sum() > p[found.count == 2].sum() > p[found.count >= 3].sum()


def test_lies_between_bound_and_mixed_radix():
    found = any_decoder(SOURCE, 8, 3.5e-3)
    assert 29 < found.snr < 32
    assert bound(SOURCE, 8, found.snr) < found.spikes
    linear = mixed_radix_of(8).best(gaussian(-0.3, 1), snr=found.snr).spikes
    assert found.spikes < linear < 1.15 * found.spikes


@pytest.mark.parametrize(
    "steps, penalty, message",
    [
        (0, 0.1, "steps must be a whole number from 1 to 64, got 0"),
        (8, -0.1, "spike_penalty must be finite and at least 0, got -0.1"),
        (8, np.nan, "got nan"),
        (8, np.inf, "got inf"),
    ],
)
def test_bad_input_is_refused(steps, penalty, message):
    with pytest.raises(ValueError, match=message):
        any_decoder(SOURCE, steps, penalty)
