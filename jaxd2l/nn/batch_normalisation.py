"""Batch normalisation: every feature gets mean 0 and variance 1 over the batch (Ioffe & Szegedy 2015,
arXiv:1502.03167; D2L sec_batch_norm).
"""

import functools
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from jaxd2l.nn.init import constant
from jaxd2l.nn.kernels.precision import widened
from jaxd2l.nn.parameters import declare


class RunningStatistics(NamedTuple):
    """Moving averages over the training batches, each (channels,): what prediction normalises with."""

    mean: jax.Array
    var: jax.Array


def batch_norm(
    x: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    running: RunningStatistics,
    *,
    train: bool,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> tuple[jax.Array, RunningStatistics]:
    """Per channel, over all other axes: (x - mean) / sqrt(var + epsilon) * scale + bias.

    While training, mean and (biased) variance are those of the batch: over n rows for a dense layer, over n*h*w
    elements for a convolution. The running statistics move towards them by `momentum`, with the unbiased variance,
    as in PyTorch (Flax's momentum is 1 minus this one, and its running variance is biased). In prediction the running
    statistics normalise, and come back as they are.

    Statistics are computed in at least float32, the result has the dtype of `x`, running statistics keep theirs.
    With one element per channel (a batch of 1 in a dense layer) the output is `bias` whatever `x` is, and nothing is
    learned; PyTorch refuses it. A batch of no rows has no statistics: the running ones come back as they are.

    Args:
        x: (n, ..., channels): channels last, so NHWC, not NCHW.
        scale: (channels,), called gamma in the paper; 1 at first.
        bias: (channels,), called beta; 0 at first.
        running: statistics so far; mean 0 and variance 1 at first.
        train: use and record the statistics of the batch.
        momentum: weight of the new batch in the running statistics, in [0, 1].
        epsilon: added to the variance, in squared units of x.

    Returns:
        The normalised x, and the new running statistics.

    Raises:
        ValueError: a vector does not have one entry per channel, x has fewer than two axes or is not floating point.
    """
    channels = x.shape[-1:]
    shapes = [scale.shape, bias.shape, running.mean.shape, running.var.shape]
    if x.ndim < 2 or any(shape != channels for shape in shapes):
        raise ValueError(
            f"batch_norm: x (n, ..., channels) is {x.shape}, so scale, bias, running mean and variance have to be "
            f"{channels}; they are {', '.join(map(str, shapes))}"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"batch_norm takes a floating-point x, got {x.dtype}: convert it first")
    count = math.prod(x.shape[:-1])
    if not (train and count > 0):
        return _normalised(widened(x), running.mean, running.var, scale, bias, epsilon).astype(x.dtype), running
    y, mean, var = _normalised_by_the_batch(x, scale, bias, epsilon)
    unbiased = var * (count / max(count - 1, 1))
    return y, RunningStatistics(
        ((1 - momentum) * running.mean + momentum * mean).astype(running.mean.dtype),
        ((1 - momentum) * running.var + momentum * unbiased).astype(running.var.dtype),
    )


def _normalised_by_the_batch(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The normalised x, mean and biased variance; the backward pass keeps x and the moments, no array between them."""

    @functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names("moments"))
    def normalised(x: jax.Array, scale: jax.Array, bias: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        wide, axes = widened(x), tuple(range(x.ndim - 1))  # once: narrow gradients would be rounded, then added
        mean = checkpoint_name(jnp.mean(wide, axes), "moments")
        var = checkpoint_name(jnp.mean(jnp.square(wide - _row(mean, x)), axes), "moments")
        return _normalised(wide, mean, var, scale, bias, epsilon).astype(x.dtype), mean, var

    return normalised(x, scale, bias)


def _normalised(
    x: jax.Array, mean: jax.Array, var: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> jax.Array:
    mean, var, scale, bias = (vector.astype(x.dtype) for vector in (mean, var, scale, bias))
    factor = jax.lax.rsqrt(var + epsilon) * scale
    return (x - _row(mean, x)) * _row(factor, x) + _row(bias, x)


def _row(vector: jax.Array, x: jax.Array) -> jax.Array:
    """One value per channel, broadcast over every other axis of `x`."""
    return vector.reshape((1,) * (x.ndim - 1) + vector.shape)


class BatchNorm(nn.Module):
    """`batch_norm` with parameters `scale`, `bias` and running `mean`, `var` in the collection `batch_stats`.

    While training, apply with `mutable=["batch_stats"]` and keep what comes back.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, ..., channels) to the same shape and dtype.

        Raises:
            ValueError: the stored parameters have another number of channels.
        """
        shape = x.shape[-1:]
        scale = declare(self, "scale", constant(1.0), shape, x)
        bias = declare(self, "bias", constant(0.0), shape, x)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, wide)
        var = self.variable("batch_stats", "var", jnp.ones, shape, wide)
        y, running = batch_norm(
            x,
            scale,
            bias,
            RunningStatistics(mean.value, var.value),
            train=train,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )
        if train and not self.is_initializing():
            mean.value, var.value = running
        return y
