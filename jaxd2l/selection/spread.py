"""Independent trainings on many devices: each device trains some of the members, and says nothing to the others.

Members lead with axes, such as seeds and points. One of them is cut into equal parts, one for each device, and the
program of a part runs on it under `jax.shard_map`.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxd2l.data import Dataset
from jaxd2l.train.compiler import tracing_on
from jaxd2l.train.program import Axis, Program, bind, calls_of, compile_functions, over
from jaxd2l.train.recipe import Recipe

PyTree = Any


def divided_axis(sizes: Sequence[int], devices: int) -> tuple[int, int]:
    """Which axis of members to cut, and into how many equal parts, so that the most devices have one."""
    parts = [max(n for n in range(1, devices + 1) if size % n == 0) for size in sizes]
    axis = max(range(len(sizes)), key=parts.__getitem__)
    return axis, parts[axis]


def spread_call(
    function: Callable[..., PyTree], arguments: Sequence[PyTree], axes: Sequence[int], mesh: Mesh | None
) -> tuple[Callable[..., PyTree], tuple[PyTree, ...]]:
    """A function of many members on the devices of a mesh, and its arguments where it wants them.

    Args:
        function: of trees that lead with an axis each, every combination of which is a member.
        arguments: of it.
        axes: for each argument, which axis of the results is its leading one.
        mesh: None changes nothing.
    """
    arguments = tuple(arguments)
    if mesh is None:
        return function, arguments
    which, parts = divided_axis([jax.tree.leaves(one)[0].shape[0] for one in arguments], mesh.size)
    mesh = Mesh(mesh.devices.flat[:parts], mesh.axis_names)
    specs = tuple(_spec(i == which, 0, mesh) for i in range(len(arguments)))
    out = _spec(True, axes[which], mesh)
    placed = tuple(jax.device_put(one, NamedSharding(mesh, spec)) for one, spec in zip(arguments, specs, strict=True))
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out, check_vma=False), placed


def _spec(divided: bool, axis: int, mesh: Mesh) -> PartitionSpec:
    return PartitionSpec(*[None] * axis, *mesh.axis_names) if divided else PartitionSpec()


def compile_spread(recipe: Recipe, data: Dataset, axes: Sequence[Axis], mesh: Mesh) -> Program:
    """`compile_program(recipe, data, *axes)` whose members are trained on the devices of a mesh.

    Where a device has one member along an axis, it runs the program of a single one: nothing is vmapped.
    """
    began = time.perf_counter()
    which, parts = divided_axis([axis.size for axis in axes], mesh.size)
    mesh = Mesh(mesh.devices.flat[:parts], mesh.axis_names)
    own = [axis._replace(size=axis.size // parts) if i == which else axis for i, axis in enumerate(axes)]
    local = over(bind(recipe, data), own, lambda axis: jax.vmap if axis.size > 1 else _alone)

    def spec(*flags: bool) -> PartitionSpec:
        places = [mesh.axis_names[0] if i == which else None for i, led in enumerate(flags) if led]
        return PartitionSpec(*places)

    seeds, rates = spec(*(axis.seeds for axis in axes)), spec(*(axis.rates for axis in axes))
    members, same = spec(*[True] * len(axes)), PartitionSpec()
    specs = {
        "init": ((seeds, rates, rates), members),
        "shuffle": ((seeds, same), seeds),
        "epoch": ((members, members, same, same, seeds, seeds, same, same), (members, members)),
        "evaluation": ((members, members, members, *[same] * 5), members),
    }
    functions: dict[str, Any] = {
        name: jax.shard_map(getattr(local, name), mesh=mesh, in_specs=ins, out_specs=out, check_vma=False)
        for name, (ins, out) in specs.items()
    }
    program = dataclasses.replace(local, **functions, axes=tuple(axes))

    def lying(name: str, call: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            jax.tree.map(lambda a, s=spec: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=NamedSharding(mesh, s)), one)
            for one, spec in zip(call, specs[name][0], strict=True)
        )

    with tracing_on(None):
        calls = {name: lying(name, call) for name, call in calls_of(program).items()}
        executables = compile_functions(program, calls)
    return dataclasses.replace(program, **executables, compile_seconds=time.perf_counter() - began)


def _alone(function: Callable[..., PyTree], in_axes: Sequence[int | None]) -> Callable[..., PyTree]:
    """What `jax.vmap` gives for an axis of one member, without a batch of one in every operation."""

    def one(*arguments: PyTree) -> PyTree:
        pairs = zip(arguments, in_axes, strict=True)
        given = (arg if axis is None else jax.tree.map(lambda a: a[0], arg) for arg, axis in pairs)
        return jax.tree.map(lambda a: a[None], function(*given))

    return one
