"""A function that trains or evaluates, traced for the devices that it runs on and compiled."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import jax
from jax.sharding import Mesh

from jaxd2l.earlier import EXECUTABLE, place_of, remembered_executable
from jaxd2l.machine.compiling import compile_lowered
from jaxd2l.machine.device import default_platform
from jaxd2l.nn.kernels.shards import batch_over
from jaxd2l.nn.kernels.tracing import is_plain, tracing_for
from jaxd2l.train.mesh.placement import shardings

__all__ = ["compiled", "lowered", "tracing_on"]


def compiled(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    donate: tuple[int, ...] = (),
    mesh: Mesh | None = None,
    key: Any = None,
) -> jax.stages.Compiled:
    """Compile a function for the shapes of its arguments.

    Args:
        function: pure; not yet jitted.
        arguments: arrays or their shapes and types, with their shardings where there is a mesh.
        donate: which arguments' buffers the results may take.
        mesh: the devices that it is for, over which the rows of batches are divided, and by whose `shardings` the
            results lie; the default device alone where None.
        key: all that the function is made of, see `jaxd2l.earlier.remembered`: an earlier process may have compiled it.
    """

    def made() -> jax.stages.Compiled:
        return compile_lowered(lowered(function, arguments, donate=donate, mesh=mesh))

    if key is None or mesh is not None:
        return made()
    leaves, structure = jax.tree.flatten(tuple(arguments))
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return remembered_executable(place_of(EXECUTABLE, (key, shapes, str(structure), donate, is_plain())), made)


def lowered(
    function: Callable[..., Any], arguments: Sequence[Any], *, donate: tuple[int, ...] = (), mesh: Mesh | None = None
) -> jax.stages.Lowered:
    """What `compiled` hands to XLA for the same arguments."""
    with tracing_on(mesh), batch_over(mesh):
        out = {} if mesh is None else {"out_shardings": shardings(jax.eval_shape(function, *arguments), mesh)}
        return jax.jit(function, donate_argnums=donate, **out).lower(*arguments)


def tracing_on(mesh: Mesh | None) -> AbstractContextManager[None]:
    """Trace for the devices of a mesh alone while entered, for the default one where None.

    What is traced before it is compiled, for its shapes, is then the program that is compiled.
    """
    return tracing_for(default_platform() if mesh is None else mesh.devices.flat[0].platform)
