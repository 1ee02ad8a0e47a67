"""Write the codes of the page "A neuron to play with" as a file that a browser reads.

python book/export_codes.py        # fsrepro.codes -> book/static/neuron/codes.js

A script rather than JSON: a page opened from a disk may load the one, not the other. Tables are for
scale 1; the page multiplies them, as ``SpikeCode.scaled`` does. A float32 is written as the float64
of the same value, so nothing is lost.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fsrepro import codes
from fsrepro.codes import Code, PrefixCode
from fsrepro.files import write_text

OUTPUT = Path(__file__).parent / "static" / "neuron" / "codes.js"
STEPS = range(1, 17)
TABLES = ("threshold", "reset", "weight")


class Family(NamedTuple):
    """Codes that differ only in ``sizes``, mostly the number of time steps."""

    key: str  # in the address of the page
    group: str
    name: str  # in the list of its group
    about: str  # one sentence, shown below the choice
    make: Callable[..., Code]  # (size, scale) -> code, or size -> code where there is no scale
    sizes: Sequence[int] = STEPS
    has_scale: bool = True

    def code(self, size: int, scale: float = 1.0) -> Code:
        return self.make(size, scale) if self.has_scale else self.make(size)


def mixed_radix(steps: int, scale: float, most: int = STEPS[-1]) -> Code:
    """Digits from 0 to ``most``; the first is smaller where K is no multiple of that."""
    digits = [steps % most, *[most] * (steps // most)]
    return codes.mixed_radix([digit for digit in digits if digit], scale)


def with_dead_zone(steps: int, scale: float, dead_zone: float) -> Code:
    return codes.mixed_radix((steps,), scale, dead_zone=dead_zone)


EACH_DIGIT = (
    "Each digit has {} steps (the first, what is left of K); "
    "within the range one of them fires at most."
)
PUBLISHED = "The tables of Stöckl and Maass, found by gradient descent."
FITTED = "Tables that this project fitted to a normal distribution of deviation 1.5."
FAMILIES = [
    Family("binary-floor", "Binary", "binary, rounded down",
           "Each step is worth half of the one before it: the ReLU code of Stöckl and Maass.",
           codes.binary),
    Family("binary-round", "Binary", "binary, rounded to nearest",
           "The same weights, with every threshold lower by half of the smallest weight.",
           partial(codes.binary, rounding=True)),
    Family("mixed-radix-2", "Mixed radix", "mixed radix, digits 0 to 2",
           EACH_DIGIT.format("two"), partial(mixed_radix, most=2)),
    Family("mixed-radix-3", "Mixed radix", "mixed radix, digits 0 to 3",
           EACH_DIGIT.format("three"), partial(mixed_radix, most=3)),
    Family("single-spike", "Mixed radix", "mixed radix, one digit",
           "All steps share one digit: within the range, the time of a single spike is the value.",
           mixed_radix),
    Family("dead-zone", "Mixed radix", "mixed radix, one digit, dead zone",
           "The same, but values below one and a half steps are not worth a spike: silence.",
           partial(with_dead_zone, dead_zone=1.0), range(2, 17)),
    *(Family(f"leading-one-{m}", "Floating point", f"leading one, {spikes}",
             f"The binary code that stops after {spikes}.", partial(codes.leading_one, spikes=m))
      for m, spikes in ((1, "1 spike"), (2, "2 spikes"), (3, "3 spikes"))),
    *(Family(f"geometric-{m}", "Floating point", f"geometric 1.6, {m} spikes",
             f"Each step is worth 1.6 times less than the one before it; {m} spikes at most.",
             partial(codes.geometric, ratio=1.6, spikes=m))
      for m in (2, 3)),
    Family("rate-floor", "Rate", "rate, rounded down",
           "All steps are worth the same: a value is a number of spikes.", codes.rate),
    Family("rate-round", "Rate", "rate, rounded to nearest",
           "All steps are worth the same, with a threshold of half a weight.",
           partial(codes.rate, rounding=True)),
    Family("signed-binary", "Signed binary", "signed binary",
           "Two steps for each digit, one adds and one subtracts. No FS neuron sends these spikes: "
           "a table does, so there is no membrane potential.", codes.signed_binary, range(1, 8)),
    Family("silu-published", "SiLU", "SiLU, published", PUBLISHED,
           lambda _: codes.published.silu(), [16], False),
    Family("silu-fitted", "SiLU", "SiLU, fitted", FITTED, codes.fitted.silu, [8, 16], False),
    Family("sigmoid-published", "Sigmoid", "sigmoid, published", PUBLISHED,
           lambda _: codes.published.sigmoid(), [12], False),
    Family("sigmoid-fitted", "Sigmoid", "sigmoid, fitted", FITTED,
           codes.fitted.sigmoid, [12], False),
]  # fmt: skip


def table(code: Code) -> dict:
    """A code as the page needs it."""
    entry = {"name": code.name, "steps": code.steps}
    if not isinstance(code, PrefixCode):
        tables = {field: getattr(code, field).tolist() for field in TABLES}
        return entry | {"max_spikes": code.max_spikes} | tables
    place = np.exp2(-np.arange(code.steps // 2, dtype=np.float32))
    return entry | {
        "words": code.words,
        "levels": code.levels.tolist(),
        "breakpoints": code.breakpoints.tolist(),
        "weight": np.stack([place, -place], 1).ravel().tolist(),
    }


def write(path: Path = OUTPUT) -> None:
    families = [
        {
            **{field: getattr(family, field) for field in ("key", "group", "name", "about")},
            "activation": family.code(family.sizes[0]).activation,
            "has_scale": family.has_scale,
            "codes": [table(family.code(size)) for size in family.sizes],
        }
        for family in FAMILIES
    ]
    text = json.dumps(families, ensure_ascii=False, separators=(",", ":"))
    write_text(path, f"window.fsCodes = {text};\n")


if __name__ == "__main__":
    write()
