"""How XLA is asked to compile a program that trains or evaluates."""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from jaxd2l.machine.compiling import compile_lowered
from jaxd2l.machine.device import default_platform
from jaxd2l.nn.kernels.shards import batch_over
from jaxd2l.nn.kernels.tracing import tracing_for
from jaxd2l.train.mesh.placement import shardings

__all__ = ["compiled", "compiler_options", "lowered_with_options", "options_for", "tracing_on"]

# On CPU, XLA hands convolutions, products and sums to YNNPACK unless told otherwise. oneDNN, which PyTorch uses too,
# is faster at the first two (`benchmarks/layers.py`); sums stay where they are.
_ONEDNN = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_custom_call": True,
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE",
}


def compiled(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    donate: tuple[int, ...] = (),
    options: dict[str, Any] | None = None,
    mesh: Mesh | None = None,
) -> jax.stages.Compiled:
    """Compile a function for the shapes of its arguments.

    With `compiler_options()` where the program holds a convolution: XLA cannot write down a program that calls oneDNN,
    so JAX's compilation cache cannot keep it, and would warn each time. Networks whose convolutions are matrix
    products (LeNet) gain little and stay in the cache.

    Args:
        function: pure; not yet jitted.
        arguments: arrays or their shapes and types, with their shardings where there is a mesh.
        donate: which arguments' buffers the results may take.
        options: of XLA, for a program without a convolution.
        mesh: the devices that it is for, over which the rows of batches are divided, and by whose `shardings` the
            results lie; the default device alone where None.
    """
    return compile_lowered(*lowered_with_options(function, arguments, donate=donate, options=options, mesh=mesh))


def lowered_with_options(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    donate: tuple[int, ...] = (),
    options: dict[str, Any] | None = None,
    mesh: Mesh | None = None,
) -> tuple[jax.stages.Lowered, dict[str, Any] | None]:
    """What `compiled` hands to XLA: the program of a function, and how it is to be compiled. Arguments are the same."""
    with tracing_on(mesh), batch_over(mesh):
        out = {} if mesh is None else {"out_shardings": shardings(jax.eval_shape(function, *arguments), mesh)}
        lowered = jax.jit(function, donate_argnums=donate, **out).lower(*arguments)
    return lowered, options_for(lowered.as_text(), _platform(mesh), options)


def tracing_on(mesh: Mesh | None) -> AbstractContextManager[None]:
    """Trace for the devices of a mesh alone while entered, for the default one where None.

    What is traced before it is compiled, for its shapes, is then the program that is compiled.
    """
    return tracing_for(_platform(mesh))


def _platform(mesh: Mesh | None) -> str:
    platform: str = default_platform() if mesh is None else mesh.devices.flat[0].platform
    return platform


def options_for(text: str, platform: str, options: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """What XLA is asked for a program: `compiler_options` where it holds a convolution, else `options`.

    Args:
        text: of the program, as StableHLO.
        platform: what it is compiled for.
        options: of a program without a convolution.
    """
    return compiler_options(platform) if "stablehlo.convolution" in text else options


@functools.cache
def compiler_options(platform: str | None = None) -> dict[str, Any] | None:
    """Options for `jax.jit(..., compiler_options=...)` and `lowered.compile(...)`, for one program and no other.

    Args:
        platform: what it is compiled for; the default device's, at the first call, when None.

    Returns:
        Those for oneDNN where the device is a CPU and this build of XLA takes them (Linux on x86-64 does, at
        the time of writing), found out by compiling one small convolution; elsewhere None, which changes nothing.
    """
    if (platform or default_platform()) != "cpu":
        return None
    x, kernel = jax.ShapeDtypeStruct((1, 8, 8, 16), jnp.float32), jax.ShapeDtypeStruct((3, 3, 16, 16), jnp.float32)

    def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    try:
        compiled = compile_lowered(jax.jit(convolve).lower(x, kernel), _ONEDNN)
    except jax.errors.JaxRuntimeError:  # an option that this version does not know
        return None
    return _ONEDNN if "onednn" in (compiled.as_text() or "") else None
