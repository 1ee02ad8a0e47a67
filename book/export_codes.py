"""Write the codes of the page "A neuron to play with" as a file that a browser reads.

python book/export_codes.py        # fsrepro.codes -> book/static/neuron/codes.js

A script rather than JSON: a page opened from a disk may load the one, not the other. Tables are for
scale 1; the page multiplies them, as ``SpikeCode.scaled`` does. A float32 is written as the float64
of the same value, so nothing is lost.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fsrepro import codes
from fsrepro.codes import Code, PrefixCode

OUTPUT = Path(__file__).parent / "static" / "neuron" / "codes.js"
STEPS = range(1, 17)
TABLES = ("threshold", "reset", "weight")


@dataclass(frozen=True)
class Family:
    """Codes that differ only in ``sizes``, mostly the number of time steps.

    ``key``: its name in the address of the page. ``name``: its name in the list of ``group``.
    ``make``: (size, scale) -> code, or size -> code for a function that has no scale.
    ``about``: one sentence, shown below the choice.
    """

    key: str
    group: str
    name: str
    about: str
    make: Callable[..., Code]
    sizes: Sequence[int] = STEPS
    has_scale: bool = True

    def code(self, size: int, scale: float = 1.0) -> Code:
        return self.make(size, scale) if self.has_scale else self.make(size)


def mixed_radix(most: int) -> Callable[[int, float], Code]:
    """Digits from 0 to ``most``; the first is smaller where K is no multiple of that."""

    def make(steps: int, scale: float) -> Code:
        digits = [steps % most, *[most] * (steps // most)]
        return codes.mixed_radix([digit for digit in digits if digit], scale)

    return make


FAMILIES = (
    Family(
        "binary-floor",
        "Binary",
        "binary, rounded down",
        "Each step is worth half of the one before it: the ReLU code of Stöckl and Maass.",
        codes.binary,
    ),
    Family(
        "binary-round",
        "Binary",
        "binary, rounded to nearest",
        "The same weights, with every threshold lower by half of the smallest weight.",
        partial(codes.binary, rounding=True),
    ),
    Family(
        "mixed-radix-2",
        "Mixed radix",
        "mixed radix, digits 0 to 2",
        "Each digit has two steps (the first, what is left of K); within the range one of them "
        "fires at most.",
        mixed_radix(2),
    ),
    Family(
        "mixed-radix-3",
        "Mixed radix",
        "mixed radix, digits 0 to 3",
        "Each digit has three steps (the first, what is left of K); within the range one of them "
        "fires at most.",
        mixed_radix(3),
    ),
    Family(
        "single-spike",
        "Mixed radix",
        "mixed radix, one digit",
        "All steps share one digit: within the range, the time of a single spike is the value.",
        mixed_radix(STEPS[-1]),
    ),
    *(
        Family(
            f"leading-one-{m}",
            "Floating point",
            f"leading one, {m} spike{'s'[: m > 1]}",
            f"The binary code that stops after {m} spike{'s'[: m > 1]}.",
            partial(codes.leading_one, spikes=m),
        )
        for m in (1, 2, 3)
    ),
    *(
        Family(
            f"geometric-{m}",
            "Floating point",
            f"geometric 1.6, {m} spikes",
            f"Each step is worth 1.6 times less than the one before it; {m} spikes at most.",
            partial(codes.geometric, ratio=1.6, spikes=m),
        )
        for m in (2, 3)
    ),
    Family(
        "rate-floor",
        "Rate",
        "rate, rounded down",
        "All steps are worth the same: a value is a number of spikes.",
        codes.rate,
    ),
    Family(
        "rate-round",
        "Rate",
        "rate, rounded to nearest",
        "All steps are worth the same, with a threshold of half a weight.",
        partial(codes.rate, rounding=True),
    ),
    Family(
        "signed-binary",
        "Signed binary",
        "signed binary",
        "Two steps for each digit, one adds and one subtracts. No FS neuron sends these spikes: "
        "a table does, so there is no membrane potential.",
        codes.signed_binary,
        range(1, 8),
    ),
    Family(
        "silu-published",
        "SiLU",
        "SiLU, published",
        "The tables of Stöckl and Maass, found by gradient descent.",
        lambda _: codes.published.silu(),
        (16,),
        has_scale=False,
    ),
    Family(
        "silu-fitted",
        "SiLU",
        "SiLU, fitted",
        "Tables that this project fitted to a normal distribution of deviation 1.5.",
        codes.fitted.silu,
        (8, 16),
        has_scale=False,
    ),
    Family(
        "sigmoid-published",
        "Sigmoid",
        "sigmoid, published",
        "The tables of Stöckl and Maass, found by gradient descent.",
        lambda _: codes.published.sigmoid(),
        (12,),
        has_scale=False,
    ),
    Family(
        "sigmoid-fitted",
        "Sigmoid",
        "sigmoid, fitted",
        "Tables that this project fitted to a normal distribution of deviation 1.5.",
        codes.fitted.sigmoid,
        (12,),
        has_scale=False,
    ),
)


def table(code: Code) -> dict:
    """A code as the page needs it."""
    entry = {"name": code.name, "steps": code.steps}
    if isinstance(code, PrefixCode):
        digits = code.steps // 2
        place = np.exp2(-np.arange(digits, dtype=np.float32))
        return entry | {
            "words": code.words,
            "levels": code.levels.tolist(),
            "breakpoints": code.breakpoints.tolist(),
            "weight": np.stack([place, -place], 1).ravel().tolist(),
        }
    entry["max_spikes"] = code.max_spikes
    return entry | {field: getattr(code, field).tolist() for field in TABLES}


def document() -> list[dict]:
    return [
        {
            "key": family.key,
            "group": family.group,
            "name": family.name,
            "about": family.about,
            "activation": family.code(family.sizes[0]).activation,
            "has_scale": family.has_scale,
            "codes": [table(family.code(size)) for size in family.sizes],
        }
        for family in FAMILIES
    ]


def write(path: Path = OUTPUT) -> None:
    text = json.dumps(document(), ensure_ascii=False, separators=(",", ":"))
    path.write_text(f"window.fsCodes = {text};\n", encoding="utf-8")


if __name__ == "__main__":
    write()
