"""XLA asked to compile lowered programs, without words about what it cannot keep and without keeping the memory."""

import ctypes
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import jax

type Options = dict[str, Any] | None
type Compile = Callable[[str, jax.stages.Lowered, Options], jax.stages.Compiled]  # of a name, which decides nothing


def compiled_here(name: str, lowered: jax.stages.Lowered, options: Options) -> jax.stages.Compiled:
    """Compile, as JAX does."""
    return lowered.compile(options)


def compile_lowered(lowered: jax.stages.Lowered, options: Options = None) -> jax.stages.Compiled:
    """Compile; a program that JAX's compilation cache cannot hold is no reason to warn.

    Args:
        lowered: of `jax.jit(function).lower(...)`.
        options: of XLA, for this program alone.

    Raises:
        JaxRuntimeError: XLA does not know an option.
    """
    with _silent():
        return lowered.compile(options)


def compile_each(
    lowerings: Iterable[tuple[str, jax.stages.Lowered, Options]],
    compiled: Compile = compiled_here,
) -> dict[str, jax.stages.Compiled]:
    """Compile each program beside the tracing of the next: that is Python's, and compiling releases it.

    Args:
        lowerings: name, program and options of each, made one after the other as they are asked for.
        compiled: compiles one.

    Returns:
        The compiled programs by their names.

    Raises:
        JaxRuntimeError: XLA does not know an option.
    """
    with _silent(), ThreadPoolExecutor(max_workers=1) as compiler:
        try:
            begun = {name: compiler.submit(compiled, name, lowered, options) for name, lowered, options in lowerings}
            return {name: compiling.result() for name, compiling in begun.items()}
        finally:
            compiler.shutdown(wait=False, cancel_futures=True)
            _give_back_memory()


@contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():  # of the process, not of a thread: entered where nothing is compiled beside it
        warnings.filterwarnings("ignore", message="Error writing persistent compilation cache entry")
        yield


def _give_back_memory() -> None:
    """Hand freed memory back to the system: glibc keeps it, and compiling a large network frees hundreds of MB."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library; Windows has none that is the process's own
        return
    trim(0)
