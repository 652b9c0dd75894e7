"""Which way a 2-D convolution and its two gradients are computed: the choice by platform and shape, in one place.

GPU and TPU: XLA's own convolution, which picks among the vendor's kernels. CPU: the table in `plan`, whose figures are
measured by `benchmarks/layers.py`. The platform is that of the lowering (`lax.platform_dependent`), so one traced
program serves several. A plain program (`tracing`) is that of the GPU.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.kernels import direct, patches
from jaxd2l.nn.kernels.bilinear import bilinear
from jaxd2l.nn.kernels.precision import widened, widened_again
from jaxd2l.nn.kernels.product import outer
from jaxd2l.nn.kernels.tracing import by_platform

__all__ = ["Geometry", "Plan", "convolve", "plan"]

type Pair = tuple[int, ...]
_SMALL = 1024  # pixels of an image whose patches are kept from the forward pass for the filter gradient
_FAR = 128  # times more entries under the window than there are pixels
_CHUNK_BYTES = 16_000_000  # patches of more than this are made for a part of the batch at a time


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
    | few channels in and out, small images (LeNet) | patches of several outputs, all three | made once, kept for all |
    | kernel far larger than the image (3x3x512 on 3x3) | patches | the routine reorders the kernel at each call |
    | window larger than the image (5x5 on 3x3) | patches | XLA has only naive loops for it |
    | strides, both gradients | patches | the routine would multiply mostly zeros |
    | filter gradient of few channels, or to many features | patches | wide enough for a product |
    | everything else | the routine | fastest of those tried |
    """
    output = patches.cut(image, window, *at, columns=1).output
    pixels, strided = math.prod(window), at.strides != (1, 1)
    thin = not strided and max(channels, features) <= 16
    columns = next(b for b in (4, 2, 1) if b * features <= 32 or b == 1) if thin else 1
    if thin and math.prod(image) <= _SMALL:
        return Plan(columns, columns, columns)
    forward = _exceeds(window, image) or (pixels * channels > _FAR * math.prod(output) and features >= 64)
    back = strided or _exceeds(window, output) or (pixels * features > _FAR * math.prod(image) and channels >= 64)
    to_kernel = strided or channels <= 16 or features >= 64
    return Plan(int(forward), int(back), columns * int(to_kernel))


def _exceeds(window: Pair, image: Pair) -> bool:
    return any(k > size for k, size in zip(window, image, strict=True))


def convolve(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """`conv2d` of (n, h, w, c) and (kh, kw, c, features) of one dtype; differentiable in both modes, to any order.

    16-bit floats give the float32 sums, for the caller to round. On CPU all of it is computed in float32; the vendors'
    kernels take 16 bits and sum in float32 themselves, so there the cotangent gets back the 16 bits it came from.
    """
    image, window, dtype = x.shape[1:3], kernel.shape[:2], x.dtype

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return by_platform(
            x,
            kernel,
            cpu=lambda x, kernel: _forward(at, widened(x), widened(kernel)),
            default=lambda x, kernel: widened(_plain(at, x, kernel)),
        )

    def input_gradient(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        return by_platform(
            kernel,
            dy,
            cpu=lambda kernel, dy: _input_gradient(at, image, widened(kernel), dy).astype(dtype),
            default=lambda kernel, dy: _plain_input_gradient(at, image, kernel, dy.astype(dtype)),
        )

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        return by_platform(
            x,
            dy,
            cpu=lambda x, dy: _filter_gradient(at, window, widened_again(x), dy).astype(dtype),
            default=lambda x, dy: _plain_filter_gradient(at, window, x, dy.astype(dtype)),
        )

    return bilinear(product, input_gradient, filter_gradient)(x, kernel)


def _plain(at: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return direct.convolve(x, kernel, *at)


def _plain_input_gradient(at: Geometry, image: Pair, kernel: jax.Array, dy: jax.Array) -> jax.Array:
    x = jax.ShapeDtypeStruct((dy.shape[0], *image, kernel.shape[2]), dy.dtype)
    return jax.linear_transpose(lambda x: _plain(at, x, kernel), x)(dy)[0]


def _plain_filter_gradient(at: Geometry, window: Pair, x: jax.Array, dy: jax.Array) -> jax.Array:
    kernel = jax.ShapeDtypeStruct((*window, x.shape[-1], dy.shape[-1]), dy.dtype)
    return jax.linear_transpose(lambda kernel: _plain(at, x, kernel), kernel)(dy)[0]


def _forward(at: Geometry, x: jax.Array, kernel: jax.Array) -> jax.Array:
    image, window, (c, features) = x.shape[1:3], kernel.shape[:2], kernel.shape[2:]
    if _is_pointwise(window, at):
        return _subsample(x, at) @ kernel[0, 0]
    columns = plan(image, window, c, features, at).forward
    if not columns:
        return direct.convolve(x, kernel, *at)
    grid = patches.cut(image, window, *at, columns)
    return _map_images(lambda x: patches.convolve(x, kernel, grid), grid, c, x)


def _input_gradient(at: Geometry, image: Pair, kernel: jax.Array, dy: jax.Array) -> jax.Array:
    window, (c, features) = kernel.shape[:2], kernel.shape[2:]
    if _is_pointwise(window, at):
        x = jax.ShapeDtypeStruct((dy.shape[0], *image, c), dy.dtype)
        return jax.linear_transpose(partial(_subsample, at=at), x)(dy @ kernel[0, 0].T)[0]
    columns = plan(image, window, c, features, at).input_gradient
    if not columns:
        return direct.input_gradient(dy, kernel, image, *at)
    grid = patches.cut(image, window, *at, columns)
    return _map_images(lambda dy: patches.input_gradient(dy, kernel, grid), grid, c, dy)


def _filter_gradient(at: Geometry, window: Pair, x: jax.Array, dy: jax.Array) -> jax.Array:
    image, c, features = x.shape[1:3], x.shape[-1], dy.shape[-1]
    if _is_pointwise(window, at):
        small = _subsample(x, at).reshape(-1, c)
        return outer(small, dy.reshape(-1, features)).reshape(*window, c, features)
    columns = plan(image, window, c, features, at).filter_gradient
    if not columns:
        return direct.filter_gradient(x, dy, window, *at)
    grid = patches.cut(image, window, *at, columns)
    parts = _in_parts(grid, c, x, dy)
    if parts[0].shape[0] == 1:
        return patches.filter_gradient(x, dy, grid)

    def add(total: jax.Array, part: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        x, dy = part
        return total + patches.filter_gradient(x, dy, grid), None

    return lax.scan(add, jnp.zeros((*window, c, features), dy.dtype), parts)[0]


def _is_pointwise(window: Pair, at: Geometry) -> bool:
    return window == (1, 1) and at.borders == ((0, 0), (0, 0))


def _subsample(x: jax.Array, at: Geometry) -> jax.Array:
    return x if at.strides == (1, 1) else x[:, :: at.strides[0], :: at.strides[1]]


def _map_images(
    function: Callable[[jax.Array], jax.Array], grid: patches.PatchGrid, channels: int, x: jax.Array
) -> jax.Array:
    """`function` of the images (n, ...), a part of the batch at a time where the patches of all would be too large."""
    (parts,) = _in_parts(grid, channels, x)
    if parts.shape[0] == 1:
        return function(x)
    y = lax.map(function, parts)
    return y.reshape(-1, *y.shape[2:])[: x.shape[0]]


def _in_parts(grid: patches.PatchGrid, channels: int, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays (n, ...) as (parts, images, ...): few enough images for their patches, black ones added to fill the last.

    A number of parts that divides the batch is preferred, up to twice as many as need be: nothing is copied then.
    """
    n = arrays[0].shape[0]
    fitting = max(1, _CHUNK_BYTES // patches.patch_bytes(1, channels, arrays[0].dtype.itemsize, grid))
    least = -(-n // fitting)
    parts = next((p for p in range(least, 2 * least) if n % p == 0), least)
    size = -(-n // parts)
    filled = (jnp.pad(a, ((0, parts * size - n), *((0, 0),) * (a.ndim - 1))) for a in arrays)
    return tuple(a.reshape(parts, size, *a.shape[1:]) for a in filled)
