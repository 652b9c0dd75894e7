"""What a layer is traced to: for every platform, for one, or plainly, as the JAX operations that it means.

What trains is traced with a CPU's fast ways as branches (`lax.platform_dependent`), with barriers between copies and
with products that carry gradients of their own (`bilinear`). Who reads a traced program, to export it or to run it
elsewhere, wants none of these:

    with plain_tracing():
        jaxpr = jax.make_jaxpr(functools.partial(model.apply, train=False))(variables, x)

A convolution is then one `conv_general_dilated`, a pool one `reduce_window`, whatever the platform; values agree to
rounding, and derivatives are those that JAX has. Who compiles for a platform that is known beforehand,

    with tracing_for("cpu"):
        lowered = jax.jit(step).lower(...)

gets the same program without the other platforms' branches, which take longer to trace than the one that is used.

Both switches belong to the thread, and are part of the key under which JAX keeps traced and compiled functions, so
nothing traced in one state is taken for the other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax import lax

__all__ = ["barrier", "by_platform", "is_plain", "materialised", "plain_tracing", "tracing_for"]

_plain = jax.make_user_context(False)
_platform = jax.make_user_context(None)


@contextmanager
def plain_tracing() -> Iterator[None]:
    """Trace plainly while entered."""
    with _plain(True):
        yield


@contextmanager
def tracing_for(platform: str | None) -> Iterator[None]:
    """Trace for this platform alone while entered, `cpu`, `cuda`, `rocm` or `tpu`; None, for every one."""
    with _platform(platform):
        yield


def is_plain() -> bool:
    """Whether layers are to be traced as the operations that they mean."""
    return bool(_plain.value)


def by_platform[*Args](
    *args: *Args, cpu: Callable[[*Args], jax.Array], default: Callable[[*Args], jax.Array]
) -> jax.Array:
    """`lax.platform_dependent`: `cpu` where the program is lowered for one, else `default`, which is the plain one."""
    if is_plain():
        return default(*args)
    if _platform.value is not None:
        return (cpu if _platform.value == "cpu" else default)(*args)
    result: jax.Array = lax.platform_dependent(*args, cpu=cpu, default=default)
    return result


def barrier(x: jax.Array) -> jax.Array:
    """`lax.optimization_barrier`, which changes no value; nothing in a plain program."""
    return x if is_plain() else lax.optimization_barrier(x)


def materialised(tree: Any) -> Any:
    """The same arrays, on CPU computed once and together, whoever reads them; nothing elsewhere.

    XLA on CPU computes a cheap array again for each reader, from what it was made of, and makes whatever it can as soon
    as it can. Both keep more alive from the forward to the backward pass than the arithmetic asks for.
    """
    return by_platform(tree, cpu=lax.optimization_barrier, default=lambda tree: tree)
