"""Convolution with a 3 x 3 window by Winograd's minimal filtering: 16 products for 4 outputs, where 36 are written.

Four neighbouring outputs, two by two, read a tile of 4 x 4 pixels. As polynomials at the points 0, 1, -1 and infinity
along both axes, window and tile are 16 numbers each; multiplied one by one they are the 16 values of the polynomial
that holds the four outputs. With channels and features each of the 16 is a matrix product over all tiles.

The transforms add and subtract, but for two halves in the window's: whole numbers stay exact. In float32 the error is
that of the plain sum (each product sums over a ninth of its terms), but relative to the largest numbers of a tile: what
is 0 for a single output comes out as a rounding error of its neighbours.

All functions are of a part of a batch, whose tiles should stay in a cache, and transform one axis after the other:
each array that is written is a kernel to compile, and so there are few. Sources: Winograd, *Arithmetic Complexity of
Computations* (1980); Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (arXiv:1509.09308).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["POINTS", "WINDOW", "convolve", "kernel_gradient", "num_products", "tile_products", "transform_kernel"]

type Pair = tuple[int, ...]
WINDOW = (3, 3)
POINTS = 16


def transform_kernel(kernel: jax.Array) -> jax.Array:
    """The kernel (3, 3, c, features) at the points: (16, c, features)."""
    across = _apart(_of_window(*kernel))
    return _apart(_of_window(*(across[:, i] for i in range(3))), 1).reshape(POINTS, *kernel.shape[2:])


def convolve(x: jax.Array, transformed: jax.Array, borders: tuple[Pair, ...]) -> jax.Array:
    """The convolution of `x` (n, h, w, c) with a kernel that `transform_kernel` made: (n, oh, ow, features)."""
    n, (oh, ow), features = x.shape[0], _output(x, borders), transformed.shape[2]
    down, along = _tiles(oh), _tiles(ow)
    products = lax.dot_general(_transform_images(x, borders), transformed, (((2,), (1,)), ((0,), (0,))))
    products = lax.optimization_barrier(products).reshape(4, 4, n, down, along, features)
    across = [_of_products(*(row[j] for j in range(4))) for row in products]
    outputs = [_of_products(*(row[j] for row in across)) for j in range(2)]  # by column, then by row
    rows = [jnp.stack([column[i] for column in outputs], 3) for i in range(2)]
    return jnp.stack(rows, 2).reshape(n, 2 * down, 2 * along, features)[:, :oh, :ow]


def tile_products(x: jax.Array, dy: jax.Array, borders: tuple[Pair, ...]) -> jax.Array:
    """What `kernel_gradient` takes, summed over the images of a part, and over the parts by the caller.

    Args:
        x: (n, h, w, c).
        dy: the cotangent of `convolve`, (n, oh, ow, features).
        borders: zeros (low, high) added to each axis of `x`.

    Returns:
        (16, c, features).
    """
    _, oh, ow, features = dy.shape
    fill = ((0, 0), (0, 2 * _tiles(oh) - oh), (0, 2 * _tiles(ow) - ow), (0, 0))
    dy = jnp.pad(dy, fill) if any(map(any, fill)) else dy
    across = _apart(_of_cotangent(*(dy[:, i::2] for i in range(2))))
    sent = _apart(_of_cotangent(*(across[..., i::2, :] for i in range(2))), 1).reshape(POINTS, -1, features)
    return lax.dot_general(_transform_images(x, borders), sent, (((1,), (1,)), ((0,), (0,))))


def kernel_gradient(products: jax.Array) -> jax.Array:
    """The cotangent of the kernel, (3, 3, c, features), from the sum of `tile_products` over all images."""
    across = _apart(_to_window(*products.reshape(4, 4, *products.shape[1:])))
    return _apart(_to_window(*(across[:, i] for i in range(4))), 1)


def num_products(output: Pair) -> int:
    """Products an output (oh, ow) takes for each channel and feature; written out they are 9 oh ow."""
    return POINTS * _tiles(output[0]) * _tiles(output[1])


def _transform_images(x: jax.Array, borders: tuple[Pair, ...]) -> jax.Array:
    """The tiles of `x` (n, h, w, c) at the points: (16, n * tiles, c)."""
    needed = [2 * _tiles(size) + 2 for size in _output(x, borders)]  # the last tile may reach beyond the border
    fill = [(low, all_ - low - size, 0) for (low, _), all_, size in zip(borders, needed, x.shape[1:3], strict=True)]
    # behind a barrier: else each of the sums would ask again whether it reads the border
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *fill, (0, 0, 0)]))
    down, along = (size - 3 for size in needed)
    across = _apart(_of_tile(*(x[:, i : i + down : 2] for i in range(4))))
    return _apart(_of_tile(*(across[..., i : i + along : 2, :] for i in range(4))), 1).reshape(POINTS, -1, x.shape[3])


def _apart(arrays: Sequence[jax.Array], axis: int = 0) -> jax.Array:
    """The arrays as one, computed by themselves."""
    return lax.optimization_barrier(jnp.stack(arrays, axis))


def _of_window(a: jax.Array, b: jax.Array, c: jax.Array) -> tuple[jax.Array, ...]:
    return a, (a + b + c) / 2, (a - b + c) / 2, c


def _of_tile(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    return a - c, b + c, c - b, b - d


def _of_products(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    return a + b + c, b - c - d


def _of_cotangent(a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
    """The transpose of `_of_products`."""
    return a, a + b, a - b, -b


def _to_window(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    """The transpose of `_of_window`."""
    return a + (b + c) / 2, (b - c) / 2, (b + c) / 2 + d


def _output(x: jax.Array, borders: tuple[Pair, ...]) -> Pair:
    return tuple(size + low + high - 2 for size, (low, high) in zip(x.shape[1:3], borders, strict=True))


def _tiles(outputs: int) -> int:
    """How many tiles give so many outputs along an axis."""
    return -(-outputs // 2)
