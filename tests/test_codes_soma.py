"""A neuron with a soma: f once, then the code; by the equations, and in Keras spike for spike."""

import keras
import numpy as np
import pytest

from fsrepro import activations
from fsrepro.codes import SpikeCode, binary, leading_one, mixed_radix, published, soma
from fsrepro.conversion.few_spikes import FewSpikes

F = np.float32
CODES = {
    "silu": soma(mixed_radix((1, 1, 6), 4.0), "silu", -0.28),
    "silu, silent at 0": soma(binary(6, 4.0, rounding=True), "silu"),
    "sigmoid": soma(mixed_radix((1, 1, 4), 1.0), "sigmoid", 0.05),
    "tanh": soma(binary(8, 2.0), "tanh", -1.0),
    "gelu, at most 2 spikes": soma(leading_one(8, 4.0, spikes=2), "gelu", -0.17),
    "hard_silu": soma(mixed_radix((2, 5), 3.0), "hard_silu", -0.375),
    "leaky": soma(binary(8, 4.0, rounding=True), "leaky_relu(0.1)", -1.0),
    "relu6": soma(mixed_radix((1, 7), 6.0), "relu6"),
    "strict, with an offset": SpikeCode(
        [0.125, 1], [1, 1], [1.5, 1], offset=-0.3, activation="silu"
    ),
}


@pytest.fixture(params=CODES)
def code(request):
    return CODES[request.param]


def by_the_equations(code, x):
    v = activations.get(code.activation)(x) - F(code.offset) if code.soma else x.copy()
    y, count = np.full_like(v, code.offset), np.zeros(v.shape, int)
    spikes = []
    for T, h, d in zip(code.threshold, code.reset, code.weight, strict=True):
        z = (v >= T) & (count < (code.max_spikes or 1000))
        v, y, count = np.where(z, v - h, v), np.where(z, y + d, y), count + z
        spikes.append(z)
    return np.array(spikes), y, count


def on_thresholds(code):
    """For each breakpoint of v(1): the neighbours of every x where f(x) - y_0 crosses it."""
    if not code.soma:
        at = code.staircase.breakpoint
    else:
        grid = np.linspace(-12, 12, 4001, dtype=F)
        v = code.first_potential(grid)
        above = v >= code.staircase.breakpoint[:, None]
        which, left = np.nonzero(above[:, 1:] != above[:, :-1])
        low, high = grid[left], grid[left + 1]
        for _ in range(40):
            middle = (low + high) / F(2)
            same = (code.first_potential(middle) >= code.staircase.breakpoint[which]) == above[
                which, left
            ]
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        at = np.concatenate([low, high])
    return np.concatenate([np.nextafter(at, F(-np.inf)), at, np.nextafter(at, F(np.inf))])


def inputs(code):
    rng = np.random.default_rng(0)
    awkward = F([0, -0.0, 1e-38, -1e-38, 1e-20, 3e38, -3e38, np.inf, -np.inf])
    return np.concatenate([rng.normal(0, 3, 20_000).astype(F), on_thresholds(code), awkward])


def test_by_the_equations(code):
    x = inputs(code)
    spikes, y, count = by_the_equations(code, x)
    np.testing.assert_array_equal(code.encode(x), spikes)
    np.testing.assert_array_equal(code.decode(code.encode(x)), y)
    np.testing.assert_array_equal(code.quantise(x), y)
    np.testing.assert_array_equal(code.count(x), count)
    assert np.isfinite(y).all()


def test_keras_layer_spike_for_spike(code):
    x = inputs(code)
    x = x[: len(x) // 12 * 12].reshape(-1, 4, 3)
    y, spikes = FewSpikes(code, counting="sum")(x)
    np.testing.assert_array_equal(np.array(y).view(np.int32), code.quantise(x).view(np.int32))
    np.testing.assert_array_equal(spikes, code.count(x).sum(-1))


def test_configuration_round_trip(code):
    layer = FewSpikes(code, name="neurons")
    again = FewSpikes.from_config(layer.get_config())
    assert again.code == code
    assert again.code.name == code.name


def test_silence_means_the_offset():
    code = CODES["silu"]
    assert code.quantise(F(-1.28)) == F(-0.28)  # the minimum of SiLU is -0.2785
    assert code.count(F(-1.28)) == 0


def test_error_is_that_of_the_code():
    code = soma(binary(8, 8.0, rounding=True), "silu", -0.28125)
    x = np.linspace(-10, 7, 10_001, dtype=F)
    error = np.abs(code.quantise(x) - activations.get("silu")(x))
    assert error.max() <= 0.5 * 8 / 256 + 1e-6


def test_equality_and_scale():
    code = mixed_radix((1, 3), 2.0)
    assert soma(code, "silu", -0.25) == soma(code, "silu", -0.25)
    assert len({code, soma(code, "silu"), soma(code, "gelu"), soma(code, "silu", -0.25)}) == 4
    assert "soma=silu" in repr(soma(code, "silu"))
    assert soma(code, "relu").scaled(2.0) == soma(mixed_radix((1, 3), 4.0), "relu")
    with pytest.raises(ValueError, match="writes silu, which has no scale"):
        soma(code, "silu").scaled(2.0)
    with pytest.raises(ValueError, match="writes sigmoid, which has no scale"):
        published.sigmoid().scaled(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("swoosh",), "unknown activation 'swoosh'"), (("silu", np.nan), "offset must be finite")],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        soma(binary(4, 1.0), *arguments)


def test_nan():
    with pytest.raises(ValueError, match="must not be NaN"):
        CODES["silu"].quantise(F([0, np.nan]))


def test_keras_is_not_needed_for_codes():
    assert keras  # imported here, but not by the package: see the subprocess
    import subprocess
    import sys

    code = "import sys; from fsrepro import codes; codes.soma(codes.binary(4, 1.0), 'silu')"
    code += (
        ".quantise([1.0]); assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
