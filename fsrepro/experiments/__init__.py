"""What the book needs: data, networks, runs that survive a kill, results, figures.

The library (:mod:`fsrepro`) uses none of it. For data of one's own, :func:`evaluate_pictures` runs
a spiking network on more pictures than memory holds, on one machine or many.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .at_scale import evaluate_pictures

__all__ = ["evaluate_pictures"]


def __getattr__(name: str):
    """Imported when first used: TensorFlow takes seconds."""
    if name != "evaluate_pictures":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .at_scale import evaluate_pictures

    return evaluate_pictures
