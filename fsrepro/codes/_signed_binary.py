"""Signed binary: spikes of both signs, so that 7 can be written as 8 - 1."""

from __future__ import annotations

from .checks import check_scale, is_whole
from .prefix_code import PrefixCode, uniform_levels

__all__ = ["signed_binary"]

_MAX_BITS = 18


def signed_binary(bits: int, scale: float) -> PrefixCode:
    r"""ReLU rounded to ``bits`` bits, written in digits -1, 0 and 1 without neighbours.

    .. math:: y = q \sum_{i=0}^{b} 2^i s_i, \qquad s_i \in \{-1, 0, 1\}, \qquad
              s_i s_{i+1} = 0, \qquad q = \alpha\, 2^{-b}

    Every whole number has one such form, and none with digits -1, 0 and 1 has fewer that are not
    zero: about a third of them, where plain binary has half. A digit takes two time steps, one
    for a spike of either sign, the most significant digit first: K = 2 (b + 1). A neuron
    whose spikes carry a sign would need b + 1.

    The sum could be read by synapses, with a negative weight at every second step; but no FS neuron
    sends these spikes, as it cannot compare its potential with a threshold from above.

    Parameters
    ----------
    bits : int
        b, from 1 to 18.
    scale : float
        The range :math:`\alpha`: x is rounded to a multiple of q, halves upwards, from 0 to
        :math:`\alpha - q`.

    Raises
    ------
    ValueError
        For bits outside 1..18 and a scale that is not positive and finite.

    References
    ----------
    The non-adjacent form, Reitwiesner (1960), Binary arithmetic.
    """
    if not is_whole(bits) or bits > _MAX_BITS:
        raise ValueError(f"bits must be a whole number from 1 to {_MAX_BITS}, got {bits}")
    count = 2 ** int(bits)
    words = [_word(n, int(bits) + 1) for n in range(count)]
    levels = uniform_levels(count, check_scale(scale))
    return PrefixCode(words, levels, name=f"signed binary, {bits} bits")


def _word(n: int, digits: int) -> str:
    # 3n and n differ in every place where the form has a digit: it is 3n - n, halved.
    plus, minus = (3 * n & ~n) >> 1, (n & ~(3 * n)) >> 1
    return "".join(f"{plus >> i & 1}{minus >> i & 1}" for i in reversed(range(digits)))
