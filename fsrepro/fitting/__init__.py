"""How a code is designed: fitted to an activation function, searched for, held against bounds."""

from .bound import bound, rate_distortion, spikes_for_rate
from .comparison import compare, fitted_to, mixed_radix_of, scaled, words_of
from .distributions import (
    Distribution,
    empirical,
    gaussian,
    histogram,
    laplace,
    lognormal,
    mixture,
    rectified_gaussian,
    relu,
    uniform,
)
from .fit import fit
from .frontier import frontier, ratio_to_bound
from .lloyd import FreeDecoder, any_decoder
from .measure import Measure, measure, snr
from .search import Design, best_mixed_radix, best_scale, mixed_radix_front, round_scale
from .spread import Spread, best_for_spread, mixed_radices, spread_front

__all__ = [
    "Design",
    "Distribution",
    "FreeDecoder",
    "Measure",
    "Spread",
    "any_decoder",
    "best_for_spread",
    "best_mixed_radix",
    "best_scale",
    "bound",
    "compare",
    "empirical",
    "fit",
    "fitted_to",
    "frontier",
    "gaussian",
    "histogram",
    "laplace",
    "lognormal",
    "measure",
    "mixed_radices",
    "mixed_radix_front",
    "mixed_radix_of",
    "mixture",
    "rate_distortion",
    "ratio_to_bound",
    "rectified_gaussian",
    "relu",
    "round_scale",
    "scaled",
    "snr",
    "spikes_for_rate",
    "spread_front",
    "uniform",
    "words_of",
]
