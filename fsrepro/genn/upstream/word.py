r"""Neurons that look the word of their activation up, and send it in graded spikes.

For codes whose spikes are not worth the same for every sender, such as an explicit exponent and
mantissa: a spike carries what it is worth, and the receiver adds it up.

.. math:: y = \sum_{t=1}^{K} p_{\ell}(t)\, z_{\ell}(t)

for the level :math:`\ell` of x, with z its word and p what each spike of it is worth.
"""

from __future__ import annotations

import numpy as np

from .few_spike import FewSpikeInput, FewSpikeNeuron
from .tables import Words

__all__ = ["WordInput", "WordNeuron"]


def _model(code: Words, period: int, x: str) -> tuple[dict, dict, dict]:
    model = {
        "params": [("Breakpoints", "int"), ("Period", "int")],
        "vars": [("Level", "int"), ("Dout", "float")],
        "extra_global_params": [
            ("breakpoint", "float*"),
            ("word", "uint8_t*"),
            ("payload", "float*"),
        ],
        "sim_code": f"""
            if(k == 0) {{
                const float x = (float)({x});
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
    words = code.encode(code.levels)  # (K, L): every level is its own code word
    worth = code.payload(words).astype(np.float32)
    rest = ((0, 0), (0, period - code.steps))
    tables = {"word": np.pad(words.T, rest), "payload": np.pad(worth.T, rest)}
    parameters = {"Breakpoints": len(code.breakpoints), "Period": period}
    return model, parameters, {"breakpoint": code.breakpoints, **tables}


class WordNeuron(FewSpikeNeuron):
    """A hidden neuron of an exponent + mantissa code, arguments as in :class:`FewSpikeNeuron`.

    Variables: ``Level``; ``Dout`` what the last spike was worth; ``Fx``.
    """

    _parts = staticmethod(_model)


class WordInput(FewSpikeInput):
    """The same for x given from outside: variable ``X``."""

    _parts = staticmethod(_model)
