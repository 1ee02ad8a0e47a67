"""What layers of spiking neurons have in common, whatever their code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
from keras import layers

from ..codes import Code
from .graph import copy_layer, rewrite

__all__ = ["Population", "activation_layers", "by_layer", "populate"]


class Population(keras.layers.Layer):
    """Replaces an activation by neurons that write it in ``code``.

    Input: membrane potentials, float32, (N, ..., C). Output: decoded values, same shape. With
    ``counting``, a pair: the decoded values, and the spikes summed over channels, (N, ...).
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


def activation_layers(graph: keras.Model) -> list[str]:
    """The names of the activation layers of a network in normal form, or ``ValueError``."""
    names = [layer.name for layer in graph.layers if isinstance(layer, layers.Activation)]
    if not names:
        raise ValueError(f"model {graph.name!r} has no ReLU; there is nothing to replace by spikes")
    return names


def by_layer(what: str, given: Mapping, names: list[str]) -> dict:
    """``given`` in the order of ``names``, or ``ValueError`` unless it has exactly these."""
    missing, unknown = set(names) - set(given), set(given) - set(names)
    if missing or unknown:
        raise ValueError(
            f"{what} must name every activation layer; missing {sorted(missing)}, unknown "
            f"{sorted(unknown)}"
        )
    return {name: given[name] for name in names}


def populate(graph: keras.Model, population: Callable[[str], Population]) -> keras.Model:
    """``graph`` with ``population(name)`` in the place of each activation layer."""

    def replace(call, *args, **kwargs):
        layer = call.operation
        if isinstance(layer, layers.Activation):
            return population(layer.name)(*args, **kwargs)
        return copy_layer(layer, *args, **kwargs)

    return rewrite(graph, replace)
