"""What layers of spiking neurons have in common, whatever their code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import keras

from .. import activations
from ..codes import Code
from .graph import rewrite

__all__ = ["Nonlinearity", "Population", "activation_layers", "by_layer", "populate"]


class Population(keras.layers.Layer):
    """Replaces an activation by neurons that write it in ``code``.

    Input: membrane potentials, float32, (N, ..., C). Output: decoded values, same shape; if
    ``counting``, a pair of these and the spikes summed over channels, (N, ...).
    """

    def __init__(self, code: Code, *, counting: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.code = code
        self.counting = counting

    def compute_output_spec(self, x):
        values = keras.KerasTensor(x.shape, dtype=x.dtype)
        if not self.counting:
            return values
        return values, keras.KerasTensor(x.shape[:-1], dtype=x.dtype)


class Nonlinearity(keras.layers.Activation):
    """An activation layer of a network in normal form, by a name of :mod:`fsrepro.activations`."""

    def __init__(self, function: str, **kwargs):
        super().__init__(activations.get(function).tensor_function, **kwargs)
        self.function = function

    def get_config(self):
        return {"name": self.name, "function": self.function}


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


def populate(graph: keras.Model, population: Callable[[str], Population]) -> keras.Model:
    """``graph`` with ``population(name)`` in the place of each activation layer.

    ``ValueError`` for a population whose code writes another function.
    """

    def replace(call, *args, **kwargs):
        layer = call.operation
        if not isinstance(layer, Nonlinearity):
            return None
        neurons = population(layer.name)
        if neurons.code.activation != layer.function:
            raise ValueError(
                f"layer {layer.name!r} is a {layer.function}, but its code {neurons.code.name!r} "
                f"writes {neurons.code.activation}; see fsrepro.codes.soma"
            )
        return neurons(*args, **kwargs)

    return rewrite(graph, replace)
