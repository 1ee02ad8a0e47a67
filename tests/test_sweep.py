"""A killed sweep goes on where it was and gives the table of an uninterrupted one."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fsrepro.experiments import sweep as module
from fsrepro.experiments.sweep import Sweep

SETTINGS = [{"K": K, "budget": b} for K in (4, 8) for b in (0.1, 0.3)]


def square(K, budget):
    return {"accuracy": np.float64(K * budget / 3), "images": np.int64(K), "none": float("nan")}


def refuse(**setting):
    raise AssertionError(f"{setting} was computed twice")


def test_rows_are_computed_once(tmp_path):
    first = Sweep(tmp_path / "rows", seed=0).table("budgets", SETTINGS, square)
    resumed = Sweep(tmp_path / "rows", seed=0)
    again = resumed.table("budgets", SETTINGS, refuse)
    pd.testing.assert_frame_equal(first, again)
    assert 0 <= resumed.seconds_before < 60
    expected = pd.DataFrame([{**s, **square(**s)} for s in SETTINGS])
    pd.testing.assert_frame_equal(first, expected)


def test_killed_sweep_resumes_with_the_same_table(tmp_path):
    code = (
        "import os, signal, sys; from fsrepro.experiments.sweep import Sweep\n"
        "def compute(n):\n"
        "    if n == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return {'y': n / 3}\n"
        "Sweep(sys.argv[1], seed=0).table('t', [{'n': n} for n in range(5)], compute)"
    )
    path = tmp_path / "rows"
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True)
    assert run.returncode == -signal.SIGKILL
    computed = []

    def compute(n):
        computed.append(n)
        return {"y": n / 3}

    table = Sweep(path, seed=0).table("t", [{"n": n} for n in range(5)], compute)
    assert computed == [3, 4]
    assert table.to_dict("list") == {"n": list(range(5)), "y": [n / 3 for n in range(5)]}


def test_half_a_line_is_computed_again(tmp_path):
    path = tmp_path / "rows"
    whole = Sweep(path, seed=0).table("budgets", SETTINGS, square)
    os.truncate(path, path.stat().st_size - 5)
    calls = []
    again = Sweep(path, seed=0).table(
        "budgets", SETTINGS, lambda **setting: calls.append(setting) or square(**setting)
    )
    assert calls == SETTINGS[-1:]
    pd.testing.assert_frame_equal(again, whole)
    pd.testing.assert_frame_equal(Sweep(path, seed=0).table("budgets", SETTINGS, refuse), whole)


def test_rows_of_another_identity_are_dropped(tmp_path):
    Sweep(tmp_path / "rows", seed=0).table("budgets", SETTINGS, square)
    other = Sweep(tmp_path / "rows", seed=1)
    assert other.table("budgets", SETTINGS, lambda **_: {"y": 1})["y"].tolist() == [1] * 4
    with pytest.raises(AssertionError, match="twice"):
        Sweep(tmp_path / "rows", seed=0).table("budgets", SETTINGS, refuse)


def test_rows_depend_on_the_whole_library_but_what_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "experiments" / "sweep.py"))
    checksums = []
    for name in ("codes/code.py", "codes/table.json", "experiments/figures.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
        checksums.append(module._library.__wrapped__())
    assert checksums[0] != checksums[1] == checksums[2]


def test_tables_of_one_sweep_do_not_mix(tmp_path):
    sweep = Sweep(tmp_path / "rows")
    sweep.table("one", [{"n": 1}], lambda n: {"y": 1})
    assert sweep.table("two", [{"n": 1}], lambda n: {"y": 2})["y"].tolist() == [2]


def test_another_file_is_refused_and_kept(tmp_path):
    path = tmp_path / "notes"
    path.write_text("mine\n")
    with pytest.raises(ValueError, match="notes is not the file of a sweep"):
        Sweep(path)
    assert path.read_text() == "mine\n"


def test_rows_that_json_cannot_hold_are_refused(tmp_path):
    with pytest.raises(TypeError, match="plain numbers and texts, got set"):
        Sweep(tmp_path / "rows").table("t", [{}], lambda: {"y": {1}})


def test_finished_sweep_leaves_nothing(tmp_path):
    sweep = Sweep(tmp_path / "rows")
    sweep.table("t", [{}], lambda: {"y": 1})
    sweep.finish()
    assert not list(tmp_path.iterdir())


def test_without_a_file_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = Sweep(None, seed=0)
    table = sweep.table("budgets", SETTINGS, square)
    expected = Sweep(tmp_path / "rows", seed=0).table("budgets", SETTINGS, square)
    pd.testing.assert_frame_equal(table, expected)
    sweep.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_shared_arguments_are_no_part_of_the_rows(tmp_path):
    def scaled(K, budget, factor):
        return {"y": factor * K}

    sweep = Sweep(tmp_path / "rows", seed=0)
    table = sweep.table("t", SETTINGS, scaled, shared={"factor": 3})
    assert list(table) == ["K", "budget", "y"]
    assert list(table["y"]) == [12, 12, 24, 24]
