"""A trained Keras model -> a spiking model.

``graph`` walks and rewrites a network, ``normal_form`` folds batch norm and checks every layer,
``calibration`` records what activations look like, ``design`` chooses the code of a layer from
that, ``allocation`` divides a budget of spikes among the layers, ``bias_correction`` mends their
mean errors, ``convert`` puts them together, ``spiking_model`` is what comes out.
``bias_maps`` says what neurons receive while all is silent.
``with_decoders`` stands in for ``convert`` where a code is not linear.
"""

from .allocation import Plan, allocate, channel_sensitivity, sensitivity
from .bias_correction import correct_biases
from .bias_maps import bias_maps
from .calibration import record
from .channels import best_factors, rescalable_layers, rescale_channels
from .convert import convert, plan
from .decoded import with_decoders
from .design import design_code, design_mixed_radix
from .diagnosis import diagnose
from .mlgenn_rule import mlgenn_scales
from .normal_form import UnsupportedLayerError, normal_form
from .quantised import quantised_ann, round_weights
from .spiking_model import SpikingModel

__all__ = [
    "Plan",
    "SpikingModel",
    "UnsupportedLayerError",
    "allocate",
    "best_factors",
    "bias_maps",
    "channel_sensitivity",
    "convert",
    "correct_biases",
    "design_code",
    "design_mixed_radix",
    "diagnose",
    "mlgenn_scales",
    "normal_form",
    "plan",
    "quantised_ann",
    "record",
    "rescalable_layers",
    "rescale_channels",
    "round_weights",
    "sensitivity",
    "with_decoders",
]
