"""The synapses of a linear map, in the form that holds the least memory."""

from __future__ import annotations

import numpy as np
from ml_genn.connectivity import Connectivity

from .linear_maps import Convolution, Map
from .upstream.connectivity import FlatDense, SharedConv2D, SparseWeights

__all__ = ["synapses"]


def synapses(found: Map) -> Connectivity:
    """A shared kernel, or a weight for each synapse."""
    if isinstance(found, Convolution):
        return SharedConv2D(
            found.kernel, found.inputs, found.outputs, found.groups, found.stride, found.dilation,
            found.before,
        )  # fmt: skip
    weights = found.matrix()
    if weights.nnz == np.prod(weights.shape):
        return FlatDense(weights.toarray())
    if not weights.nnz:  # all was cut away, say; GeNN takes no empty rows
        return SparseWeights(np.zeros(1, int), np.zeros(1, int), np.zeros(1))
    weights = weights.tocoo()
    return SparseWeights(weights.coords[0], weights.coords[1], weights.data)
