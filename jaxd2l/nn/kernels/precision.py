"""In which precision sums are taken: 16-bit floats hold 8 to 11 bits, so a sum of a few hundred of them stands still.

Adding 1 to 256 in bfloat16 gives 256, and 64 times 2000 in float16 is infinite. So every layer computes in at least
float32 and rounds once, at its end; its gradient does too, since the two conversions are turned around with the rest.
"""

import jax
import jax.numpy as jnp

from jaxd2l.nn.kernels.tracing import barrier

__all__ = ["rounded", "widened", "widened_again"]


def widened(x: jax.Array) -> jax.Array:
    """`x` in at least float32: itself, unless it holds 16-bit floats or integers."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def widened_again(x: jax.Array) -> jax.Array:
    """`widened` in a backward pass: behind a barrier, or the wide copy of the forward pass would be kept for it."""
    return x if widened(x).dtype == x.dtype else widened(barrier(x))


def rounded(y: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """`y` in `dtype`, that of the input, unless that is of integers."""
    return y.astype(dtype) if jnp.issubdtype(dtype, jnp.floating) else y
