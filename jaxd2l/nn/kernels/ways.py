"""The ways to compute a 2-D convolution and its two gradients; `plan` chooses among them.

Each way is three functions of arrays for one shape, the same ones whenever it is asked for: (x, kernel) -> y,
(kernel, dy) -> dx and (x, dy) -> dkernel, for x (n, h, w, c), kernel (kh, kw, c, features) and y (n, oh, ow, features).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.kernels import direct, patches, winograd
from jaxd2l.nn.kernels.product import outer

__all__ = ["Geometry", "Shape", "Ways", "minimal", "patched", "plain", "pointwise", "routine"]

type Pair = tuple[int, ...]
type Product = Callable[[jax.Array, jax.Array], jax.Array]
_CHUNK_BYTES = 16_000_000  # patches of more than this leave the caches: they are made for a part of the batch at a time
_TILE_NUMBERS = 3_000_000  # likewise of Winograd's tiles and their products
_TOTALS = 4  # times the numbers of a kernel's gradient, at least, are its tiles: it is read and written once a part


class Geometry(NamedTuple):
    """What a convolution does with its window: strides (sh, sw) and zeros (low, high) added to each axis."""

    strides: Pair
    borders: tuple[Pair, ...]


class Shape(NamedTuple):
    """Sizes of a convolution but for the batch.

    Attributes:
        image: (h, w).
        window: (kh, kw).
        channels, features: of x and of y.
        at: strides and borders.
    """

    image: Pair
    window: Pair
    channels: int
    features: int
    at: Geometry

    @property
    def output(self) -> Pair:
        """(oh, ow)."""
        return patches.cut(self.image, self.window, *self.at, columns=1).output


class Ways(NamedTuple):
    """A convolution and its two gradients."""

    forward: Product
    input_gradient: Product
    filter_gradient: Product


@functools.cache
def routine(shape: Shape) -> Ways:
    """XLA's convolution on CPU, gradients written out in the one form that it is fast at."""
    return Ways(
        forward=lambda x, kernel: direct.convolve(x, kernel, *shape.at),
        input_gradient=lambda kernel, dy: direct.input_gradient(dy, kernel, shape.image, *shape.at),
        filter_gradient=lambda x, dy: direct.filter_gradient(x, dy, shape.window, *shape.at),
    )


@functools.cache
def patched(shape: Shape, columns: int, /, *, kept: bool = True) -> Ways:
    """A matrix product over patches of `columns` neighbouring outputs, a part of the batch at a time where need be.

    Args:
        shape: of the convolution.
        columns: outputs that share a patch.
        kept: whether the filter gradient may take the patches of the forward pass, which wait for it in memory; else
            it makes its own once its cotangent is there.
    """
    grid, c = patches.cut(shape.image, shape.window, *shape.at, columns), shape.channels

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        x, dy = (x, dy) if kept else lax.optimization_barrier((x, dy))
        return _sum_images(lambda x, dy: patches.filter_gradient(x, dy, grid), fitting(x), x, dy)

    def fitting(x: jax.Array) -> int:
        return _CHUNK_BYTES // patches.patch_bytes(1, c, x.dtype.itemsize, grid)

    return Ways(
        forward=lambda x, kernel: _map_images(lambda x: patches.convolve(x, kernel, grid), fitting(x), x),
        input_gradient=lambda kernel, dy: _map_images(
            lambda dy: patches.input_gradient(dy, kernel, grid), fitting(dy), dy
        ),
        filter_gradient=filter_gradient,
    )


@functools.cache
def minimal(shape: Shape) -> Ways:
    """Winograd's minimal filtering, for 3 x 3 and 5 x 5 windows at stride 1, a part of the batch at a time."""
    window, (_, borders), c, features = shape.window, shape.at, shape.channels, shape.features
    turned_borders = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, borders, strict=True))

    def forward(x: jax.Array, kernel: jax.Array) -> jax.Array:
        transformed, fitting = winograd.transform_kernel(kernel), _fitting(shape.output, window, c, features)
        return _map_images(lambda x: winograd.convolve(x, transformed, window, borders), fitting, x)

    def transposed(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        transformed, fitting = winograd.transform_kernel(kernel), _fitting(shape.output, window, c, features)
        return _map_images(
            lambda dy: winograd.convolve_back(dy, transformed, window, borders, shape.image), fitting, dy
        )

    def turned(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        transformed = winograd.transform_kernel(direct.turned(kernel))
        fitting = _fitting(shape.image, window, features, c)
        return _map_images(lambda dy: winograd.convolve(dy, transformed, window, turned_borders), fitting, dy)

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        x, dy = lax.optimization_barrier((x, dy))  # as of patches: tiles of x are made once dy is there
        total = winograd.num_products((1, 1), window) * c * features
        fitting = _fitting(shape.output, window, c, features, _TOTALS * total)
        products = _sum_images(lambda x, dy: winograd.tile_products(x, dy, window, borders), fitting, x, dy)
        return winograd.kernel_gradient(products, window)

    there, back = (winograd.tile_numbers((2, 2), window, *sizes) for sizes in ((c, features), (features, c)))
    return Ways(forward, transposed if there < back else turned, filter_gradient)


def _fitting(output: Pair, window: Pair, channels: int, features: int, least: int = 0) -> int:
    """How many images of that output have so few tiles and products of them, or `least` numbers."""
    return max(_TILE_NUMBERS, least) // winograd.tile_numbers(output, window, channels, features)


@functools.cache
def pointwise(shape: Shape) -> Ways:
    """A window of one pixel without borders is a matrix product over the pixels that the stride meets."""
    (sh, sw), c = shape.at.strides, shape.channels

    def subsample(x: jax.Array) -> jax.Array:
        return x if (sh, sw) == (1, 1) else x[:, ::sh, ::sw]

    def input_gradient(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        x = jax.ShapeDtypeStruct((dy.shape[0], *shape.image, c), dy.dtype)
        return jax.linear_transpose(subsample, x)(dy @ kernel[0, 0].T)[0]

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        rows = outer(subsample(x).reshape(-1, c), dy.reshape(-1, shape.features))
        return rows.reshape(*shape.window, c, shape.features)

    return Ways(lambda x, kernel: subsample(x) @ kernel[0, 0], input_gradient, filter_gradient)


@functools.cache
def plain(shape: Shape) -> Ways:
    """XLA's convolution with the gradients that JAX derives: what the vendors' kernels are chosen for."""
    convolve = functools.partial(direct.convolve, strides=shape.at.strides, borders=shape.at.borders)

    def input_gradient(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        x = jax.ShapeDtypeStruct((dy.shape[0], *shape.image, shape.channels), dy.dtype)
        return jax.linear_transpose(lambda x: convolve(x, kernel), x)(dy)[0]

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        kernel = jax.ShapeDtypeStruct((*shape.window, shape.channels, shape.features), dy.dtype)
        return jax.linear_transpose(lambda kernel: convolve(x, kernel), kernel)(dy)[0]

    return Ways(convolve, input_gradient, filter_gradient)


def _map_images(function: Callable[[jax.Array], jax.Array], fitting: int, x: jax.Array) -> jax.Array:
    """`function` of the images (n, ...), so many at a time."""
    (parts,) = _in_parts(fitting, x)
    if parts.shape[0] == 1:
        return function(x)
    y = lax.map(function, parts)
    return y.reshape(-1, *y.shape[2:])[: x.shape[0]]


def _sum_images[Sum](function: Callable[[jax.Array, jax.Array], Sum], fitting: int, x: jax.Array, dy: jax.Array) -> Sum:
    """`function`, which sums over images (n, ...), of so many at a time, added up."""
    parts = _in_parts(fitting, x, dy)
    if parts[0].shape[0] == 1:
        return function(x, dy)

    def add(total: Sum, part: tuple[jax.Array, ...]) -> tuple[Sum, None]:
        return jax.tree.map(jnp.add, total, function(*part)), None

    shapes = jax.eval_shape(function, *(jax.ShapeDtypeStruct(a.shape[1:], a.dtype) for a in parts))
    return lax.scan(add, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes), parts)[0]


def _in_parts(fitting: int, *arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays (n, ...) as (parts, images, ...) of `fitting` images or a few less, black ones added to fill the last.

    A number of parts that divides the batch is preferred, up to twice as many as need be: nothing is copied then.
    """
    n = arrays[0].shape[0]
    least = -(-n // max(1, fitting))
    parts = next((p for p in range(least, 2 * least) if n % p == 0), least)
    size = -(-n // parts)
    filled = (jnp.pad(a, ((0, parts * size - n), *((0, 0),) * (a.ndim - 1))) for a in arrays)
    return tuple(a.reshape(parts, size, *a.shape[1:]) for a in filled)
