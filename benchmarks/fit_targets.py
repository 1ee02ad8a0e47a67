"""Fit SiLU and sigmoid, and hold them against the published tables: about 15 minutes of CPU.

python benchmarks/fit_targets.py [--seeds N] [--only FUNCTION-STEPS] [--write]

``--write`` stores the best code of each row in ``fsrepro/codes/fitted.json``.
"""

import json
import time
from pathlib import Path

import numpy as np
import typer

from fsrepro.codes import published
from fsrepro.files import write_text
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


def main(seeds: int = 4, only: str = "", write: bool = False) -> None:
    """Fit SiLU and sigmoid, and hold them against the published tables."""
    source, range_ = gaussian(0, 1.5), uniform(-8, 8)
    fit(silu, 1, source, seconds=0.01)  # compile

    def measured(what, f, code):
        m, largest = measure(code, f, source), measure(code, f, range_).max_error
        print(
            f"{f.__name__:8} K={code.steps:2}  MSE {m.mse:.3e}  spikes {m.spikes:.3f}  "
            f"largest error over [-8, 8] {largest:.3f}  ({what})",
            flush=True,
        )
        return m, largest

    measured("published", silu, published.silu())
    measured("published", sigmoid, published.sigmoid())
    entries = {(e["function"], e["steps"]): e for e in json.loads(TABLES.read_text("utf-8"))}
    for f, steps, penalty, share, seconds, mse, spikes in TARGETS:
        if only not in ("", f"{f.__name__}-{steps}"):
            continue
        distribution = mixture([(1 - share, source), (share, range_)])
        settings = {"spike_penalty": penalty, "seconds": seconds}
        found = []
        for seed in range(seeds):
            started = time.process_time()
            code = fit(f, steps, distribution, **settings, seed=seed)
            taken = time.process_time() - started
            m, largest = measured(f"seed {seed}, {taken:.0f} s", f, code)
            missed = m.mse > mse or m.spikes > spikes
            found.append((missed, m.mse + penalty * m.spikes, seed, code, m, largest))
        missed, _, seed, code, m, largest = min(found, key=lambda item: item[:3])
        verdict = "MISSED" if missed else "reached"
        print(f"  target {mse:.1e} at {spikes} spikes: {verdict} (seed {seed})", flush=True)
        entries[f.__name__, steps] = {
            "function": f.__name__,
            "steps": steps,
            "source": "fsrepro.fitting.fit",
            "domain": [-8, 8],
            "fit": {"distribution": distribution.name, **settings, "seed": seed},
            "measured": {
                "distribution": source.name,
                "mse": float(f"{m.mse:.6g}"),
                "spikes": round(m.spikes, 6),
                "max_error": round(largest, 6),
            },
            **{
                table: [float(str(value)) for value in getattr(code, table)]
                for table in ("threshold", "reset", "weight")
            },
        }
    if write:
        write_text(TABLES, dump([entries[key] for key in sorted(entries)]))


def dump(entries: list[dict]) -> str:
    """JSON with one line per key."""
    blocks = [
        ",\n".join(f'  "{k}": {json.dumps(v, ensure_ascii=False)}' for k, v in entry.items())
        for entry in entries
    ]
    return "[\n {\n" + "\n },\n {\n".join(blocks) + "\n }\n]\n"


if __name__ == "__main__":
    typer.run(main)
