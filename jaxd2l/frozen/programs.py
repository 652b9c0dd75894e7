"""The programs of a frozen run: read, and compiled as the run's own were."""

from collections.abc import Callable
from typing import Any

import jax

from jaxd2l.data import DataError
from jaxd2l.frozen.container import PROGRAMS, Frozen, program_entry
from jaxd2l.machine.compiling import compile_lowered
from jaxd2l.machine.device import default_platform

_DONATED = {"epoch": (0, 1), "evaluation": (1,), "test": (1,)}  # whose buffers the results may take


def load_program(content: bytes) -> jax.export.Exported:
    """A program of `jax.export`, such as a file holds it: `load_program(content).call(x)`.

    A program is code: load one only from where you would run code from.

    Raises:
        DataError: it is none, a damaged one, or one that this jax no longer reads.
        ValueError: flatbuffers is missing.
    """
    require_flatbuffers()
    try:
        return jax.export.deserialize(bytearray(content))
    except Exception as error:  # flatbuffers reads damaged bytes as any exception
        raise DataError(f"no program of jax.export that this jax {jax.__version__} reads ({error})") from error


def require_flatbuffers() -> None:
    """Refuse where the library is missing that `jax.export` reads and writes with and does not declare.

    Raises:
        ValueError: with the line that installs it.
    """
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise ValueError("StableHLO is written with flatbuffers: pip install 'jaxd2l[export]'") from error


def platform_here() -> str:
    """The default device's platform by the name that `jax.export` has for it: cpu, cuda, rocm or tpu."""
    platform = default_platform()
    return str(jax.export.default_export_platform()) if platform == "gpu" else platform


def compile_programs(frozen: Frozen, on_note: Callable[[str], None]) -> dict[str, Any]:
    """Every program of the run for the default device, by its name.

    Args:
        frozen: the run.
        on_note: called with a line where XLA does not know an option that the run's own programs were compiled with.

    Raises:
        DataError: it holds none for this platform, not all that a training takes, or one that this jax does not read.
        ValueError: flatbuffers is missing.
    """
    require_flatbuffers()
    platform = platform_here()
    if platform not in frozen.facts["programs"]:
        raise DataError(
            f"{frozen.path}: frozen for {', '.join(frozen.facts['programs'])}, and this is {platform}; "
            "JAX_PLATFORMS=cpu trains it on the CPU"
        )
    options = frozen.facts["programs"][platform]
    spare = {"init": not frozen.facts["drawn"], "test": "x_validation" not in frozen.facts["data"]["arrays"]}
    return {
        name: _compiled(frozen, platform, name, options.get(name), on_note)
        for name in PROGRAMS
        if not spare.get(name) or frozen.holds(program_entry(platform, name))
    }


def _compiled(
    frozen: Frozen, platform: str, name: str, options: dict[str, Any] | None, on_note: Callable[[str], None]
) -> jax.stages.Compiled:
    content = frozen.read(program_entry(platform, name))
    try:
        return compile_content(content, name, options)
    except DataError as error:
        frozen_by = frozen.facts["environment"].get("jax", "of an unknown version")
        raise DataError(f"{frozen.path}: {name} was written by jax {frozen_by}: {error}") from error
    except jax.errors.JaxRuntimeError:
        if not options:
            raise
        on_note(f"this XLA does not know how {name} was compiled ({', '.join(options)}): other bits may come out")
        return compile_content(content, name, None)


def compile_content(content: bytes, name: str, options: dict[str, Any] | None) -> jax.stages.Compiled:
    """The program in an entry, compiled for the shapes that it was written for.

    Args:
        content: of the entry.
        name: one of `PROGRAMS`.
        options: of XLA.

    Raises:
        DataError: see `load_program`.
        JaxRuntimeError: XLA does not know an option.
    """
    program = load_program(content)
    arguments, _ = jax.tree.unflatten(program.in_tree, program.in_avals)
    lowered = jax.jit(program.call, donate_argnums=_DONATED.get(name, ())).lower(*arguments)
    return compile_lowered(lowered, options)
