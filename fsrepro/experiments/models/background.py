"""Networks that have a class more than their labels."""

from __future__ import annotations

import keras
from keras import layers

from ...networks.graph import calls, copy_layer, rewrite

__all__ = ["without_background"]


def without_background(model: keras.Model) -> keras.Model:
    """A copy of ``model`` without its first output, "background", as TensorFlow's networks have.

    Raises ``ValueError`` unless the last layer with weights is a Dense one that makes the outputs.
    """
    *_, last = (call for call in calls(model) if call.operation.weights)
    dense = last.operation
    if not isinstance(dense, layers.Dense) or dense.units != model.output_shape[-1]:
        raise ValueError(
            f"the outputs of model {model.name!r} are not made by a Dense layer, but by "
            f"{dense.name!r} ({type(dense).__name__}); take out the background class yourself"
        )

    def replace(call, *args, **_):
        if call is not last:
            return copy_layer(call.operation, *args)
        new = layers.Dense.from_config({**dense.get_config(), "units": dense.units - 1})
        output = new(*args)
        kernel, *bias = dense.get_weights()
        new.set_weights([kernel[:, 1:], *(b[1:] for b in bias)])
        return output

    return rewrite(model, replace)
