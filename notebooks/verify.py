"""Recompute a part of every published experiment, and compare it with `results/full`.

    make verify

The part is what `profiles/verify.yml` says: the same notebooks, data and seeds as the published
run, with fewer settings. Results go to `results/verify`. Prints a table; exits with 1 if a number
differs by more than `fsrepro.verification.TOLERANCES` allow. What this machine cannot run is named.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import pandas as pd
import run as notebook

from fsrepro import genn
from fsrepro.verification import compare

PROJECT = Path(__file__).parents[1]
FOUND, PUBLISHED = PROJECT / "results" / "verify", PROJECT / "results" / "full"

# By experiment and table, the columns that tell rows apart. Not compared: durations, and tables
# that were fitted for so many seconds.
KEYS = {
    "01_relu_baseline": {"": ["setting", "steps"], "layers": ["setting", "steps", "layer"]},
    "02_huffman_codes": {"": ["setting", "snr_target"], "radix": ["kind", "steps"]},
    "03_float_codes": {"": ["kind", "spread", "snr_target"], "earlier": ["code", "range"]},
    "04_silu_sigmoid": {"": ["network", "setting", "budget"]},
    "05_cifar10": {
        "": ["setting", "steps", "budget", "name", "snr_target", "bits"],
        "frontier": ["setting", "budget"],
    },
    "06_mlgenn": {"": ["setting"], "agreement": ["code", "steps"]},
    "07_imagenet": {"": ["network", "setting"]},
}


def missing(name: str) -> str:
    """What this machine lacks for an experiment; empty: nothing."""
    if name == "06_mlgenn" and not genn.available():
        return "GeNN is not installed (make genn)"
    if name == "07_imagenet" and not os.environ.get("FSREPRO_IMAGENET"):
        return "no pictures (set FSREPRO_IMAGENET to their folder)"
    return ""


def verify(names: list[str]) -> bool:
    tables, start = [], time.monotonic()
    for name in names:
        if lack := missing(name):
            print(f"{name}: skipped, {lack}", flush=True)
            continue
        notebook.run(name, "verify", FOUND / f"{name}.ipynb")
        tables.append(compare(FOUND, PUBLISHED, name, KEYS[name]))
    if not tables:
        print("nothing was verified")
        return False
    table = pd.concat(tables, ignore_index=True)
    shown = table.rename(columns={"difference": "difference / tolerance"})
    print(shown.to_string(index=False, float_format="{:.3f}".format))
    off = table[~table["within"]]
    print(
        f"{len(table) - len(off)} of {len(table)} columns of results within their tolerances, "
        f"{(time.monotonic() - start) / 60:.1f} minutes"
    )
    return off.empty


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NN_name", help="some experiments; none: all")
    chosen = parser.parse_args().names
    if unknown := set(chosen) - set(KEYS):
        parser.error(f"no experiment {', '.join(sorted(unknown))}; choose from {', '.join(KEYS)}")
    sys.exit(0 if verify(chosen or list(KEYS)) else 1)
