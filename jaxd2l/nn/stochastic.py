"""Dropout: silence random units while training (Srivastava et al. 2014, JMLR 15; D2L sec_dropout)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.kernels.precision import widened


def dropout(x: jax.Array, rate: float | jax.Array, key: jax.Array) -> jax.Array:
    """Zero each element with probability `rate` and scale the rest by 1 / (1 - rate).

    The scaling keeps the expected output equal to `x`, so prediction needs no correction.

    Args:
        x: activations, any shape.
        rate: share of elements to drop, in [0, 1]; traced, it is not checked: a sweep trains many rates at once.
        key: spent by this call; never pass it on.

    Raises:
        ValueError: `rate` is outside [0, 1].
    """
    if isinstance(rate, jax.core.Tracer):
        keep = jax.random.bernoulli(key, 1.0 - rate, x.shape)
        kept_share = widened(jnp.where(rate < 1.0, 1.0 - rate, jnp.ones_like(rate)))
        return jnp.where(keep, (widened(x) / kept_share).astype(x.dtype), jnp.zeros_like(x))
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate is the share of elements to drop, in [0, 1]; got {rate}")
    if rate == 1.0:
        return jnp.zeros_like(x)  # x / (1 - rate) would divide by zero
    keep = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    # in 16 bits 1 - rate would be another share, and the mean would move
    return jnp.where(keep, (widened(x) / (1.0 - rate)).astype(x.dtype), jnp.zeros_like(x))


class Dropout(nn.Module):
    """`dropout` while training, with a new mask at every call; the identity in prediction.

    The mask's key comes from the rng stream `dropout`: `model.apply(..., train=True, rngs={"dropout": key})`.
    A rate of 0 is the identity and needs no key.
    """

    rate: float | jax.Array

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Any shape in, the same shape out."""
        if not train or (not isinstance(self.rate, jax.core.Tracer) and self.rate == 0.0):
            return x
        return dropout(x, self.rate, self.make_rng("dropout"))
