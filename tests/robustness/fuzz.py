"""Damaged files: accepted only if equal in content, else refused in one line.

    python tests/robustness/fuzz.py --flips 200 [--seed 0] [FORMAT ...]

Each format is cut at every twentieth and changed in single bytes. What is wrong is printed as JSON,
and the exit code is 1. A process of its own, because a library in C may take all down with it.
"""

import argparse
import faulthandler
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from formats import READ, WRITTEN, Format
from tqdm import tqdm

CUTS = 20
SLOW = 20.0  # seconds


def damaged(content: bytes, flips: int, rng: np.random.Generator):
    for part in range(CUTS):
        yield f"cut at {part}/{CUTS}", content[: len(content) * part // CUTS]
    for _ in range(flips):
        place, mask = int(rng.integers(len(content))), int(rng.integers(1, 256))
        changed = bytearray(content)
        changed[place] ^= mask
        yield f"byte {place} ^ {mask}", bytes(changed)


def faults_of(kind: Format, content: bytes, path: Path, expected) -> list[str]:
    """What is wrong with how ``kind`` reads ``content``."""
    path.write_bytes(content)
    start = time.perf_counter()
    faulthandler.dump_traceback_later(120, exit=True)
    try:
        found = kind.read(path)
        if kind.noticed and found != expected:
            return ["accepted with another content"]
    except (ValueError, OSError) as error:
        text = str(error)
        if "\n" in text or path.stem not in text:
            return [f"refused with {text!r}"]
    except BaseException as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        faulthandler.cancel_dump_traceback_later()
    seconds = time.perf_counter() - start
    return [f"took {seconds:.0f} s"] if seconds > SLOW else []


def fuzz(kind: Format, flips: int, seed: int) -> tuple[int, list[str]]:
    faults, cases = [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, kind.file)
        kind.write(path, 1)
        content = path.read_bytes()
        expected = kind.read(path)
        rng = np.random.default_rng(seed)
        bar = tqdm(damaged(content, flips, rng), total=CUTS + flips, desc=kind.name, disable=None)
        for what, changed in bar:
            cases += 1
            faults += [
                f"{kind.name}, {what}: {fault}"
                for fault in faults_of(kind, changed, path, expected)
            ]
    return cases, faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--without", default="")
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    # What nothing reads but people is left out.
    kinds = [k for k in (*WRITTEN, *READ) if k.read is not Path.read_bytes and k.name != "NIR"]
    wanted = options.formats or {kind.name for kind in kinds} - {options.without}
    chosen = [kind for kind in kinds if kind.name in wanted]
    cases, faults, seconds = {}, [], {}
    for kind in chosen:
        start = time.perf_counter()
        cases[kind.name], found = fuzz(kind, options.flips, options.seed)
        faults += found
        seconds[kind.name] = round(time.perf_counter() - start, 1)
    print(json.dumps({"cases": cases, "seconds": seconds, "faults": faults}, indent=1))
    sys.exit(bool(faults))
