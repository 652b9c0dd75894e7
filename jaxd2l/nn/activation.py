"""Activations: the nonlinearity without which a stack of affine maps is one affine map (D2L sec_mlp).

All are elementwise, keep shape and dtype, and pass NaN through; softmax and log_softmax act along the last axis.
"""

import jax
import jax.numpy as jnp


def relu(x: jax.Array) -> jax.Array:
    """max(x, 0), with derivative 0 at 0 (as the book and PyTorch have it; `jnp.maximum` alone gives 1/2)."""
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


def leaky_relu(x: jax.Array, slope: float = 0.01) -> jax.Array:
    """Keep x above 0, take `slope` * x elsewhere; derivative `slope` at 0 (Maas et al. 2013)."""
    return jnp.where(x > 0, x, slope * x)


@jax.custom_jvp
def sigmoid(x: jax.Array) -> jax.Array:
    """1 / (1 + exp(-x)), in (0, 1); derivative at most 1/4, reached at 0. Saturates without overflow."""
    x = jnp.asarray(x)
    return jax.lax.platform_dependent(x, cpu=_flat_logistic, default=jax.lax.logistic)


@sigmoid.defjvp
def _sigmoid_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = sigmoid(primals[0])
    return y, y * (1 - y) * tangents[0]


def _flat_logistic(x: jax.Array) -> jax.Array:
    """The same on CPU, where XLA turns exp over four axes into scalar code, 7 times slower than over two."""
    if x.ndim < 3:
        return jax.lax.logistic(x)
    flat = x.reshape(-1, x.shape[-2] * x.shape[-1])
    return jax.lax.optimization_barrier(jax.lax.logistic(flat)).reshape(x.shape)


def tanh(x: jax.Array) -> jax.Array:
    """(1 - exp(-2x)) / (1 + exp(-2x)), in (-1, 1); derivative at most 1, reached at 0."""
    return jnp.tanh(x)


def gelu(x: jax.Array) -> jax.Array:
    """Weigh x by the standard normal distribution function at x, exactly, through erf (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


def softmax(logits: jax.Array) -> jax.Array:
    """exp(logits) / sum(exp(logits)) along the last axis: shares that sum to 1 and keep the order of `logits`.

    The maximum is subtracted first, so huge logits do not overflow.
    """
    shifted = logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    exp = jnp.exp(shifted)
    return exp / jnp.sum(exp, axis=-1, keepdims=True)


def log_softmax(logits: jax.Array) -> jax.Array:
    """Logarithm of `softmax` along the last axis (nats), finite where softmax underflows to 0."""
    shifted = logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True))
