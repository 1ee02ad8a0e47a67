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
from .tables import Tables, Words

__all__ = ["Decode"]


class Decode(Delta):
    """Decodes the spikes of a population by its ``code``; graded spikes come decoded.

    Parameters
    ----------
    code : Tables or Words
    period : int
        Time steps of the network.
    dendrite : int
        Of the receiver, where they arrive.
    below : bool
        Whether they are those of the second neurons of pairs.
    """

    def __init__(self, code: Tables | Words, period: int, dendrite: int = 0, below: bool = False):
        super().__init__()
        self._weight: np.ndarray | None = getattr(code, "weight", None)
        self.code, self.period, self.dendrite, self.below = code, period, dendrite, below

    @property
    def graded(self) -> bool:
        """Whether a spike carries what it is worth: where senders differ in that."""
        return self._weight is None or np.size(self._weight[0]) > 1

    def get_model(self, connection, dt, batch_size) -> SynapseModel:
        if self._weight is None or self.graded:
            return super().get_model(connection, dt, batch_size)
        model = {
            "extra_global_params": [("D", "float*")],
            "sim_code": "injectCurrent(inSyn * D[(int)(t / dt)]); inSyn = 0;",
        }
        # A spike arrives one step after it was sent.
        weight = np.roll(padded(self._weight.ravel(), self.period, 0), 1)
        return SynapseModel(model, {}, {}, {"D": weight})
