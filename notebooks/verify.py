"""Recompute a part of every published experiment, and compare it with `results/full`.

    make verify

The part is what `profiles/verify.yml` says: the same notebooks, data and seeds as the published
run, with fewer settings. Results go to `results/verify`. Prints a table; exits with 1 if a number
differs by more than `fsrepro.experiments.verification.TOLERANCES` allow, or a notebook fails; the
others still run. What this machine cannot run is named.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pandas as pd
import run as notebook

from fsrepro import genn
from fsrepro.experiments import results
from fsrepro.experiments.verification import compare

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
    "06_mlgenn": {
        "": ["setting"],
        "agreement": ["code", "sums", "steps"],
        "times": ["setting", "weights", "synapses"],
    },
    "07_imagenet": {"": ["network", "setting"], "layers": ["network", "setting", "layer"]},
    "09_low_end": {"": ["network", "setting", "budget"], "one_neuron": ["K", "at_most"]},
    "10_nothing_analog": {
        "": ["network", "picture", "budget"],
        "signals": ["network", "signal"],
        "events": ["network", "budget", "images"],
    },
    "11_training": {"": ["network", "K", "weights", "by_channel", "budget", "seed"]},
    "12_at_scale": {"": ["processes"]},
    # It trains its networks anew, which another processor does a little differently.
    "08_public_failures": {"diagnosis": ["layer"]},
}


OF_PICTURES = "07_imagenet", "10_nothing_analog", "12_at_scale"


def missing(name: str) -> str:
    """What this machine lacks for an experiment; empty: nothing."""
    if name in ("06_mlgenn", "10_nothing_analog") and not genn.available():
        return "GeNN is not installed (make genn)"
    if name in OF_PICTURES and not os.environ.get("FSREPRO_IMAGENET"):
        return "no pictures (set FSREPRO_IMAGENET to their folder)"
    return ""


def recomputed(name: str) -> pd.DataFrame:
    notebook.run(name, "verify", FOUND / f"{name}.ipynb")
    return compare(FOUND, PUBLISHED, name, KEYS[name])


def verify(names: list[str], jobs: int = 2) -> bool:
    """Whether all of ``names`` that can run here agree; ``jobs`` of them run at a time."""
    lacks = {name: missing(name) for name in names}
    for name in filter(lacks.get, names):
        print(f"{name}: skipped, {lacks[name]}", flush=True)
    longest_first = sorted(  # so that none is left to run alone at the end
        (name for name in names if not lacks[name]),
        key=lambda name: results.read(PUBLISHED, name)["provenance"]["minutes"],
        reverse=True,
    )
    start, tables, failed = time.monotonic(), {}, []
    pool = ThreadPoolExecutor(jobs)  # each notebook has a process of its own
    try:
        runs = {pool.submit(recomputed, name): name for name in longest_first}
        for run in as_completed(runs):
            name, after = runs[run], f"after {(time.monotonic() - start) / 60:.1f} minutes"
            try:
                tables[name] = run.result()
                print(f"{name}: recomputed {after}", flush=True)
            except (Exception, SystemExit) as error:  # the others go on: minutes would be lost
                failed.append(name)
                print(f"{name}: failed {after}\n{error}", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        print(f"not verified, their notebooks failed: {', '.join(sorted(failed))}")
    if not tables:
        print("nothing was verified")
        return False
    table = pd.concat([tables[name] for name in names if name in tables])
    shown = table.rename(columns={"difference": "difference / tolerance"})
    print(shown.to_string(index=False, float_format="{:.3f}".format))
    print(
        f"{table['within'].sum()} of {len(table)} columns of results within their tolerances, "
        f"{(time.monotonic() - start) / 60:.1f} minutes"
    )
    return table["within"].all() and not failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NN_name", help="some experiments; none: all")
    parser.add_argument("--jobs", type=int, default=2, help="experiments at a time")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(KEYS):
        parser.error(f"no experiment {', '.join(sorted(unknown))}; choose from {', '.join(KEYS)}")
    sys.exit(0 if verify(arguments.names or list(KEYS), arguments.jobs) else 1)
