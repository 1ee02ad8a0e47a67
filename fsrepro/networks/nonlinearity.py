"""The activation layer of all graphs here: a function known by its name."""

from __future__ import annotations

import keras

from .. import activations

__all__ = ["Nonlinearity"]


class Nonlinearity(keras.layers.Activation):
    """An activation layer by a name of :mod:`fsrepro.activations`; ``ValueError`` for others."""

    def __init__(self, function: str, **kwargs):
        super().__init__(activations.get(function).tensor_function, **kwargs)
        self.function = function

    def get_config(self):
        return {"name": self.name, "function": self.function}
