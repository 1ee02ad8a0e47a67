"""How a code is designed: fitted to an activation function, searched for, held against bounds.

A designer turns pre-activations into a :class:`Front` of codes (``front``); ``designers`` and
``search`` have them, ``compare`` holds them against the bound.
"""

from ._bound import bound, rate_distortion, spikes_for_rate
from ._fit import fit
from ._frontier import frontier, ratio_to_bound
from ._measure import Measure, decibels, measure, snr
from ._scalar_bound import scalar_bound, scalar_rate, word_bound
from .comparison import compare, pair_or_one
from .designers import fitted_to, given, rescaled, scaled, with_soma, words_of
from .distributions import (
    Distribution,
    empirical,
    gaussian,
    laplace,
    lognormal,
    mixture,
    relu,
    uniform,
)
from .front import Candidate, Designer, Front
from .lloyd import FreeDecoder, any_decoder
from .search import mixed_radix_of, round_scale
from .spread import Spread, mixed_radices, spread_front

__all__ = [name for name, value in globals().items() if callable(value)]
