"""The table of fronts: each row possible, none below the bound."""

import numpy as np
import pytest

from fsrepro.codes import published
from fsrepro.fitting import bound, frontier, gaussian, measure, ratio_to_bound, relu

SOURCE = gaussian(-0.3, 1)


@pytest.fixture(scope="module")
def table():
    return frontier(SOURCE, [3, 6], [15, 22])


def test_rows_and_columns(table):
    assert set(table["family"]) == {"binary floor", "binary round", "mixed radix", "any decoder"}
    assert list(table.columns) == [
        "family", "code", "steps", "snr_target", "snr_db", "mse", "spikes", "bound",
        "ratio_to_bound", "on_front",
    ]  # fmt: skip
    assert not table.duplicated(["family", "steps", "snr_target"]).any()
    assert (table["snr_db"] >= table["snr_target"] - 1e-9).all()


def test_no_row_is_below_the_bound(table):
    assert (table["ratio_to_bound"] > 1).all()
    row = table.iloc[0]
    assert row["bound"] == pytest.approx(bound(SOURCE.map(relu), row["steps"], row["snr_target"]))


def test_families_are_in_the_expected_order(table):
    spikes = table.pivot(index=["steps", "snr_target"], columns="family", values="spikes").dropna()
    assert (spikes["any decoder"] <= spikes["mixed radix"] * 1.01).all()
    assert (spikes["mixed radix"] < spikes["binary round"]).all()
    assert (spikes["binary round"] < spikes["binary floor"]).all()


def test_more_steps_never_cost_spikes(table):
    spikes = table.pivot(index=["family", "snr_target"], columns="steps", values="spikes").dropna()
    assert len(spikes) == 3  # floor codes of three steps reach neither target
    assert (spikes[6] <= spikes[3] + 1e-12).all()


def test_front_is_mixed_radix(table):
    assert set(table.loc[table["on_front"], "family"]) == {"mixed radix"}
    for _, group in table[table["on_front"]].groupby("snr_target"):
        assert group.sort_values("steps")["spikes"].is_monotonic_decreasing


def test_ratio_of_a_published_table():
    def silu(x):
        return x / (1 + np.exp(-x))

    source, code = gaussian(0, 1.5), published.silu()
    expected = measure(code, silu, source)
    found = ratio_to_bound(code, silu, source)
    assert found == pytest.approx(expected.spikes / bound(source.map(silu), 16, expected.snr))
    assert 4 < found < 6


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: frontier(SOURCE, []), "steps and snr must name at least one value"),
        (lambda: frontier(SOURCE, [4], []), "steps and snr must name at least one value"),
        (lambda: frontier(SOURCE, [19]), "from 1 to 18 .*, got 19"),
        (lambda: frontier(SOURCE, [4], [np.nan]), "snr must be finite, in dB"),
        (
            lambda: ratio_to_bound(published.relu(), lambda x: 0 * x, SOURCE),
            "'published relu' has an SNR of -inf dB",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
