"""Mixed-radix codes: one spike at most per digit, however many values the digit has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from .checks import MAX_STEPS, check_scale, check_steps, is_whole
from .spike_code import SpikeCode

__all__ = ["compositions", "mixed_radix"]


def mixed_radix(digits: Sequence[int], scale: float, *, dead_zone: float = 0.0) -> SpikeCode:
    r"""ReLU rounded to a whole number of steps, which is written in a mixed radix.

    Digit i has the values 0 to :math:`a_i`. It takes :math:`a_i` time steps, which stand for
    :math:`j = a_i, a_i - 1, \dots, 1`; the neuron fires at the one that is its digit, and not at
    all for 0. With the place value :math:`s_i = \prod_{l > i} (a_l + 1)`:

    .. math:: d = h = j\, s_i\, q, \qquad T = d - \tfrac12 q, \qquad
              q = \frac{\alpha}{\prod_i (a_i + 1)}, \qquad K = \sum_i a_i

    **Above the range** a digit that has fired its largest value fires again for what is left,
    so x is still rounded to the nearest multiple of q, up to :math:`\sum_t d(t)`, where every
    step fires and the output stays. Outliers thus cost extra spikes and no accuracy.

    **A dead zone.** A spike of the last digit for a value just above q/2 saves next to no error.
    Where a spike costs :math:`\lambda`, silence (error :math:`r^2`, r what is left) and the value
    jq (error :math:`(r - jq)^2`, one spike more) are worth the same at

    .. math:: r = \frac{jq}{2} + \frac{\lambda}{2jq} ,

    above the half way of rounding. So the thresholds of the last digit are at least
    :math:`(\tfrac12 + \delta)\, q`: less than that stays unwritten. All other borders are between
    words of as many spikes, or of fewer above them, and stay. Steps for values up to
    :math:`\lfloor\delta\rfloor` would never fire; so the last digit stands for
    :math:`\lfloor\delta\rfloor + 1` to :math:`\lfloor\delta\rfloor + a_n`, and in
    :math:`s_i` and q its :math:`a_n` counts as :math:`\lfloor\delta\rfloor + a_n`.

    Parameters
    ----------
    digits : sequence of int
        The largest value :math:`a_i` of each digit, the most significant first. ``(1,) * K`` is
        the binary code with rounding, ``(K,)`` the time of a single spike.
    scale : float
        The range :math:`\alpha`, as in :func:`binary`: values from 0 to :math:`\alpha - q` are
        rounded to the nearest multiple of q, halves upwards.
    dead_zone : float
        :math:`\delta`, at least 0.

    Raises
    ------
    ValueError
        For no digits, a digit that is not a whole number above 0, more than 64 steps in all, a
        scale that is not positive and finite, and a dead zone that is negative or not finite.

    References
    ----------
    Mixed-radix numerals, Knuth, The Art of Computer Programming 2, section 4.1; with all digits 1
    it is the ReLU of Stöckl & Maass (2021), rounding. Borders under a price: entropy-constrained
    quantisation, Chou, Lookabaugh & Gray (1989).
    """
    digits, scale = _check_digits(digits), check_scale(scale)
    if not (np.isfinite(dead_zone) and dead_zone >= 0):
        raise ValueError(f"the dead zone must be at least 0 and finite, got {dead_zone:g}")
    coins = coins_of(digits, unwritten=int(dead_zone))
    # Python's integers hold 64 digits exactly; one rounding to float32 per table entry.
    alpha, levels = float(np.float32(scale)), levels_of(digits, dead_zone)
    weight = np.array([alpha * coin / levels for coin in coins], np.float32)
    q = np.float32(alpha / levels)
    threshold, last = weight - q / 2, digits[-1]
    threshold[-last:] = np.maximum(threshold[-last:], np.float32(0.5 + dead_zone) * q)
    name = f"mixed radix {digits}" + (f", dead zone {dead_zone:g}" if dead_zone else "")
    return SpikeCode(threshold, weight, weight, name=name)


def coins_of(digits: Sequence[int], *, unwritten: int = 0) -> list[int]:
    """What the spike of each time step is worth, in multiples of q.

    ``unwritten``: as many values of the last digit have no step.
    """
    place, coins = 1, []  # the least significant digit first
    for a in reversed(digits):
        coins += [place * (unwritten + j) for j in range(1, a + 1)]
        place *= unwritten + a + 1
        unwritten = 0
    return coins[::-1]


def levels_of(digits: Sequence[int], dead_zone: float = 0.0) -> int:
    """The range in multiples of q."""
    return math.prod(a + 1 for a in digits[:-1]) * (digits[-1] + 1 + int(dead_zone))


def compositions(steps: int) -> Iterator[tuple[int, ...]]:
    """Every way to share ``steps`` time steps among digits: all 2^(steps - 1) tuples of sum K.

    In lexicographic order, from ``(1,) * steps`` (binary) to ``(steps,)`` (a single spike).
    ``ValueError`` for steps outside 1..64.
    """
    return _compositions(check_steps(steps))


def _compositions(total: int) -> Iterator[tuple[int, ...]]:
    if total == 0:
        yield ()
    for first in range(1, total + 1):
        for rest in _compositions(total - first):
            yield (first, *rest)


def _check_digits(digits: Sequence[int]) -> tuple[int, ...]:
    given = tuple(digits)
    if not given or not all(map(is_whole, given)):
        raise ValueError(f"digits must be one or more whole numbers of at least 1, got {given}")
    if sum(given) > MAX_STEPS:
        raise ValueError(f"at most {MAX_STEPS} time steps are supported, got {sum(given)}: {given}")
    return tuple(int(a) for a in given)
