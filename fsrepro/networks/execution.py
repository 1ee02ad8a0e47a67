"""Networks of one structure run in one graph, whose inputs are their weights and tables.

So another budget, code or bias is not traced again.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops

from .compiled import traced
from .graph import calls, retrace
from .population import Population

__all__ = ["counting"]

_KEPT: OrderedDict[tuple, _Graph] = OrderedDict()
_MOST = 8  # graphs, each with a copy of the weights


def counting(model: keras.Model, how: Mapping[str, str]) -> Callable:
    """From a batch of images to the outputs of a spiking network and then its spikes, (N, ...).

    ``how``: by population, in the order of the spikes, what :class:`Population` calls counting.
    """
    key = _structure(model), tuple(how.items())
    graph = _KEPT.pop(key, None) or _Graph(model, how)
    _KEPT[key] = graph
    if len(_KEPT) > _MOST:
        _KEPT.popitem(last=False)
    return lambda images: graph(model, images)


def _structure(model: keras.Model) -> tuple:
    """Equal for networks that differ in weights and tables alone."""
    number = {id(x): i for i, x in enumerate(model.inputs)}
    rows: list[tuple] = [tuple((x.shape, x.dtype) for x in model.inputs)]
    for call in calls(model):
        layer, inputs = call.operation, tuple(number[id(x)] for x in call.input_tensors)
        if isinstance(layer, Population):
            own = (*layer.structure, layer.dtype_policy.name)
        else:
            own = (json.dumps(layer.get_config(), default=repr),)
        rows.append((type(layer), layer.name, *own, inputs))
        number |= {id(x): len(number) for x in call.outputs}
    return (*rows, tuple(number[id(x)] for x in model.outputs))


class _Graph:
    """A network in which weights and tables can be put."""

    def __init__(self, model: keras.Model, how: Mapping[str, str]):
        tables: list = []
        counts = {}
        self._populations: list[str] = []

        def replace(call, *args, **kwargs):
            layer = call.operation
            if not isinstance(layer, Population):
                return None
            own = [keras.Input(batch_shape=t.shape, dtype=t.dtype.name) for t in layer.tables]
            tables.extend(own)
            self._populations.append(layer.name)
            neurons = type(layer)(
                layer.code, counting=how[layer.name], name=layer.name, dtype=layer.dtype_policy
            )
            values, counts[layer.name] = neurons(*args, *own)
            return values

        inputs, outputs = retrace(model, replace)
        outputs = [*outputs, *(counts[name] for name in how)]
        whole = keras.Model([*inputs, *tables], outputs)
        # Where a network of this structure has what this one calls its variables.
        places = {
            id(variable): (layer.name, i)
            for layer in whole.layers
            for i, variable in enumerate(layer.variables)
        }
        self._places = [
            [places[id(variable)] for variable in variables]
            for variables in (whole.trainable_variables, whole.non_trainable_variables)
        ]
        self._run = traced(
            lambda weights, inputs: whole.stateless_call(*weights, inputs, training=False)[0]
        )

    def __call__(self, model: keras.Model, images) -> list[np.ndarray]:
        """The outputs for ``images`` of a network of this structure."""
        layers = {layer.name: layer for layer in model.layers}
        tables = (table for name in self._populations for table in layers[name].tables)
        inputs = [*map(ops.convert_to_tensor, (np.asarray(images, np.float32), *tables))]
        weights = [
            [ops.convert_to_tensor(layers[name].variables[i]) for name, i in places]
            for places in self._places
        ]
        return [*map(ops.convert_to_numpy, self._run(weights, inputs))]
