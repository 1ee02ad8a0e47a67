"""A killed sweep goes on where it was and gives the table of an uninterrupted one."""

import functools
import json
import os
import signal
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fsrepro.experiments import identity
from fsrepro.experiments.identity import source_of
from fsrepro.experiments.sweep import Sweep

SETTINGS = [{"K": K, "budget": b} for K in (4, 8) for b in (0.1, 0.3)]
CALLS = deque()  # no list, whose content would be part of the identity of rows


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def square(K, budget):
    CALLS.append({"K": K, "budget": budget})
    return {"accuracy": np.float64(K * budget / 3), "images": np.int64(K), "none": float("nan")}


def table(path, **options):
    return Sweep(path, seed=0, **options).table("budgets", SETTINGS, square)


def test_rows_are_computed_once(tmp_path):
    first = table(tmp_path / "rows")
    assert list(CALLS) == SETTINGS
    resumed = Sweep(tmp_path / "rows", seed=0)
    again = resumed.table("budgets", SETTINGS, square)
    assert list(CALLS) == SETTINGS
    pd.testing.assert_frame_equal(first, again)
    assert 0 <= resumed.seconds_before < 60
    expected = pd.DataFrame([{**s, **square(**s)} for s in SETTINGS])
    pd.testing.assert_frame_equal(first, expected)


def test_killed_sweep_resumes_with_the_same_table(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys; from fsrepro.experiments.sweep import Sweep\n"
        "def compute(n):\n"
        "    if n == 3 and len(sys.argv) > 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    print(n)\n"
        "    return {'y': n / 3}\n"
        "table = Sweep(sys.argv[1], seed=0).table('t', [{'n': n} for n in range(5)], compute)\n"
        "print(table.to_dict('list'))"
    )
    command = [sys.executable, script, tmp_path / "rows"]
    run = subprocess.run([*command, "kill"], capture_output=True)
    assert run.returncode == -signal.SIGKILL
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["3", "4"]
    assert run.stdout.split("\n")[2] == str({"n": list(range(5)), "y": [n / 3 for n in range(5)]})


def test_half_a_line_is_computed_again(tmp_path, recwarn):
    path = tmp_path / "rows"
    whole = table(path)
    for cut in range(1, 40):
        os.truncate(path, path.stat().st_size - cut)
        CALLS.clear()
        pd.testing.assert_frame_equal(table(path), whole)
        assert list(CALLS) == SETTINGS[-1:]
        CALLS.clear()
        pd.testing.assert_frame_equal(table(path), whole)
        assert not CALLS
    assert not recwarn


def test_a_file_cut_in_its_first_line_is_no_sweep(tmp_path):
    path = tmp_path / "rows"
    whole = table(path)
    content = path.read_bytes()
    for length in range(content.index(b"\n") + 1):
        path.write_bytes(content[:length])
        CALLS.clear()
        pd.testing.assert_frame_equal(table(path), whole)
        assert list(CALLS) == SETTINGS
    path.write_bytes(b"\0" * len(content))  # what a disk may have after a power cut
    pd.testing.assert_frame_equal(table(path), whole)


@pytest.mark.parametrize("line", [1, 2, 4])
def test_damaged_lines_are_named_and_computed_again(tmp_path, line):
    path = tmp_path / "rows"
    whole = table(path)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = bytearray(lines[line])
    digit = next(i for i, byte in enumerate(damaged) if chr(byte).isdigit())
    damaged[digit] ^= 1
    path.write_bytes(b"".join([*lines[:line], bytes(damaged), *lines[line + 1 :]]))
    CALLS.clear()
    with pytest.warns(UserWarning, match=rf"rows is damaged in line {line + 1}; what was there"):
        again = table(path)
    pd.testing.assert_frame_equal(again, whole)
    assert list(CALLS) == [SETTINGS[line - 1]]
    CALLS.clear()
    table(path)  # the file is sound again
    assert not CALLS


def test_rows_of_another_identity_are_others(tmp_path):
    path = tmp_path / "rows"
    table(path)
    other = Sweep(path, seed=1)
    assert other.table("budgets", SETTINGS, lambda **_: {"y": 1})["y"].tolist() == [1] * 4
    CALLS.clear()
    table(path)
    assert not CALLS


# --- what rows depend on -------------------------------------------------------------------------


def test_rows_depend_on_the_whole_library_but_what_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "experiments" / "identity.py"))
    checksums = []
    for name in ("codes/code.py", "codes/table.json", "experiments/figures.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
        checksums.append(identity.library.__wrapped__())
    assert checksums[0] != checksums[1] == checksums[2]


NOTEBOOK = """
import numpy as np
FACTOR = 3
WEIGHTS = np.arange(4.0)
def helper(x, power=2):
    return x ** power
def row(n):
    {comment}
    return {{"y": FACTOR * helper(n) + WEIGHTS[n] + len("text")}}
"""


def function_of(source):
    names = {"__name__": "__main__"}
    exec(compile(source, "cell", "exec"), names)
    return names["row"]


SOURCE = NOTEBOOK.format(comment="")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 3", "FACTOR = 4"),
        ("arange(4.0)", "arange(4.0) + 1"),
        ("power=2", "power=3"),
        ("x ** power", "x * power"),
        ("+ len", "- len"),
        ('"text"', '"texts"'),
        ("helper(n)", "helper(n, 3)"),
    ],
)
def test_an_edit_of_the_notebook_computes_its_rows_anew(tmp_path, old, new):
    assert SOURCE.count(old) == 1
    changed = SOURCE.replace(old, new)
    settings = [{"n": n} for n in range(3)]
    before, after = (
        Sweep(tmp_path / "rows").table("t", settings, function_of(source))
        for source in (SOURCE, changed)
    )
    pd.testing.assert_frame_equal(after, Sweep(None).table("t", settings, function_of(changed)))
    assert not before.equals(after)


def test_what_is_no_part_of_a_function_does_not_count():
    first = source_of(function_of(SOURCE))
    assert first == source_of(function_of(NOTEBOOK.format(comment="# why")))
    assert first == source_of(function_of(SOURCE + "\nOTHER = 1"))
    in_another_process = subprocess.run(
        [sys.executable, "-c", "from test_sweep import *; print(source_of(function_of(SOURCE)))"],
        capture_output=True, text=True, check=True, cwd=os.path.dirname(__file__),
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert in_another_process.stdout.split()[-1] == first


def test_arguments_of_partial_functions_and_methods_count():
    def add(x, y):
        return x + y

    assert source_of(functools.partial(add, 1)) != source_of(functools.partial(add, 2))
    assert source_of(functools.partial(add, 1)) == source_of(functools.partial(add, 1))
    sets = [SimpleNamespace(checksum=text) for text in "ab"]
    assert len({source_of(lambda data=data: data) for data in sets}) == 2
    assert source_of(None) != source_of(add)


@dataclass(frozen=True, eq=False)
class Part:
    seed: int

    @functools.cached_property
    def images(self):
        return self.seed + 1


def test_what_a_data_class_has_computed_does_not_count():
    part = Part(0)
    before = source_of(lambda: part)
    assert part.images == 1
    assert source_of(lambda: part) == before
    part = Part(1)
    assert source_of(lambda: part) != before


def test_functions_that_call_each_other():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert source_of(even) == source_of(even) != source_of(odd)


# --- the file ------------------------------------------------------------------------------------


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
    assert [path.name for path in tmp_path.iterdir()] == [".lock-rows"]


def test_finished_sweep_leaves_the_rows_of_another_that_runs(tmp_path):
    mine, other = Sweep(tmp_path / "rows", seed=0), Sweep(tmp_path / "rows", seed=1)
    mine.table("t", [{}], lambda: {"y": 1})
    other.table("t", [{}], lambda: {"y": 2})
    mine.finish()
    (line,) = (tmp_path / "rows").read_text().splitlines()[1:]
    assert json.loads(line.rpartition("\t")[0])[1] == {"y": 2}
    other.finish()
    assert not (tmp_path / "rows").exists()


def test_a_place_where_no_file_can_be_is_refused_at_once(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        Sweep(tmp_path)
    with pytest.raises(ValueError, match="is a device"):
        Sweep("/dev/null")


def test_without_a_file_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = Sweep(None, seed=0)
    found = sweep.table("budgets", SETTINGS, square)
    sweep.finish()
    assert not list(tmp_path.iterdir())
    pd.testing.assert_frame_equal(found, table(tmp_path / "rows"))


def test_shared_arguments_are_no_part_of_the_rows(tmp_path):
    def scaled(K, budget, factor):
        return {"y": factor * K}

    sweep = Sweep(tmp_path / "rows", seed=0)
    found = sweep.table("t", SETTINGS, scaled, shared={"factor": 3})
    assert list(found) == ["K", "budget", "y"]
    assert list(found["y"]) == [12, 12, 24, 24]
    each = Sweep(None).table("t", SETTINGS, scaled, each=lambda row: {"factor": row["K"]})
    assert list(each) == ["K", "budget", "y"]
    assert list(each["y"]) == [16, 16, 64, 64]
