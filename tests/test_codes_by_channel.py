"""A code for every channel, against each of them alone; and silence that stands for a value."""

from dataclasses import replace

import numpy as np
import pytest

from fsrepro.codes import SpikeCode, above, binary, by_channel, geometric, mixed_radix, soma

RADICES = [mixed_radix((1, 7), 2.3), mixed_radix((3, 5), 0.4, dead_zone=1.5), binary(8, 7.0)]
STACKS = {
    "mixed radix": RADICES,
    "offsets": [above(code, y) for code, y in zip(RADICES, (0.0, 0.3, 1.7), strict=True)],
    "somas": [soma(code, "silu", y) for code, y in zip(RADICES, (-0.27, 0.0, 0.4), strict=True)],
    "at most 2 spikes": [geometric(8, a, spikes=2) for a in (3.0, 0.7, 1.0)],
    "one channel": RADICES[:1],
}


def around(codes):
    """Values at, just below and just above every border of every code, for all channels."""
    at = np.concatenate([code.staircase.breakpoint for code in codes])
    at = np.concatenate([at, np.linspace(-1, 4, 400), [np.inf, -np.inf]]).astype(np.float32)
    x = np.concatenate([np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.inf)])
    return np.repeat(x[:, None], len(codes), 1).reshape(3, -1, len(codes))


@pytest.mark.parametrize("name", STACKS)
def test_every_channel_is_its_own_code(name):
    codes = STACKS[name]
    together, x = by_channel(codes), around(codes)
    spikes = together.encode(x)
    for c, code in enumerate(codes):
        np.testing.assert_array_equal(spikes[..., c], code.encode(x[..., c]))
        np.testing.assert_array_equal(together.decode(spikes)[..., c], code.quantise(x[..., c]))
        assert together.channels[c] == code
    np.testing.assert_array_equal(together.quantise(x), together.decode(spikes))
    np.testing.assert_array_equal(together.count(x), spikes.sum(0))
    assert together.steps == 8
    assert together.threshold.shape == (8, len(codes))


def test_equal_tables_are_equal_codes_and_one_row_is_no_column():
    assert by_channel(RADICES) == by_channel(list(RADICES))
    assert len({by_channel(RADICES), by_channel(RADICES[::-1])}) == 2
    assert by_channel(RADICES[:1]) != RADICES[0]  # one takes any channels, the other exactly one
    assert RADICES[0].channels == (RADICES[0],)


def test_scaled_by_channel():
    twice = by_channel(STACKS["offsets"]).scaled(2.0)
    assert twice.channels == tuple(code.scaled(2.0) for code in STACKS["offsets"])


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        ([], ValueError, "a code for every channel, got none"),
        ([RADICES[0], binary(7, 1.0)], ValueError, "must have the same steps, got {"),
        ([RADICES[0], replace(RADICES[0], max_spikes=1)], ValueError, "the same max_spikes"),
        ([RADICES[0], soma(RADICES[0], "silu")], ValueError, "the same activation"),
        ([by_channel(RADICES)], TypeError, "SpikeCodes with one table each, got SpikeCode"),
        (["binary"], TypeError, "got 'binary'"),
    ],
    ids=str,
)  # fmt: skip
def test_codes_that_do_not_go_together(codes, error, message):
    with pytest.raises(error, match=message):
        by_channel(codes)


def test_other_channels_are_refused():
    code = by_channel(RADICES)
    for run in (code.encode, code.quantise, code.count):
        with pytest.raises(ValueError, match=r"has 3 channels, the last axis, got shape \(5, 4\)"):
            run(np.zeros((5, 4)))
    with pytest.raises(ValueError, match="has 3 channels"):
        code.decode(np.zeros((8, 5, 4)))
    with pytest.raises(ValueError, match="has 3 channels, each a step function of its own"):
        code.staircase  # noqa: B018


def test_bad_tables_by_channel():
    tables = [np.ones((4, 3))] * 3
    with pytest.raises(ValueError, match=r"one for each channel, got shape \(2,\)"):
        SpikeCode(*tables, offset=np.zeros(2))
    with pytest.raises(ValueError, match="threshold 4 x 3, reset 4 x 3, weight 4"):
        SpikeCode(*tables[:2], np.ones(4))
    with pytest.raises(ValueError, match=r"or \(K, channels\), got shape \(1, 4, 3\)"):
        SpikeCode(np.ones((1, 4, 3)), *tables[:2])


# --- above ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.25, 1.0, 3.5])
def test_above_is_the_code_of_what_exceeds_the_offset(offset):
    code = mixed_radix((1, 7), 16.0, dead_zone=0.5)  # q = 1: all sums are exact
    x = around([code, above(code, offset)])[..., 0]
    np.testing.assert_array_equal(above(code, offset).encode(x), code.encode(x - offset))
    np.testing.assert_array_equal(
        above(code, offset).quantise(x), code.quantise(x - offset) + np.float32(offset)
    )
    assert above(code, offset).quantise([-5.0, 0.0, offset]).tolist() == [offset] * 3
    assert above(code, 0.0) is code


@pytest.mark.parametrize("offset", [-1.5, 0.0, 2.0])
def test_above_writes_the_identity_from_an_offset_on(offset):
    code = above(binary(4, 16.0, rounding=True), offset, "linear")  # in steps of 1
    assert (code.activation, code.soma, code.offset) == ("linear", False, offset)
    x = np.arange(-80, 160) / np.float32(8)
    written = np.clip(np.floor(x - offset + 0.5), 0, 15) + offset
    np.testing.assert_array_equal(code.quantise(x), written.astype(np.float32))


def test_above_refuses_what_it_cannot_do():
    for offset in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="at least 0 and finite, got"):
            above(RADICES[0], offset)
    with pytest.raises(ValueError, match="at least 0 and finite, got nan"):
        above(RADICES[0], np.nan, "linear")
    with pytest.raises(ValueError, match="thresholds write relu or linear, not 'silu'"):
        above(RADICES[0], 1.0, "silu")
    with pytest.raises(ValueError, match="has a soma; give it the offset"):
        above(soma(RADICES[0], "silu"), 1.0)
