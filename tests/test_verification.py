"""Does a comparison of two runs see what differs, and only that?"""

import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml
from scripts import PROJECT, script

from fsrepro.experiments.verification import compare, compare_tables

PUBLISHED = pd.DataFrame(
    {
        "setting": ["paper", "radix", "radix", "ANN"],
        "K": [10, 8, 10, np.nan],
        "accuracy": [91.92, 91.65, 91.94, 91.94],
        "spikes_per_neuron": [1.75, 0.5, 0.65, np.nan],
        "ms_per_image": [1.0, 2.0, 3.0, 4.0],
    }
)
KEYS = ["setting", "K"]


def test_a_part_that_agrees():
    table = compare_tables(PUBLISHED.iloc[[2, 0]], PUBLISHED, KEYS)
    assert table["column"].tolist() == ["accuracy", "spikes_per_neuron"]  # no durations
    assert table["within"].all() and (table["difference"] == 0).all() and (table["rows"] == 2).all()
    other = PUBLISHED.iloc[[2, 0]].assign(K=[10, 9])  # a row that was not published is counted
    table = compare_tables(other, PUBLISHED, KEYS)
    assert (table["rows"] == 1).all() and (table["alone"] == 1).all()


@pytest.mark.parametrize(
    ("column", "value", "within"),
    [
        ("accuracy", 91.99, True),
        ("accuracy", 91.80, False),
        ("spikes_per_neuron", 1.7585, True),
        ("spikes_per_neuron", 1.7615, False),
        ("spikes_per_neuron", np.nan, False),
        ("accuracy", np.inf, False),
    ],
)
def test_a_difference_is_held_against_its_tolerance(column, value, within):
    found = PUBLISHED.copy()
    found.loc[0, column] = value
    table = compare_tables(found, PUBLISHED, KEYS).set_index("column")
    assert table.loc[column, "within"] == within
    assert (table.loc[column, "difference"] <= 1) == within
    assert table.drop(column)["within"].all()


def test_missing_on_both_sides_agrees():
    """Whole numbers are read as such where no row lacks one; they match all the same."""
    ann = compare_tables(PUBLISHED[PUBLISHED["setting"] == "ANN"], PUBLISHED, KEYS)
    assert ann["within"].all()
    whole = PUBLISHED.iloc[:3].astype({"K": int})
    assert (compare_tables(whole, PUBLISHED, KEYS)["rows"] == 3).all()


def test_exact_columns_allow_nothing():
    found, published = (pd.DataFrame({"setting": ["a"], "neurons": [n]}) for n in (100, 101))
    table = compare_tables(found, published, ["setting"])
    assert table["within"].tolist() == [False] and table["difference"].tolist() == [np.inf]


def test_tables_that_cannot_be_compared():
    with pytest.raises(ValueError, match="no row that was found is among those published"):
        compare_tables(PUBLISHED.iloc[:1].assign(K=9), PUBLISHED, KEYS)
    with pytest.raises(ValueError, match=r"published table has more than one row .*radix"):
        compare_tables(PUBLISHED.iloc[:1], PUBLISHED, ["setting"])
    with pytest.raises(ValueError, match="found table has no column K"):
        compare_tables(PUBLISHED.drop(columns="K"), PUBLISHED, KEYS)


def test_folders(tmp_path):
    for name in ("found", "published"):
        (tmp_path / name).mkdir()
        PUBLISHED.to_csv(tmp_path / name / "05_cifar10.csv", index=False)
    table = compare(tmp_path / "found", tmp_path / "published", "05_cifar10", {"": KEYS})
    assert table["table"].unique().tolist() == ["05_cifar10"] and table["within"].all()
    with pytest.raises(FileNotFoundError, match=r"found/05_cifar10_frontier\.csv is missing"):
        compare(tmp_path / "found", tmp_path / "published", "05_cifar10", {"frontier": ["setting"]})


def test_what_is_verified_is_a_part_of_what_is_published():
    full, part = (
        yaml.safe_load((PROJECT / "profiles" / f"{name}.yml").read_text())
        for name in ("full", "verify")
    )
    assert part.keys() == full.keys() == script("notebooks/verify.py").KEYS.keys()
    free = {
        "profile",
        "results",
        "published",
        "fit_seconds",
        "timed",
        "repeats",
    }  # none changes a row that is compared
    for name, parameters in part.items():
        assert parameters.keys() == full[name].keys()
        for key in parameters.keys() - free:
            new, old = parameters[key], full[name][key]
            if key == "spread_parts" and new == 0:
                continue  # a table that is not computed again
            if key == "networks":  # with a budget that the published run chose
                old, new = (
                    [{**n, "settings": None, "budgets": None} for n in given]
                    for given in (old, new)
                )
            if isinstance(new, list) and old:  # an empty list stands for all
                assert all(value in old for value in new), (name, key)
            elif old != []:
                assert new == old, (name, key)


def test_published_tables_have_the_keys():
    """Each table that is compared, against itself: its rows are told apart, and it agrees."""
    published = PROJECT / "results" / "full"
    for name, keys in script("notebooks/verify.py").KEYS.items():
        table = compare(published, published, name, keys)
        assert table["within"].all() and set(table["column"]) & {
            "accuracy",
            "agreement",
            "snr",
            "loss",
        }, name


def test_what_this_machine_lacks_is_named(monkeypatch, capsys):
    verify = script("notebooks/verify.py")
    monkeypatch.delenv("FSREPRO_IMAGENET", raising=False)
    assert not verify.verify(["07_imagenet"])
    said = capsys.readouterr().out
    assert "07_imagenet: skipped" in said and "nothing was verified" in said


def test_a_run_that_differs_fails(monkeypatch, tmp_path, capsys):
    """The notebook itself is left out: what it writes is the published table, changed or not."""
    verify = script("notebooks/verify.py")
    monkeypatch.setattr(verify, "FOUND", tmp_path)

    def write(name, profile, output, off):
        for suffix in verify.KEYS[name]:
            file = f"{name}_{suffix}.csv" if suffix else f"{name}.csv"
            table = pd.read_csv(verify.PUBLISHED / file).iloc[:8]
            if not suffix:
                table["accuracy"] += off
            table.to_csv(tmp_path / file, index=False)

    for off, agrees in ((0.0, True), (0.05, True), (0.5, False)):
        monkeypatch.setattr(verify.notebook, "run", partial(write, off=off))
        assert verify.verify(["01_relu_baseline"]) == agrees
    assert "01_relu_baseline" in capsys.readouterr().out


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit])
def test_a_notebook_that_fails_does_not_stop_the_others(failure, monkeypatch, tmp_path, capsys):
    verify = script("notebooks/verify.py")
    monkeypatch.setattr(verify, "FOUND", tmp_path)

    def write(name, profile, output):
        if name == "05_cifar10":
            raise failure("no memory left")
        for suffix in verify.KEYS[name]:
            file = f"{name}_{suffix}.csv" if suffix else f"{name}.csv"
            shutil.copy(verify.PUBLISHED / file, tmp_path)

    monkeypatch.setattr(verify.notebook, "run", write)
    assert not verify.verify(["01_relu_baseline", "05_cifar10"])
    said = capsys.readouterr().out
    assert "05_cifar10: failed" in said and "no memory left" in said
    assert "01_relu_baseline: recomputed" in said
    assert "not verified, their notebooks failed: 05_cifar10" in said
