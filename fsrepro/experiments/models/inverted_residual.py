"""What networks are made of: convolutions, gates, and the block of mobile networks.

``initial`` is a stream of initialisers, one for each layer with a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keras import layers

__all__ = ["conv", "gated", "inverted_residual"]


def conv(
    x,
    channels: int | None,
    kernel: int,
    name: str | Sequence[str],
    initial: Iterator,
    *,
    activation=None,
    norm: bool = True,
    epsilon: float = 1e-3,
    **options,
):
    """A convolution ("same"; depthwise if ``channels`` is None), batch norm or a bias, activation.

    The layers are called ``NAME_conv``, ``NAME_bn`` and ``NAME_act``, or as a triple ``name`` says.
    """
    names = [f"{name}_{part}" for part in ("conv", "bn", "act")] if isinstance(name, str) else name
    options = {"padding": "same", "use_bias": not norm, "name": names[0], **options}
    if channels is None:
        x = layers.DepthwiseConv2D(kernel, depthwise_initializer=next(initial), **options)(x)
    else:
        x = layers.Conv2D(channels, kernel, kernel_initializer=next(initial), **options)(x)
    if norm:
        x = layers.BatchNormalization(epsilon=epsilon, name=names[1])(x)
    return x if activation is None else layers.Activation(activation, name=names[2])(x)


def gated(
    x,
    squeezed: int,
    name: str,
    initial: Iterator,
    activations: Sequence,
    suffix: str = "_conv",
    **options,
):
    """``x`` times gates that are made of its channels' means (squeeze-and-excite, Hu et al. 2018).

    Two 1x1 convolutions make them, to ``squeezed`` channels and back, with these ``activations``
    and ``options``; their names end in ``suffix``.
    """
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    sizes = {"squeeze": squeezed, "excite": x.shape[-1]}
    for (part, size), activation in zip(sizes.items(), activations, strict=True):
        names = (f"{name}_{part}{suffix}", "", f"{name}_{part}_act")
        gate = conv(gate, size, 1, names, initial, activation=activation, norm=False, **options)
    return layers.Multiply(name=f"{name}_gated")([x, gate])


def inverted_residual(
    x,
    channels: int,
    name: str,
    initial: Iterator,
    *,
    expanded: int,
    kernel: int,
    strides: int,
    activation: str,
    squeezed: int = 0,
    norm: bool = True,
):
    """1x1 convolution to ``expanded`` channels, depthwise convolution, 1x1 back to ``channels``.

    There is no activation at the end; input is added where shapes agree (Sandler et al. 2018).
    Where ``expanded`` is the number of channels already there, the first convolution is left out.
    With ``squeezed`` above 0, the expanded channels are :func:`gated` through so many, with ReLU
    and a hard sigmoid (Howard et al. 2019, section 5.3).
    """
    skip = x
    look: dict = {"activation": activation, "norm": norm}
    if expanded != x.shape[-1]:
        x = conv(x, expanded, 1, f"{name}_expand", initial, **look)
    x = conv(x, None, kernel, f"{name}_depthwise", initial, strides=strides, **look)
    if squeezed:
        x = gated(x, squeezed, name, initial, ("relu", "hard_sigmoid"))
    x = conv(x, channels, 1, f"{name}_project", initial, norm=norm)
    if strides == 1 and skip.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, skip])
    return x
