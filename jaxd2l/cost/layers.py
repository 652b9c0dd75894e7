"""The layers of a network: what each holds, puts out and multiplies, from shapes alone."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxd2l.cost.flops import taps
from jaxd2l.cost.receptive_field import receptive_fields
from jaxd2l.cost.scopes import Path, deepest_first, innermost, products_by_module
from jaxd2l.cost.traced import Operations, operations_of
from jaxd2l.earlier import place_of, remembered
from jaxd2l.nn import Conv, Dense
from jaxd2l.nn.kernels.window import pads, sizes
from jaxd2l.train.state import variables_like

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


Called = tuple[Layer, Path, bool]  # a call, the module's path, and whether it is one of this package


def layers(model: nn.Module, x: jax.ShapeDtypeStruct, variables: PyTree = None) -> tuple[Layer, ...]:
    """Walk the network without computing anything.

    Args:
        model: any network of Flax Linen; layers of `jaxd2l.nn` count by their formulas, others by what they trace to.
        x: shape and dtype of its input, batch axis included.
        variables: arrays that it takes, or their shapes, all floating-point parameters at the dtype of x; those that
            it is initialised with when None, which takes another trace.

    Returns:
        The layers with parameters, in the order in which they are called, and those that multiply without any.

    Raises:
        ValueError: the network refuses the shape.
    """
    if variables is not None:
        return _walked(model, x, variables)
    return remembered(place_of("layers", (model, x)), lambda: _walked(model, x, variables_like(model, x)))


def _walked(model: nn.Module, x: jax.ShapeDtypeStruct, variables: PyTree) -> tuple[Layer, ...]:
    found: list[Called] = []
    convolutions, seen = set[Path](), set[Path]()
    given: list[Any] = []

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        taken: Any = next(iter(_arrays((*args, *kwargs.values()))), None)  # an input may be given by its name
        result = call(*args, **kwargs)
        module, outputs = context.module, _arrays(result)
        if context.method_name != "__call__" or not outputs:
            return result
        own = {k: v for k, v in module.variables.get("params", {}).items() if not isinstance(v, Mapping)}
        parameters = 0 if module.path in seen else sum(v.size for v in own.values())
        seen.add(module.path)
        ours = type(module).__module__.startswith("jaxd2l.")
        counted = ours and taken is not None and isinstance(module, Conv | Dense)
        macs, padding = _macs(module, own, taken.shape, result.shape) if counted else (0, 0)
        if isinstance(module, Conv | nn.Conv):
            convolutions.add(module.path)
        layer = Layer(
            name="/".join(module.path) or type(module).__name__,
            kind=type(module).__name__,
            output_shape=outputs[0].shape[1:],
            parameters=parameters,
            macs=macs,
            padding_macs=padding,
            activation_bytes=math.prod(outputs[0].shape[1:]) * outputs[0].dtype.itemsize,
            receptive_field=(),
            reads_input=taken is given[0],
        )
        if own or not ours:
            found.append((layer, module.path, ours))
        return result

    def apply(variables: PyTree, x: jax.Array) -> PyTree:
        given.append(x)
        with nn.intercept_methods(record):
            return model.apply(variables, x, train=False)

    closed = jax.make_jaxpr(apply)(variables, x)
    program = operations_of(closed, platform="gpu")
    return tuple(_of_others(_seeing(found, convolutions, program), program, x.shape[0]))


def _arrays(tree: PyTree) -> list[Any]:
    """The arrays among what a module takes or gives, which may be numbers and names as well."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | np.ndarray)]


def _seeing(found: list[Called], convolutions: set[Path], program: Operations) -> list[Called]:
    """The layers, convolutions with their receptive fields; calls that trace to one operation share its field."""
    x, known = program.inputs[-1], deepest_first(path for _, path, _ in found)
    fields: dict[Path, list[tuple[int, ...]]] = {}
    for scope, field in receptive_fields(program, x, range(1, len(x.shape) - 1)) if len(x.shape) > 2 else ():
        fields.setdefault(innermost(scope, known), []).append(field)
    calls, layers = Counter[Path](), []
    for layer, path, ours in found:
        if path in convolutions and path in fields:
            layer = layer._replace(receptive_field=fields[path][min(calls[path], len(fields[path]) - 1)])
            calls[path] += 1
        layers.append((layer, path, ours))
    return layers


def _of_others(found: list[Called], program: Operations, examples: int) -> list[Layer]:
    """The layers with the products of those that are none of this package; one without any and without parameters goes.

    A module that is called several times has an equal share of them in each call.
    """
    if all(ours for _, _, ours in found):
        return [layer for layer, _, _ in found]
    products = products_by_module(program, (path for _, path, _ in found))
    calls, done = Counter(path for _, path, _ in found), Counter[Path]()
    layers = []
    for layer, path, ours in found:
        if not ours and path in products:
            totals = [count // examples for count in products[path]]
            before, done[path] = done[path], done[path] + 1
            macs, padding = (n * done[path] // calls[path] - n * before // calls[path] for n in totals)
            layer = layer._replace(macs=macs, padding_macs=padding)
        if ours or layer.macs or layer.parameters:
            layers.append(layer)
    return layers


def _macs(module: nn.Module, own: dict[str, Any], x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, int]:
    """Multiply-adds for one example, and those with padding."""
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
