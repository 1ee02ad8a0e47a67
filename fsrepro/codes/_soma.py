"""Neurons that compute a function once and write it, rather than let it emerge."""

from __future__ import annotations

from dataclasses import replace

from .. import activations
from .spike_code import SpikeCode

__all__ = ["soma"]


def soma(code: SpikeCode, activation: str, offset: float = 0.0) -> SpikeCode:
    r"""``code`` for an activation function that the soma of the neuron computes.

    .. math:: v(1) = f(x) - y_0, \qquad y = y_0 + \sum_t d(t)\, z(t)

    Parameters
    ----------
    code : SpikeCode
        One that writes max(x, 0), such as :func:`mixed_radix`, in units of f.
    activation : str
        The name of f, see :mod:`fsrepro.activations`.
    offset : float
        :math:`y_0`, the value that silence stands for. A code of positive weights writes nothing
        below it, so for SiLU it is negative; receivers add it to their bias.

    Raises
    ------
    ValueError
        For an unknown activation or an offset that is not finite.
    """
    name = f"{activations.get(activation).name}, {code.name}"
    return replace(code, activation=activation, soma=True, offset=offset, name=name)
