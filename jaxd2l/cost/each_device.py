"""What a run on many devices costs each of them, and what they say to each other in a step."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax

from jaxd2l.cost.answer import Cost
from jaxd2l.cost.estimate import cost, trace
from jaxd2l.data import Dataset, num_steps
from jaxd2l.nn.parameters import divided
from jaxd2l.train.mesh import divided_axis, require_divisible
from jaxd2l.train.recipe import Recipe

PyTree = Any


class EachDevice(NamedTuple):
    """A run as one of its devices sees it.

    Attributes:
        devices: how many there are.
        rows: of each batch that it computes.
        cost: of its share: FLOPs of an update with its rows, and its memory.
        reduced_bytes: the gradient, which is summed over the devices once a step.
        gathered_bytes: of the parameters, that others hold parts of and a step asks for; 0 where all hold all.
    """

    devices: int
    rows: int
    cost: Cost
    reduced_bytes: int
    gathered_bytes: int


def each_device(recipe: Recipe, data: Dataset, devices: int, *, shard_parameters: bool = False) -> EachDevice:
    """Count what training `recipe` costs each of `devices`, allocating and compiling nothing.

    Args:
        recipe: with the batch of all devices.
        data: what on; only shapes count. Each device holds all of it.
        devices: over which the rows of a batch are divided.
        shard_parameters: divide kernels and what the optimizer keeps of them too, as `--shard-parameters` does.

    Raises:
        ValueError: the batch cannot be divided over the devices.
    """
    examples = data.train.x.shape[0]
    require_divisible(devices, examples, recipe.batch_size, recipe.accumulate)
    share = dataclasses.replace(recipe, batch_size=recipe.batch_size // devices)
    one, state = cost(share, data), trace(share, data).state
    keep_last = not jax.tree.leaves(state.batch_stats)
    steps = num_steps(examples, recipe.batch_size, keep_last=keep_last) if recipe.batch_size <= examples else 1
    parts = devices if shard_parameters else 1
    spared = lambda tree: _bytes(tree) - _bytes(tree, parts)  # noqa: E731 - what the others hold
    train = one.train._replace(
        parameters=one.train.parameters - spared(state.params),
        optimizer_state=one.train.optimizer_state - spared((state.opt_state, state.ema)),
        set_aside=one.train.set_aside - spared(state),
        workspace=one.train.workspace + _divided_bytes(state.params, parts),
    )
    return EachDevice(
        devices,
        share.batch_size,
        dataclasses.replace(one, train=train, steps=steps),
        _bytes(divided(state.params, recipe.freeze)[0]),
        _divided_bytes(state.params, parts),
    )


def _bytes(tree: PyTree, parts: int = 1) -> int:
    return sum(_size(a) // (1 if divided_axis(a.shape, parts) is None else parts) for a in jax.tree.leaves(tree))


def _divided_bytes(tree: PyTree, parts: int) -> int:
    return sum(_size(a) for a in jax.tree.leaves(tree) if divided_axis(a.shape, parts) is not None)


def _size(a: Any) -> int:
    return math.prod(a.shape) * int(a.dtype.itemsize)
