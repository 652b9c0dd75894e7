"""A program that an earlier process compiled, without tracing it.

Two kinds of files: an executable, by the text of what was compiled, and the program of a recipe and its shapes, by the
text of this package, which names its four executables. So a change of the package that changes no program traces once.
"""

import dataclasses
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jaxd2l import earlier
from jaxd2l.data import Dataset
from jaxd2l.machine.compiling import Compile, Options, compiled_here
from jaxd2l.machine.device import default_device
from jaxd2l.nn.kernels.tracing import is_plain
from jaxd2l.train.program.binding import Axis, Program, identity, stored
from jaxd2l.train.recipe import Recipe

_NAMES = ("init", "shuffle", "epoch", "evaluation")
_PROGRAM, _EXECUTABLE = "program", "executable"


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
    if earlier.place_of(_PROGRAM, key) is None:
        return make(compiled_here)
    files: dict[str, Path | None] = {}

    def compile_one(name: str, lowered: jax.stages.Lowered, options: Options) -> jax.stages.Compiled:
        text = lowered.as_text(), str(lowered.args_info), str(lowered.out_tree), options or {}
        files[name] = earlier.place_of(_EXECUTABLE, text, any_sources=True)
        return earlier.remembered(
            _EXECUTABLE, text, lambda: lowered.compile(options), any_sources=True, write=_write, read=_read
        )

    def made() -> Program:
        with _without_jaxs_cache():
            return make(compile_one)

    def write(program: Program) -> bytes:
        fields = {field.name: getattr(program, field.name) for field in dataclasses.fields(program)}
        del fields["recipe"]
        return pickle.dumps(fields | files)

    def read(content: bytes) -> Program:
        fields: dict[str, Any] = pickle.loads(content)
        return Program(recipe=recipe, **fields | {name: _read(fields[name].read_bytes()) for name in _NAMES})

    return earlier.remembered(_PROGRAM, key, made, write=write, read=read)


def _write(compiled: jax.stages.Compiled) -> bytes:
    return pickle.dumps(serialize_executable.serialize(compiled))


def _read(content: bytes) -> jax.stages.Compiled:
    device, (payload, in_tree, out_tree) = default_device(), pickle.loads(content)
    return serialize_executable.deserialize_and_load(payload, in_tree, out_tree, device.client, [device])


@contextmanager
def _without_jaxs_cache() -> Iterator[None]:
    """What JAX takes from its own cache lacks the code that it would be written with."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()  # JAX looks once whether it is on
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        reset_cache()
