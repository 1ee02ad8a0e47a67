"""Ways out: the spiking network in PyTorch with SpikingJelly's neurons, and as a file of NIR.

Both take what conversion made, its folded weights and its codes, and refuse by name what the other
side cannot compute. Neither needs a package of its own before its function is called.

**SpikingJelly.** The ``FewSpikeNode`` of SpikingJelly 2 fires where v - T >= 0, subtracts h and
adds up d in float32, in the order of :class:`~fsrepro.codes.SpikeCode`: from equal potentials come
equal spikes, bit for bit. What its three tables cannot say is done around it: the soma (in float64,
rounded to float32), the offset, the largest number of spikes. Time is inside of a neuron: one call
of it is its K steps, from the membrane potential to the decoded value, and layers follow each other
as in the Keras model.

Potentials are sums, which PyTorch and TensorFlow round in different orders; a neuron within that
rounding of a threshold may fire in one and not in the other. On a GPU, PyTorch takes the factors of
convolutions to ten bits unless ``torch.backends.cudnn.allow_tf32 = False``.

**NIR**, the Neuromorphic Intermediate Representation, has no FS neuron, but all that one is made
of. A neuron becomes a subgraph of ``Threshold`` and ``Scale`` nodes, its K time steps side by side:
``spike_k`` is 1 where v is above T, takes h off v on the way to step k + 1 and adds d to the value.
That is no approximation: NIR's threshold wants more than T, so the file has the float32 below T,
and no node of a neuron adds more than two numbers, so there is one way to round their sum. From
equal potentials come equal spikes here too.

*Who can read such a file?* What runs NIR's ``Conv1d``, ``Conv2d``, ``Affine``, ``AvgPool2d``,
``Flatten``, ``Threshold`` and ``Scale``, follows subgraphs, and adds up the edges that meet in a
node. The graph has no state and no clock; it is evaluated once per image. NIRTorch 2.6 does all
that once it is told what the last nodes are, see ``tests/test_export_nir.py``. Readers that know
only neurons with state stop at the first threshold, as SpikingJelly 2.0.0 does, rather than compute
something else. Those with an FS neuron of their own find the arguments of ``SpikeCode`` in the
metadata of each subgraph, under ``fsrepro``.

Channels come first in NIR: images are (C, H, W), kernels (F, C, H, W), and the columns of a dense
layer behind a ``Flatten`` are in that order too. The package nir 1.0.8 does not read grouped
convolutions back, so they become full ones with zeros; it pads alike on both sides, so where Keras
does not, a kernel gets zeros at its edge.

References
----------
Fang et al. (2023), SpikingJelly, https://doi.org/10.1126/sciadv.adi1480; version 2.0.0,
module ``neuron.few_spike``. Pedersen et al. (2024), NIR,
https://doi.org/10.1038/s41467-024-52259-9; version 1.0.8.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nir
    import torch

    from ..conversion import SpikingModel

__all__ = ["to_nir", "to_spikingjelly", "write_nir"]

_INSTALL = {"spikingjelly": "torch 'spikingjelly>=2'", "nir": "nir"}


def to_spikingjelly(snn: SpikingModel) -> torch.nn.Module:
    """``snn`` as a PyTorch module, from images to logits, float32, as :meth:`SpikingModel.predict`.

    Images are those that the spiking model takes, (N, H, W, C), and channels are last throughout;
    convolutions put them first for themselves, without moving anything in memory (it is the layout
    that PyTorch calls ``channels_last``). Layers with weights and neurons are submodules under
    their names, the rest is readable code: ``network.print_readable()``. Weights are copies;
    gradients pass the spikes as SpikingJelly's surrogate lets them.
    ``fsrepro.export.spikingjelly.spike_trains(network, images)`` returns every spike.

    Raises
    ------
    ImportError
        Where PyTorch or SpikingJelly 2 is missing; the message says what to install.
    UnsupportedLayerError
        For codes that need decoders, a soma whose function has no PyTorch code here, upsampling
        that interpolates, and layers that conversion never produces.
    """
    return _module("spikingjelly").to_spikingjelly(snn)


def to_nir(snn: SpikingModel) -> nir.NIRGraph:
    """``snn`` as a NIR graph: a node per layer under its name, a subgraph per spiking layer.

    Raises
    ------
    ImportError
        Where the package nir is missing.
    UnsupportedLayerError
        For layers without a node: max-pooling, products, concatenation, upsampling, reshaping,
        cropping, transposed and three-dimensional convolutions, average pooling in one and three
        dimensions; for zero padding before anything but a convolution, average pooling that pads,
        and kernels that would not be square with zeros at their edges. For a soma, whose function
        NIR cannot say, and for codes that need decoders.
    """
    return _module("nir").to_nir(snn)


def write_nir(snn: SpikingModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write :func:`to_nir` to a file, which ``nir.read`` reads without this library.

    Raises
    ------
    FileExistsError
        If ``path`` exists, unless ``overwrite``.
    ImportError, UnsupportedLayerError
        As :func:`to_nir`.
    """
    return _module("nir").write_nir(snn, path, overwrite=overwrite)


def _module(name: str):
    try:
        return import_module(f".{name}", __name__)
    except ImportError as error:
        raise ImportError(
            f"this export needs packages that are missing ({error}): pip install {_INSTALL[name]}"
        ) from error
