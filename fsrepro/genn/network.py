"""A spiking network in mlGeNN: build it, run it, read spikes and counts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory

import keras
import numpy as np
from ml_genn import Connection, Network, Population
from ml_genn.connectivity import Dense
from ml_genn.connectivity.sparse_base import SparseBase
from tqdm import tqdm

from ..codes import ExponentMantissa, SpikeCode
from ..conversion.bias_maps import bias_maps
from ..conversion.convert import check_images
from ..conversion.spiking_model import SpikingModel
from .compiler import AnyCodeCompiler
from .decode import Decode
from .few_spike import FewSpikeInput, FewSpikeNeuron
from .linear_maps import IMAGE, OUTPUT, arrivals
from .membrane import Membrane
from .word import WordInput, WordNeuron

__all__ = ["GennNetwork", "to_mlgenn"]

# The arithmetic of the specification: no fused or reordered operations.
_EXACT = {"user_cxx_flags_gnu": "-O3"}
_FAST = {"optimize_code": True}
_number = count()


def to_mlgenn(
    snn: SpikingModel, *, optimize_code: bool = False, backend: str | None = None
) -> GennNetwork:
    """``snn`` as an mlGeNN network, compiled.

    Every layer takes K time steps, K that of the longest code, and works while the next image is
    in the layer before. Neurons that read the image get their potential from the Keras model, as
    analog values; all else is spikes. What lies between two populations is one sparse or dense
    matrix.

    ``optimize_code``: let the compiler reorder arithmetic (-ffast-math); spikes at a threshold may
    then differ. ``backend``: of pygenn, ``"single_threaded_cpu"``, ``"cuda"``, ...; by default the
    best that is installed.

    Raises :class:`UnsupportedLayerError` for layers that have no event-driven form, and
    ``ValueError`` for codes whose words a synapse cannot read.
    """
    return GennNetwork(snn, optimize_code=optimize_code, backend=backend)


class GennNetwork:
    """Made by :func:`to_mlgenn`. ``network``: of mlGeNN. ``populations``: by name of the layer."""

    def __init__(self, snn, *, optimize_code, backend):
        for name, code in snn.codes.items():
            if not isinstance(code, (SpikeCode, ExponentMantissa)):
                raise ValueError(
                    f"layer {name!r} has the code {code.name!r}, whose words need a decoder for "
                    'every sender; evaluate with simulator="keras"'
                )
        self.snn, self.period = snn, snn.steps
        maps = arrivals(snn)
        bias = bias_maps(snn)
        shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in snn.spiking_layers}
        shapes[OUTPUT] = tuple(snn.keras_model.output_shape[1:])
        self.network, self.populations = Network(), {}
        with self.network:
            for number, name in enumerate([*snn.codes, OUTPUT]):
                neuron = self._neuron(name, maps[name], bias[name])
                self.populations[name] = Population(
                    neuron, shapes[name], record_spikes=name != OUTPUT, name=_clean(name, number)
                )
            for name, sources in maps.items():
                for source, weights in sources.items():
                    if source != IMAGE:
                        Connection(
                            self.populations[source], self.populations[name],
                            _connectivity(weights), Decode(),
                        )  # fmt: skip
        self.inputs = [name for name, sources in maps.items() if IMAGE in sources]
        potentials = [snn.keras_model.get_layer(name).input for name in self.inputs]
        self._front = keras.Model(snn.keras_model.inputs, potentials)
        options = _FAST if optimize_code else _EXACT
        if backend:
            options = options | {"backend": backend}
        compiler = AnyCodeCompiler(k=self.period, **options)
        self.compiled = compiler.compile(
            self.network,
            name=f"fsrepro_{os.getpid()}_{next(_number)}_",  # GeNN takes equal names for one model
            inputs=[self.populations[name] for name in self.inputs],
            outputs=[self.populations[OUTPUT]],
        )

    def _neuron(self, name, sources, bias):
        if name == OUTPUT:
            return Membrane(bias.ravel())
        code = self.snn.codes[name]
        linear = isinstance(code, SpikeCode)
        if IMAGE in sources:
            return (FewSpikeInput if linear else WordInput)(code, self.period)
        return (FewSpikeNeuron if linear else WordNeuron)(code, self.period, bias.ravel())

    @contextmanager
    def loaded(self) -> Iterator[GennNetwork]:
        """Build and load the network; the generated code is removed afterwards."""
        if not self.compiled.genn_model._built:
            self._folder = TemporaryDirectory(prefix="fsrepro-genn-")
            with _silent_make():
                self.compiled.genn_model.build(path_to_model=self._folder.name + os.sep)
        self.compiled.num_recording_timesteps = self.period
        with self.compiled:
            yield self

    def run(
        self, images: np.ndarray, *, progress: bool = True
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Outputs (N, classes), and by layer the spikes of every neuron, summed over the images.

        ``images``: normalised as for the ANN, (N, H, W, C). Raises what ``evaluate`` raises.
        """
        outputs, totals = [], {}
        images = check_images(self.snn.keras_model, images, "images")
        first = {name: self._delay(name) for name in self.snn.codes}
        with self.loaded():
            for p in self._presentations(images, progress):
                for name, start in first.items():
                    if p == start - 1:
                        totals[name] = -self._counters(name)
                    elif p == start + len(images) - 1:
                        totals[name] = totals.get(name, 0) + self._counters(name)
                if p >= self._delay(OUTPUT):
                    outputs.append(self.compiled.get_readout(self.populations[OUTPUT])[0])
        return np.stack(outputs), totals

    def spikes(self, images: np.ndarray, *, progress: bool = False) -> dict[str, np.ndarray]:
        """Every spike: by name of the layer, 0 or 1, uint8, (K, N, ...), K that of its code."""
        images = check_images(self.snn.keras_model, images, "images")
        found = {
            name: np.zeros((self.period, len(images), int(np.prod(pop.shape))), np.uint8)
            for name, pop in self.populations.items()
            if name != OUTPUT
        }
        with self.loaded():
            for p in self._presentations(images, progress):
                self.compiled.genn_model.pull_recording_buffers_from_device()
                for name, z in found.items():
                    n = p - self._delay(name)
                    if 0 <= n < len(images):
                        ((times, neurons),) = self._group(name).spike_recording_data
                        z[np.rint(times).astype(int) % self.period, n, neurons] = 1
        return {
            name: z[: self.snn.codes[name].steps].reshape(
                -1, len(images), *self.populations[name].shape
            )
            for name, z in found.items()
        }

    def _presentations(self, images, progress) -> Iterator[int]:
        """Run period after period; yields the number of each when it is over."""
        total = len(images) + self._delay(OUTPUT)
        for p in tqdm(range(total), desc="GeNN", unit="image", disable=not progress):
            self.compiled.genn_model.timestep = 0
            if p < len(images):
                values = self._front(images[p : p + 1])
                for name, x in zip(self.inputs, keras.tree.flatten(values), strict=True):
                    self.compiled.set_input({self.populations[name]: np.asarray(x)})
            for _ in range(self.period):
                self.compiled.step_time()
            yield p

    def _delay(self, name) -> int:
        """The presentation in which the layer sends the first image."""
        depth = self.compiled.pop_pipeline_depth[self.populations[name]]
        return depth if name in (*self.inputs, OUTPUT) else depth + 1

    def _group(self, name):
        return self.compiled.neuron_populations[self.populations[name]]

    def _counters(self, name) -> np.ndarray:
        counter = self._group(name).vars["N"]
        counter.pull_from_device()
        return counter.view.astype(np.int64).reshape(self.populations[name].shape)


class Synapses(SparseBase):
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


def _connectivity(weights):
    if weights.nnz == np.prod(weights.shape):
        return FlatDense(weights.toarray())
    weights = weights.tocoo()
    return Synapses(weights.coords[0], weights.coords[1], weights.data)


def _clean(name: str, number: int) -> str:
    return f"L{number}_" + re.sub(r"\W", "_", name)


@contextmanager
def _silent_make():
    before = os.environ.get("MAKEFLAGS")
    os.environ["MAKEFLAGS"] = "s"
    try:
        yield
    finally:
        os.environ.pop("MAKEFLAGS")
        if before is not None:
            os.environ["MAKEFLAGS"] = before
