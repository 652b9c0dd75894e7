"""The layers of a network: what each holds, puts out and multiplies, from shapes alone."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxd2l.cost.flops import taps
from jaxd2l.cost.receptive_field import receptive_fields
from jaxd2l.cost.traced import operations_of
from jaxd2l.nn import Conv, Dense
from jaxd2l.nn.kernels.window import pads, sizes

PyTree = Any


class Layer(NamedTuple):
    """One layer with parameters of its own; counts are for one example.

    Attributes:
        name: its path in the parameters, such as "Residual_0/Conv_1".
        kind: its class.
        output_shape: without the batch axis.
        parameters: its own; 0 where it repeats an earlier layer (tied parameters).
        macs: multiply-adds of a prediction, those with the zeros of the padding included, as is the custom.
        padding_macs: those with the zeros of the padding.
        activation_bytes: its output at the precision of the network.
        receptive_field: input pixels that one output sees along each axis, for a convolution; () for others.
        reads_input: whether the network's input is its input, so that no gradient goes further back.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    padding_macs: int
    activation_bytes: int
    receptive_field: tuple[int, ...]
    reads_input: bool


def layers(model: nn.Module, x: jax.ShapeDtypeStruct) -> tuple[Layer, ...]:
    """Walk the network without computing anything.

    Args:
        model: any network of `jaxd2l.nn.models`.
        x: shape and dtype of its input, batch axis included.

    Returns:
        The layers with parameters, in the order in which they are called.

    Raises:
        ValueError: the network refuses the shape.
    """
    found: list[Layer] = []
    seen: set[tuple[str, ...]] = set()
    given: list[Any] = []

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if not given:
            given.append(args[0])
        result = call(*args, **kwargs)
        module = context.module
        own = {k: v for k, v in module.variables.get("params", {}).items() if not isinstance(v, Mapping)}
        if own and context.method_name == "__call__":
            parameters = 0 if module.path in seen else sum(v.size for v in own.values())
            seen.add(module.path)
            macs, padding = _macs(module, own, args[0].shape, result.shape)
            found.append(
                Layer(
                    name="/".join(module.path) or type(module).__name__,
                    kind=type(module).__name__,
                    output_shape=result.shape[1:],
                    parameters=parameters,
                    macs=macs,
                    padding_macs=padding,
                    activation_bytes=math.prod(result.shape[1:]) * np.dtype(result.dtype).itemsize,
                    receptive_field=(),
                    reads_input=args[0] is given[0],
                )
            )
        return result

    def initialise(key: jax.Array, x: jax.Array) -> PyTree:
        given.clear()
        with nn.intercept_methods(record):
            return model.init(key, x, train=False)

    variables = jax.eval_shape(initialise, jax.random.key(0), x)
    fields = iter(_receptive_fields(model, variables, x))
    return tuple(one._replace(receptive_field=next(fields)) if one.kind == Conv.__name__ else one for one in found)


def _macs(module: nn.Module, own: dict[str, Any], x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-adds for one example, and those with padding."""
    if not isinstance(module, Conv | Dense):
        return 0, 0
    kernel = own["kernel"].shape
    if isinstance(module, Dense):
        return math.prod(kernel) * math.prod(y[1:-1]), 0
    rank = len(kernel) - 2
    macs = math.prod(kernel) * math.prod(y[1:-1])
    settings = (sizes("stride", module.stride, rank), pads(module.padding, rank), sizes("d", module.dilation, rank))
    on_pixels = math.prod(kernel[-2:])
    for axis, (stride, (low, _), dilation) in enumerate(zip(*settings, strict=True)):
        on_pixels *= taps(x[axis + 1], y[axis + 1], kernel[axis], stride, low, dilation)
    return macs, macs - on_pixels


def _receptive_fields(model: nn.Module, variables: PyTree, x: jax.ShapeDtypeStruct) -> list[tuple[int, ...]]:
    if len(x.shape) < 3:
        return []
    closed = jax.make_jaxpr(lambda variables, x: model.apply(variables, x, train=False))(variables, x)
    program = operations_of(closed, platform="gpu")
    return receptive_fields(program, program.inputs[-1], range(1, len(x.shape) - 1))
