"""Declare a parameter of a layer, and say plainly when the stored one does not fit the input."""

from typing import Any

import flax.linen as nn
import jax

from jaxd2l.nn.init import Initializer


def declare(
    module: nn.Module, name: str, init: Initializer, shape: tuple[int, ...], x: jax.Array, dtype: Any = None
) -> jax.Array:
    """`module.param(name, init, shape, dtype)`, with both shapes in the error if the stored parameter has another.

    Args:
        module: the layer, inside its `@nn.compact` method.
        name: of the parameter.
        init: called as `init(key, shape, dtype)` when the parameters are made.
        shape: that the input `x` asks for.
        x: the input, named in the message.
        dtype: of a new parameter; that of `x` unless given.

    Raises:
        ValueError: the stored parameter has another shape.
    """
    if module.has_variable("params", name):
        stored = module.get_variable("params", name).shape
        if stored != shape:
            raise ValueError(
                f"{'/'.join((*module.path, name))} is {stored}, but an input of shape {x.shape} needs {shape}. "
                "A network takes images of the size and channels it was initialised with; the batch may vary."
            )
    return module.param(name, init, shape, x.dtype if dtype is None else dtype)
