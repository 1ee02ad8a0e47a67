"""What kinds of layers a network in normal form consists of, in 1, 2 and 3 dimensions.

Beside these there are only :class:`~fsrepro.networks.population.Nonlinearity` layers, and
populations of neurons in their place once the network spikes.
"""

from keras import layers

__all__ = [
    "AVERAGES", "CONVOLUTIONS", "DEPTHWISE", "GLOBAL_AVERAGES", "LINEAR_LAYERS", "MERGING_LAYERS",
    "POOLING_BY_MAXIMUM", "PRODUCTS", "ROUTING", "SUMS", "TRANSPOSED", "WEIGHTED_LAYERS",
    "ZERO_PADDING", "UnsupportedLayerError", "is_scaling", "unsupported",
]  # fmt: skip

CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)

WEIGHTED_LAYERS = (*CONVOLUTIONS, *DEPTHWISE, *TRANSPOSED, layers.Dense)
"""Linear layers with synapses of their own."""

ZERO_PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)

ROUTING = (
    layers.Concatenate,
    layers.Cropping1D, layers.Cropping2D, layers.Cropping3D,
    layers.Flatten,
    layers.Permute,
    layers.RepeatVector,
    layers.Reshape,
    layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D,
    *ZERO_PADDING,
)  # fmt: skip
"""Every output is one of the inputs, or zero. UpSampling2D by nearest neighbours only."""

AVERAGES = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
GLOBAL_AVERAGES = (
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
)  # fmt: skip

SUMS = (layers.Add, layers.Subtract)

LINEAR_LAYERS = (*WEIGHTED_LAYERS, *ROUTING, *AVERAGES, *GLOBAL_AVERAGES, *SUMS)

_MAXIMA = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
_GLOBAL_MAXIMA = (
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
)  # fmt: skip
POOLING_BY_MAXIMUM = (*_MAXIMA, *_GLOBAL_MAXIMA)

PRODUCTS = (layers.Multiply,)
"""Layers that multiply values with each other."""

MERGING_LAYERS = (*SUMS, layers.Concatenate, layers.Multiply)
"""Layers with a list of inputs."""


def is_scaling(layer) -> bool:
    """Whether a layer multiplies each channel by a number, and adds one."""
    return (
        isinstance(layer, layers.DepthwiseConv2D)
        and layer.kernel_size == (1, 1)
        and layer.strides == (1, 1)
        and layer.depth_multiplier == 1
    )


class UnsupportedLayerError(ValueError):
    """A layer has no exact spiking form; the message names it and says what to do."""


def unsupported(layer, what: str, hint: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(f"layer {layer.name!r} ({what}) has no spiking form; {hint}")
