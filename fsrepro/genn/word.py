r"""Neurons that look the word of their activation up, and send it in graded spikes.

For codes whose spikes are not worth the same for every sender, such as an explicit exponent and
mantissa: a spike carries what it is worth, and the receiver adds it up.

.. math:: y = \sum_{t=1}^{K} p_{\ell}(t)\, z_{\ell}(t)

for the level :math:`\ell` of x, with z its word and p what each spike of it is worth.
"""

from __future__ import annotations

import numpy as np
from ml_genn.neurons import Neuron
from ml_genn.neurons.input import InputBase
from ml_genn.utils.model import NeuronModel

from ..codes import ExponentMantissa

__all__ = ["WordInput", "WordNeuron"]


class WordNeuron(Neuron):
    """A hidden neuron of an exponent + mantissa code. Arguments as in ``FewSpikeNeuron``.

    Variables: ``Level``; ``Dout`` what the last spike was worth; ``Fx``.
    """

    pipelined = True
    graded = True

    def __init__(self, code: ExponentMantissa, period: int, bias=0.0):
        super().__init__()
        self.code, self.period, self.bias = code, period, bias

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model = _model("Fx + Bias")
        model["params"] += [("Bias", "scalar")]
        model["vars"].append(("Fx", "scalar"))
        model["sim_code"] = "Fx += Isyn;\n" + model["sim_code"] + "if(k == 0) { Fx = 0.0; }"
        return _with_values(model, self.code, self.period, {"Bias": self.bias})


class WordInput(Neuron, InputBase):
    """The same for x given from outside, once for each presentation: variable ``X``."""

    graded = True

    def __init__(self, code: ExponentMantissa, period: int):
        super().__init__(var_name="X")
        self.code, self.period = code, period

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model = _model("X")
        model["vars"].append(("X", "scalar"))
        return _with_values(model, self.code, self.period, {})


def _model(x: str) -> dict:
    return {
        "params": [("Breakpoints", "int"), ("Period", "int")],
        "vars": [("Level", "int"), ("Dout", "scalar")],
        "extra_global_params": [
            ("breakpoint", "scalar*"),
            ("word", "uint8_t*"),
            ("payload", "scalar*"),
        ],
        "sim_code": f"""
            const int k = (int)(t / dt);
            if(k == 0) {{
                const scalar x = {x};
                int low = 0;
                int high = Breakpoints;
                while(low < high) {{
                    const int middle = (low + high) / 2;
                    if(x >= breakpoint[middle]) {{ low = middle + 1; }}
                    else {{ high = middle; }}
                }}
                Level = low;
            }}
            const int place = (Level * Period) + k;
            """,
        "threshold_condition_code": "word[place] != 0",
        "reset_code": "Dout = payload[place];",
    }


def _with_values(model, code, period, parameters) -> NeuronModel:
    words = code.encode(code.levels)  # (K, L): every level is its own code word
    payload = code.payload(words)
    word, worth = (
        np.pad(table.T, ((0, 0), (0, period - code.steps))) for table in (words, payload)
    )
    parameters |= {"Breakpoints": len(code.breakpoints), "Period": period}
    tables = {"breakpoint": code.breakpoints, "word": word, "payload": worth.astype(np.float32)}
    return NeuronModel(model, None, parameters, {name: 0 for name, _ in model["vars"]}, tables)
