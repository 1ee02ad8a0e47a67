"""Files that are cut, changed, crafted, killed in the middle, on a full disk, and shared.

The scripts in ``tests/robustness`` do the work in processes of their own, and say what they mean.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from effort import effort

for package in ("onnx", "nir"):
    pytest.importorskip(package)

SCRIPTS = Path(__file__).parent / "robustness"


def run(script, *options):
    """What a script found, or the end of what it said."""
    places = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, str(SCRIPTS / script), *map(str, options)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=900)
    assert done.stdout.startswith(("{", "[")), f"{done.returncode}: {done.stderr[-3000:]}"
    return json.loads(done.stdout)


def test_damaged_files_are_refused_in_one_line():
    flips = effort(200, 30)
    found = run("fuzz.py", "--flips", flips, "--without", "Keras, HDF5")
    assert found["faults"] == []
    assert len(found["cases"]) == 14 and set(found["cases"].values()) == {20 + flips}


def test_damaged_files_of_hdf5_take_no_process_down():
    """Fewer: each is looked at in a process of its own."""
    assert run("fuzz.py", "--flips", effort(20, 5), "Keras, HDF5")["faults"] == []


def test_crafted_files_take_neither_memory_nor_time():
    assert run("crafted.py") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of the process")
def test_kills_leave_the_old_file_or_the_new():
    points = effort(20, 8)
    found = run("kills.py", "--points", points)
    assert found["faults"] == []
    assert min(found["killed"].values()) >= 0.8 * points


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits a copy of the process")
def test_a_full_disk_leaves_the_old_file():
    assert run("full_disk.py")["faults"] == []


def test_two_processes_on_the_same_files():
    found = run("two_processes.py", "--seconds", 4)
    assert found["faults"] == []
    assert len(found["done"]) == 2
