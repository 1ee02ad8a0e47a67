r"""The synapse behind an FS neuron: its spikes are worth d(t) at the time step t they were sent.

.. math:: I(t + 1) = d(t) \sum_i w_i z_i(t)

The sum over senders is multiplied once, for each connection and receiver, so codes may differ
between the populations that meet on one neuron. (mlGeNN's FewSpikeRelu multiplies after all
connections were added, so they must share one scale.)
"""

from __future__ import annotations

import numpy as np
from ml_genn.synapses import Delta
from ml_genn.utils.model import SynapseModel

from .few_spike import padded

__all__ = ["Decode"]


class Decode(Delta):
    """Decodes the spikes of a source by its own code; graded spikes come decoded."""

    def get_model(self, connection, dt, batch_size) -> SynapseModel:
        source = connection.source().neuron
        if source.graded:
            return super().get_model(connection, dt, batch_size)
        model = {
            "extra_global_params": [("D", "scalar*")],
            "sim_code": "injectCurrent(inSyn * D[(int)(t / dt)]); inSyn = 0;",
        }
        # A spike arrives one step after it was sent.
        weight = np.roll(padded(source.code.weight.ravel(), source.period, 0), 1)
        return SynapseModel(model, {}, {}, {"D": weight})
