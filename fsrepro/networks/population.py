"""What layers of spiking neurons have in common, whatever their code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import keras
from numpy.typing import NDArray

from ..codes import Code
from .graph import rewrite
from .nonlinearity import Nonlinearity

__all__ = [
    "Population", "activation_layers", "by_layer", "check_function", "populate",
]  # fmt: skip


class Population(keras.layers.Layer):
    """Replaces an activation by neurons that write it in ``code``.

    Input: membrane potentials, (N, ..., C), taken as float32. Output: decoded values, same shape,
    of the precision of the layer; if ``counting``, a pair of these and the spikes: with ``"sum"``
    summed over channels, (N, ...), with ``"each"`` of every neuron, (N, ..., C).
    """

    def __init__(self, code: Code, *, counting: str = "", **kwargs):
        super().__init__(autocast=False, **kwargs)  # tables have their own precision
        self.code = code
        self.counting = counting

    @property
    def tables(self) -> tuple[NDArray, ...]:
        """Arrays that may be passed behind the input, for others than those of ``code``."""
        return ()

    @property
    def structure(self) -> tuple:
        """What layers have in common that differ in their tables alone."""
        return (self.code,)

    def compute_output_spec(self, x, *tables):
        values = keras.KerasTensor(x.shape, dtype=self.compute_dtype)
        if not self.counting:
            return values
        shape = x.shape if self.counting == "each" else x.shape[:-1]
        return values, keras.KerasTensor(shape, dtype="float32")


def activation_layers(graph: keras.Model) -> list[str]:
    """The names of a normal form's activation layers, at least one, or ``ValueError``."""
    names = [layer.name for layer in graph.layers if isinstance(layer, Nonlinearity)]
    if not names:
        raise ValueError(
            f"model {graph.name!r} has no activation layer; there is nothing to replace by spikes"
        )
    return names


def by_layer(what: str, given: Mapping, names: Iterable[str]) -> dict:
    """``given`` in the order of ``names``, or ``ValueError`` unless it has exactly these."""
    missing, unknown = set(names) - set(given), set(given) - set(names)
    if missing or unknown:
        raise ValueError(
            f"{what} must name every activation layer; missing {sorted(missing)}, unknown "
            f"{sorted(unknown)}"
        )
    return {name: given[name] for name in names}


def check_function(name: str, function: str, code: Code) -> None:
    """Refuse a code that writes another function than the layer ``name`` computes."""
    if code.activation != function:
        raise ValueError(
            f"layer {name!r} is a {function}, but its code {code.name!r} writes "
            f"{code.activation}; see fsrepro.codes.soma"
        )


def populate(graph: keras.Model, population: Callable[[str], Population]) -> keras.Model:
    """``graph`` with ``population(name)`` in the place of each activation layer.

    ``ValueError`` for a population whose code writes another function.
    """

    def replace(call, *args, **kwargs):
        layer = call.operation
        if not isinstance(layer, Nonlinearity):
            return None
        neurons = population(layer.name)
        check_function(layer.name, layer.function, neurons.code)
        return neurons(*args, **kwargs)

    return rewrite(graph, replace)
