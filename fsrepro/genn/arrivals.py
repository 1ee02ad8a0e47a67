"""What reaches every population of neurons, and what its soma makes of it.

A neuron has one dendrite that adds up what arrives; or one for each factor of a product, or for
each place of a window of which the maximum is taken: its soma then combines what they have added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from keras import layers

from ..conversion import SpikingModel, silent_inputs
from ..networks.graph import calls
from ..networks.kinds import POOLING_BY_MAXIMUM, PRODUCTS, UnsupportedLayerError
from ..networks.population import Population
from ..wiring import routes, windows
from .linear_maps import Convolution, Map, Matrix, Signed, linear_maps, routed

__all__ = ["IMAGE", "OUTPUT", "Arrivals", "arrivals"]

IMAGE = "image"
"""Stands for what is computed from the image alone, as analog values."""

OUTPUT = "output"

NEVER_MORE = np.float32(-np.finfo(np.float32).max)
"""What a dendrite has where the window of a maximum reaches over the border."""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """What reaches a population.

    Parameters
    ----------
    dendrites : list of dict of Map
        For each, by the population that sends, the map from its neurons; ``{"image": None}`` for
        what reads the image and no spikes.
    silent : list of (n,) float32
        For each, what it has while all is silent: the biases and offsets of what lies before.
    soma : "sum", "product" or "maximum"
        Of one dendrite it is the sum.
    shares : str
        The population that reads the same, of which this one writes the negative half: the two have
        their dendrites in common.
    """

    dendrites: list[dict[str, Map | None]]
    silent: list[np.ndarray]
    soma: str = "sum"
    shares: str = ""

    @property
    def reads_image(self) -> bool:
        return any(IMAGE in maps for maps in self.dendrites)

    @property
    def maps(self) -> list[tuple[int, str, Map]]:
        """Dendrite, sender and map, of all that arrives in spikes."""
        return [
            (number, source, found)
            for number, maps in enumerate(self.dendrites)
            for source, found in maps.items()
            if found is not None
        ]


_Maps = dict[str, Map | None]


@dataclass(frozen=True, eq=False)
class _Soma:
    """What a product or a maximum has before it, for the population that reads it."""

    kind: str
    layer: layers.Layer
    incoming: list[_Maps]
    shapes: list[tuple[int, ...]]


def arrivals(snn: SpikingModel) -> dict[str, Arrivals]:
    """What reaches every population, by its name in the order of computation, and ``"output"``.

    Raises
    ------
    UnsupportedLayerError
        Where a product or a maximum goes on as numbers, and where one population reads both the
        image and spikes.
    ValueError
        For codes whose values are not sums over spikes.
    """
    silent = silent_inputs(snn)
    reach: dict[int, _Maps | _Soma] = {id(x): {IMAGE: None} for x in snn.keras_model.inputs}
    found: dict[str, Arrivals] = {}
    halves: dict[int, str] = {}  # by id of what they read, the populations that write the positive
    for call in calls(snn.keras_model):
        layer, incoming = call.operation, [reach[id(x)] for x in call.input_tensors]
        shapes = [tuple(x.shape[1:]) for x in call.input_tensors]
        outgoing: _Maps | _Soma
        if isinstance(layer, Population):
            name, read = layer.name, id(call.input_tensors[0])
            function = getattr(layer.code, "activation", "")
            found[name] = _arrivals(name, incoming[0], silent)
            if function == "relu":
                halves[read] = name
            elif function == "negative_part" and read in halves and not found[name].reads_image:
                found[name] = replace(found[name], shares=halves.pop(read))
            outgoing = {name: Signed(math.prod(shapes[0]))}
        else:
            maps = [_linear(layer, before) for before in incoming]
            if all(set(before) == {IMAGE} for before in maps):
                outgoing = {IMAGE: None}
            elif isinstance(layer, (*PRODUCTS, *POOLING_BY_MAXIMUM)):
                kind = "product" if isinstance(layer, PRODUCTS) else "maximum"
                outgoing = _Soma(kind, layer, maps, shapes)
            else:
                outgoing = _together(maps, linear_maps(layer, shapes))
        reach[id(call.outputs[0])] = outgoing
    found[OUTPUT] = _arrivals(OUTPUT, reach[id(snn.keras_model.outputs[0])], silent)
    return found


def _linear(layer, incoming: _Maps | _Soma) -> _Maps:
    if isinstance(incoming, _Soma):
        raise UnsupportedLayerError(
            f"layer {layer.name!r} ({type(layer).__name__}) reads a {incoming.kind}, which is no "
            "spike; convert with analog='forbidden', or evaluate with simulator='keras'"
        )
    return incoming


def _together(incoming: list[_Maps], steps: list[Map]) -> _Maps:
    """What arrives behind a layer, from what arrives before it."""
    outgoing: _Maps = {}
    for maps, step in zip(incoming, steps, strict=True):
        for source, before in maps.items():
            through, other = before and before @ step, outgoing.get(source)
            outgoing[source] = other + through if other and through else through
    return outgoing


def _arrivals(name: str, incoming, silent) -> Arrivals:
    if not isinstance(incoming, _Soma):
        found = Arrivals([incoming], [silent[name][0].ravel()])
    elif name == OUTPUT:
        raise UnsupportedLayerError("the output is a product or a maximum, which is no spike")
    elif incoming.kind == "product":
        found = Arrivals(*_factors(incoming, silent[incoming.layer.name]), "product")
    else:
        found = Arrivals(*_places(incoming, silent[incoming.layer.name][0]), "maximum")
    sources = {source for maps in found.dendrites for source in maps}
    if IMAGE in sources and len(sources) > 1:
        senders = ", ".join(sorted(sources - {IMAGE}))
        raise UnsupportedLayerError(
            f"layer {name!r} reads the image and spikes of {senders}; in GeNN neurons read one or "
            "the other; convert with spiking_input=True, or evaluate with simulator='keras'"
        )
    return found


def _factors(soma: _Soma, silent) -> tuple[list[dict], list[np.ndarray]]:
    """The dendrites of a product: its factors, in the shape of what it gives."""
    dendrites, constants = [], []
    every = zip(soma.incoming, routes(soma.layer, soma.shapes), silent, strict=True)
    for maps, route, constant in every:
        alike = route.size == constant.size
        step = Signed(route.size) if alike else Matrix(routed(route, constant.size))
        dendrites.append({name: found and found @ step for name, found in maps.items()})
        constants.append(constant.ravel()[route.ravel()])
    return dendrites, constants


def _places(soma: _Soma, silent) -> tuple[list[dict], list[np.ndarray]]:
    """The dendrites of a maximum: the places of its window."""
    (maps,), (shape,) = soma.incoming, soma.shapes
    axes = windows(soma.layer, shape)
    counts = tuple(axis.size_out for axis in axes)
    index = np.arange(math.prod(shape)).reshape(shape)
    dendrites, constants = [], []
    for place in np.ndindex(*(int(axis.places.max()) + 1 for axis in axes)):
        route = np.full((*counts, shape[-1]), -1)
        at = [axis.places == p for axis, p in zip(axes, place, strict=True)]
        inputs = [axis.inputs[here] for axis, here in zip(axes, at, strict=True)]
        outputs = [axis.outputs[here] for axis, here in zip(axes, at, strict=True)]
        route[np.ix_(*outputs)] = index[np.ix_(*inputs)]
        whole = bool((route >= 0).all())
        dendrites.append({name: _at(found, route, whole, inputs) for name, found in maps.items()})
        flat = route.ravel()
        constants.append(np.where(flat >= 0, silent.ravel()[flat], NEVER_MORE))
    return dendrites, constants


def _at(found: Map | None, route, whole: bool, inputs) -> Map | None:
    """What arrives at the inputs that ``route`` names, at regular distances along the axes."""
    if found is None:
        return None
    if whole and isinstance(found, Convolution) and len(inputs) == 2 == len(found.outputs) - 1:
        first = tuple(int(axis[0]) for axis in inputs)
        step = tuple(int(axis[1] - axis[0]) if len(axis) > 1 else 1 for axis in inputs)
        return found.at(first, step, tuple(map(len, inputs)))
    return Matrix(found.matrix() @ routed(route, found.matrix().shape[1]))
