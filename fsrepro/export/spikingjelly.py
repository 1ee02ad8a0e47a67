"""The network in PyTorch, and around each ``FewSpikeNode`` what its tables cannot say."""

from __future__ import annotations

import operator
import re
from functools import partial, reduce
from keyword import iskeyword

import numpy as np
import torch
from spikingjelly.activation_based import surrogate
from spikingjelly.activation_based.neuron import FewSpikeNode, FewSpikeTable
from torch import fx, nn

from ..codes import SpikeCode
from ..conversion import SpikingModel
from ..conversion.few_spikes import FewSpikes
from ..networks.graph import calls
from ..networks.population import Population
from .layouts import check, refusal
from .torch_activations import function, in_float64
from .torch_layers import counterpart

__all__ = ["Firing", "Neurons", "spike_trains", "to_spikingjelly"]


def to_spikingjelly(snn: SpikingModel) -> fx.GraphModule:
    """See :func:`fsrepro.export.to_spikingjelly`."""
    network = fx.GraphModule(nn.Module(), fx.Graph())
    graph, tracer = network.graph, fx.proxy.GraphAppendingTracer(network.graph)
    (images,), (logits,) = snn.keras_model.inputs, snn.keras_model.outputs
    values = {id(images): fx.Proxy(graph.placeholder("images"), tracer)}
    for call in calls(snn.keras_model):
        run = _counterpart(call)
        arguments = [values[id(x)] for x in call.input_tensors]
        if isinstance(run, nn.Module):
            name = _free_name(network, call.operation.name)
            network.add_module(name, run)
            node = graph.call_module(name, tuple(x.node for x in arguments))
            output = fx.Proxy(node, tracer)
        else:
            output = run(*arguments)  # of proxies: written into the graph
        values[id(call.outputs[0])] = output
    graph.output(values[id(logits)].node)
    network.recompile()
    return network


def spike_trains(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every spike of a module that :func:`to_spikingjelly` made.

    As :meth:`SpikingModel.spike_trains`: by name of the layer, 0 or 1, uint8, (K, N, ...).
    """
    found: dict[str, list[torch.Tensor]] = {}
    hooks = []
    for module in network.modules():
        if isinstance(module, Neurons):
            keep = partial(_keep, found.setdefault(module.layer, []))
            hooks.append(module.node.surrogate_function.register_forward_hook(keep))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.stack(spikes) for name, spikes in found.items()}


def _keep(found, module, inputs, spikes):
    found.append(spikes.to(torch.uint8))


def _counterpart(call):
    check(call, "SpikingJelly")
    layer = call.operation
    if type(layer) is FewSpikes:
        try:
            return Neurons(layer.code, layer.name)
        except ValueError as error:
            raise refusal(layer, "SpikingJelly", str(error)) from None
    if isinstance(layer, Population):
        why = f"FewSpikeNode cannot write its code {layer.code.name!r}, which needs decoders"
        raise refusal(layer, "SpikingJelly", why)
    shapes = [x.shape[1:] for x in call.input_tensors]
    return counterpart(layer, shapes, call.outputs[0].shape[1:])


def _free_name(network, name):
    name = re.sub(r"\W", "_", name)
    while hasattr(network, name) or iskeyword(name):
        name += "_"
    return name


class Neurons(nn.Module):
    """SpikingJelly's ``FewSpikeNode``, as ``node``, with all else that a code may have.

    Input: membrane potentials, float32. Output: decoded values, same shape.

    Parameters
    ----------
    code : SpikeCode
    layer : str
        The name of the spiking layer.

    Raises
    ------
    ValueError
        For a soma whose function has no PyTorch code.
    """

    def __init__(self, code: SpikeCode, layer: str):
        super().__init__()
        self.layer = layer
        self.register_buffer("offset", torch.tensor(code.offset))
        self.soma = code.activation if code.soma else None
        if self.soma is not None:
            function(self.soma)
        # Mode "s" adds up d from 0 on; "m" returns every step, to be added up from the offset on.
        mode = "m" if np.any(code.offset) else "s"
        self.node = _Node(code, mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.node.surrogate_function.fired = None
        v = x if self.soma is None else in_float64(function(self.soma), x) - self.offset
        if self.node.step_mode == "s":
            return self.node(v)
        silence = v.new_zeros(self.node.K - 1, *v.shape)  # the node adds up what arrives
        return reduce(operator.add, self.node(torch.cat([v[None], silence])), self.offset)


class _Node(FewSpikeNode):
    """A ``FewSpikeNode`` whose tables may have a column for each channel, (K, C)."""

    def __init__(self, code: SpikeCode, mode: str):
        tables = code.threshold, code.reset, code.weight
        first = (torch.tensor(table.reshape(code.steps, -1)[:, 0]) for table in tables)
        super().__init__(FewSpikeTable(*first), Firing(code.max_spikes), step_mode=mode)
        self.theta, self.h, self.d = map(torch.tensor, tables)

    @property
    def K(self) -> int:
        return len(self.theta)


class Firing(nn.Module):
    """From v - T to spikes, one time step after the other: SpikingJelly's step, and fatigue.

    A neuron that has fired ``max_spikes`` times is silent until ``fired`` is None again.
    """

    fired: torch.Tensor | None

    def __init__(self, max_spikes: int | None):
        super().__init__()
        self.step, self.max_spikes, self.fired = surrogate.Sigmoid(), max_spikes, None

    def forward(self, excess: torch.Tensor) -> torch.Tensor:
        spikes = self.step(excess)
        if self.max_spikes is not None:
            if self.fired is not None:
                spikes = spikes * (self.fired < self.max_spikes)
            known = spikes.detach()
            self.fired = known if self.fired is None else self.fired + known
        return spikes
