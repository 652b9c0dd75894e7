"""The gradients of a convolution as convolutions in the one form that XLA's CPU routine is fast at.

XLA on CPU turns other orders of axes into this form (NHWC, HWIO, no dilated input) only outside of loops; inside
`lax.scan`, what JAX derives falls to naive loops, tens of times slower. So the transposes are written out here.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["convolve", "filter_gradient", "input_gradient", "turned"]

type Pair = tuple[int, ...]
_LAYOUT = ("NHWC", "HWIO", "NHWC")
_FILTER_BYTES = 600_000  # of the cotangent that acts as a kernel: it is to stay in a core's second-level cache
_FILTER_IMAGES = 64  # at most; they become the channels
_FEW_IMAGES = (
    16  # below which the routine has too few channels: black images then fill a batch that has no better divisor
)


def convolve(x: jax.Array, kernel: jax.Array, strides: Pair, borders: tuple[Pair, ...]) -> jax.Array:
    """`conv2d(x, kernel)`: (n, h, w, c) and (kh, kw, c, features) to (n, oh, ow, features)."""
    pads = [(low, high) for low, high in borders]
    return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_LAYOUT)


def input_gradient(
    dy: jax.Array, kernel: jax.Array, image: Pair, strides: Pair, borders: tuple[Pair, ...]
) -> jax.Array:
    """The cotangent of `x` (n, *image, c): the cotangent `dy`, spread out by the stride, under the turned kernel."""
    pads, spread = [], [(0, 0, 0)]
    for size, out, k, s, (low, _) in zip(image, dy.shape[1:3], kernel.shape, strides, borders, strict=False):
        covered = (out - 1) * s + 1
        pads.append((k - 1 - low, size + low - covered))
        spread.append((0, 0, s - 1))
    if strides != (1, 1):
        dy = lax.optimization_barrier(lax.pad(dy, jnp.zeros((), dy.dtype), [*spread, (0, 0, 0)]))
    return lax.conv_general_dilated(dy, turned(kernel), (1, 1), pads, dimension_numbers=_LAYOUT)


def turned(kernel: jax.Array) -> jax.Array:
    """The kernel (kh, kw, c, features) turned by half a turn, its features as channels: the one that `dy` meets."""
    return jnp.flip(kernel, (0, 1)).transpose(0, 1, 3, 2)


def filter_gradient(x: jax.Array, dy: jax.Array, window: Pair, strides: Pair, borders: tuple[Pair, ...]) -> jax.Array:
    """The cotangent of the kernel (*window, c, features): `x` under `dy` as the kernel, examples as channels.

    A kernel of all images would not stay in the cache, so a few rows of some images are taken at a time.
    """
    x, dy = lax.optimization_barrier((x, dy))  # copies of x are made when dy is there, not kept since the forward pass
    images, n = _images_at_a_time(dy.shape[0])
    if fill := n - dy.shape[0]:
        x, dy = (jnp.pad(a, ((0, fill), *((0, 0),) * 3)) for a in (x, dy))
    (_, oh, ow, features), c = dy.shape, x.shape[-1]
    fitting = _FILTER_BYTES // (images * ow * features * dy.dtype.itemsize)
    rows = max(r for r in range(1, oh + 1) if oh % r == 0 and (r == 1 or r <= fitting))
    tall = (rows - 1) * strides[0] + window[0]
    needed = [(out - 1) * s + k for out, s, k in zip((oh, ow), strides, window, strict=True)]
    config = [(low, need - low - size, 0) for (low, _), need, size in zip(borders, needed, x.shape[1:3], strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *config, (0, 0, 0)])
    x, dy = lax.optimization_barrier((x.transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3)))

    def part(total: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
        row, image = rows * (i // (n // images)), images * (i % (n // images))
        seen = lax.dynamic_slice(x, (0, row * strides[0], 0, image), (c, tall, needed[1], images))
        sent = lax.dynamic_slice(dy, (row, 0, image, 0), (rows, ow, images, features))
        product = lax.conv_general_dilated(seen, sent, (1, 1), "VALID", rhs_dilation=strides, dimension_numbers=_LAYOUT)
        return total + product, None

    parts = (n // images) * (oh // rows)
    total = lax.scan(part, jnp.zeros((c, *window, features), dy.dtype), jnp.arange(parts))[0]
    return total.transpose(1, 2, 0, 3)


def _images_at_a_time(n: int) -> tuple[int, int]:
    """How many of n images, and how many images that makes in all."""
    images = math.gcd(n, _FILTER_IMAGES)
    if images >= min(n, _FEW_IMAGES):
        return images, n
    parts = -(-n // _FILTER_IMAGES)
    images = -(-n // parts)
    return images, parts * images
