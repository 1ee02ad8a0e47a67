"""Synapses between populations of any shape: a shared kernel, or each with a weight of its own."""

from __future__ import annotations

import numpy as np
from ml_genn.connectivity import Connectivity, Dense
from ml_genn.connectivity.sparse_base import SparseBase
from ml_genn.utils.snippet import ConnectivitySnippet
from pygenn import (
    SynapseMatrixType,
    create_toeplitz_connect_init_snippet,
    init_toeplitz_connectivity,
)

from .linear_maps import Convolution, Map

__all__ = ["connectivity"]

_PARAMETERS = (
    "kh", "kw", "icg", "ocg", "iw", "ic", "oh", "ow", "oc", "sh", "sw", "dh", "dw", "ph", "pw",
)  # fmt: skip

# GeNN's own Toeplitz convolution has no stride, no groups, and other paddings than "same" has. Its
# outer loop goes over the synapses of a kernel, the inner one over spikes; here a spike adds up
# rows of the kernel, which lie side by side. So all is one diagonal.
_snippet = create_toeplitz_connect_init_snippet(
    "shared_convolution",
    params=[(name, "int") for name in _PARAMETERS],
    diagonal_build_code="""
        for_each_synapse {
            const int channel = id_pre % ic;
            const int pixel = id_pre / ic;
            const int row = (pixel / iw) + ph;
            const int column = (pixel % iw) + pw;
            const int read = channel % icg;
            const int first = (channel / icg) * ocg;
            for(int r = 0; r < kh; r++) {
                const int down = row - (r * dh);
                if(down >= 0 && (down % sh) == 0 && (down / sh) < oh) {
                    for(int c = 0; c < kw; c++) {
                        const int right = column - (c * dw);
                        if(right >= 0 && (right % sw) == 0 && (right / sw) < ow) {
                            const int post = ((((down / sh) * ow) + (right / sw)) * oc) + first;
                            for(int f = 0; f < ocg; f++) {
                                addSynapse(post + f, r, c, read, first + f);
                            }
                        }
                    }
                }
            }
        }
        """,
    calc_max_row_len_func=lambda num_pre, num_post, pars: 1,
    calc_kernel_size_func=lambda pars: [pars["kh"], pars["kw"], pars["icg"], pars["oc"]],
)


class SharedConvolution(Connectivity):
    """A convolution whose kernel is in memory once."""

    def __init__(self, convolution: Convolution):
        super().__init__(convolution.kernel.astype(np.float32), 0)
        self.convolution = convolution

    def connect(self, source, target):
        pass

    def get_snippet(self, connection, supported_matrix_type):
        found = self.convolution
        kh, kw, icg, oc = found.kernel.shape
        sizes = (kh, kw, icg, oc // found.groups, *found.inputs[1:], *found.outputs)
        values = dict(
            zip(_PARAMETERS, (*sizes, *found.stride, *found.dilation, *found.before), strict=True)
        )
        return ConnectivitySnippet(
            snippet=init_toeplitz_connectivity(_snippet, values),
            matrix_type=SynapseMatrixType.TOEPLITZ,
            weight=self.weight,
            delay=0,
        )


class SparseWeights(SparseBase):
    """Explicit synapses: from ``pre`` to ``post``, indices in flattened populations."""

    def __init__(self, pre, post, weight):
        super().__init__(weight, 0)
        self.pre_ind, self.post_ind = pre, post

    def connect(self, source, target):
        pass

    def get_snippet(self, connection, supported_matrix_type):
        return self._get_snippet(supported_matrix_type, None)


class FlatDense(Dense):
    """All-to-all, between populations of any shape."""

    def connect(self, source, target):
        pass


def connectivity(found: Map) -> Connectivity:
    """What holds the least memory."""
    if isinstance(found, Convolution):
        return SharedConvolution(found)
    weights = found.matrix()
    if weights.nnz == np.prod(weights.shape):
        return FlatDense(weights.toarray())
    if not weights.nnz:  # all was cut away, say; GeNN takes no empty rows
        return SparseWeights(np.zeros(1, int), np.zeros(1, int), np.zeros(1))
    weights = weights.tocoo()
    return SparseWeights(weights.coords[0], weights.coords[1], weights.data)
