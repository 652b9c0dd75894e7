"""Layer normalisation: mean 0 and variance 1 over the features of each example (Ba et al. 2016, arXiv:1607.06450)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.init import constant
from jaxd2l.nn.kernels.precision import widened
from jaxd2l.nn.parameters import declare


def layer_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Normalise over the last axes of each example, then scale and shift; no batch, so no running statistics.

    Args:
        x: (..., *features). Statistics are computed in at least float32; the result has the dtype of x.
        scale: (*features): its rank says over how many of the last axes to normalise. 1 at first.
        bias: the shape of `scale`; 0 at first.
        epsilon: added to the (biased) variance, in squared units of x.

    Raises:
        ValueError: `scale` and `bias` are not the last axes of x, or x is not floating point.
    """
    rank = scale.ndim
    if rank == 0 or scale.shape != bias.shape or x.shape[-rank:] != scale.shape:
        raise ValueError(f"layer_norm: scale {scale.shape} and bias {bias.shape} have to be the last axes of {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"layer_norm takes a floating-point x, got {x.dtype}: convert it first")
    axes = tuple(range(x.ndim - rank, x.ndim))
    row = (1,) * (x.ndim - rank) + scale.shape
    wide = widened(x)
    centred = wide - jnp.mean(wide, axes, keepdims=True)
    var = jnp.mean(jnp.square(centred), axes, keepdims=True)
    y = centred * jax.lax.rsqrt(var + epsilon) * scale.astype(wide.dtype).reshape(row)
    return (y + bias.astype(wide.dtype).reshape(row)).astype(x.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` over the last axis, with parameters `scale` and `bias`; training and prediction are the same."""

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(..., features) to the same shape and dtype; `train` changes nothing."""
        scale = declare(self, "scale", constant(1.0), x.shape[-1:], x)
        bias = declare(self, "bias", constant(0.0), x.shape[-1:], x)
        return layer_norm(x, scale, bias, epsilon=self.epsilon)
