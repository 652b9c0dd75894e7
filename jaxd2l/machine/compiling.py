"""XLA asked to compile a lowered program, without words about what it cannot keep."""

import warnings
from typing import Any

import jax


def compile_lowered(lowered: jax.stages.Lowered, options: dict[str, Any] | None = None) -> jax.stages.Compiled:
    """Compile; a program that JAX's compilation cache cannot hold is no reason to warn.

    Args:
        lowered: of `jax.jit(function).lower(...)`.
        options: of XLA, for this program alone.

    Raises:
        JaxRuntimeError: XLA does not know an option.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Error writing persistent compilation cache entry")
        return lowered.compile(options)
