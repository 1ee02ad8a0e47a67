"""How a code is designed: fitted to an activation function, searched for, held against bounds."""

from .bound import bound, rate_distortion, spikes_for_rate
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

__all__ = [
    "Design",
    "Distribution",
    "FreeDecoder",
    "Measure",
    "any_decoder",
    "best_mixed_radix",
    "best_scale",
    "bound",
    "empirical",
    "fit",
    "frontier",
    "gaussian",
    "histogram",
    "laplace",
    "lognormal",
    "measure",
    "mixed_radix_front",
    "mixture",
    "rate_distortion",
    "ratio_to_bound",
    "rectified_gaussian",
    "relu",
    "round_scale",
    "snr",
    "spikes_for_rate",
    "uniform",
]
