"""mlGeNN's own FewSpikeRelu on the same network: what other codes are timed against.

Its neurons have no biases. A population of one neuron that sends the same value for every image
brings them in, by a synapse for each neuron with a bias.
"""

from __future__ import annotations

import numpy as np
from ml_genn import Connection, Population
from ml_genn.neurons import FewSpikeRelu, FewSpikeReluInput

from ..codes import SpikeCode, binary
from ..conversion.spiking_model import SpikingModel
from ..networks.kinds import UnsupportedLayerError
from .arrivals import OUTPUT
from .network import GennNetwork
from .upstream.connectivity import FlatDense
from .upstream.decode import Decode
from .upstream.membrane import Membrane

__all__ = ["with_mlgenn_neurons"]


def with_mlgenn_neurons(snn: SpikingModel, *, optimize_code: bool = False) -> GennNetwork:
    """``snn`` with mlGeNN's FewSpikeRelu neurons, all else as in ``to_mlgenn``.

    All layers must have the same code, binary without rounding: that is what these neurons write.
    ``ValueError`` for other codes.
    """
    used = set(snn.codes.values())
    code = next(iter(used))
    alpha = 2 * float(code.weight[0]) if isinstance(code, SpikeCode) else 1.0
    if len(used) > 1 or code != binary(code.steps, alpha):
        raise ValueError(
            "mlGeNN's FewSpikeRelu writes one binary code without rounding in all layers, got "
            f"{', '.join(sorted(code.name for code in used))}"
        )
    return _Network(snn, alpha, optimize_code=optimize_code)


class _Network(GennNetwork):
    def __init__(self, snn, alpha, *, optimize_code):
        self._alpha = alpha
        super().__init__(snn, optimize_code=optimize_code, backend=None)

    def _neuron(self, name, arriving):
        if arriving.soma != "sum":
            raise UnsupportedLayerError(
                f"layer {name!r} reads a {arriving.soma}; mlGeNN's neurons have one dendrite"
            )
        if name == OUTPUT:
            return Membrane(arriving.silent[0])
        code = self.snn.codes[name]
        kind = FewSpikeReluInput if arriving.reads_image else FewSpikeRelu
        return kind(k=code.steps, alpha=self._alpha)

    def _connect(self, source, target, synapses, dendrite):
        # FewSpikeRelu decodes what it receives itself.
        synapse = "delta"
        if target == OUTPUT:
            synapse = Decode(self.snn.codes[source], self.period)
        Connection(self.populations[source], self.populations[target], synapses, synapse)

    def _complete(self):
        constant = Population(
            FewSpikeReluInput(k=self.period, alpha=self._alpha), (1,), name="Constant"
        )
        value = np.array([self._alpha / 2], np.float32)  # one spike, at the first step
        self.constants[constant] = value
        for name, arriving in self.arrivals.items():
            (bias,) = arriving.silent
            if not arriving.reads_image and name != OUTPUT and bias.any():
                weights = FlatDense(bias.reshape(1, -1) / value)
                Connection(constant, self.populations[name], weights, "delta")
