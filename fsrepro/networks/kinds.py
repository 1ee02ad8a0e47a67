"""What kinds of layers a network in normal form consists of, in 1, 2 and 3 dimensions.

Beside these there are only :class:`~fsrepro.conversion.population.Nonlinearity` layers, and
populations of neurons in their place once the network spikes.
"""

from keras import layers

__all__ = [
    "AVERAGES", "CONVOLUTIONS", "DEPTHWISE", "GLOBAL_AVERAGES", "LINEAR_LAYERS", "MERGING_LAYERS",
    "POOLING_BY_MAXIMUM", "PRODUCTS", "ROUTING", "TRANSPOSED", "WEIGHTED_LAYERS",
    "UnsupportedLayerError", "unsupported",
]  # fmt: skip

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)

WEIGHTED_LAYERS = (*CONVOLUTIONS, *DEPTHWISE, *TRANSPOSED, layers.Dense)
"""Linear layers with synapses of their own."""

ROUTING = (
    layers.Concatenate,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.Flatten,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D,
    layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D,
)  # fmt: skip
"""Every output is one of the inputs, or zero. UpSampling2D by nearest neighbours only."""

AVERAGES = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
GLOBAL_AVERAGES = (
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
)  # fmt: skip

LINEAR_LAYERS = (*WEIGHTED_LAYERS, *ROUTING, *AVERAGES, *GLOBAL_AVERAGES, layers.Add)

_MAXIMA = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
_GLOBAL_MAXIMA = (
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
)  # fmt: skip
POOLING_BY_MAXIMUM = (*_MAXIMA, *_GLOBAL_MAXIMA)

PRODUCTS = (layers.Multiply,)
"""Layers that multiply values with each other."""

MERGING_LAYERS = (layers.Add, layers.Concatenate, layers.Multiply)
"""Layers with a list of inputs."""


class UnsupportedLayerError(ValueError):
    """A layer has no exact spiking form; the message names it and says what to do."""


def unsupported(layer, what: str, hint: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"layer {layer.name!r} ({what}) has no spiking form; {hint}")
