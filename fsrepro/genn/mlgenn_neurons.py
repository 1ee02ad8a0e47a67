"""mlGeNN's own FewSpikeRelu on the same network: what other codes are timed against.

Its neurons have no biases. Populations of one neuron that send the same value for every image bring
them in, by a synapse for each neuron with a bias.
"""

from __future__ import annotations

import numpy as np
from ml_genn import Connection, Population
from ml_genn.neurons import FewSpikeRelu, FewSpikeReluInput

from ..codes import Code, SpikeCode, binary
from ..conversion.spiking_model import SpikingModel
from ..networks.kinds import UnsupportedLayerError
from .arrivals import OUTPUT
from .linear_maps import Matrix
from .network import GennNetwork
from .synapses import synapses
from .upstream.connectivity import FlatDense
from .upstream.decode import Decode
from .upstream.membrane import Membrane

__all__ = ["with_mlgenn_neurons"]


def with_mlgenn_neurons(
    snn: SpikingModel, *, synapses_written_out: bool = False, optimize_code: bool = False
) -> GennNetwork:
    """``snn`` with mlGeNN's FewSpikeRelu neurons, all else as in ``to_mlgenn``.

    Parameters
    ----------
    snn : SpikingModel
        All layers have the binary code without rounding, that is what these neurons write, with one
        K, and one scale where they reach the same population (see
        :func:`~fsrepro.experiments.rivals.mlgenn_scales`).
    synapses_written_out : bool
        Every synapse has a weight of its own, as mlGeNN holds convolutions by default; else they
        share their kernels, as in ``to_mlgenn``. The same numbers.
    optimize_code : bool
        As in ``to_mlgenn``; what mlGeNN calls so.

    Raises
    ------
    ValueError
        For other codes, or scales that one population cannot read.
    UnsupportedLayerError
        For products and maxima: these neurons have one dendrite.
    """
    return _Network(snn, synapses_written_out, optimize_code=optimize_code)


class _Network(GennNetwork):
    def __init__(self, snn, synapses_written_out, *, optimize_code):
        self._written_out = synapses_written_out
        self._alpha = {name: _alpha(code) for name, code in snn.codes.items()}
        plain = (
            code == binary(snn.steps, alpha)
            for code, alpha in zip(snn.codes.values(), self._alpha.values(), strict=True)
        )
        if not all(plain):
            raise ValueError(
                "mlGeNN's FewSpikeRelu writes binary codes without rounding, of one K, got "
                f"{', '.join(sorted({code.name for code in snn.codes.values()}))}"
            )
        super().__init__(snn, optimize_code=optimize_code, backend=None)

    def _neuron(self, name, arriving):
        if arriving.soma != "sum":
            raise UnsupportedLayerError(
                f"layer {name!r} reads a {arriving.soma}; mlGeNN's neurons have one dendrite"
            )
        if name == OUTPUT:
            return Membrane(arriving.silent[0])
        self._alpha_read_by(name)
        kind = FewSpikeReluInput if arriving.reads_image else FewSpikeRelu
        return kind(k=self.period, alpha=self._alpha[name])

    def _alpha_read_by(self, name: str) -> float:
        read = {source: self._alpha[source] for _, source, _ in self.arrivals[name].maps}
        if len(set(read.values())) > 1:
            scales = ", ".join(f"{source}: {alpha:g}" for source, alpha in read.items())
            raise ValueError(
                f"layer {name!r} reads layers of different scales ({scales}); mlGeNN's "
                "FewSpikeRelu takes one, see fsrepro.experiments.rivals.mlgenn_scales"
            )
        return next(iter(read.values()), self._alpha.get(name, 1.0))

    def _connect(self, source, target, found, dendrite):
        # FewSpikeRelu decodes what it receives itself.
        synapse = "delta"
        if target == OUTPUT:
            synapse = Decode(self.snn.codes[source], self.period)
        before, behind = self.populations[source], self.populations[target]
        lines = synapses(Matrix(found.matrix()) if self._written_out else found)
        Connection(before, behind, lines, synapse)

    def _complete(self):
        constants: dict[float, Population] = {}  # by the scale of what their receivers read
        for name, arriving in self.arrivals.items():
            (bias,) = arriving.silent
            if not arriving.reads_image and name != OUTPUT and bias.any():
                alpha = self._alpha_read_by(name)
                value = np.array([alpha / 2], np.float32)  # one spike, at the first step
                if alpha not in constants:
                    neuron = FewSpikeReluInput(k=self.period, alpha=alpha)
                    constants[alpha] = Population(neuron, (1,), name=f"Constant{len(constants)}")
                    self.constants[constants[alpha]] = value
                weights = FlatDense(bias.reshape(1, -1) / value)
                Connection(constants[alpha], self.populations[name], weights, "delta")


def _alpha(code: Code) -> float:
    """The scale of a binary code; of any other code, a number."""
    return 2 * float(np.max(code.weight[0])) if isinstance(code, SpikeCode) else 1.0
