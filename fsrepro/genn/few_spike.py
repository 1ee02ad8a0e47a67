r"""The FS neuron of any linear code, as an mlGeNN neuron.

.. math::

    v(1) = f(x) - y_0, \qquad z(t) = [\, v(t) \ge T(t) \,], \qquad v(t+1) = v(t) - h(t)\, z(t)

for x = bias + what arrived in the period before; f is the identity where the activation emerges
from the tables. The arriving current has been decoded already, see :mod:`~fsrepro.genn.decode`.

Source: Stöckl & Maass (2021), equations 1 to 3; fires when v >= T, as mlGeNN's FewSpikeRelu does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ml_genn.neurons import Neuron
from ml_genn.neurons.input import InputBase
from ml_genn.utils.model import NeuronModel

from ..codes import SpikeCode
from .soma import soma_code

__all__ = ["FewSpikeInput", "FewSpikeNeuron", "padded"]

NEVER = float(np.finfo(np.float32).max)


def padded(table: np.ndarray, period: int, value: float) -> np.ndarray:
    """A table of K time steps made as long as the period of the network, (period, ...)."""
    rest = np.full((period - len(table), *table.shape[1:]), value)
    return np.concatenate([table, rest]).astype(np.float32)


def _model(code: SpikeCode, period: int, x: str) -> tuple[dict, dict, dict]:
    """What a neuron computes of ``x``, an expression in C; its parameters; its tables."""
    limited, channels = code.max_spikes is not None, len(code.channels)
    at = "k" if channels == 1 else f"(k * {channels}) + (id % {channels})"
    start, fired, may_fire = "", "", ""
    if limited:
        start, fired, may_fire = "C = 0;", "C++;", f" && C < {code.max_spikes}"
    model: dict = {
        "params": [],
        "vars": [("V", "scalar")] + ([("C", "unsigned int")] if limited else []),
        "extra_global_params": [("T", "scalar*"), ("h", "scalar*")],
        "sim_code": f"""
            const int k = (int)(t / dt);
            const int at = {at};
            const scalar threshold = T[at];
            if(k == 0) {{
                const scalar x = {x};
                {soma_code(code)}
                {start}
            }}
            """,
        "threshold_condition_code": f"V >= threshold{may_fire}",
        "reset_code": f"V -= h[at]; {fired}",
    }
    tables = {"T": padded(code.threshold, period, NEVER), "h": padded(code.reset, period, 0)}
    if channels > 1:  # receivers cannot tell what a spike is worth
        model["vars"].append(("Dout", "scalar"))
        model["extra_global_params"].append(("d", "scalar*"))
        model["reset_code"] += " Dout = d[at];"
        tables["d"] = padded(code.weight, period, 0)
    if code.soma and np.ndim(code.offset):
        model["extra_global_params"].append(("y0", "scalar*"))
        tables["y0"] = np.asarray(code.offset)
    return model, {}, {name: table.ravel() for name, table in tables.items()}


class FewSpikeNeuron(Neuron):
    """A hidden FS neuron of a linear code.

    After the K time steps of the code it is silent in what is left of the network's ``period``;
    ``bias`` is a number, or one for each neuron, flattened. Variables: ``V`` v(t); ``Fx`` what has
    arrived so far.
    """

    pipelined = True
    _parts: Callable = staticmethod(_model)

    def __init__(self, code, period: int, bias=0.0):
        super().__init__()
        self.code, self.period, self.bias = code, period, bias

    @property
    def graded(self) -> bool:
        """Whether a spike carries what it is worth, ``Dout``: where channels differ in that."""
        return len(self.code.channels) > 1

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model, parameters, tables = self._parts(self.code, self.period, "Fx + Bias")
        model["params"].append(("Bias", "scalar"))
        model["vars"].append(("Fx", "scalar"))
        # Spikes of the last step of a period arrive at the first step of the next.
        model["sim_code"] = "Fx += Isyn;\n" + model["sim_code"] + "if(k == 0) { Fx = 0.0; }"
        start = {name: 0 for name, _ in model["vars"]}
        return NeuronModel(model, None, {**parameters, "Bias": self.bias}, start, tables)


class FewSpikeInput(Neuron, InputBase):
    """The same for x given from outside, once for each presentation: variable ``X``."""

    _parts: Callable = staticmethod(_model)

    def __init__(self, code, period: int):
        super().__init__(var_name="X")
        self.code, self.period = code, period

    graded = FewSpikeNeuron.graded

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model, parameters, tables = self._parts(self.code, self.period, "X")
        model["vars"].append(("X", "scalar"))
        start = {name: 0 for name, _ in model["vars"]}
        return NeuronModel(model, None, parameters, start, tables)
