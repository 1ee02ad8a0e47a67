"""Functions of tensors as TensorFlow runs them fastest; other backends run them as they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps

import keras

__all__ = ["compiled", "traced"]


def compiled(function: Callable) -> Callable:
    """``function`` in fused loops, by XLA: for large tensors.

    Once for each shape and for each value of arguments that are no tensors, some tenths of a
    second each.
    """
    return _as_graph(function, jit_compile=True)


def traced(function: Callable) -> Callable:
    """``function`` as one graph for tensors of all sizes."""
    return _as_graph(function, reduce_retracing=True)


def _as_graph(function: Callable, **options) -> Callable:
    @cache
    def graph():
        import tensorflow as tf

        return tf.function(function, **options)

    @wraps(function)
    def run(*args):
        return (graph() if _has_graphs() else function)(*args)

    return run


def _has_graphs() -> bool:
    return keras.backend.backend() == "tensorflow"
