"""Outputs: a membrane that adds up what arrives in one period, and never fires."""

from __future__ import annotations

from ml_genn.neurons import Neuron
from ml_genn.utils.model import NeuronModel

__all__ = ["Membrane"]


class Membrane(Neuron):
    """An output neuron; ``bias`` as in :class:`FewSpikeNeuron`.

    Variable ``Out``: the sum over the last whole period and the bias. It is set at the first step
    of the next period, when the spikes of the last step have arrived.
    """

    pipelined = True

    def __init__(self, bias=0.0):
        super().__init__(readout="var")
        self.bias = bias

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model = {
            "params": [("Bias", "scalar")],
            "vars": [("Fx", "scalar"), ("Out", "scalar")],
            "sim_code": """
                Fx += Isyn;
                if((int)(t / dt) == 0) { Out = Fx + Bias; Fx = 0.0; }
                """,
        }
        return NeuronModel(model, "Out", {"Bias": self.bias}, {"Fx": 0.0, "Out": 0.0})
