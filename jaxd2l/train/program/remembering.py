"""A program that an earlier process compiled, without tracing it.

Two kinds of files: an executable, by the text of what was compiled, and the program of a recipe and its shapes, by the
text of this package, which names its four executables. So a change of the package that changes no program traces once.
"""

import dataclasses
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxd2l.data import Dataset
from jaxd2l.earlier import EXECUTABLE, place_of, read_executable, remembered, remembered_executable
from jaxd2l.machine.compiling import Compile, Options, compiled_here
from jaxd2l.nn.kernels.tracing import is_plain
from jaxd2l.train.program.binding import Axis, Program, identity, stored
from jaxd2l.train.recipe import Recipe


def remembered_program(
    recipe: Recipe, data: Dataset, axes: Sequence[Axis], streamed: bool, make: Callable[[Compile], Program]
) -> Program:
    """The program of a recipe on the default device, as `make` gives it, or as it gave it to an earlier process.

    Args:
        recipe: of the program.
        data: only shapes and types count.
        axes: of many runs.
        streamed: whether the data go through windows.
        make: traces it, and compiles each function as it is told.
    """
    shapes = tuple(stored(recipe, part) for part in (data.train, data.judged))
    key = identity(recipe), shapes, tuple(axes), streamed, is_plain()
    place = place_of("program", key)
    if place is None:
        return make(compiled_here)
    files: dict[str, Path | None] = {}

    def compile_one(name: str, lowered: jax.stages.Lowered, options: Options) -> jax.stages.Compiled:
        text = lowered.as_text(), str(lowered.args_info), str(lowered.out_tree), options or {}
        files[name] = place_of(EXECUTABLE, text, any_sources=True)
        return remembered_executable(files[name], lambda: lowered.compile(options))

    def write(program: Program) -> bytes:
        others = {field.name for field in dataclasses.fields(program)} - {"recipe"} - set(files)
        return pickle.dumps(({name: getattr(program, name) for name in others}, files))

    def read(content: bytes) -> Program:
        others, files = pickle.loads(content)
        executables: dict[str, Any] = {name: read_executable(file.read_bytes()) for name, file in files.items()}
        return Program(recipe=recipe, **others, **executables)

    return remembered(place, lambda: make(compile_one), write=write, read=read)
