"""Convolution by Winograd's minimal filtering: with a 3 x 3 window 16 products for 4 outputs, where 36 are written.

Four neighbouring outputs, two by two, read a tile of 4 x 4 pixels. As polynomials at the points 0, 1, -1 and infinity
along both axes, window and tile are 16 numbers each; multiplied one by one they are the 16 values of the polynomial
that holds the four outputs. With channels and features each of the 16 is a matrix product over all tiles.

Five taps are three and two more, which read the tile 3 pixels on: the same points, but for infinity, where two taps
are 0. Both shares of a point are one product of twice as many channels. That is 49 products where 100 are written, of
which the outputs read 16 sums. (At six points five taps take 36, and lose half a digit.)

The transforms add and subtract, but for two halves in the window's: whole numbers stay exact. In float32 the error is
that of the plain sum (each product sums over a ninth of its terms), but relative to the largest numbers of a tile: what
is 0 for a single output comes out as a rounding error of its neighbours.

All functions are of a part of a batch, whose tiles should stay in a cache, and transform one axis after the other:
each array that is written is a kernel to compile, and so there are few. Sources: Winograd, *Arithmetic Complexity of
Computations* (1980); Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (arXiv:1509.09308).
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

__all__ = [
    "WINDOWS",
    "convolve",
    "kernel_gradient",
    "num_products",
    "tile_numbers",
    "tile_products",
    "transform_kernel",
]

type Pair = tuple[int, ...]
type Groups = tuple[jax.Array, ...]  # one array for each pair of a row's and a column's `_Points`
WINDOWS = ((3, 3), (5, 5))


class _Points(NamedTuple):
    """Points along an axis, of the four, at which so many threes of the window's taps are not all 0."""

    which: tuple[int, ...]
    threes: int


_POINTS = {3: (_Points((0, 1, 2, 3), 1),), 5: (_Points((0, 1, 2), 2), _Points((3,), 1))}


def transform_kernel(kernel: jax.Array) -> Groups:
    """The kernel (kh, kw, c, features) at the points: (points, channels, features) for each group."""
    rows, columns = (_POINTS[taps] for taps in kernel.shape[:2])
    spare = ((0, -kernel.shape[0] % 3), (0, -kernel.shape[1] % 3), (0, 0), (0, 0))
    kernel = jnp.pad(kernel, spare) if any(map(any, spare)) else kernel
    found = []
    for row in rows:
        shares = [_of_window(*(kernel[3 * k + i] for i in range(3))) for k in range(row.threes)]
        across = _gather(shares, row, channels=-2)
        for column in columns:
            shares = [_of_window(*(across[:, 3 * k + i] for i in range(3))) for k in range(column.threes)]
            both = _gather(shares, column, channels=-2, axis=1)
            found.append(both.reshape(-1, *both.shape[2:]))
    return tuple(found)


def convolve(x: jax.Array, transformed: Groups, window: Pair, borders: tuple[Pair, ...]) -> jax.Array:
    """The convolution of `x` (n, h, w, c) with a kernel that `transform_kernel` made: (n, oh, ow, features)."""
    n, (oh, ow) = x.shape[0], _output(x, window, borders)
    down, along = _tiles(oh), _tiles(ow)
    grid: list[list[jax.Array]] = [[], [], [], []]
    for row, images, kernel in zip(_rows(window), _transform_images(x, window, borders), transformed, strict=True):
        products = lax.dot_general(images, kernel, (((2,), (1,)), ((0,), (0,))))
        products = lax.optimization_barrier(products).reshape(len(row.which), -1, n, down, along, kernel.shape[2])
        for i, point in enumerate(row.which):
            grid[point] += [products[i, j] for j in range(products.shape[1])]
    across = [_of_products(*row) for row in grid]
    outputs = [_of_products(*(row[j] for row in across)) for j in range(2)]  # by column, then by row
    stacked = [jnp.stack([column[i] for column in outputs], 3) for i in range(2)]
    return jnp.stack(stacked, 2).reshape(n, 2 * down, 2 * along, -1)[:, :oh, :ow]


def tile_products(x: jax.Array, dy: jax.Array, window: Pair, borders: tuple[Pair, ...]) -> Groups:
    """What `kernel_gradient` takes, summed over the images of a part, and over the parts by the caller.

    Args:
        x: (n, h, w, c).
        dy: the cotangent of `convolve`, (n, oh, ow, features).
        window: (kh, kw).
        borders: zeros (low, high) added to each axis of `x`.

    Returns:
        (points, channels, features) for each group.
    """
    _, oh, ow, features = dy.shape
    fill = ((0, 0), (0, 2 * _tiles(oh) - oh), (0, 2 * _tiles(ow) - ow), (0, 0))
    dy = jnp.pad(dy, fill) if any(map(any, fill)) else dy
    sent = []
    for row in _POINTS[window[0]]:
        across = _gather([_of_cotangent(*(dy[:, i::2] for i in range(2)))], row)
        for column in _POINTS[window[1]]:
            share = _of_cotangent(*(across[..., i::2, :] for i in range(2)))
            both = _gather([share], column, axis=1)
            sent.append(both.reshape(both.shape[0] * both.shape[1], -1, features))
    over_tiles = functools.partial(lax.dot_general, dimension_numbers=(((1,), (1,)), ((0,), (0,))))
    return tuple(map(over_tiles, _transform_images(x, window, borders), sent))


def kernel_gradient(products: Groups, window: Pair) -> jax.Array:
    """The cotangent of the kernel, (kh, kw, c, features), from the sum of `tile_products` over all images."""
    rows, columns = (_POINTS[taps] for taps in window)
    left, by_row = iter(products), []
    for row in rows:
        shares = [(a := next(left)).reshape(len(row.which), len(column.which), *a.shape[1:]) for column in columns]
        by_row.append(_taps(shares, columns, axis=1))
    return _taps(by_row, rows, axis=0)


def num_products(output: Pair, window: Pair) -> int:
    """Products an output (oh, ow) takes for each channel and feature; written out they are kh kw oh ow."""
    return math.prod(_products_of(taps) * _tiles(size) for taps, size in zip(window, output, strict=True))


def tile_numbers(output: Pair, window: Pair, channels: int, features: int) -> int:
    """Numbers at the points, of the tiles of an image and of the products that its outputs (oh, ow) read."""
    return num_products(output, window) * channels + num_products(output, WINDOWS[0]) * features


def _transform_images(x: jax.Array, window: Pair, borders: tuple[Pair, ...]) -> Groups:
    """The tiles of `x` (n, h, w, c) at the points: (points, n * tiles, channels) for each group."""
    tiles, threes = map(_tiles, _output(x, window, borders)), [_POINTS[taps][0].threes for taps in window]
    spans = [2 * count - 1 for count in tiles]
    needed = [span + 3 * count for span, count in zip(spans, threes, strict=True)]  # the last may reach over the border
    fill = [(low, all_ - low - size, 0) for (low, _), all_, size in zip(borders, needed, x.shape[1:3], strict=True)]
    # behind a barrier: else each of the sums would ask again whether it reads the border
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *fill, (0, 0, 0)]))
    found = []
    for row in _POINTS[window[0]]:
        firsts = range(0, 3 * row.threes, 3)
        across = _gather([_of_tile(*(x[:, k + i : k + i + spans[0] : 2] for i in range(4))) for k in firsts], row)
        for column in _POINTS[window[1]]:
            firsts = range(0, 3 * column.threes, 3)
            shares = [_of_tile(*(across[..., k + i : k + i + spans[1] : 2, :] for i in range(4))) for k in firsts]
            both = _gather(shares, column, axis=1)
            found.append(both.reshape(both.shape[0] * both.shape[1], -1, both.shape[-1]))
    return tuple(found)


def _gather(shares: Sequence[Sequence[jax.Array]], points: _Points, channels: int = -1, axis: int = 0) -> jax.Array:
    """Each three's four values as one array of the points in question, computed by itself, with the channels of all."""
    of_point = (tuple(share[point] for share in shares) for point in points.which)
    return _apart([jnp.concatenate(same, channels) if len(same) > 1 else same[0] for same in of_point], axis)


def _taps(groups: Sequence[jax.Array], points: tuple[_Points, ...], axis: int) -> jax.Array:
    """The transpose of `_of_window` and `_gather`: an axis of points becomes one of taps, the channels one three's."""
    taps: list[jax.Array] = []
    for k in range(points[0].threes):
        seen = [(a, group.threes) for a, group in zip(groups, points, strict=True) if k < group.threes]
        shares = [jnp.split(a, threes, -2)[k] for a, threes in seen]
        values = [lax.index_in_dim(a, i, axis, keepdims=False) for a in shares for i in range(a.shape[axis])]
        taps += _to_window(*values)
    return _apart(taps, axis)


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


def _to_window(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array | None = None) -> tuple[jax.Array, ...]:
    """The transpose of `_of_window`; of the two taps that are not seen at infinity where `d` is left out."""
    two = a + (b + c) / 2, (b - c) / 2
    return two if d is None else (*two, (b + c) / 2 + d)


def _rows(window: Pair) -> list[_Points]:
    """The points of the rows, for each group."""
    return [row for row, _ in itertools.product(*(_POINTS[taps] for taps in window))]


def _output(x: jax.Array, window: Pair, borders: tuple[Pair, ...]) -> Pair:
    sizes = zip(x.shape[1:3], borders, window, strict=True)
    return tuple(size + low + high - taps + 1 for size, (low, high), taps in sizes)


def _products_of(taps: int) -> int:
    """How many products give two outputs along an axis."""
    return sum(len(group.which) * group.threes for group in _POINTS[taps])


def _tiles(outputs: int) -> int:
    """How many tiles give so many outputs along an axis."""
    return -(-outputs // 2)
