"""A trained Keras model -> a spiking model.

``graph`` walks and rewrites a network, ``normal_form`` folds batch norm and checks every layer,
``calibration`` records what activations look like, ``design`` chooses the code of a layer from
that, ``allocation`` divides a budget of spikes among the layers, ``bias_correction`` mends their
mean errors, ``convert`` puts them together, ``spiking_model`` is what comes out.
``with_decoders`` stands in for ``convert`` where a code is not linear.
"""

from .allocation import allocate, sensitivity
from .bias_correction import correct_biases
from .calibration import record
from .channels import rescalable_layers, rescale_channels
from .convert import convert
from .decoded import with_decoders
from .design import design_code, design_mixed_radix
from .diagnosis import diagnose
from .normal_form import UnsupportedLayerError, normal_form
from .spiking_model import SpikingModel

__all__ = [
    "SpikingModel",
    "UnsupportedLayerError",
    "allocate",
    "convert",
    "correct_biases",
    "design_code",
    "design_mixed_radix",
    "diagnose",
    "normal_form",
    "record",
    "rescalable_layers",
    "rescale_channels",
    "sensitivity",
    "with_decoders",
]
