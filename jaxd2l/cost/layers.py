"""The layers of a network: what each holds, puts out and multiplies, from shapes alone."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jaxd2l.cost.receptive_field import receptive_fields
from jaxd2l.cost.scopes import Products, calls_within, innermost, products_by_call, scope_of
from jaxd2l.cost.traced import Operations, operations_of
from jaxd2l.earlier import place_of, remembered
from jaxd2l.nn import Conv
from jaxd2l.train.state import variables_like

PyTree = Any
Path = tuple[str, ...]


class Layer(NamedTuple):
    """One layer with parameters of its own, or that multiplies; counts are for one example.

    Attributes:
        name: its path in the parameters, such as "Residual_0/Conv_1".
        kind: its class.
        output_shape: without the batch axis.
        parameters: its own, of all copies that `nn.scan` or `nn.vmap` makes; 0 where it repeats an earlier layer (tied
            parameters).
        macs: multiply-adds of a prediction, those with the zeros of the padding included, as is the custom; in a loop
            those of all its rounds, and none where an earlier call has computed the same.
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


class _Call(NamedTuple):
    """A call of a module: what is told of it, where its parameters are, its number, and whether it is a convolution."""

    layer: Layer
    path: Path
    number: int
    convolves: bool


def layers(model: nn.Module, x: jax.ShapeDtypeStruct, variables: PyTree = None) -> tuple[Layer, ...]:
    """Walk the network without computing anything.

    Args:
        model: any network of Flax Linen, transformed layers (`nn.scan`, `nn.vmap`, `nn.remat`) among them; what it
            multiplies is read off what it traces to.
        x: shape and dtype of its input, batch axis included.
        variables: arrays that it takes, or their shapes, all floating-point parameters at the dtype of x; those that
            it is initialised with when None, which takes another trace.

    Returns:
        The layers with parameters, in the order in which they are called, and those that multiply without any. All
        parameters and multiply-adds of the network are in one of them: what no inner layer has is the outer one's.

    Raises:
        ValueError: the network refuses the shape.
    """
    if variables is not None:
        return _walked(model, x, variables)
    return remembered(place_of("layers", (model, x)), lambda: _walked(model, x, variables_like(model, x)))


def _walked(model: nn.Module, x: jax.ShapeDtypeStruct, variables: PyTree) -> tuple[Layer, ...]:
    found: list[_Call] = []
    active: dict[Path, int] = {}
    reading: set[int] = set()
    kinds: dict[int, str] = {}
    numbers = itertools.count()
    given: list[Any] = []

    def record(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if module.scope is None or context.method_name == "setup":
            return call(*args, **kwargs)
        number = active.get(module.path)
        within = number is not None  # the same layer's `__call__`, which another method of it calls, or super's
        number = next(numbers) if number is None else number
        if next(iter(_arrays((*args, *kwargs.values()))), None) is given[0]:  # an input may be given by its name
            reading.add(number)
        kinds[number] = type(module).__name__  # of a network that is called by a wrapper its own
        if within:
            return call(*args, **kwargs)
        active[module.path] = number
        try:
            with jax.named_scope(scope_of(number)):
                result = call(*args, **kwargs)
        finally:
            del active[module.path]
        if outputs := _arrays(result):
            layer = Layer(
                name="/".join(module.path) or kinds[number],
                kind=kinds[number],
                output_shape=outputs[0].shape[1:],
                parameters=0,
                macs=0,
                padding_macs=0,
                activation_bytes=math.prod(outputs[0].shape[1:]) * outputs[0].dtype.itemsize,
                receptive_field=(),
                reads_input=number in reading,
            )
            found.append(_Call(layer, module.path, number, isinstance(module, Conv | nn.Conv)))
        return result

    def apply(variables: PyTree, x: jax.Array) -> PyTree:
        given.append(x)
        with nn.intercept_methods(record):
            return model.apply(variables, x, train=False)

    closed = jax.make_jaxpr(apply)(variables, x)
    program = operations_of(closed, platform="gpu")
    calls = _kept(found, calls_within(closed.jaxpr))
    known = {call.number for call in calls}
    own = _own_parameters(calls, variables.get("params", {}))
    fields = _fields(calls, program)
    products = products_by_call(program, known)
    counted, seen = [], set[Path]()
    for call in calls:
        macs, padding = (count // x.shape[0] for count in products.get(call.number, Products(0, 0)))
        parameters = 0 if call.path in seen else own.get(call.path, 0)
        seen.add(call.path)
        if macs or call.path in own:
            field = fields.get(call.number, ())
            counted.append(
                call.layer._replace(parameters=parameters, macs=macs, padding_macs=padding, receptive_field=field)
            )
    return tuple(counted)


def _arrays(tree: PyTree) -> list[Any]:
    """The arrays among what a module takes or gives, which may be numbers and names as well."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array | np.ndarray)]


def _kept(found: Sequence[_Call], traced: set[int]) -> list[_Call]:
    """The calls without those that only tried what a loop carries: what they were traced to is nowhere."""
    paths = {call.path for call in found if call.number in traced}
    return [call for call in found if call.number in traced or call.path not in paths]


def _own_parameters(calls: Sequence[_Call], params: PyTree) -> dict[Path, int]:
    """How many numbers each module holds that no called module within it does."""
    called = {call.path for call in calls}
    found: dict[Path, int] = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(params):
        names = tuple(key.key for key in keys if isinstance(key, jax.tree_util.DictKey))
        owner = next((names[:depth] for depth in reversed(range(len(names))) if names[:depth] in called), ())
        found[owner] = found.get(owner, 0) + leaf.size
    return found


def _fields(calls: Sequence[_Call], program: Operations) -> dict[int, tuple[int, ...]]:
    """The receptive fields of convolutions by the number of the call; calls that trace to one operation share its."""
    x, known = program.inputs[-1], {call.number for call in calls}
    traced: dict[int, tuple[int, ...]] = {}
    for scope, field in receptive_fields(program, x, range(1, len(x.shape) - 1)) if len(x.shape) > 2 else ():
        traced.setdefault(innermost(scope, known), field)
    found: dict[int, tuple[int, ...]] = {}
    latest: dict[Path, tuple[int, ...]] = {}
    for call in calls:
        if call.convolves and (call.number in traced or call.path in latest):
            found[call.number] = latest[call.path] = traced.get(call.number, latest.get(call.path, ()))
    return found
