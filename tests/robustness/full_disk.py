"""A full disk under every writer: the old file intact, nothing left, one clear line.

    python tests/robustness/full_disk.py

The disk is a small one in memory where this process may mount one, and a limit on the size of
files elsewhere. What is wrong is printed as JSON, and the exit code is 1.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager, nullcontext
from pathlib import Path

from formats import WRITTEN, Format

DISK = 4 * 2**20


@contextmanager
def small_disk(folder: Path):
    """``folder`` on a disk of its own; whether it is."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    space = os.statvfs(folder)
    (folder / "filler").write_bytes(b"\1" * (space.f_bavail * space.f_frsize))


def error_of(kind: Format, path: Path, limit: int | None) -> str:
    """What writing version 1 says, in a child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        text = ""
        try:
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            os.dup2(writer, 2)  # whoever talks besides
            kind.write(path, 1)
        except OSError as error:
            text = f"OSError {error}"
        except BaseException as error:
            text = f"{type(error).__name__} {error}"
        finally:
            os.write(writer, text.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.iterdir() if not path.name.startswith(".lock-"))
    return {path.name: path.read_bytes() for path in files if path.name != "filler"}


def same(kind: Format, before: dict, after: dict) -> bool:
    """Of a sweep, rows for which there was room may have been added."""
    if kind.name != "sweep":
        return after == before
    (old,), (new,) = before.values(), after.values()
    return after.keys() == before.keys() and new.startswith(old) and new.endswith(b"\n")


def faults_of(kind: Format) -> list[str]:
    faults = []
    for mounts in (True, False):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with small_disk(folder) if mounts else nullcontext(False) as disk:
                if mounts and not disk:
                    continue
                path = folder / kind.file
                kind.write(path, 1)
                size = max(map(len, contents(folder).values()))
                for file in folder.iterdir():
                    file.unlink()
                kind.write(path, 0)
                before = contents(folder)
                if disk:
                    fill(folder)
                text = error_of(kind, path, None if disk else size // 2)
                where = f"{kind.name}, {'disk' if disk else 'limit'}"
                if not same(kind, before, contents(folder)):
                    faults.append(f"{where}: {sorted(before)} became {sorted(contents(folder))}")
                name = path.name.split(".")[0]
                if not text.startswith("OSError") or name not in text or "\n" in text:
                    faults.append(f"{where}: {text[:200]!r}")
                (folder / "filler").unlink(missing_ok=True)
                kind.write(path, 1)
    return faults


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)) as mounted:
        pass
    found = [fault for kind in WRITTEN for fault in faults_of(kind)]
    print(json.dumps({"mounted": mounted, "faults": found}, indent=1))
    sys.exit(bool(found))
