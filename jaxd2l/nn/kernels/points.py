"""The points of Winograd's minimal filtering along one axis: what window, tile and outputs are there, and back.

Two outputs read a tile of four pixels through three taps. Each of these is turned into its values at the points 0, 1,
-1 and infinity (`of_...`), or its cotangent back (`to_...`); `jaxd2l.nn.kernels.winograd` says what for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["POINTS", "Points", "apart", "of_cotangent", "of_products", "of_tile", "of_window", "to_tile", "to_window"]


class Points(NamedTuple):
    """Points along an axis, of the four, at which so many threes of the window's taps are not all 0."""

    which: tuple[int, ...]
    threes: int


POINTS = {3: (Points((0, 1, 2, 3), 1),), 5: (Points((0, 1, 2), 2), Points((3,), 1))}


def apart(arrays: Sequence[jax.Array], axis: int = 0) -> jax.Array:
    """The arrays as one, computed by themselves."""
    return lax.optimization_barrier(jnp.stack(arrays, axis))


def of_window(a: jax.Array, b: jax.Array, c: jax.Array) -> tuple[jax.Array, ...]:
    """Three taps at the points."""
    return a, (a + b + c) / 2, (a - b + c) / 2, c


def of_tile(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    """Four pixels of a tile at the points."""
    return a - c, b + c, c - b, b - d


def of_products(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, ...]:
    """Two outputs, from the products of window and tile at the points."""
    return a + b + c, b - c - d


def of_cotangent(a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
    """The transpose of `of_products`."""
    return a, a + b, a - b, -b


def to_tile(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array | None = None) -> tuple[jax.Array, ...]:
    """The transpose of `of_tile`; of three pixels where `d` is left out."""
    return (a, b - c, b + c - a) if d is None else (a, b - c + d, b + c - a, -d)


def to_window(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array | None = None) -> tuple[jax.Array, ...]:
    """The transpose of `of_window`; of the two taps that are not seen at infinity where `d` is left out."""
    two = a + (b + c) / 2, (b - c) / 2
    return two if d is None else (*two, (b + c) / 2 + d)
