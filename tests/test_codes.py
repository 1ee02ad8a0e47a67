"""Spike codes against a neuron written here a second time, as a plain loop over time steps."""

import inspect
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fsrepro import codes
from fsrepro.codes import (
    ExponentMantissa,
    PrefixCode,
    SpikeCode,
    binary,
    fewest_spikes_words,
    mixed_radix,
    published,
    uniform_levels,
)

MILLION = 1_000_000
F = np.float32


def made_from_steps_and_scale() -> dict:
    """Every such code of the package, a new one too, by name; of ``spikes``, at most two."""
    found = {}
    for name in codes.__all__:
        make = getattr(codes, name)
        parameters = list(inspect.signature(make).parameters) if inspect.isfunction(make) else []
        if parameters[:2] == ["steps", "scale"]:
            found[name] = partial(make, spikes=2) if "spikes" in parameters else make
    return found


CODES = {
    **{f"{name} K8": partial(make, 8, 3.7) for name, make in made_from_steps_and_scale().items()},
    "floor K1 scale 1": lambda: binary(1, 1.0),
    "floor K4 scale 2": lambda: binary(4, 2.0),
    "floor K8 scale 25": lambda: binary(8, 25.0),
    "floor K10 scale 3.7": lambda: binary(10, 3.7),
    "round K3 scale 1": lambda: binary(3, 1.0, rounding=True),
    "round K8 scale 3.7": lambda: binary(8, 3.7, rounding=True),
    "round K10 scale 25": lambda: binary(10, 25.0, rounding=True),
    "round K16 scale 4": lambda: binary(16, 4.0, rounding=True),
    "published relu": published.relu,
    "published silu": published.silu,
    "published sigmoid": published.sigmoid,
    "at most 2 spikes": lambda: SpikeCode(
        binary(8, 4.0).threshold, binary(8, 4.0).reset, binary(8, 4.0).weight, max_spikes=2
    ),
    "silu, at most 3 spikes": lambda: SpikeCode(
        published.silu().threshold,
        published.silu().reset,
        published.silu().weight,
        max_spikes=3,
    ),
}


@pytest.fixture(params=CODES)
def code(request):
    return CODES[request.param]()


def oracle(code, x):
    """Values and spike counts by the equations: v >= T fires, v -= h, y += d, all float32."""
    v = np.array(x, dtype=F).copy()
    value = np.zeros_like(v)
    count = np.zeros(v.shape, np.int64)
    limit = 1000 if code.max_spikes is None else code.max_spikes
    for t in range(len(code.threshold)):
        fires = np.greater_equal(v, code.threshold[t]) & (count < limit)
        v[fires] = v[fires] - code.reset[t]
        value[fires] = value[fires] + code.weight[t]
        count[fires] += 1
    return value, count


def scalar_oracle(code, x):
    """The same for one number, without arrays."""
    v, value, count = F(x), F(0), 0
    for T, h, d in zip(code.threshold, code.reset, code.weight, strict=True):
        if v >= T and (code.max_spikes is None or count < code.max_spikes):
            v, value, count = F(v - h), F(value + d), count + 1
    return value, count


def assert_same_bits(found, expected):
    assert found.dtype == expected.dtype == F
    assert found.shape == expected.shape
    assert (found.view(np.uint32) == expected.view(np.uint32)).all()


def assert_matches_oracle(code, x):
    value, count = oracle(code, x)
    assert_same_bits(code.quantise(x), value)
    assert (code.count(x) == count).all()
    spikes = code.encode(x)
    assert_same_bits(code.decode(spikes), value)
    assert (spikes.sum(0, dtype=np.int64) == count).all()


def neighbours(x):
    x = np.asarray(x, F)
    return np.concatenate([np.nextafter(x, F(-np.inf)), x, np.nextafter(x, F(np.inf))])


def special_values():
    tiny, huge = np.finfo(F).smallest_subnormal, np.finfo(F).max
    positive = [0.0, tiny, 3 * tiny, np.finfo(F).tiny, 1e-20, 1.0, 1e10, 1e30, huge, np.inf]
    return np.array([*positive, *(-x for x in positive)], F)


# --- the staircase and the time steps against the oracle ----------------------------------------


def test_million_values(code):
    rng = np.random.default_rng(1)
    reach = 1.5 * float(np.abs(code.weight).sum())
    x = np.concatenate(
        [
            rng.uniform(-0.2 * reach, reach, MILLION // 2),
            rng.normal(0, 0.2 * reach, MILLION // 4),
            np.exp2(rng.uniform(-30, 20, MILLION // 4)) * rng.choice([-1, 1], MILLION // 4),
        ]
    ).astype(F)
    value, count = oracle(code, x)
    assert_same_bits(code.quantise(x), value)
    assert (code.count(x) == count).all()
    assert len(np.unique(value)) > 1


def test_every_float_bit_pattern_is_treated_alike(code):
    bits = np.random.default_rng(2).integers(0, 2**32, 50_000, dtype=np.uint32)
    x = bits.view(F)
    assert_matches_oracle(code, x[~np.isnan(x)])


def test_breakpoints_and_their_neighbours(code):
    breakpoint = code.staircase.breakpoint
    assert len(breakpoint) >= 1
    assert (np.diff(breakpoint) > 0).all()
    assert_matches_oracle(code, neighbours(breakpoint))


def test_every_breakpoint_is_a_change(code):
    at = code.staircase.breakpoint
    below, above = oracle(code, np.nextafter(at, F(-np.inf))), oracle(code, at)
    assert ((below[0] != above[0]) | (below[1] != above[1])).all()


def test_thresholds_and_their_neighbours(code):
    assert_matches_oracle(code, neighbours(np.concatenate([code.threshold, -code.threshold])))


def test_zeros_infinities_subnormals_and_huge_values(code):
    x = special_values()
    assert_matches_oracle(code, x)
    for one in x:
        value, count = scalar_oracle(code, one)
        assert code.quantise(one).view(np.uint32) == value.view(np.uint32)
        assert code.count(one) == count


def test_scalar_loop_agrees(code):
    for x in np.random.default_rng(3).normal(0, 5, 200).astype(F):
        value, count = scalar_oracle(code, x)
        assert code.quantise(x) == value
        assert code.count(x) == count


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0, 2), (2, 3, 4, 5)])
def test_any_shape(code, shape):
    x = np.random.default_rng(4).normal(0, 3, shape).astype(F)
    assert code.encode(x).shape == (code.steps, *shape)
    assert code.encode(x).dtype == np.uint8
    assert code.quantise(x).shape == code.count(x).shape == shape
    assert code.count(x).dtype == np.uint8
    assert_same_bits(code.quantise(x), code.decode(code.encode(x)))


def test_input_that_is_not_contiguous_or_not_float32():
    code = binary(6, 4.0, rounding=True)
    x = np.random.default_rng(5).normal(0, 3, (40, 30))
    for view in (x.T, x[::2, ::-3], x.astype(F).T, x.tolist()):
        assert_same_bits(code.quantise(view), oracle(code, np.asarray(view, F))[0])


def test_input_is_left_alone():
    x = np.random.default_rng(6).normal(0, 3, 1000).astype(F)
    before = x.copy()
    for code in (binary(6, 4.0), published.silu()):
        code.quantise(x), code.count(x), code.encode(x)
    assert (x == before).all()


number = st.integers(-8, 8).map(lambda n: n / 2) | st.floats(-4, 4, width=32)


@st.composite
def random_code(draw):
    steps = draw(st.integers(1, 10))
    table = hnp.arrays(F, steps, elements=number)
    limit = draw(st.none() | st.integers(1, steps))
    return SpikeCode(draw(table), draw(table), draw(table), max_spikes=limit)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(random_code(), hnp.arrays(F, 50, elements=st.floats(width=32, allow_nan=False)))
def test_random_tables(code, x):
    usual = np.random.default_rng(7).normal(0, 4, 500).astype(F)
    x = np.concatenate(
        [x, usual, neighbours(code.threshold), neighbours(code.staircase.breakpoint)]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        assert_matches_oracle(code, x)


# Cells are found by bit patterns, which for negative numbers run the other way.
def test_neighbouring_negative_breakpoints_on_the_edges_of_cells():
    code = SpikeCode([-1, -2], [0, 0], [1, 1])
    assert code.encode([-2.0, -1.5, -1.0]).sum(0).tolist() == [1, 1, 2]
    assert code.count([-2.0, -1.5, -1.0]).tolist() == [1, 1, 2]
    assert code.quantise([-2.0, -1.5, -1.0]).tolist() == [1, 1, 2]


def test_trace_follows_the_equations():
    code = SpikeCode([2, 1, -1], [2, 0.5, -3], [1, 10, 100])
    membrane, spikes = code.trace(np.array([3.5, 1.0, -4.0]))
    # 3.5 fires (1.5 left), fires (1.0 left), fires; 1.0 is silent, fires (0.5), fires; -4 is silent
    assert (spikes == [[1, 0, 0], [1, 1, 0], [1, 1, 0]]).all()
    assert (membrane == [[3.5, 1.0, -4.0], [1.5, 1.0, -4.0], [1.0, 0.5, -4.0]]).all()
    assert (code.quantise([3.5, 1.0, -4.0]) == [111, 110, 0]).all()


# --- the binary code ----------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 8, 12])
@pytest.mark.parametrize("scale", [0.25, 1.0, 8.0])
def test_binary_rounding_is_round_half_up(steps, scale):
    lsb = scale / 2**steps
    grid = np.arange(-8, 2**steps * 8 + 32) * (lsb / 8)  # on and between the ties
    x = np.concatenate([grid, np.random.default_rng(8).uniform(-scale, 2 * scale, 10_000)])
    x = x.astype(F).astype(np.float64)
    expected = np.clip(np.floor(x / lsb + 0.5), 0, 2**steps - 1) * lsb
    assert (binary(steps, scale, rounding=True).quantise(x) == expected).all()


@pytest.mark.parametrize("steps", [1, 4, 8, 12])
@pytest.mark.parametrize("scale", [0.25, 1.0, 8.0, 25.0])
def test_binary_floor_rounds_down(steps, scale):
    lsb = scale / 2**steps
    grid = np.arange(-8, 2**steps * 8 + 32) * (lsb / 8)
    x = np.concatenate([grid, np.random.default_rng(9).uniform(-scale, 2 * scale, 10_000)])
    x = x.astype(F).astype(np.float64)
    expected = np.clip(np.floor(x / lsb), 0, 2**steps - 1) * lsb
    assert (binary(steps, scale).quantise(x) == expected).all()


def test_binary_count_is_the_number_of_ones():
    x = np.arange(256) / 256
    assert (binary(8, 1.0).count(x) == [bin(n).count("1") for n in range(256)]).all()


def test_fires_exactly_at_the_threshold():
    code = SpikeCode([1.5], [1.0], [7.0])
    assert code.quantise(F(1.5)) == 7
    assert code.encode(F(1.5)).tolist() == [1]
    below = np.nextafter(F(1.5), F(0))
    assert code.quantise(below) == 0
    assert code.encode(below).tolist() == [0]


def test_zero_fires_at_a_threshold_of_either_zero():
    for threshold in (0.0, -0.0):
        code = SpikeCode([threshold], [1.0], [1.0])
        assert code.quantise([0.0, -0.0]).tolist() == [1, 1]
        assert code.encode([0.0, -0.0]).tolist() == [[1, 1]]


def test_max_spikes_silences_the_neuron():
    tables = ([4, 2, 1],) * 3
    assert SpikeCode(*tables).quantise(7) == 7
    assert SpikeCode(*tables, max_spikes=2).quantise(7) == 6
    assert SpikeCode(*tables, max_spikes=1).encode(7).tolist() == [1, 0, 0]


# --- the published codes ------------------------------------------------------------------------


@pytest.mark.parametrize("name, steps", [("relu", 10), ("silu", 16), ("sigmoid", 12)])
def test_published_tables(name, steps):
    entry = published.details(name)
    assert "Stöckl & Maass (2021)" in entry["source"]
    low, high = entry["domain"]
    assert low < high
    assert entry["steps"] == steps
    code = getattr(published, name)()
    assert code.steps == steps
    for table in ("threshold", "reset", "weight"):
        assert len(entry[table]) == steps
        assert (getattr(code, table) == np.array(entry[table], F)).all()


def test_published_relu_is_the_binary_code_of_range_25():
    assert published.relu() == binary(10, 25.0)


@pytest.mark.parametrize(
    "code, function, error, spikes",
    [
        (published.silu, lambda x: x / (1 + np.exp(-x)), 2.60e-3, 2.38),
        (published.sigmoid, lambda x: 1 / (1 + np.exp(-x)), 3.70e-4, 4.28),
    ],
)
def test_published_error_and_spikes_on_gaussian_input(code, function, error, spikes):
    x = np.random.default_rng(10).normal(0, 1.5, MILLION).astype(F)
    found = np.mean((code().quantise(x) - function(x.astype(np.float64))) ** 2)
    assert found == pytest.approx(error, rel=0.05)
    assert code().count(x).mean() == pytest.approx(spikes, abs=0.05)


# --- codes as values ----------------------------------------------------------------------------


def test_equality_and_hash_are_of_the_tables():
    a, b = binary(4, 1.0), SpikeCode(*[[0.5, 0.25, 0.125, 0.0625]] * 3, name="other name")
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b}) == 1
    assert a != binary(4, 1.0, rounding=True)
    assert a != binary(5, 1.0)
    assert a != SpikeCode(a.threshold, a.reset, a.weight, max_spikes=2)
    assert a != "binary"


def test_codes_cannot_be_changed():
    code = binary(4, 1.0)
    with pytest.raises(AttributeError):
        code.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        code.threshold[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        code.staircase.value[0] = 3


def test_tables_are_copied():
    table = np.array([2.0, 1.0], F)
    code = SpikeCode(table, table, table)
    table[:] = 0
    assert code.threshold.tolist() == [2, 1]


def test_scaled():
    code = SpikeCode(*[[0.5, 0.25]] * 3, max_spikes=1, name="two")
    larger = code.scaled(4)
    assert larger.weight.tolist() == larger.reset.tolist() == larger.threshold.tolist() == [2, 1]
    assert larger.max_spikes == 1
    assert larger.name == "two"
    x = np.random.default_rng(11).uniform(-1, 2, 1000).astype(F)
    assert (larger.quantise(4 * x) == 4 * code.quantise(x)).all()
    assert binary(6, 1.0).scaled(8) == binary(6, 8.0)


def test_repr_names_code_and_steps():
    assert repr(binary(4, 1.0)) == "SpikeCode('binary floor', steps=4)"
    assert "max_spikes=2" in repr(SpikeCode([1], [1], [1], max_spikes=2))


def test_64_steps_are_allowed():
    descending = np.exp2(-np.arange(64))
    code = SpikeCode(np.full(64, 100.0), descending, descending)
    assert code.steps == 64
    assert code.encode(1.0).sum() == 0


def test_too_many_pieces_is_said(monkeypatch):
    monkeypatch.setattr("fsrepro.codes.staircase._MAX_PIECES", 1000)
    code = binary(11, 1.0)
    with pytest.raises(ValueError, match=r"more than 1000 pieces by time step 10; use encode"):
        code.quantise(0.5)
    assert code.decode(code.encode(0.5)) == 0.5


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tables, message",
    [
        (([], [], []), "threshold must be a list of K >= 1 numbers"),
        (([[[1.0]]], [1.0], [1.0]), "threshold must be a list"),
        (([[1.0]], [1.0], [1.0]), "one entry per time step, got threshold 1 x 1, reset 1"),
        (([1.0], 1.0, [1.0]), "reset must be a list"),
        (([1.0, 2.0], [1.0], [1.0, 2.0]), "one entry per time step, got threshold 2, reset 1"),
        (([1.0] * 65, [1.0] * 65, [1.0] * 65), "at most 64 time steps are supported, got 65"),
        (([np.nan], [1.0], [1.0]), "threshold must be finite"),
        (([1.0], [np.inf], [1.0]), "reset must be finite"),
        (([1.0], [1.0], [1.0, np.nan]), "weight must be finite"),
    ],
)
def test_bad_tables(tables, message):
    with pytest.raises(ValueError, match=message):
        SpikeCode(*tables)


def test_number_too_large_for_float32_is_refused():
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="finite in float32"):
        SpikeCode([1e39], [1.0], [1.0])


@pytest.mark.parametrize("limit", [0, -1, 1.5, np.nan, np.inf])
def test_bad_max_spikes(limit):
    message = f"max_spikes must be a whole number of at least 1 or None, got {limit}"
    with pytest.raises(ValueError, match=message):
        SpikeCode([1.0], [1.0], [1.0], max_spikes=limit)


def test_codes_are_found():
    assert {"binary", "rate", "geometric", "leading_one"} <= {*made_from_steps_and_scale()}


# Every code of a number of steps and a scale.
MAKE = {
    **made_from_steps_and_scale(),
    "mixed radix": lambda steps, scale: mixed_radix((steps,), scale),
    "exponent + mantissa": lambda steps, scale: ExponentMantissa(2, steps, scale),
    "words": lambda steps, scale: PrefixCode(
        fewest_spikes_words([0.5, 0.5], steps), uniform_levels(2, scale)
    ),
}


@pytest.mark.parametrize("steps", [0, -1, 1.5, 65, np.nan, np.inf])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_bad_steps(make, steps):
    with pytest.raises(ValueError, match=rf"(whole number|at most 64 time|at most 18).*{steps}"):
        make(steps, 1.0)


@pytest.mark.parametrize("scale", [0, -1, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_bad_scale(make, scale):
    with pytest.raises(ValueError, match=f"scale must be positive and finite, got {scale}"):
        make(4, scale)


@pytest.mark.parametrize("wrong", ["8", None, True, 1e39])
def test_what_is_no_number_is_named(wrong):
    with pytest.raises(ValueError, match=re.escape(f"from 1 to 64, got {wrong!r}")):
        binary(wrong, 1.0)
    with pytest.raises(ValueError, match=re.escape(f"positive and finite, got {wrong!r}")):
        binary(4, wrong)


@pytest.mark.parametrize("method", ["encode", "quantise", "count"])
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_nan_is_refused_by_every_code(make, method):
    with pytest.raises(ValueError, match="activations must not be NaN; 2 of 3 are"):
        getattr(make(4, 1.0), method)([np.nan, 1.0, np.nan])


@pytest.mark.parametrize("factor", [0, -1, np.inf, -np.inf, np.nan])
def test_bad_factor(factor):
    with pytest.raises(ValueError, match=f"factor must be positive and finite, got {factor}"):
        binary(4, 1.0).scaled(factor)


@pytest.mark.parametrize("method", ["encode", "quantise", "count", "trace"])
def test_nan_is_refused(code, method):
    with pytest.raises(ValueError, match="activations must not be NaN; 2 of 3 are"):
        getattr(code, method)([np.nan, 1.0, np.nan])


@pytest.mark.parametrize("shape", [(), (3,), (5, 2), (2, 4)])
def test_decode_refuses_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"has 4 time steps, got spikes of shape.*first axis"):
        binary(4, 1.0).decode(np.zeros(shape))


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_decode_refuses_other_values(value):
    spikes = np.zeros((4, 3))
    spikes[1, 2] = value
    with pytest.raises(ValueError, match="spikes must be 0 or 1"):
        binary(4, 1.0).decode(spikes)


@pytest.mark.parametrize("dtype", [bool, np.int64, F])
def test_decode_takes_any_type_of_number(dtype):
    spikes = np.array([1, 0, 0, 1], dtype)
    assert binary(4, 1.0).decode(spikes) == 0.5625


def test_unknown_published_name():
    with pytest.raises(ValueError, match=r"no published table for 'gelu'; there are relu, silu"):
        published.details("gelu")
