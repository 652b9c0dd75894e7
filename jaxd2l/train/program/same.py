"""Whether a compiled program is the one that a recipe and its data need."""

import functools
import itertools
import math
from collections.abc import Iterable
from typing import Any

from jax.sharding import Mesh

from jaxd2l.data import Dataset
from jaxd2l.train.mesh import data_mesh
from jaxd2l.train.program.binding import Program, compiled_in, stored
from jaxd2l.train.program.windows import streams
from jaxd2l.train.recipe import Recipe
from jaxd2l.wording import counted


def require_same_program(
    program: Program, recipe: Recipe, data: Dataset, mesh: Mesh | Iterable[Any] | None = None, stream: bool = False
) -> None:
    """Refuse a program of another recipe, or of data of other shapes.

    Args:
        program: from `compile_program`.
        recipe: what is to be trained: the program's but for its epochs, unless its schedule is laid out for them, and
            but for learning rate and weight decay where the optimizer holds them in its state.
        data: what it is to be trained on.
        mesh: the devices that are asked for; the program's where None.
        stream: whether the data are to be streamed; as the program has it where False.

    Raises:
        ValueError: naming the first difference.
    """
    if program.axes:
        many = math.prod(axis.size for axis in program.axes)
        raise ValueError(f"the program is of {many} runs as one, expected one of a single run; leave program out")
    if mesh is not None and data_mesh(mesh) != program.mesh:
        there, asked = (1 if devices is None else devices.size for devices in (program.mesh, data_mesh(mesh)))
        raise ValueError(
            f"the program was compiled for {counted(there, 'device')}, but the mesh asks for "
            f"{'others' if there == asked else asked}; compile one for these devices, or leave one of the two out"
        )
    if program.windows is None and streams(data, stream):
        raise ValueError(
            "the program was compiled for data on the device, and these are to be streamed; compile one with "
            "stream=True, or leave program out"
        )
    compiled = program.recipe
    for field in itertools.chain(compiled_in(compiled), compiled_in(recipe)):
        _require_equal(field, getattr(compiled, field), getattr(recipe, field))
    judged = "test" if data.validation is None else "validation"
    for what, part, shapes in (("training", data.train, program.train), (judged, data.judged, program.test)):
        for name, found, expected in zip(("inputs", "targets"), stored(recipe, part), shapes, strict=True):
            if (found.shape, found.dtype) != (expected.shape, expected.dtype):
                raise ValueError(
                    f"the program was compiled for {what} {name} {expected.dtype} {expected.shape}, but these are "
                    f"{found.dtype} {found.shape}; compile one for this data, or leave program out"
                )


def _require_equal(field: str, compiled: Any, asked: Any) -> None:
    if not _equal(compiled, asked):
        raise ValueError(
            f"the program was compiled with {field} {_shown(compiled)}, but the recipe has {_shown(asked)}; "
            "compile one for this recipe, or leave program out"
        )


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, functools.partial) and isinstance(b, functools.partial):
        return (a.func, a.args, a.keywords) == (b.func, b.args, b.keywords)
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # fields that are arrays have no one answer
        return False


def _shown(value: Any) -> str:
    return " ".join(str(getattr(value, "__qualname__", value)).split())
