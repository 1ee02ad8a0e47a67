r"""The FS neuron of any linear code, as an mlGeNN neuron.

.. math::

    v(1) = f(x) - y_0, \qquad z(t) = [\, v(t) \ge T(t) \,], \qquad v(t+1) = v(t) - h(t)\, z(t)

for x = bias + what arrived in the period before; f is the identity where the activation emerges
from the tables. The arriving current has been decoded already, see
:mod:`~fsrepro.genn.upstream.decode`. A
neuron with several dendrites takes their product, or their maximum, once in a period.

Source: Stöckl & Maass (2021), equations 1 to 3; fires when v >= T, as mlGeNN's FewSpikeRelu does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
from ml_genn.neurons import Neuron
from ml_genn.neurons.input import InputBase
from ml_genn.utils.model import NeuronModel

from .soma import soma_code
from .tables import Tables

__all__ = ["FewSpikeInput", "FewSpikeNeuron", "FewSpikePair", "current", "padded"]

_SOMA = {  # of dendrites, as expressions in C
    "sum": lambda a, b: f"({a} + {b})",
    "product": lambda a, b: f"({a} * {b})",
    "maximum": lambda a, b: f"fmax({a}, {b})",
}

NEVER = float(np.finfo(np.float32).max)


def current(dendrite: int) -> str:
    """What a dendrite gets in a time step, in GeNN's words."""
    return f"Isyn{dendrite or ''}"


def padded(table: np.ndarray, period: int, value: float) -> np.ndarray:
    """A table of K time steps made as long as the period of the network, (period, ...)."""
    rest = np.full((period - len(table), *table.shape[1:]), value)
    return np.concatenate([table, rest]).astype(np.float32)


def _model(code: Tables, period: int, x: str, mark: str = "") -> tuple[dict, dict, dict]:
    """What a neuron computes of ``x``, an expression in C; its parameters; its tables.

    ``mark`` tells the names of a second one in the same model.
    """
    limited, channels = code.max_spikes is not None, np.size(code.weight[0])
    at = "k" if channels == 1 else f"(k * {channels}) + (id % {channels})"
    start, fired, may_fire = "", "", ""
    if limited:
        start, fired, may_fire = f"C{mark} = 0;", f"C{mark}++;", f" && C{mark} < {code.max_spikes}"
    model: dict = {
        "params": [],
        "vars": [(f"V{mark}", "float")] + ([(f"C{mark}", "unsigned int")] if limited else []),
        "extra_global_params": [(f"T{mark}", "float*"), (f"h{mark}", "float*")],
        "sim_code": f"""
            const int at{mark} = {at};
            const float threshold{mark} = T{mark}[at{mark}];
            if(k == 0) {{
                const float x = (float)({x});
                {soma_code(code, mark)}
                {start}
            }}
            """,
        "threshold_condition_code": f"V{mark} >= threshold{mark}{may_fire}",
        "reset_code": f"V{mark} -= h{mark}[at{mark}]; {fired}",
    }
    tables = {"T": padded(code.threshold, period, NEVER), "h": padded(code.reset, period, 0)}
    if channels > 1:  # receivers cannot tell what a spike is worth
        model["vars"].append((f"Dout{mark}", "float"))
        model["extra_global_params"].append((f"d{mark}", "float*"))
        model["reset_code"] += f" Dout{mark} = d{mark}[at{mark}];"
        tables["d"] = padded(code.weight, period, 0)
    if code.soma and np.ndim(code.offset):
        model["extra_global_params"].append((f"y0{mark}", "float*"))
        tables["y0"] = np.asarray(code.offset)
    return model, {}, {f"{name}{mark}": table.ravel() for name, table in tables.items()}


_STEP = "const int k = (int)(t / dt);\n"


class FewSpikeNeuron(Neuron):
    """A hidden FS neuron of a linear code.

    After the K time steps of the code it is silent in what is left of the network's ``period``;
    ``bias`` has, for each dendrite, a number, or one for each neuron, flattened; ``soma`` says how
    dendrites combine, ``"sum"``, ``"product"`` or ``"maximum"``. Variables: ``V`` v(t); ``Fx``,
    ``Fx1``, ... what has arrived so far at each dendrite.
    """

    pipelined = True
    _parts: Callable = staticmethod(_model)

    def __init__(self, code, period: int, bias=(0.0,), soma: str = "sum"):
        super().__init__()
        self.code, self.period, self.bias, self.soma = code, period, list(bias), soma

    def _model(self, x: str) -> tuple[dict, dict, dict]:
        return self._parts(self.code, self.period, x)

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        numbers = ["", *map(str, range(1, len(self.bias)))]  # of the dendrites
        dendrites = [f"(Fx{n} + Bias{n})" for n in numbers]
        x = reduce(_SOMA[self.soma], dendrites)
        model, parameters, tables = self._model(x)
        model["params"] += [(f"Bias{n}", "scalar") for n in numbers]
        model["vars"] += [(f"Fx{n}", "scalar") for n in numbers]
        model["additional_input_vars"] = [
            (current(i), "scalar", 0.0) for i in range(1, len(numbers))
        ]
        arrive = "".join(f"Fx{n} += {current(i)};\n" for i, n in enumerate(numbers))
        forget = "".join(f"Fx{n} = 0.0; " for n in numbers)
        # Spikes of the last step of a period arrive at the first step of the next.
        model["sim_code"] = f"{_STEP}{arrive}{model['sim_code']}if(k == 0) {{ {forget}}}"
        start = {name: 0 for name, _ in model["vars"]}
        parameters |= {f"Bias{n}": bias for n, bias in zip(numbers, self.bias, strict=True)}
        return NeuronModel(model, None, parameters, start, tables)


class FewSpikePair(FewSpikeNeuron):
    """Two such neurons for each value, which read what the same dendrites have added up.

    ``code`` writes what is above zero, by spikes; ``below`` what is below, by GeNN's spike-like
    events, a line of its own. Variables besides: ``Vn`` of the second; ``Below``, 1 when it fires.
    """

    def __init__(self, code, below, period: int, bias=(0.0,), soma: str = "sum"):
        super().__init__(code, period, bias, soma)
        self.below = below

    def _model(self, x):
        model, parameters, tables = super()._model(x)
        second, _, others = self._parts(self.below, self.period, x, "n")
        fires, reset = second["threshold_condition_code"], second["reset_code"]
        for key in ("vars", "extra_global_params"):
            model[key] += second[key]
        model["vars"].append(("Below", "uint8_t"))
        model["sim_code"] += f"""{second["sim_code"]}
            Below = ({fires}) ? 1 : 0;
            if(Below) {{ {reset} }}
            """
        return model, parameters, {**tables, **others}


class FewSpikeInput(Neuron, InputBase):
    """The same for x given from outside, once for each presentation: variable ``X``."""

    _parts: Callable = staticmethod(_model)

    def __init__(self, code, period: int):
        super().__init__(var_name="X")
        self.code, self.period = code, period

    def get_model(self, population, dt, batch_size) -> NeuronModel:
        model, parameters, tables = self._parts(self.code, self.period, "X")
        model["sim_code"] = _STEP + model["sim_code"]
        model["vars"].append(("X", "float"))
        start = {name: 0 for name, _ in model["vars"]}
        return NeuronModel(model, None, parameters, start, tables)
