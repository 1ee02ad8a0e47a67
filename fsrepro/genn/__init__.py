"""The spiking network in mlGeNN, event by event. Needs pygenn and ml_genn (see `environment.yml`).

``arrivals`` tells what reaches every population, ``linear_maps`` what lies between two,
``synapses`` how they are held, and ``network`` builds and runs it all. Neurons, synapses and the
compiler are in ``upstream``, in the form of mlGeNN and without the rest of this library. The same
network with mlGeNN's own neurons, to compare with, is in ``mlgenn_neurons``.
"""

from importlib import import_module
from importlib.util import find_spec

__all__ = ["available", "to_mlgenn", "with_mlgenn_neurons"]


def available() -> bool:
    """Whether pygenn and ml_genn are installed."""
    return all(find_spec(name) is not None for name in ("pygenn", "ml_genn"))


def to_mlgenn(snn, **options):
    """As :func:`~fsrepro.genn.network.to_mlgenn`.

    Raises
    ------
    ImportError
        Where pygenn or ml_genn is missing; the message says what to install.
    """
    return _module("network").to_mlgenn(snn, **options)


def with_mlgenn_neurons(snn, **options):
    """As :func:`~fsrepro.genn.mlgenn_neurons.with_mlgenn_neurons`, or ``ImportError`` likewise."""
    return _module("mlgenn_neurons").with_mlgenn_neurons(snn, **options)


def _module(name: str):
    if not available():
        raise ImportError(
            "the event-driven simulator needs pygenn and ml_genn, which are built from source: "
            "`make genn` does it, environment.yml says how with Conda"
        )
    return import_module(f".{name}", __name__)
