"""The scales that mlGeNN's converter for FS neurons chooses: a baseline."""

from __future__ import annotations

import keras
import numpy as np

from .graph import calls
from .population import activation_layers

__all__ = ["mlgenn_scales"]


def mlgenn_scales(
    graph: keras.Model, recorded: dict[str, np.ndarray], steps: int
) -> dict[str, float]:
    r"""The range of each layer by the rule of mlGeNN, for the binary code that rounds down.

    .. math:: \alpha_l = \max_x y_l(x) / (1 - 2^{-K})

    and all layers that one population reads take the largest range among them.

    ``graph``: in normal form. ``recorded``: pre-activations, see :func:`record`; a sample of them
    has a smaller maximum than all that mlGeNN sees, by little. ``steps``: K.

    Source: ml_genn 2.3.1, ``ml_genn_tf/converters/few_spike.py``, ``pre_convert`` and
    ``post_convert``.
    """
    sites = activation_layers(graph)
    for name in sites:
        if graph.get_layer(name).function != "relu":
            raise ValueError(f"mlGeNN's rule is for ReLU; layer {name!r} is another activation")
    alpha = {
        name: max(float(recorded[name].max()), np.finfo(np.float32).tiny) / (1 - 2.0**-steps)
        for name in sites
    }
    for sources in _sources(graph, sites):
        largest = max((alpha[name] for name in sources), default=None)
        alpha |= dict.fromkeys(sources, largest)
    return alpha


def _sources(graph, sites) -> list[list[str]]:
    """For each activation layer, and at last the outputs, the activation layers that feed it."""
    made_by = {id(call.outputs[0]): call for call in calls(graph)}

    def behind(tensor) -> set[str]:
        call = made_by.get(id(tensor))
        if call is None:
            return set()
        if call.operation.name in sites:
            return {call.operation.name}
        return set().union(*(behind(x) for x in call.input_tensors))

    read = [behind(graph.get_layer(name).input) for name in sites]
    read += [behind(x) for x in graph.outputs]
    return [[name for name in sites if name in names] for names in read]
