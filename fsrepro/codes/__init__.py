"""How one activation is written in spikes and read back. Needs no Keras.

A code is a function that returns a :class:`SpikeCode`, an FS neuron, whose spikes are read by a
weighted sum. Codes with a word per level (:class:`PrefixCode`) have the same ``encode``,
``decode``, ``quantise``, ``count``, ``steps`` and ``name``, and say ``linear = False``. To add a
code: a file here, and its import below.
"""

from . import fitted, published
from ._above import above
from ._binary import binary
from ._by_channel import by_channel
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

__all__ = [name for name, value in globals().items() if callable(value)]
__all__ += ["fitted", "published"]
