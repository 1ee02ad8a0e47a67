"""What conversion is compared with: the same ANN in a few bits, and mlGeNN's choice of ranges."""

from __future__ import annotations

import keras
import numpy as np

from ..conversion import convert, normal_form
from ..networks.few_bits import round_weights
from ..networks.graph import calls
from ..networks.population import Population

__all__ = ["mlgenn_scales", "quantised_ann"]


def quantised_ann(
    model: keras.Model,
    calibration: np.ndarray,
    *,
    bits: int,
    weight_bits: int | None = 8,
    seed: int = 0,
) -> keras.Model:
    r"""``model`` with activations of ``bits`` bits and weights of ``weight_bits``, or as they are.

    Activations are rounded to the 2^b values :math:`0, \Delta, \dots`, with the range of least
    mean squared error for each layer; that is what the binary code with rounding and K = ``bits``
    writes. Weights, of the normal form: see :mod:`~fsrepro.networks.few_bits`. Biases and sums stay
    as they are. A plain Keras model; it multiplies as often as the ANN. Post-training quantisation
    as in Jacob et al. (2018), with calibrated ranges. Raises what ``round_weights`` and
    ``convert`` do.
    """
    graph = normal_form(model, analog="allowed")
    if weight_bits is not None:
        round_weights(graph, weight_bits)
    return convert(graph, calibration, code="binary", steps=bits, seed=seed).keras_model


def mlgenn_scales(
    graph: keras.Model, recorded: dict[str, np.ndarray], steps: int
) -> dict[str, float]:
    r"""The range of each layer by the rule of mlGeNN, for the binary code that rounds down.

    .. math:: \alpha_l = \max_x y_l(x) / (1 - 2^{-K})

    and all layers that one population reads take the largest range among them (ml_genn 2.3.1,
    ``ml_genn_tf/converters/few_spike.py``, ``pre_convert`` and ``post_convert``).

    Parameters
    ----------
    graph : keras.Model
        In normal form, or the graph of a spiking network.
    recorded : dict of (samples,) float32
        Pre-activations, see :func:`~fsrepro.conversion.record`; a sample of them has a smaller
        maximum than all that mlGeNN sees, by little.
    steps : int
        The number K.
    """
    for name in recorded:
        layer = graph.get_layer(name)
        function = layer.code.activation if isinstance(layer, Population) else layer.function
        if function != "relu":
            raise ValueError(f"mlGeNN's rule is for ReLU; layer {name!r} is another activation")
    least = float(np.finfo(np.float32).tiny)
    alpha = {n: max(float(x.max()), least) / (1 - 2.0**-steps) for n, x in recorded.items()}
    for sources in filter(None, _sources(graph, list(recorded))):
        alpha |= dict.fromkeys(sources, max(alpha[name] for name in sources))
    return alpha


def _sources(graph, sites) -> list[set[str]]:
    """For each activation layer, and at last the outputs, the activation layers that feed it."""
    read: dict[str, set[str]] = {}
    behind: dict[int, set[str]] = {id(x): set() for x in graph.inputs}
    for call in calls(graph):
        name = call.operation.name
        read[name] = set().union(*(behind[id(x)] for x in call.input_tensors))
        behind[id(call.outputs[0])] = {name} if name in sites else read[name]
    return [*(read[name] for name in sites), *(behind[id(x)] for x in graph.outputs)]
