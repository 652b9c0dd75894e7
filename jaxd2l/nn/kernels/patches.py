"""Convolution as one matrix product over patches, for shapes that a convolution routine handles badly.

With one channel in and six out, a convolution has nothing to fill a vector register with. So a few neighbouring
outputs of a row, a *block* of them, are computed together: the patch under the block times a banded matrix that holds
one shifted copy of the kernel for each output of the block. With one output a block this is im2col, which wins
where the image is small and the channels are many. The sizes here are in units of a block: a block of `columns`
outputs starts every `columns * stride` pixels, so a patch is a few neighbouring slices of the image seen as
(n, h, w / unit, unit * channels), and each copy moves whole contiguous runs.

`lax.optimization_barrier` keeps XLA from fusing two copies into one with tangled indices, which is 3 times slower.
"""

import functools
import operator
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.kernels.product import outer

__all__ = ["PatchGrid", "convolve", "cut", "filter_gradient", "input_gradient", "patch_bytes"]

type Pair = tuple[int, ...]


class PatchGrid(NamedTuple):
    """How an image is cut into patches; all sizes in pixels but `blocks` and `units`.

    Attributes:
        window: (kh, kw) of the kernel.
        strides: (sh, sw).
        borders: zeros (low, high) of each axis.
        image: (h, w) before padding.
        output: (oh, ow).
        columns: outputs of a row that share a patch.
        blocks: patches a row, ceil(ow / columns).
        units: width of a patch in units of `columns * sw` pixels.
    """

    window: Pair
    strides: Pair
    borders: tuple[Pair, ...]
    image: Pair
    output: Pair
    columns: int
    blocks: int
    units: int

    @property
    def unit(self) -> int:
        """Pixels from one block to the next."""
        return self.columns * self.strides[1]

    @property
    def size(self) -> int:
        """Pixels of one patch."""
        return self.window[0] * self.units * self.unit

    @property
    def padding(self) -> tuple[tuple[int, int, int], ...]:
        """What `lax.pad` adds to (n, h, w, c) so that the patches tile it; negative where pixels are left over."""
        (top, _), (left, _) = self.borders
        rows = (self.output[0] - 1) * self.strides[0] + self.window[0]
        columns = (self.blocks - 1 + self.units) * self.unit
        return (0, 0, 0), (top, rows - top - self.image[0], 0), (left, columns - left - self.image[1], 0), (0, 0, 0)


def cut(
    image: Pair,
    window: Pair,
    strides: Pair,
    borders: tuple[Pair, ...],
    columns: int,
) -> PatchGrid:
    """The grid of patches for a convolution with `columns` outputs a patch."""
    oh, ow = (
        (size + low + high - k) // s + 1
        for size, (low, high), k, s in zip(image, borders, window, strides, strict=True)
    )
    units = -(-((columns - 1) * strides[1] + window[1]) // (columns * strides[1]))
    return PatchGrid(window, strides, borders, image, (oh, ow), columns, -(-ow // columns), units)


def convolve(x: jax.Array, kernel: jax.Array, at: PatchGrid) -> jax.Array:
    """`conv2d(x, kernel)`: (n, h, w, c) and (kh, kw, c, features) to (n, oh, ow, features)."""
    (oh, ow), features = at.output, kernel.shape[-1]
    y = (_patches(x, at) @ _banded(kernel, at)).reshape(x.shape[0], oh, at.blocks * at.columns, features)
    return y[:, :, :ow]


def input_gradient(dy: jax.Array, kernel: jax.Array, at: PatchGrid) -> jax.Array:
    """The cotangent of `x`, for `dy` (n, oh, ow, features): every patch adds what its outputs send back."""
    n, (kh, _), (oh, _), sh = dy.shape[0], at.window, at.output, at.strides[0]
    patches = _rows(dy, at) @ _banded(kernel, at).T
    rows = patches.reshape(n, oh, at.blocks, kh, -1)
    height = (oh - 1) * sh + kh
    summed = _total(_pad(rows[:, :, :, i], 1, i, height - i - (oh - 1) * sh - 1, sh - 1) for i in range(kh))
    units = lax.optimization_barrier(summed).reshape(n, height, at.blocks, at.units, -1)
    padded = _total(_pad(units[:, :, :, q], 2, q, at.units - 1 - q, 0) for q in range(at.units))
    padded = padded.reshape(n, height, -1, kernel.shape[-2])
    back = [(-low, -high, 0) for low, high, _ in at.padding]
    return lax.pad(padded, jnp.zeros((), dy.dtype), back)


def filter_gradient(x: jax.Array, dy: jax.Array, at: PatchGrid) -> jax.Array:
    """The cotangent of the kernel: patches and cotangents multiplied, summed along the bands."""
    (kh, kw), sw = at.window, at.strides[1]
    patches, cotangent = _patches(x, at), _rows(dy, at)
    banded = outer(patches, cotangent).reshape(kh, at.units * at.unit, x.shape[-1], at.columns, dy.shape[-1])
    return _total(banded[:, b * sw : b * sw + kw, :, b] for b in range(at.columns))


def _patches(x: jax.Array, at: PatchGrid) -> jax.Array:
    """(n * oh * blocks, kh * units * unit * channels): row by row what each block of outputs sees."""
    n, c, (kh, _), (oh, _), sh = x.shape[0], x.shape[-1], at.window, at.output, at.strides[0]
    x = lax.pad(x, jnp.zeros((), x.dtype), at.padding)
    x = lax.optimization_barrier(x).reshape(n, x.shape[1], -1, at.unit * c)
    wide = jnp.stack([x[:, :, q : q + at.blocks] for q in range(at.units)], axis=3)
    wide = lax.optimization_barrier(wide.reshape(*wide.shape[:3], -1))
    tall = jnp.stack([wide[:, i : i + (oh - 1) * sh + 1 : sh] for i in range(kh)], axis=3)
    return lax.optimization_barrier(tall).reshape(-1, at.size * c)


def _banded(kernel: jax.Array, at: PatchGrid) -> jax.Array:
    """(kh * units * unit * channels, columns * features): the kernel once for each output of a block, shifted."""
    (_, kw), sw = at.window, at.strides[1]
    width = at.units * at.unit
    shifted = [_pad(kernel, 1, b * sw, width - b * sw - kw, 0) for b in range(at.columns)]
    return jnp.stack(shifted, axis=3).reshape(-1, at.columns * kernel.shape[-1])


def _rows(dy: jax.Array, at: PatchGrid) -> jax.Array:
    """(n * oh * blocks, columns * features): a cotangent in the order of the patches."""
    spare = at.blocks * at.columns - at.output[1]
    dy = _pad(dy, 2, 0, spare, 0) if spare else dy
    return dy.reshape(-1, at.columns * dy.shape[-1])


def _total(terms: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, terms)


def _pad(x: jax.Array, axis: int, low: int, high: int, between: int) -> jax.Array:
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (low, high, between)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def patch_bytes(n: int, channels: int, itemsize: int, at: PatchGrid) -> int:
    """Memory of the patches of `n` images."""
    return n * at.output[0] * at.blocks * at.size * channels * itemsize
