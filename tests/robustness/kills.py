"""SIGKILL inside every writer, then a restart: the same content, nothing refused.

    python tests/robustness/kills.py [--points 20]

Half of the kills fall between two calls of C functions, half in a write to the disk: the kernel
ends a process that writes a file beyond RLIMIT_FSIZE. What is wrong is printed as JSON, and the
exit code is 1.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from formats import WRITTEN, Format
from tqdm import tqdm

MOST_CALLS = 10**9
LEFT = (".partial-", ".lock-")  # what a kill may leave; the former is removed a day later


def counting(limit: int):
    """A profiler that kills this process at its call number ``limit`` of a C function."""
    calls = 0

    def profile(frame, event, argument):
        nonlocal calls
        if event == "c_call":
            calls += 1
            if calls == limit:
                os.kill(os.getpid(), signal.SIGKILL)

    return profile, lambda: calls


def in_child(kind: Format, path: Path, calls: int = MOST_CALLS, size: int | None = None):
    """Write version 1 in a child; how it ended, and how many calls it took."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            tqdm.set_lock(threading.RLock())  # the other is shared with the parent, for ever
            profile, counted = counting(calls)
            if size is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            sys.setprofile(profile)
            kind.write(path, 1)
            sys.setprofile(None)
            os.write(writer, str(counted()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    answer = os.read(reader, 100)
    os.close(reader)
    return status, int(answer or 0)


def faults_of(kind: Format, points: int) -> tuple[int, list[str]]:
    """How many processes were killed, and what was wrong afterwards."""
    faults, killed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, kind.file)
        kind.write(path, 1)  # also makes all that is made once
        new = kind.read(path)
        size = max(p.stat().st_size for p in Path(folder).iterdir())
        _, calls = in_child(kind, path)
        for point in tqdm(range(points), desc=kind.name, disable=None):
            for left in Path(folder).iterdir():
                left.unlink()
            kind.write(path, 0)
            old = kind.read(path)
            share = (point // 2 + 0.5) / (points / 2)
            if point % 2:
                status, _ = in_child(kind, path, size=int(share * size))
            else:
                status, _ = in_child(kind, path, calls=max(1, int(share * calls)))
            where = f"{kind.name}, point {point}"
            killed += os.WIFSIGNALED(status)
            if os.WIFEXITED(status) and os.WEXITSTATUS(status):
                faults.append(f"{where}: failed without being killed")
            if kind.name != "results":  # several files, of which the last has checksums of all
                try:
                    if kind.read(path) not in (old, new):
                        faults.append(f"{where}: another content")
                except Exception as error:
                    faults.append(f"{where}: {error}")
            kind.write(path, 1)
            if kind.read(path) != new:
                faults.append(f"{where}: another content after the restart")
            for left in Path(folder).iterdir():
                if left.name.startswith(".partial-"):
                    yesterday = time.time() - 90_000
                    os.utime(left, (yesterday, yesterday))
            kind.write(path, 0)
            if left := [p.name for p in Path(folder).iterdir() if p.name.startswith(".partial-")]:
                faults.append(f"{where}: {left} stays")
    return killed, faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    killed, faults = {}, []
    for kind in WRITTEN:
        killed[kind.name], found = faults_of(kind, options.points)
        faults += found
    faults += [f"{n}: only {k} kills" for n, k in killed.items() if k < 0.8 * options.points]
    print(json.dumps({"killed": killed, "faults": faults}, indent=1))
    sys.exit(bool(faults))
