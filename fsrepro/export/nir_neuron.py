"""The FS neuron in the nodes of NIR: thresholds, scales and sums."""

from __future__ import annotations

import nir
import numpy as np

from ..codes import SpikeCode

__all__ = ["Nodes", "few_spikes_graph"]


def few_spikes_graph(code: SpikeCode, shape: tuple[int, ...]) -> nir.NIRGraph:
    """The neurons of a layer, from membrane potentials to decoded values.

    At step k, ``potential_k`` is v (``input`` at the first), ``spike_k`` is z, ``value_k`` what has
    been decoded. A code with an offset starts from a threshold that is always met. With
    ``max_spikes``, a spike needs a threshold that is reached and, beside it, a neuron still fresh.
    ``shape`` is that of one image, channels first.
    """
    graph = Nodes({"input": nir.Input(np.array(shape))})

    def everywhere(value):
        channels = np.reshape(np.float32(value), (-1, *(1,) * (len(shape) - 1)))
        return np.broadcast_to(channels, shape)

    def scale(name, factor, *sources):
        return graph.add(name, nir.Scale(everywhere(factor)), *sources)

    def threshold(name, value, *sources):
        return graph.add(name, nir.Threshold(everywhere(value)), *sources)

    v, value, fatigue = "input", "", ""
    if np.any(code.offset):
        value = scale("offset", code.offset, threshold("always", -np.inf, v))
    for k in range(1, code.steps + 1):
        T, h, d = code.threshold[k - 1], code.reset[k - 1], code.weight[k - 1]
        if code.max_spikes is None or k <= code.max_spikes:
            z = threshold(f"spike_{k}", _below(T), v)
        else:
            reached = threshold(f"reached_{k}", _below(T), v)
            fresh = threshold(f"fresh_{k}", 0.5 - code.max_spikes, fatigue)
            z = threshold(f"spike_{k}", 1.5, reached, fresh)
        weighted = scale(f"weighted_{k}", d, z)
        value = scale(f"value_{k}", 1, value, weighted) if value else weighted
        if k == code.steps:
            break
        v = scale(f"potential_{k + 1}", 1, v, scale(f"reset_{k}", -h, z))
        if code.max_spikes is not None:
            tired = scale(f"tired_{k}", -1, z)
            fatigue = scale(f"fatigue_{k}", 1, fatigue, tired) if fatigue else tired
    graph.add("output", nir.Output(np.array(shape)), value)
    return nir.NIRGraph(graph.nodes, graph.edges, metadata={"fsrepro": _tables(code)})


def _below(threshold: np.ndarray) -> np.ndarray:
    """The numbers that exactly those above exceed that reach the thresholds.

    For 0 the largest that is not subnormal, for readers that take subnormal numbers for 0.
    """
    below = np.nextafter(threshold, np.float32(-np.inf))
    return np.where(threshold == 0, -np.finfo(np.float32).tiny, below)


def _tables(code: SpikeCode) -> dict:
    """The arguments of ``SpikeCode``; NIR has no None."""
    names = "threshold", "reset", "weight", "max_spikes", "name", "activation", "offset"
    return {name: getattr(code, name) for name in names if getattr(code, name) is not None}


class Nodes:
    """A graph in the making."""

    def __init__(self, nodes: dict[str, nir.NIRNode]):
        self.nodes = nodes
        self.edges: list[tuple[str, str]] = []

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Connect ``node`` with what it reads; return its name, which is changed if taken."""
        while name in self.nodes:
            name += "_"
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name
