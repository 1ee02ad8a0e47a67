"""A floating-point number spike by spike: first the exponent in binary, then the mantissa."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_scale, check_spikes, is_whole
from .prefix_code import PrefixCode, at_or_above

__all__ = ["ExponentMantissa"]

_MAX_BITS = 18


class ExponentMantissa(PrefixCode):
    r"""``exponent_bits`` steps for the exponent E, ``mantissa_bits`` for the mantissa below it.

    .. math:: y = \sum_{i=1}^{m} \alpha\, 2^{-E}\, 2^{1-i}\, z(e + i), \qquad
              E = \sum_{t=1}^{e} 2^{e-t}\, z(t)

    E is the smallest with :math:`\alpha 2^{-E} \le x`, at most :math:`2^e - 1`; below that the
    mantissa has leading zeros. x above :math:`\alpha` is sent as :math:`\alpha`.

    Not linear: what a mantissa spike is worth depends on the sender's exponent. Spikes that carry
    a number can run it, see :meth:`payload`, whose sum in the order of time is the value.

    Parameters
    ----------
    exponent_bits, mantissa_bits : int
        e and m, at least 1 each and at most 18 in all.
    scale : float
        :math:`\alpha`, the largest value.
    rounding : bool
        x goes to the nearest value instead of the next below.
    silent_zero : bool
        Exponent bits are inverted, so that 0 needs no spike; otherwise it has the largest
        exponent, and costs e of them.

    Raises
    ------
    ValueError
        For fewer than 1 bit of either kind or more than 18 in all, a scale that is not positive
        and finite, and values too small for float32.

    References
    ----------
    T. Shoesmith, floating point conversion (github.com/thomasshoesmith/JRA_Public), with 4 + 4,
    6 + 2 and 7 + 1 bits; rounding and the silent zero are ours.
    """

    graded_weights: NDArray[np.float32]
    """What a spike at each step is worth, given the exponent, (2^e, K); 0 for exponent steps."""

    def __init__(
        self,
        exponent_bits: int,
        mantissa_bits: int,
        scale: float,
        *,
        rounding: bool = False,
        silent_zero: bool = False,
    ):
        e = self.exponent_bits = _check_bits("exponent_bits", exponent_bits)
        m = self.mantissa_bits = _check_bits("mantissa_bits", mantissa_bits)
        if e + m > _MAX_BITS:
            raise ValueError(f"at most {_MAX_BITS} bits in all are supported, got {e} + {m}")
        alpha = float(np.float32(check_scale(scale)))
        largest, one = 2**e - 1, 2 ** (m - 1)
        # Ascending: the mantissas without a leading one, then each exponent with all of its own.
        number = [(largest, mantissa) for mantissa in range(one)]
        number += [(E, one + n) for E in range(largest, 0, -1) for n in range(one)]
        number += [(0, one)]
        exponent, mantissa = np.array(number).T
        value = alpha * np.exp2(-exponent.astype(np.float64)) * mantissa / one
        if value[1] < np.finfo(np.float32).smallest_subnormal:
            raise ValueError(f"the smallest value, {value[1]:.3g}, is too small for float32")
        begins = (value[1:] + value[:-1]) / 2 if rounding else value[1:]

        unit = alpha * np.exp2(-np.arange(2.0**e))[:, None] * np.exp2(-np.arange(m))
        self.graded_weights = np.concatenate([np.zeros((2**e, e)), unit], 1).astype(np.float32)
        self.graded_weights.setflags(write=False)
        self._inverted = largest if silent_zero else 0
        words = [f"{E ^ self._inverted:0{e}b}{M:0{m}b}" for E, M in number]
        spikes = np.array([list(word) for word in words]).T == "1"  # (K, L)
        name = f"exponent {e} + mantissa {m}"
        super().__init__(words, self._sum(spikes), at_or_above(begins), name=name)

    def exponent(self, spikes: ArrayLike) -> NDArray[np.int64]:
        """The exponent E that the first steps of ``spikes``, (K, ...), spell: (...)."""
        bits = np.asarray(spikes)[: self.exponent_bits].astype(np.int64)
        place = 1 << np.arange(self.exponent_bits)[::-1]
        return np.tensordot(place, bits, 1) ^ self._inverted

    def payload(self, spikes: ArrayLike) -> NDArray[np.float32]:
        """The number that each of ``spikes``, (K, ...), must carry; 0 where there is none.

        To run this code the sender puts ``graded_weights[E, t]`` into the spike it sends at step t.
        """
        return self._payload(check_spikes(spikes, self.steps, self.name))

    def decode(self, spikes: ArrayLike) -> NDArray[np.float32]:
        return self._sum(check_spikes(spikes, self.steps, self.name))

    def _payload(self, spikes):
        weight = np.moveaxis(self.graded_weights[self.exponent(spikes)], -1, 0)  # (K, ...)
        return np.where(spikes, weight, np.float32(0))

    def _sum(self, spikes):
        payload = self._payload(spikes)
        y = np.zeros(payload.shape[1:], np.float32)
        for value in payload:
            y = y + value
        return y


def _check_bits(field: str, bits: int) -> int:
    if not is_whole(bits):
        raise ValueError(f"{field} must be a whole number of at least 1, got {bits}")
    return int(bits)
