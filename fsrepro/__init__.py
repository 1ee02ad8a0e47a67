"""Few-spikes conversion: a trained network becomes one that writes its activations in spikes.

>>> snn = fsrepro.convert(model, calibration_images, spikes_per_neuron=0.5)
>>> print(fsrepro.evaluate(snn, images, labels, ann=model))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import codes
    from .conversion import Plan, SpikingModel, convert, diagnose, plan
    from .measures import Report, evaluate
    from .training import calibrate, fine_tune

__version__ = "1.0.0"

__all__ = [
    "Plan", "Report", "SpikingModel", "calibrate", "codes", "convert", "diagnose", "evaluate",
    "fine_tune", "plan",
]  # fmt: skip

_HOMES = {
    **dict.fromkeys(__all__, "conversion"),
    **dict.fromkeys(("Report", "evaluate"), "measures"),
    **dict.fromkeys(("calibrate", "fine_tune"), "training"),
}


def __getattr__(name: str):
    """The public names, imported when they are first used: TensorFlow takes seconds."""
    if name == "codes":
        return import_module(".codes", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
