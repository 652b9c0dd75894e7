"""Rows times a kernel, with the gradient of the kernel in a form that is fast on CPU."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.kernels.bilinear import bilinear
from jaxd2l.nn.kernels.tracing import by_platform

__all__ = ["multiply", "outer"]

_NARROW = 32  # features below which XLA on CPU is slow at x.T @ dy: 10 of them take 4 times as long as dy.T @ x


def multiply(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product x @ kernel for x (..., in) and kernel (in, out), in the promoted dtype and in at least float32.

    16-bit factors are multiplied as they are (a GPU has units for it), and only their sums are wide; so is the
    cotangent of the product, which had 16 bits before the result was rounded and gets them back here.
    """
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    rows = x.astype(dtype).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    product = bilinear(
        partial(jnp.matmul, preferred_element_type=jnp.promote_types(dtype, jnp.float32)),
        lambda kernel, dy: _contract(dy.astype(dtype), kernel, 1).astype(dtype),
        lambda x, dy: outer(x, dy.astype(dtype)).astype(dtype),
    )
    return product(rows, kernel.astype(dtype)).reshape(*x.shape[:-1], kernel.shape[1])


def outer(x: jax.Array, dy: jax.Array) -> jax.Array:
    """The product x.T @ dy, summed over the rows of (rows, in) and (rows, out): the cotangent of the kernel, wide."""
    plain = partial(_contract, axis=0)
    if dy.shape[1] >= min(_NARROW, x.shape[1]):
        return plain(x, dy)
    return by_platform(x, dy, cpu=_outer_turned, default=plain)


def _outer_turned(x: jax.Array, dy: jax.Array) -> jax.Array:
    """The narrow factor first; without the barrier XLA would turn the product back."""
    return lax.optimization_barrier(_contract(dy, x, 0)).T


def _contract(a: jax.Array, b: jax.Array, axis: int) -> jax.Array:
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return lax.dot_general(a, b, (((axis,), (axis,)), ((), ())), preferred_element_type=wide)
