"""How one activation is written in spikes and read back. Needs no Keras.

A code is a function that returns a :class:`SpikeCode`, an FS neuron, whose spikes are read by a
weighted sum. Codes with a word per level (:class:`PrefixCode`) have the same ``encode``,
``decode``, ``quantise``, ``count``, ``steps`` and ``name``, and say ``linear = False``. To add a
code: a file here, its import below, and its name in ``__all__``.
"""

from . import fitted, published
from ._binary import binary
from ._mixed_radix import compositions, mixed_radix
from ._rate import rate
from ._signed_binary import signed_binary
from ._soma import soma
from .code import Code
from .exponent_mantissa import ExponentMantissa
from .floating_point import geometric, leading_one
from .huffman import entropy, fewest_spikes_words, huffman_words
from .letter_costs import letter_cost_words
from .prefix_code import PrefixCode, level_probability, uniform_levels
from .spike_code import SpikeCode, Trace

__all__ = [
    "Code",
    "ExponentMantissa",
    "PrefixCode",
    "SpikeCode",
    "Trace",
    "binary",
    "compositions",
    "entropy",
    "fewest_spikes_words",
    "fitted",
    "geometric",
    "huffman_words",
    "leading_one",
    "letter_cost_words",
    "level_probability",
    "mixed_radix",
    "published",
    "rate",
    "signed_binary",
    "soma",
    "uniform_levels",
]
