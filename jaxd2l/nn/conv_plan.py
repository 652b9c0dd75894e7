"""Which way a 2-D convolution and its two gradients are computed: the choice by platform and shape, in one place.

GPU and TPU: XLA's own convolution, which picks among the vendor's kernels. CPU: the table in `plan`, whose figures are
measured by `benchmarks/layers.py`. The platform is that of the lowering (`lax.platform_dependent`), so one traced
program serves several.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn import conv_direct as direct
from jaxd2l.nn import conv_patches as patches

__all__ = ["Geometry", "Plan", "convolve", "plan"]

type Pair = tuple[int, ...]
_CHUNK_BYTES = 32_000_000  # patches of more than this are made for a part of the batch at a time


class Geometry(NamedTuple):
    """What a convolution does with its window: strides (sh, sw) and zeros (low, high) added to each axis."""

    strides: Pair
    borders: tuple[Pair, ...]


class Plan(NamedTuple):
    """For each of the three products: outputs of a row that share a patch, or 0 for a convolution routine."""

    forward: int
    input_gradient: int
    filter_gradient: int


def plan(image: Pair, window: Pair, channels: int, features: int, at: Geometry) -> Plan:
    """The fastest known way on CPU.

    | shape | way | because |
    |---|---|---|
    | few channels in and out (LeNet) | patches of several outputs | the routine fills no vector register |
    | few channels in (first layers) | patches | the same; 2 times faster |
    | kernel larger than the image (3x3x512 on 3x3) | patches | the routine packs the kernel anew for each image |
    | strides, both gradients | patches | the routine would multiply mostly zeros |
    | everything else | the routine | 80 to 95 % of the rate of a matrix product |
    """
    (oh, ow), (kh, kw) = patches.grid(image, window, at.strides, at.borders, 1).output, window
    if at.strides == (1, 1) and max(channels, features) <= 16:
        columns = next(b for b in (4, 2, 1) if b * features <= 32 or b == 1)
        return Plan(columns, columns, columns)
    deep = channels <= 4 or (kh * kw * channels > 16 * oh * ow and features >= 64)
    deep_back = kh * kw * features > 16 * math.prod(image) and channels >= 64
    strided = at.strides != (1, 1)
    return Plan(int(deep), int(deep_back or strided), int(deep or strided))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """`conv2d` of (n, h, w, c) and (kh, kw, c, features) of one dtype; differentiable in reverse mode, to any order."""
    return lax.platform_dependent(x, kernel, cpu=functools.partial(_forward, at), default=functools.partial(_plain, at))


def _convolve_forward(x: jax.Array, kernel: jax.Array, at: Geometry) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel, at), (x, kernel)


def _convolve_backward(at: Geometry, saved: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    return lax.platform_dependent(
        *saved, dy, cpu=functools.partial(_backward, at), default=functools.partial(_plain_backward, at)
    )


convolve.defvjp(_convolve_forward, _convolve_backward)


def _plain(at: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return direct.convolve(x, kernel, *at)


def _plain_backward(at: Geometry, x: jax.Array, kernel: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vjp(functools.partial(_plain, at), x, kernel)[1](dy)


def _forward(at: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    image, window, (c, features) = x.shape[1:3], kernel.shape[:2], kernel.shape[2:]
    if _is_pointwise(window, at):
        return _subsample(x, at) @ kernel[0, 0]
    columns = plan(image, window, c, features, at).forward
    if not columns:
        return direct.convolve(x, kernel, *at)
    grid = patches.grid(image, window, *at, columns)
    return _map_images(lambda x: patches.convolve(x, kernel, grid), grid, c, x)


def _backward(at: Geometry, x: jax.Array, kernel: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    image, window, (c, features) = x.shape[1:3], kernel.shape[:2], kernel.shape[2:]
    if _is_pointwise(window, at):
        small, spread = jax.vjp(functools.partial(_subsample, at=at), x)
        (dx,) = spread(dy @ kernel[0, 0].T)
        return dx, patches.outer(small.reshape(-1, c), dy.reshape(-1, features)).reshape(kernel.shape)
    chosen = plan(image, window, c, features, at)
    if not chosen.input_gradient:
        dx = direct.input_gradient(dy, kernel, image, *at)
    else:
        grid = patches.grid(image, window, *at, chosen.input_gradient)
        dx = _map_images(lambda dy: patches.input_gradient(dy, kernel, grid), grid, c, dy)
    if not chosen.filter_gradient:
        return dx, direct.filter_gradient(x, dy, window, *at)
    grid = patches.grid(image, window, *at, chosen.filter_gradient)
    parts = _map_images(lambda x, dy: patches.filter_gradient(x, dy, grid)[None], grid, c, x, dy)
    return dx, jnp.sum(parts, axis=0)


def _is_pointwise(window: Pair, at: Geometry) -> bool:
    return window == (1, 1) and at.borders == ((0, 0), (0, 0))


def _subsample(x: jax.Array, at: Geometry) -> jax.Array:
    return x if at.strides == (1, 1) else x[:, :: at.strides[0], :: at.strides[1]]


def _map_images(
    function: Callable[..., jax.Array], grid: patches.PatchGrid, channels: int, *arrays: jax.Array
) -> jax.Array:
    """`function` of the arrays (n, ...), a part of the batch at a time where the patches of all would be too large."""
    n = arrays[0].shape[0]
    image_bytes = patches.patch_bytes(1, channels, arrays[0].dtype.itemsize, grid)
    size = next(s for s in range(n, 0, -1) if n % s == 0 and (s == 1 or s * image_bytes <= _CHUNK_BYTES))
    if size == n:
        return function(*arrays)
    parts = lax.map(lambda part: function(*part), tuple(a.reshape(-1, size, *a.shape[1:]) for a in arrays))
    return parts.reshape(-1, *parts.shape[2:])
