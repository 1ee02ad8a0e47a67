"""Fit SiLU and sigmoid, and hold them against the published tables: about 15 minutes of CPU.

python benchmarks/fit_targets.py [--seeds N] [--only FUNCTION-STEPS] [--write]

``--write`` stores the best code of each row in ``fsrepro/codes/fitted.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from fsrepro.codes import published
from fsrepro.fitting import fit, gaussian, measure, mixture, uniform

TABLES = Path(__file__).parents[1] / "fsrepro" / "codes" / "fitted.json"


def silu(x):
    return x / (1 + np.exp(-x))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# function, K, spike penalty, share of the uniform over [-8, 8], seconds; MSE and spikes to reach
TARGETS = [
    (silu, 8, 0.0, 0.001, 28.0, 1.8e-3, np.inf),
    (silu, 16, 8e-5, 0.003, 150.0, 3e-4, 2.6),
    (sigmoid, 12, 1.5e-4, 0.003, 75.0, 1e-4, 1.6),
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--only", default="")
    options.add_argument("--write", action="store_true")
    options = options.parse_args()
    source, range_ = gaussian(0, 1.5), uniform(-8, 8)
    fit(silu, 1, source, seconds=0.01)  # compile
    for f, code in ((silu, published.silu()), (sigmoid, published.sigmoid())):
        report("published", f, code, measure(code, f, source), measure(code, f, range_))
    entries = []
    for f, steps, penalty, share, seconds, mse, spikes in TARGETS:
        if options.only not in ("", f"{f.__name__}-{steps}"):
            continue
        distribution = mixture([(1 - share, source), (share, range_)])
        found = []
        for seed in range(options.seeds):
            started = time.process_time()
            code = fit(
                f, steps, distribution, spike_penalty=penalty, seconds=seconds, seed=seed,
            )  # fmt: skip
            taken = time.process_time() - started
            m, tails = measure(code, f, source), measure(code, f, range_)
            report(f"seed {seed}, {taken:.0f} s", f, code, m, tails)
            missed = m.mse > mse or m.spikes > spikes
            found.append((missed, m.mse + penalty * m.spikes, seed, code, m, tails))
        missed, _, seed, code, m, tails = min(found, key=lambda item: item[:3])
        verdict = "MISSED" if missed else "reached"
        print(f"  target {mse:.1e} at {spikes} spikes: {verdict} (seed {seed})", flush=True)
        entries.append(
            {
                "function": f.__name__,
                "steps": steps,
                "source": "fsrepro.fitting.fit",
                "domain": [-8, 8],
                "fit": {
                    "distribution": distribution.name,
                    "spike_penalty": penalty,
                    "seconds": seconds,
                    "seed": seed,
                },
                "measured": {
                    "distribution": source.name,
                    "mse": float(f"{m.mse:.6g}"),
                    "spikes": round(m.spikes, 6),
                    "max_error": round(tails.max_error, 6),
                },
                **{
                    table: [float(str(value)) for value in getattr(code, table)]
                    for table in ("threshold", "reset", "weight")
                },
            }
        )
    if options.write:
        if options.only and TABLES.exists():  # keep the others
            new = {(entry["function"], entry["steps"]) for entry in entries}
            old = json.loads(TABLES.read_text(encoding="utf-8"))
            entries += [entry for entry in old if (entry["function"], entry["steps"]) not in new]
        TABLES.write_text(dump(sorted(entries, key=lambda e: (e["function"], e["steps"]))))


def report(what, f, code, m, tails) -> None:
    print(
        f"{f.__name__:8} K={code.steps:2}  MSE {m.mse:.3e}  spikes {m.spikes:.3f}  "
        f"largest error over [-8, 8] {tails.max_error:.3f}  ({what})",
        flush=True,
    )


def dump(entries) -> str:
    """JSON with one line per key."""
    blocks = []
    for entry in entries:
        lines = [
            f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
            for key, value in entry.items()
        ]
        blocks.append(" {\n" + ",\n".join(lines) + "\n }")
    return "[\n" + ",\n".join(blocks) + "\n]\n"


if __name__ == "__main__":
    main()
