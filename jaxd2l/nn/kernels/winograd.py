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
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.kernels.points import (
    POINTS,
    Points,
    apart,
    of_cotangent,
    of_products,
    of_tile,
    of_window,
    to_tile,
    to_window,
)

__all__ = [
    "WINDOWS",
    "convolve",
    "convolve_back",
    "kernel_gradient",
    "num_products",
    "tile_numbers",
    "tile_products",
    "transform_kernel",
]

type Pair = tuple[int, ...]
type Groups = tuple[jax.Array, ...]  # one array for each pair of a row's and a column's `Points`
WINDOWS = ((3, 3), (5, 5))


def transform_kernel(kernel: jax.Array) -> Groups:
    """The kernel (kh, kw, c, features) at the points: (points, channels, features) for each group."""
    rows, columns = (POINTS[taps] for taps in kernel.shape[:2])
    spare = ((0, -kernel.shape[0] % 3), (0, -kernel.shape[1] % 3), (0, 0), (0, 0))
    kernel = jnp.pad(kernel, spare) if any(map(any, spare)) else kernel
    found = []
    for row in rows:
        shares = [of_window(*(kernel[3 * k + i] for i in range(3))) for k in range(row.threes)]
        across = _gather(shares, row, channels=-2)
        for column in columns:
            shares = [of_window(*(across[:, 3 * k + i] for i in range(3))) for k in range(column.threes)]
            both = _gather(shares, column, channels=-2, axis=1)
            found.append(both.reshape(-1, *both.shape[2:]))
    return tuple(found)


def convolve(x: jax.Array, transformed: Groups, window: Pair, borders: tuple[Pair, ...]) -> jax.Array:
    """The convolution of `x` (n, h, w, c) with a kernel that `transform_kernel` made: (n, oh, ow, features)."""
    n, (oh, ow) = x.shape[0], _output(x, window, borders)
    down, along = _tiles(oh), _tiles(ow)
    grid: list[list[jax.Array]] = [[], [], [], []]
    over_channels = functools.partial(lax.dot_general, dimension_numbers=(((2,), (1,)), ((0,), (0,))))
    products = lax.optimization_barrier(tuple(map(over_channels, _transform_images(x, window, borders), transformed)))
    for row, shares in zip(POINTS[window[0]], _by_row(products, window), strict=True):
        for i, point in enumerate(row.which):
            grid[point] += [a[i, j].reshape(n, down, along, -1) for a in shares for j in range(a.shape[1])]
    across = [of_products(*row) for row in grid]
    outputs = [of_products(*(row[j] for row in across)) for j in range(2)]  # by column, then by row
    stacked = [jnp.stack([column[i] for column in outputs], 3) for i in range(2)]
    return jnp.stack(stacked, 2).reshape(n, 2 * down, 2 * along, -1)[:, :oh, :ow]


def convolve_back(
    dy: jax.Array, transformed: Groups, window: Pair, borders: tuple[Pair, ...], image: Pair
) -> jax.Array:
    """The transpose of `convolve` for images (h, w): dy (n, oh, ow, features) to (n, h, w, c).

    It equals a convolution of dy with the kernel turned around, which with five taps makes three times as many numbers
    of the features, and fewer of the channels.
    """
    rows, columns = (POINTS[taps] for taps in window)
    tiles = dy.shape[0], *(_tiles(size) for size in dy.shape[1:3])
    over_features = functools.partial(lax.dot_general, dimension_numbers=(((2,), (2,)), ((0,), (0,))))
    products = lax.optimization_barrier(tuple(map(over_features, _transform_cotangents(dy, window), transformed)))
    by_row = [
        _pixels([a.reshape(*a.shape[:2], *tiles, -1) for a in shares], columns, axis=1, tiles=4)
        for shares in _by_row(products, window)
    ]
    dx = _pixels(by_row, rows, axis=0, tiles=2)
    (top, _), (left, _) = borders
    cut = (0, 0, 0), (-top, image[0] + top - dx.shape[1], 0), (-left, image[1] + left - dx.shape[2], 0), (0, 0, 0)
    return lax.pad(dx, jnp.zeros((), dx.dtype), cut)


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
    over_tiles = functools.partial(lax.dot_general, dimension_numbers=(((1,), (1,)), ((0,), (0,))))
    return tuple(map(over_tiles, _transform_images(x, window, borders), _transform_cotangents(dy, window)))


def kernel_gradient(products: Groups, window: Pair) -> jax.Array:
    """The cotangent of the kernel, (kh, kw, c, features), from the sum of `tile_products` over all images."""
    rows, columns = (POINTS[taps] for taps in window)
    return _taps([_taps(shares, columns, axis=1) for shares in _by_row(products, window)], rows, axis=0)


def num_products(output: Pair, window: Pair) -> int:
    """Products an output (oh, ow) takes for each channel and feature; written out they are kh kw oh ow."""
    return math.prod(_products_of(taps) * _tiles(size) for taps, size in zip(window, output, strict=True))


def tile_numbers(output: Pair, window: Pair, channels: int, features: int) -> int:
    """Numbers at the points, of the tiles of an image and of the products that its outputs (oh, ow) read."""
    return num_products(output, window) * channels + num_products(output, WINDOWS[0]) * features


def _transform_images(x: jax.Array, window: Pair, borders: tuple[Pair, ...]) -> Groups:
    """The tiles of `x` (n, h, w, c) at the points: (points, n * tiles, channels) for each group."""
    tiles, threes = map(_tiles, _output(x, window, borders)), [POINTS[taps][0].threes for taps in window]
    spans = [2 * count - 1 for count in tiles]
    needed = [span + 3 * count for span, count in zip(spans, threes, strict=True)]  # the last may reach over the border
    fill = [(low, all_ - low - size, 0) for (low, _), all_, size in zip(borders, needed, x.shape[1:3], strict=True)]
    # behind a barrier: else each of the sums would ask again whether it reads the border
    x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *fill, (0, 0, 0)]))
    found = []
    for row in POINTS[window[0]]:
        firsts = range(0, 3 * row.threes, 3)
        across = _gather([of_tile(*(x[:, k + i : k + i + spans[0] : 2] for i in range(4))) for k in firsts], row)
        for column in POINTS[window[1]]:
            firsts = range(0, 3 * column.threes, 3)
            shares = [of_tile(*(across[..., k + i : k + i + spans[1] : 2, :] for i in range(4))) for k in firsts]
            both = _gather(shares, column, axis=1)
            found.append(both.reshape(both.shape[0] * both.shape[1], -1, both.shape[-1]))
    return tuple(found)


def _transform_cotangents(dy: jax.Array, window: Pair) -> Groups:
    """The cotangents (n, oh, ow, features) at the points: (points, n * tiles, features) for each group."""
    _, oh, ow, features = dy.shape
    fill = ((0, 0), (0, 2 * _tiles(oh) - oh), (0, 2 * _tiles(ow) - ow), (0, 0))
    dy = jnp.pad(dy, fill) if any(map(any, fill)) else dy
    sent = []
    for row in POINTS[window[0]]:
        across = _gather([of_cotangent(*(dy[:, i::2] for i in range(2)))], row)
        for column in POINTS[window[1]]:
            share = of_cotangent(*(across[..., i::2, :] for i in range(2)))
            both = _gather([share], column, axis=1)
            sent.append(both.reshape(both.shape[0] * both.shape[1], -1, features))
    return tuple(sent)


def _gather(shares: Sequence[Sequence[jax.Array]], points: Points, channels: int = -1, axis: int = 0) -> jax.Array:
    """Each three's four values as one array of the points in question, computed by itself, with the channels of all."""
    of_point = (tuple(share[point] for share in shares) for point in points.which)
    return apart([jnp.concatenate(same, channels) if len(same) > 1 else same[0] for same in of_point], axis)


def _taps(groups: Sequence[jax.Array], points: tuple[Points, ...], axis: int) -> jax.Array:
    """The transpose of `of_window` and `_gather`: an axis of points becomes one of taps, the channels one three's."""
    taps: list[jax.Array] = []
    for k in range(points[0].threes):
        taps += to_window(*_values(groups, points, axis, k, channels=-2))
    return apart(taps, axis)


def _pixels(groups: Sequence[jax.Array], points: tuple[Points, ...], axis: int, tiles: int) -> jax.Array:
    """The transpose of `of_tile`: an axis of points is summed into that of the tiles, two pixels for each."""
    seen: dict[int, list[jax.Array]] = {}
    for k in range(points[0].threes):
        values = _values(groups, points, axis, k, channels=-1)
        for i, pixel in enumerate(to_tile(*values)):
            seen.setdefault(3 * k + i, []).append(pixel)
    reach = (len(seen) - 1) // 2

    def placed(pixel: int) -> jax.Array:
        total = functools.reduce(operator.add, seen[pixel])
        low = pixel // 2
        fill = [(low, reach - low, 0) if i == tiles - 1 else (0, 0, 0) for i in range(total.ndim)]
        return lax.pad(total, jnp.zeros((), total.dtype), fill)

    both = [functools.reduce(operator.add, map(placed, range(i, len(seen), 2))) for i in range(2)]
    stacked = apart(both, tiles)
    return stacked.reshape(*stacked.shape[: tiles - 1], -1, *stacked.shape[tiles + 1 :])


def _values(
    groups: Sequence[jax.Array], points: tuple[Points, ...], axis: int, k: int, channels: int
) -> list[jax.Array]:
    """What belongs to one three at all points where it is seen."""
    seen = [(a, group.threes) for a, group in zip(groups, points, strict=True) if k < group.threes]
    shares = [jnp.split(a, threes, channels)[k] for a, threes in seen]
    return [lax.index_in_dim(a, i, axis, keepdims=False) for a in shares for i in range(a.shape[axis])]


def _by_row(groups: Groups, window: Pair) -> list[list[jax.Array]]:
    """The groups (points, ...) as (row's points, column's points, ...): a list for each of the row's."""
    rows, columns = (POINTS[taps] for taps in window)
    left = iter(groups)
    return [[a.reshape(len(row.which), -1, *a.shape[1:]) for a in itertools.islice(left, len(columns))] for row in rows]


def _output(x: jax.Array, window: Pair, borders: tuple[Pair, ...]) -> Pair:
    sizes = zip(x.shape[1:3], borders, window, strict=True)
    return tuple(size + low + high - taps + 1 for size, (low, high), taps in sizes)


def _products_of(taps: int) -> int:
    """How many products give two outputs along an axis."""
    return sum(len(group.which) * group.threes for group in POINTS[taps])


def _tiles(outputs: int) -> int:
    """How many tiles give so many outputs along an axis."""
    return -(-outputs // 2)
