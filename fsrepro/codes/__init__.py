"""How one activation is written in spikes and read back. Depends on NumPy alone.

A code is a function that returns a :class:`SpikeCode`. To add one: a file here with that
function, and a line below.
"""

from . import published
from .binary import binary
from .floating_point import geometric, leading_one
from .mixed_radix import compositions, mixed_radix
from .rate import rate
from .spike_code import SpikeCode, Trace

__all__ = [
    "SpikeCode",
    "Trace",
    "binary",
    "compositions",
    "geometric",
    "leading_one",
    "mixed_radix",
    "published",
    "rate",
]
