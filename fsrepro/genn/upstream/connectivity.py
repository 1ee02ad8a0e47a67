"""Synapses between populations of any shape: a shared kernel, or each with a weight of its own.

mlGeNN's ``Conv2D`` has its kernel in memory once where strides are 1 and one group reads all
channels. Else it writes out every synapse, which in a network for pictures takes gigabytes.
"""

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

__all__ = ["FlatDense", "SharedConv2D", "SparseWeights"]

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


class SharedConv2D(Connectivity):
    """A convolution whose kernel is in memory once.

    Along an axis output o reads the inputs ``stride`` o + ``dilation`` k - ``before``, for the
    places k of the kernel, where there are such.

    Parameters
    ----------
    kernel : (places, places, C / groups, F) array
    inputs, outputs : (H, W, C) and (H', W', F)
        Populations of other shapes with as many neurons count as flattened.
    groups : int
        Which have C / groups input channels and F / groups filters each; C: depthwise.
    stride, dilation, before : (int, int)
        Before: zeros that are padded before rows and columns. How many are behind, outputs tell.
    """

    def __init__(
        self, kernel, inputs, outputs, groups=1, stride=(1, 1), dilation=(1, 1), before=(0, 0)
    ):
        super().__init__(kernel.astype(np.float32), 0)
        kh, kw, icg, oc = kernel.shape
        if inputs[2] != icg * groups or outputs[2] != oc or oc % groups:
            raise ValueError(
                f"a kernel of shape {kernel.shape} with {groups} groups does not go from {inputs} "
                f"to {outputs}"
            )
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        sizes = (kh, kw, icg, oc // groups, *inputs[1:], *outputs)
        self._values = (*sizes, *stride, *dilation, *before)

    def connect(self, source, target):
        if target.shape is None:
            target.shape = self.outputs
        for population, shape in ((source, self.inputs), (target, self.outputs)):
            if np.prod(population.shape) != np.prod(shape):
                raise RuntimeError(f"{population.name} has shape {population.shape}, not {shape}")

    def get_snippet(self, connection, supported_matrix_type):
        values = dict(zip(_PARAMETERS, self._values, strict=True))
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
