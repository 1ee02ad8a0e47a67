"""A spiking network in mlGeNN: build it, run it, read spikes and counts."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory
from unittest.mock import patch

import keras
import ml_genn
import numpy as np
from tqdm import tqdm

from ..codes import ExponentMantissa, SpikeCode
from ..conversion import SpikingModel, check_images
from ..networks.graph import batch_slices, predict_list
from .arrivals import OUTPUT, arrivals
from .synapses import synapses
from .upstream.compiler import AnyCodeCompiler
from .upstream.decode import Decode
from .upstream.few_spike import FewSpikeInput, FewSpikeNeuron, FewSpikePair
from .upstream.membrane import Membrane
from .upstream.word import WordInput, WordNeuron

__all__ = ["GennNetwork", "to_mlgenn"]

_number = count()


def to_mlgenn(
    snn: SpikingModel, *, optimize_code: bool = False, backend: str | None = None
) -> GennNetwork:
    """``snn`` as an mlGeNN network, compiled.

    Every layer takes K time steps, K that of the longest code, and works while the next image is
    in the layer before. Neurons that read the image get their potential from the Keras model, as
    analog values; all else is spikes. What lies between two populations is a convolution with a
    shared kernel, or one sparse or dense matrix. Products and maxima are those of somas, which have
    a dendrite for each factor, or for each place of the window.

    Parameters
    ----------
    snn : SpikingModel
    optimize_code : bool
        Let the compiler reorder arithmetic (-ffast-math); spikes at a threshold may then differ.
    backend : str
        Of pygenn, ``"single_threaded_cpu"``, ``"cuda"``, ...; by default the best that is
        installed.

    Raises
    ------
    UnsupportedLayerError
        For layers that have no event-driven form.
    ValueError
        For codes whose words a synapse cannot read, and for an activation without C code.
    """
    return GennNetwork(snn, optimize_code=optimize_code, backend=backend)


class GennNetwork:
    """Made by :func:`to_mlgenn`: ``network`` of ``populations``, by name of the layer."""

    seconds: float
    """Processor time that the simulation of the last images took."""

    def __init__(self, snn, *, optimize_code, backend):
        for name, code in snn.codes.items():
            if not isinstance(code, (SpikeCode, ExponentMantissa)):
                raise ValueError(
                    f"layer {name!r} has the code {code.name!r}, whose words need a decoder for "
                    'every sender; evaluate with simulator="keras"'
                )
        self.snn = snn
        self.period = snn.steps
        self.arrivals = arrivals(snn)
        shapes = {layer.name: tuple(layer.output.shape[1:]) for layer in snn.spiking_layers}
        shapes[OUTPUT] = tuple(snn.keras_model.output_shape[1:])
        self.pairs = {name: a.shares for name, a in self.arrivals.items() if a.shares}
        self.network = ml_genn.Network()
        self.populations: dict[str, ml_genn.Population] = {}
        self._lines: dict = {}  # by name of a second population of a pair, a connection from it
        with self.network:
            for number, name in enumerate([*snn.codes, OUTPUT]):
                if name in self.pairs:
                    self.populations[name] = self.populations[self.pairs[name]]
                    continue
                self.populations[name] = ml_genn.Population(
                    self._neuron(name, self.arrivals[name]),
                    shapes[name],
                    record_spikes=name != OUTPUT,
                    record_spike_events=name in self.pairs.values(),
                    name=f"L{number}_" + re.sub(r"\W", "_", name),
                )
            for name, arriving in self.arrivals.items():
                if name not in self.pairs:
                    for dendrite, source, found in arriving.maps:
                        self._connect(source, name, found, dendrite)
            self.constants: dict = {}  # populations that get the same input for every image
            self._complete()
        self.inputs = [name for name, found in self.arrivals.items() if found.reads_image]
        potentials = [snn.keras_model.get_layer(name).input for name in self.inputs]
        self._front = keras.Model(snn.keras_model.inputs, potentials)
        double = snn.keras_model.outputs[0].dtype == "float64"
        options: dict = {"precision": "double"} if double else {}
        if optimize_code:
            options["optimize_code"] = True
        if backend:
            options["backend"] = backend
        compiler = AnyCodeCompiler(k=self.period, **options)
        self.compiled = compiler.compile(
            self.network,
            name=f"fsrepro_{os.getpid()}_{next(_number)}_",  # GeNN takes equal names for one model
            inputs=[*(self.populations[name] for name in self.inputs), *self.constants],
            outputs=[self.populations[OUTPUT]],
        )

    def _neuron(self, name, arriving):
        if name == OUTPUT:
            return Membrane(arriving.silent[0])
        code = self.snn.codes[name]
        linear = isinstance(code, SpikeCode)
        if arriving.reads_image:
            return (FewSpikeInput if linear else WordInput)(code, self.period)
        dendrites = self.period, arriving.silent, arriving.soma
        for second, first in self.pairs.items():
            if first == name:
                return FewSpikePair(code, self.snn.codes[second], *dendrites)
        return (FewSpikeNeuron if linear else WordNeuron)(code, *dendrites)

    def _connect(self, source, target, found, dendrite):
        before, behind = self.populations[source], self.populations[target]
        below = source in self.pairs
        synapse = Decode(self.snn.codes[source], self.period, dendrite, below)
        name = f"{before.name}_{behind.name}_{dendrite}{'_below' * below}"
        self._lines[source] = ml_genn.Connection(
            before, behind, synapses(found), synapse, name=name
        )

    def _complete(self):
        """Add what another kind of network needs besides."""

    @contextmanager
    def loaded(self) -> Iterator[GennNetwork]:
        """Build and load the network; the generated code is removed afterwards."""
        if not self.compiled.genn_model._built:
            self._folder = TemporaryDirectory(prefix="fsrepro-genn-")
            # Optimise, but keep the order of operations; GeNN has no option for that. And be quiet.
            changes = {"CXX": f"{os.environ.get('CXX', 'c++')} -O3", "MAKEFLAGS": "s"}
            with patch.dict(os.environ, changes):
                self.compiled.genn_model.build(path_to_model=self._folder.name + os.sep)
        self.compiled.num_recording_timesteps = self.period
        with self.compiled:
            yield self

    def run(self, images: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Outputs (N, classes), and by layer the spikes of every neuron, summed over the images.

        Images, (N, H, W, C), are normalised as for the ANN; errors for them as in ``evaluate``.
        """
        images = check_images(self.snn.keras_model, images, "images")
        outputs = []
        totals = {
            name: np.zeros(np.prod(self.populations[name].shape), int) for name in self.snn.codes
        }
        with self.loaded():
            for p in self._presentations(images):
                for name, _, _, neurons in self._events(p, len(images)):
                    totals[name] += np.bincount(neurons, minlength=len(totals[name]))
                if p >= self._delay(OUTPUT):
                    outputs.append(self.compiled.get_readout(self.populations[OUTPUT])[0].copy())
        shaped = {name: z.reshape(self.populations[name].shape) for name, z in totals.items()}
        return np.stack(outputs), shaped

    def spike_trains(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every spike: by name of the layer, 0 or 1, uint8, (K, N, ...), K that of its code."""
        images = check_images(self.snn.keras_model, images, "images")
        found = {
            name: np.zeros((self.period, len(images), int(np.prod(pop.shape))), np.uint8)
            for name, pop in self.populations.items()
            if name != OUTPUT
        }
        with self.loaded():
            for p in self._presentations(images):
                for name, n, steps, neurons in self._events(p, len(images)):
                    found[name][steps, n, neurons] = 1
        return {
            name: z[: self.snn.codes[name].steps].reshape(
                -1, len(images), *self.populations[name].shape
            )
            for name, z in found.items()
        }

    def _presentations(self, images) -> Iterator[int]:
        """Run period after period; yields the number of each when it is over."""
        total, self.seconds = len(images) + self._delay(OUTPUT), 0.0
        batch = batch_slices(self.snn.keras_model, len(images))[0].stop
        for p in tqdm(range(total), desc="GeNN", unit="image"):
            self.compiled.genn_model.timestep = 0
            if self.constants:
                self.compiled.set_input(self.constants)
            if p < len(images):
                if p % batch == 0:  # as in Keras: sums of other batches may round otherwise
                    potentials = predict_list(self._front, images[p : p + batch])
                for name, x in zip(self.inputs, potentials, strict=True):
                    self.compiled.set_input({self.populations[name]: x[p % batch]})
            start = time.process_time()
            for _ in range(self.period):
                self.compiled.step_time()
            self.seconds += time.process_time() - start
            yield p

    def events(self, spikes: dict[str, np.ndarray]) -> int:
        """How many synapses the ``spikes`` of each neuron, as from :meth:`run`, travelled along."""
        return sum(
            int(spikes[source].ravel() @ found.fan_out())
            for name, arriving in self.arrivals.items()
            if name not in self.pairs
            for _, source, found in arriving.maps
        )

    def _delay(self, name) -> int:
        """The presentation in which the layer sends the first image."""
        depth = self.compiled.pop_pipeline_depth[self.populations[name]]
        return depth if name in (*self.inputs, OUTPUT) else depth + 1

    def _events(self, presentation, images):
        """(layer, image, time steps, neurons) of the spikes sent in a presentation."""
        self.compiled.genn_model.pull_recording_buffers_from_device()
        for name in self.snn.codes:
            image = presentation - self._delay(name)
            if 0 <= image < images:
                if name in self.pairs:
                    line = self.compiled.connection_populations[self._lines[name]]
                    ((times, neurons),) = line.pre_spike_event_recording_data
                else:
                    group = self.compiled.neuron_populations[self.populations[name]]
                    ((times, neurons),) = group.spike_recording_data
                yield name, image, np.rint(times).astype(int) % self.period, neurons
