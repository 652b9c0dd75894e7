"""Pooling over windows (D2L 7.5), as a few whole-array operations on strided slices.

Each place of the window is one strided slice of `x`; the pool is the maximum or the mean over these slices. So the
gradient of the maximum needs no select-and-scatter, which is slow on CPU and not deterministic on GPU.
"""

import itertools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.window import Padding, Sizes, output_size, pads, sizes

__all__ = ["avg_pool", "global_avg_pool", "max_pool"]


def max_pool(x: jax.Array, window: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> jax.Array:
    """Largest value in each window, channel by channel; among equals the first one gets the gradient.

    Args:
        x: (n, *space, channels) with 1, 2 or 3 spatial axes, floating point.
        window: pixels along each axis, one for all axes or one for each.
        stride: step of the window in pixels; the size of the window unless given.
        padding: pixels of -inf on both sides of each axis, or (low, high) pairs; at most half the window.

    Returns:
        (n, *smaller space, channels): floor((size + 2 p - window) / stride) + 1 along each axis. NaN stays NaN.

    Raises:
        ValueError: a rank or a setting does not fit, or the window is larger than the padded input.
    """
    parts = _slices(x, window, stride, padding, -jnp.inf)
    largest = next(parts)
    for part in parts:
        largest = jnp.where((part > largest) | (part != part), part, largest)
    return largest


def avg_pool(x: jax.Array, window: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> jax.Array:
    """Mean of each window, channel by channel, counting the zeros of the padding as PyTorch does.

    Arguments, result and errors are those of `max_pool`, with padding of 0.
    """
    parts = _slices(x, window, stride, padding, 0.0)
    total = next(parts)
    for part in parts:
        total = total + part
    return total / math.prod(sizes("window", window, x.ndim - 2))


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Mean over all spatial axes: (n, *space, channels) to (n, channels), whatever the size of the image."""
    _check(x)
    return jnp.mean(x, axis=tuple(range(1, x.ndim - 1)))


def _check(x: jax.Array) -> None:
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"pooling takes x of shape (n, *space, channels) with 1 to 3 spatial axes, got {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"pooling takes a floating-point array, got {x.dtype}: convert it first")


def _slices(x: jax.Array, window: Sizes, stride: Sizes | None, padding: Padding, border: float) -> Iterator[jax.Array]:
    """The strided slice of padded `x` under each place of the window, in reading order."""
    _check(x)
    rank = x.ndim - 2
    shape = sizes("window", window, rank)
    strides = shape if stride is None else sizes("stride", stride, rank)
    borders = pads(padding, rank)
    if any(2 * max(pair) > size for pair, size in zip(borders, shape, strict=True)):
        raise ValueError(
            f"padding must be at most half the window {shape}, got {padding}: a window would hold no pixel"
        )
    out = output_size(x.shape[1:-1], shape, strides, borders, (1,) * rank)
    if any(map(any, borders)):
        x = jnp.pad(x, ((0, 0), *borders, (0, 0)), constant_values=border)
    for place in itertools.product(*map(range, shape)):
        last = tuple(p + s * (o - 1) + 1 for p, s, o in zip(place, strides, out, strict=True))
        yield lax.slice(x, (0, *place, 0), (x.shape[0], *last, x.shape[-1]), (1, *strides, 1))
