"""The network as a graph of NIR, and as a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import nir
import numpy as np
from keras import layers
from numpy.typing import NDArray

from .. import __version__
from ..conversion import SpikingModel
from ..conversion.few_spikes import FewSpikes
from ..files import atomic, check_place
from ..networks.graph import calls
from ..wiring import borders
from .layouts import check, kernel, refusal
from .nir_neuron import Nodes, few_spikes_graph

__all__ = ["to_nir", "write_nir"]


def to_nir(snn: SpikingModel) -> nir.NIRGraph:
    """See :func:`fsrepro.export.to_nir`."""
    return _Builder(snn).graph


def write_nir(snn: SpikingModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """See :func:`fsrepro.export.write_nir`."""
    path = Path(path)
    check_place(path, overwrite=overwrite)
    graph = to_nir(snn)
    content = io.BytesIO()  # HDF5 cannot cope with a full disk
    with _nodes_in_order():
        nir.write(content, graph)
    with atomic(path) as partial:
        partial.write_bytes(content.getvalue())
    return path


@contextmanager
def _nodes_in_order():
    """Write HDF5 files that list things as they were written, not by the alphabet.

    NIRTorch 2.6 reads subgraphs only behind what they read.
    """
    config = h5py.get_config()
    before, config.track_order = config.track_order, True
    try:
        yield
    finally:
        config.track_order = before


@dataclass(frozen=True)
class _Value:
    """What a node of the graph computes."""

    node: str
    shape: tuple[int, ...]
    """Channels first."""
    order: NDArray[np.int_] | None = None
    """Of a flattened value, which of Keras's numbers each one is; None where they are in order."""
    zeros: tuple[tuple[int, int], ...] = ()
    """To be put around it, before and after along each axis of space."""


class _Builder(Nodes):
    """The graph of a network, layer by layer."""

    def __init__(self, snn):
        (images,), (logits,) = snn.keras_model.inputs, snn.keras_model.outputs
        shape = _channels_first(images.shape[1:])
        super().__init__({images.name: nir.Input(np.array(shape))})
        values = {id(images): _Value(images.name, shape)}
        for call in calls(snn.keras_model):
            layer = call.operation
            if type(layer) not in _NODES:
                raise refusal(layer, "NIR", "it has no node for that")
            check(call, "NIR")
            sources = [values[id(x)] for x in call.input_tensors]
            if any(x.zeros for x in sources) and type(layer) not in _TAKE_ZEROS:
                raise refusal(layer, "NIR", "of zeros around a value only convolutions know")
            shape = _channels_first(call.outputs[0].shape[1:])
            values[id(call.outputs[0])] = _NODES[type(layer)](self, layer, sources, shape)
        last = values[id(logits)]
        if last.order is not None or last.zeros:
            raise refusal(layer, "NIR", "the output must not be flattened or padded")
        self.add("output", nir.Output(np.array(last.shape)), last.node)
        about = {"network": snn.name, "version": __version__}
        self.graph = nir.NIRGraph(self.nodes, self.edges, metadata={"fsrepro": about})

    def neurons(self, layer, sources, shape):
        (x,) = sources
        code = layer.code
        rectified = code.activation == "negative_part" and not np.any(code.offset)
        if code.soma and rectified and (code.threshold > 0).all():
            x = self.minus(layer, x)  # of which the positive part emerges
        elif code.soma:
            why = f"NIR has nothing that computes {code.activation}, as its soma does"
            raise refusal(layer, "NIR", why)
        if x.order is not None and len(layer.code.channels) > 1:
            raise refusal(layer, "NIR", "its codes differ by channel behind a flattened map")
        return replace(x, node=self.add(layer.name, few_spikes_graph(code, shape), x.node))

    def minus(self, layer, x):
        node = nir.Scale(np.broadcast_to(np.float32(-1), x.shape))
        return replace(x, node=self.add(f"{layer.name}_minus", node, x.node))

    def subtract(self, layer, sources, shape):
        first, second = sources
        return self.add_up(layer, [first, self.minus(layer, second)], shape)

    def convolution(self, layer, sources, shape):
        (x,) = sources
        zeros = x.zeros or ((0, 0),) * len(x.shape[1:])
        padded = tuple(size + sum(pair) for size, pair in zip(x.shape[1:], zeros, strict=True))
        before = [a + b for (a, _), (b, _) in zip(zeros, borders(layer, padded), strict=True)]
        weights, padding = _padded_alike(layer, _ungrouped(*kernel(layer)), before, x.shape, shape)
        options = [x.shape[1:], layer.strides, padding, layer.dilation_rate]
        kind = nir.Conv2d
        if len(padding) == 1:
            kind, options = nir.Conv1d, [value[0] for value in options]
        sizes, strides, padding, dilation = options
        node = kind(sizes, weights, strides, padding, dilation, 1, _bias(layer, shape[0]))
        return _Value(self.add(layer.name, node, x.node), shape)

    def dense(self, layer, sources, shape):
        (x,) = sources
        if len(x.shape) > 1:
            raise refusal(layer, "NIR", "Affine takes vectors; a 1x1 convolution does the same")
        weights = np.asarray(layer.kernel).T
        if x.order is not None:
            weights = weights[:, x.order]
        node = nir.Affine(weights, _bias(layer, shape[0]))
        return _Value(self.add(layer.name, node, x.node), shape)

    def average(self, layer, sources, shape):
        (x,) = sources
        if np.any(borders(layer, x.shape[1:])):
            raise refusal(layer, "NIR", "padding counts in its means")
        return _Value(self._pool(layer, x, layer.pool_size, layer.strides), shape)

    def global_average(self, layer, sources, shape):
        (x,) = sources
        pooled = _Value(self._pool(layer, x, x.shape[1:], x.shape[1:]), (x.shape[0], 1, 1))
        return pooled if layer.keepdims else self._flattened(f"{layer.name}_flat", pooled)

    def _pool(self, layer, x, sizes, strides):
        node = nir.AvgPool2d(np.array(sizes), np.array(strides), np.array([0, 0]))
        return self.add(layer.name, node, x.node)

    def flatten(self, layer, sources, shape):
        (x,) = sources
        return x if len(x.shape) == 1 else self._flattened(layer.name, x)

    def _flattened(self, name, x):
        channels, *space = x.shape
        numbers = np.arange(np.prod(x.shape))
        order = np.moveaxis(numbers.reshape(*space, channels), -1, 0).ravel()
        same = np.array_equal(order, numbers)
        node = nir.Flatten(np.array(x.shape), start_dim=0, end_dim=-1)
        return _Value(self.add(name, node, x.node), numbers.shape, None if same else order)

    def add_up(self, layer, sources, shape):
        names = [x.node for x in sources]
        if len(set(names)) < len(names):
            raise refusal(layer, "NIR", "two nodes have at most one edge")
        if any(x.shape != shape or not np.array_equal(x.order, sources[0].order) for x in sources):
            raise refusal(layer, "NIR", "it adds values of different shapes or orders")
        node = nir.Scale(np.broadcast_to(np.float32(1), shape))
        return replace(sources[0], node=self.add(layer.name, node, *names))

    def pad(self, layer, sources, shape):
        (x,) = sources
        more = np.reshape(layer.padding, (-1, 2))
        zeros = np.add(x.zeros, more) if x.zeros else more
        return replace(x, zeros=tuple(map(tuple, zeros.tolist())))


_TAKE_ZEROS = {
    layers.Conv1D, layers.Conv2D, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
    layers.ZeroPadding1D, layers.ZeroPadding2D,
}  # fmt: skip
_NODES: dict[type, Callable] = {
    FewSpikes: _Builder.neurons,
    layers.Conv1D: _Builder.convolution,
    layers.Conv2D: _Builder.convolution,
    layers.DepthwiseConv1D: _Builder.convolution,
    layers.DepthwiseConv2D: _Builder.convolution,
    layers.Dense: _Builder.dense,
    layers.AveragePooling2D: _Builder.average,
    layers.GlobalAveragePooling2D: _Builder.global_average,
    layers.Flatten: _Builder.flatten,
    layers.Add: _Builder.add_up,
    layers.Subtract: _Builder.subtract,
    layers.ZeroPadding1D: _Builder.pad,
    layers.ZeroPadding2D: _Builder.pad,
}


def _channels_first(shape) -> tuple[int, ...]:
    return (shape[-1], *shape[:-1])


def _bias(layer, size):
    return np.zeros(size, np.float32) if layer.bias is None else np.asarray(layer.bias)


def _ungrouped(weights, groups):
    """A kernel whose filters see all channels, with zeros for those of other groups."""
    filters, channels = weights.shape[:2]
    full = np.zeros((groups, filters // groups, groups, *weights.shape[1:]), weights.dtype)
    for group, own in enumerate(np.split(weights, groups)):
        full[group, :, group] = own
    return full.reshape(filters, groups * channels, *weights.shape[2:])


def _padded_alike(layer, weights, before, shape, result):
    """A kernel with zeros at its edges, and the padding of both sides with which it does the same.

    Keras puts ``before`` zeros in front of an input of this ``shape`` and what it needs behind, NIR
    as many on both sides. A zero at the front of the kernel makes up for one too many in front of
    the input, one at its end for one too many behind.
    """
    sizes, shifts = weights.shape[2:], []
    for axis, (places, zeros) in enumerate(zip(sizes, before, strict=True)):
        stride, dilation = layer.strides[axis], layer.dilation_rate[axis]
        size, count = shape[axis + 1], result[axis + 1]
        # zeros behind the input, less those in front
        lacking = (count - 1) * stride + (places - 1) * dilation + 1 - size - 2 * zeros
        shifts.append(range(-(-lacking // dilation), (stride - 1 + lacking) // dilation + 1))
    if not all(shifts):
        raise refusal(layer, "NIR", "it pads alike on both sides")
    most = max(places + abs(n) for places, few in zip(sizes, shifts, strict=True) for n in few)
    for width in range(max(sizes), most + 1):  # nir 1.0.8 tells the output's size from one axis
        axes = zip(sizes, shifts, strict=True)
        edges = [_edges(width - places, few) for places, few in axes]
        if all(edges):
            pairs = zip(before, edges, layer.dilation_rate, strict=True)
            padding = tuple(zeros + first * dilation for zeros, (first, _), dilation in pairs)
            return np.pad(weights, [(0, 0), (0, 0), *edges]), padding
    raise refusal(layer, "NIR", "nir 1.0 knows the output size of square kernels only")


def _edges(zeros, shifts):
    """So many zeros on two sides, the first with n more for an n of ``shifts``; None if odd."""
    for n in sorted(shifts, key=abs):
        if abs(n) <= zeros and (zeros - n) % 2 == 0:
            return (zeros + n) // 2, (zeros - n) // 2
    return None
