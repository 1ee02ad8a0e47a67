"""A trained Keras model -> a spiking model.

``graph`` walks and rewrites a network, ``normal_form`` folds batch norm and checks every layer,
``scales`` fits codes to recorded activations, ``convert`` puts them together, ``spiking_model`` is
what comes out.
"""

from .convert import convert
from .normal_form import UnsupportedLayerError, normal_form
from .spiking_model import SpikingModel

__all__ = ["SpikingModel", "UnsupportedLayerError", "convert", "normal_form"]
