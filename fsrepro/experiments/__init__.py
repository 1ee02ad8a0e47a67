"""What the book needs: data, networks, training, runs that survive a kill, results, figures.

The library (:mod:`fsrepro`) uses none of it. For networks and data of one's own,
:func:`fine_tune` trains a spiking network through its codes, and :func:`evaluate_pictures` runs it
on more pictures than memory holds, on one machine or many.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .at_scale import evaluate_pictures
    from .training import fine_tune

__all__ = ["evaluate_pictures", "fine_tune"]

_HOMES = {"evaluate_pictures": "at_scale", "fine_tune": "training"}


def __getattr__(name: str):
    """Imported when first used: TensorFlow takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
