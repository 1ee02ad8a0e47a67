"""A trained network -> a spiking model.

``normal_form`` folds what :mod:`fsrepro.frontends` read: linear layers and activations are left,
and neurons for all else that a layer with weights reads (``signals``). A :class:`Plan` holds what
networks are made from: what activations look like (``calibration``), the codes that suit them
(:mod:`fsrepro.fitting`), how much each layer matters (``sensitivity``); ``allocation`` divides a
budget of spikes, or synaptic operations, among the layers, ``correction`` mends their mean errors,
``spiking_model`` is what comes out. ``convert`` does all of it for one network. ``bias_maps`` says
what neurons receive while all is silent. ``with_decoders`` stands in for ``convert`` where a code
is not linear.
"""

from ..networks.population import activation_layers, populate
from ._bias_maps import bias_maps, silent_inputs
from ._convert import convert
from ._normal_form import UnsupportedLayerError, normal_form
from ._plan import SPIKE_PENALTY, Plan, plan
from ._sensitivity import sensitivity
from .allocation import allocate
from .calibration import check_images, distributions, record
from .channels import rescalable_layers, rescale_channels
from .correction import correct_biases
from .decoded import with_decoders
from .diagnosis import diagnose
from .spiking_model import SpikingModel

__all__ = [
    "SPIKE_PENALTY",
    "Plan",
    "SpikingModel",
    "UnsupportedLayerError",
    "activation_layers",
    "allocate",
    "bias_maps",
    "check_images",
    "convert",
    "correct_biases",
    "diagnose",
    "distributions",
    "normal_form",
    "plan",
    "populate",
    "record",
    "rescalable_layers",
    "rescale_channels",
    "sensitivity",
    "silent_inputs",
    "with_decoders",
]
