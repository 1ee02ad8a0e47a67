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
from .decode import Decode
from .linear_maps import IMAGE, OUTPUT
from .membrane import Membrane
from .network import FlatDense, GennNetwork

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


class _Relu(FewSpikeRelu):
    """With what :class:`Decode` asks a source for."""

    graded = False


class _Input(FewSpikeReluInput):
    graded = False


class _Network(GennNetwork):
    def __init__(self, snn, alpha, *, optimize_code):
        self._alpha = alpha
        super().__init__(snn, optimize_code=optimize_code, backend=None)

    def _neuron(self, name, sources, bias):
        if name == OUTPUT:
            return Membrane(bias.ravel())
        code = self.snn.codes[name]
        neuron = (_Input if IMAGE in sources else _Relu)(k=code.steps, alpha=self._alpha)
        neuron.code, neuron.period = code, code.steps
        return neuron

    def _connect(self, source, target, connectivity):
        # FewSpikeRelu decodes what it receives itself.
        synapse = Decode() if target == OUTPUT else "delta"
        Connection(self.populations[source], self.populations[target], connectivity, synapse)

    def _complete(self, bias):
        constant = Population(_Input(k=self.period, alpha=self._alpha), (1,), name="Constant")
        value = np.array([self._alpha / 2], np.float32)  # one spike, at the first step
        self.constants[constant] = value
        for name, sources in self.maps.items():
            if IMAGE not in sources and name != OUTPUT and bias[name].any():
                weights = FlatDense(bias[name].reshape(1, -1) / value)
                Connection(constant, self.populations[name], weights, "delta")
