r"""The FS neuron of any linear code, as an mlGeNN neuron.

.. math::

    v(1) = f(x) - y_0, \qquad z(t) = [\, v(t) \ge T(t) \,], \qquad v(t+1) = v(t) - h(t)\, z(t)

for x = bias + what arrived in the period before; f is the identity where the activation emerges
from the tables. The arriving current has been decoded already, see :mod:`~fsrepro.genn.decode`.

Source: Stöckl & Maass (2021), equations 1 to 3; fires when v >= T, as mlGeNN's FewSpikeRelu does.
"""

from __future__ import annotations

import numpy as np
from ml_genn.neurons import Neuron
from ml_genn.neurons.input import InputBase
from ml_genn.utils.model import NeuronModel

from ..codes import SpikeCode
from .soma import soma_code

__all__ = ["FewSpikeInput", "FewSpikeNeuron", "padded"]

NEVER = np.finfo(np.float32).max


def padded(table: np.ndarray, period: int, value: float) -> np.ndarray:
    """A table of K time steps made as long as the period of the network, (period,)."""
    return np.concatenate([table, np.full(period - len(table), value)]).astype(np.float32)


class FewSpikeNeuron(Neuron):
    """A hidden FS neuron.

    Variables: ``V`` v(t); ``Fx`` what has arrived so far.

    Parameters
    ----------
    code : SpikeCode
        A linear code of K time steps.
    period : int
        Time steps of the network, K or more; the neuron is silent in what is left.
    bias : float or array
        A number, or one for each neuron, flattened.
    """

    pipelined = True
    graded = False

    def __init__(self, code: SpikeCode, period: int, bias=0.0):
        super().__init__()
        self.code, self.period, self.bias = code, period, bias

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model = _model(self.code, "Fx + Bias")
        model["params"] = [("Bias", "scalar")]
        model["vars"].append(("Fx", "scalar"))
        # Spikes of the last step of a period arrive at the first step of the next.
        model["sim_code"] = "Fx += Isyn;\n" + model["sim_code"] + "if(k == 0) { Fx = 0.0; }"
        values = {name: 0 for name, _ in model["vars"]}
        return NeuronModel(
            model, None, {"Bias": self.bias}, values, _tables(self.code, self.period)
        )


class FewSpikeInput(Neuron, InputBase):
    """An FS neuron whose x is given from outside, once for each presentation.

    Arguments as in :class:`FewSpikeNeuron`. Variables: ``X``, ``V``.
    """

    graded = False

    def __init__(self, code: SpikeCode, period: int):
        super().__init__(var_name="X")
        self.code, self.period = code, period

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model = _model(self.code, "X")
        model["vars"].append(("X", "scalar"))
        values = {name: 0 for name, _ in model["vars"]}
        return NeuronModel(model, None, {}, values, _tables(self.code, self.period))


def _model(code: SpikeCode, x: str) -> dict:
    limited = code.max_spikes is not None
    start, fired, may_fire = "", "", ""
    if limited:
        start, fired, may_fire = "C = 0;", "C++;", f" && C < {code.max_spikes}"
    return {
        "vars": [("V", "scalar")] + ([("C", "unsigned int")] if limited else []),
        "extra_global_params": [("T", "scalar*"), ("h", "scalar*")],
        "sim_code": f"""
            const int k = (int)(t / dt);
            const scalar threshold = T[k];
            if(k == 0) {{
                const scalar x = {x};
                {soma_code(code)}
                {start}
            }}
            """,
        "threshold_condition_code": f"V >= threshold{may_fire}",
        "reset_code": f"V -= h[k]; {fired}",
    }


def _tables(code: SpikeCode, period: int) -> dict[str, np.ndarray]:
    return {"T": padded(code.threshold, period, NEVER), "h": padded(code.reset, period, 0)}
