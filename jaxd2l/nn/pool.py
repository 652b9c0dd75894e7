"""Pooling over windows (D2L sec_pooling), as a few whole-array operations on slices.

Each place of the window is one strided slice of `x`; the pool is the maximum or the mean over these slices. So the
gradient of the maximum needs no select-and-scatter, which is slow on CPU and not deterministic on GPU.

The derivative is written over the same slices cut another way: `x` is first dealt out by its position within a stride
(its *phase*), then each slice is a contiguous window of one phase. Turned around, that is one small sum a phase and
one interleaving of the phases, where the gradient of strided slices would be a full-size addition for each.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxd2l.nn.kernels.precision import widened
from jaxd2l.nn.kernels.tracing import by_platform, is_plain, materialised
from jaxd2l.nn.kernels.window import Padding, Sizes, output_size, pads, sizes

__all__ = ["avg_pool", "global_avg_pool", "max_pool"]


def max_pool(x: jax.Array, window: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> jax.Array:
    """Largest value in each window, channel by channel; among equals the first pixel gets the gradient.

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
    at = _windows(x, window, stride, padding)
    return _plain(x, at, -jnp.inf, lax.max) if is_plain() else _largest(x, at)


def avg_pool(x: jax.Array, window: Sizes, *, stride: Sizes | None = None, padding: Padding = 0) -> jax.Array:
    """Mean of each window, channel by channel, counting the zeros of the padding as PyTorch does.

    16-bit floats are summed in float32 and rounded once.
    Arguments, result and errors are those of `max_pool`, with padding of 0.
    """
    return _mean(widened(x), _windows(x, window, stride, padding)).astype(x.dtype)


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Mean over all spatial axes: (n, *space, channels) to (n, channels), whatever the size of the image."""
    _check(x)
    return jnp.mean(widened(x), axis=tuple(range(1, x.ndim - 1))).astype(x.dtype)


class _Windows(NamedTuple):
    window: tuple[int, ...]
    strides: tuple[int, ...]
    borders: tuple[tuple[int, int], ...]
    output: tuple[int, ...]


def _check(x: jax.Array) -> None:
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"pooling takes x of shape (n, *space, channels) with 1 to 3 spatial axes, got {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"pooling takes a floating-point array, got {x.dtype}: convert it first")
    if 0 in x.shape[1:-1]:
        raise ValueError(f"pooling takes images of at least one pixel, got {x.shape}")


def _windows(x: jax.Array, window: Sizes, stride: Sizes | None, padding: Padding) -> _Windows:
    _check(x)
    rank = x.ndim - 2
    shape = sizes("window", window, rank)
    strides = shape if stride is None else sizes("stride", stride, rank)
    borders = pads(padding, rank)
    if any(2 * max(pair) > size for pair, size in zip(borders, shape, strict=True)):
        raise ValueError(
            f"padding must be at most half the window {shape}, got {padding}: a window would hold no pixel"
        )
    return _Windows(shape, strides, borders, output_size(x.shape[1:-1], shape, strides, borders, (1,) * rank))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _largest(x: jax.Array, at: _Windows) -> jax.Array:
    return materialised(functools.reduce(jnp.maximum, _slices(x, at, -jnp.inf)))


@_largest.defjvp
def _largest_jvp(at: _Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    largest = _largest(primals[0], at)
    # sought at once: a byte a window waits for the backward pass, not the pixels
    largest, first = materialised((largest, _first_maximum(primals[0], largest, at)))
    dy = widened(tangents[0])  # a pixel may be the maximum of many windows, whose cotangents are summed
    if set(at.strides) == {1}:
        deal = functools.partial(_deal, at, primals[0].shape, first)
        return largest, jax.linear_transpose(deal, widened(largest))(dy)[0].astype(largest.dtype)
    moved = enumerate(_phase_slices(dy, at))
    total = _total(jnp.where(first == place, part, jnp.zeros_like(part)) for place, part in moved)
    return largest, materialised(total).astype(largest.dtype)


def _first_maximum(x: jax.Array, largest: jax.Array, at: _Windows) -> jax.Array:
    """Place in the window of its first maximum, which is a pixel.

    -inf is sought as the lowest finite number, which no padding equals: a window of nothing else keeps the place that
    it starts with, that of its first pixel.
    """
    padded = any(pair != (0, 0) for pair in at.borders)
    parts, sought = _slices(x, at, -jnp.inf), jnp.maximum(largest, jnp.finfo(x.dtype).min) if padded else largest
    first = _first_pixel(largest.shape, at, jnp.int32 if len(parts) > 255 else jnp.uint8)
    for place in reversed(range(len(parts))):
        first = jnp.where(parts[place] == sought, jnp.full_like(first, place), first)
    return first


def _first_pixel(shape: tuple[int, ...], at: _Windows, dtype: Any) -> jax.Array:
    """Place of the first pixel of the image in each window, (n, *output, channels)."""
    place = jnp.zeros(shape, dtype)
    for axis, ((low, _), stride) in enumerate(zip(at.borders, at.strides, strict=True)):
        step = math.prod(at.window[axis + 1 :])
        for outside in range(1, low + 1):  # windows that begin so many pixels before the image
            number = lax.broadcasted_iota(jnp.int32, shape, axis + 1)
            begins = (low - outside) // stride if (low - outside) % stride == 0 else -1
            place = jnp.where(number == begins, place + jnp.asarray(step * outside, dtype), place)
    return place


def _deal(at: _Windows, shape: tuple[int, ...], first: jax.Array, dy: jax.Array) -> jax.Array:
    """The cotangent of `x` where every stride is 1: a pixel asks each window above it whether it was the maximum.

    `first` and `dy` get a border beforehand, so that the sum is over plain slices and no pixel is a special case.
    """
    border = [(0, 0, 0), *((k - 1, k - 1, 0) for k in at.window), (0, 0, 0)]
    nowhere = jnp.asarray(math.prod(at.window), first.dtype)
    first = materialised(lax.pad(first, nowhere, border))
    dy = materialised(lax.pad(dy, jnp.zeros((), dy.dtype), border))
    padded = [o + k - 1 for o, k in zip(at.output, at.window, strict=True)]

    def received(place: int, offsets: tuple[int, ...]) -> jax.Array:
        start = [k - 1 - offset for k, offset in zip(at.window, offsets, strict=True)]
        end = [s + size for s, size in zip(start, padded, strict=True)]
        at_place, sent = (lax.slice(a, (0, *start, 0), (a.shape[0], *end, a.shape[-1])) for a in (first, dy))
        return jnp.where(at_place == place, sent, jnp.zeros_like(sent))

    dx = materialised(_total(itertools.starmap(received, enumerate(itertools.product(*map(range, at.window))))))
    inside = [slice(low, low + size) for (low, _), size in zip(at.borders, shape[1:-1], strict=True)]
    return dx[:, *inside]


def _plain(x: jax.Array, at: _Windows, start: float, combine: Callable[[Any, Any], Any]) -> jax.Array:
    """The pool as JAX's own operation, for a plain program (`kernels.tracing`)."""
    over, steps = (1, *at.window, 1), (1, *at.strides, 1)
    # a number, since JAX knows a maximum and a sum by where they start
    pooled: jax.Array = lax.reduce_window(
        x, np.asarray(start, x.dtype), combine, over, steps, ((0, 0), *at.borders, (0, 0))
    )
    return pooled


def _mean(x: jax.Array, at: _Windows) -> jax.Array:
    if is_plain():
        return _plain(x, at, 0.0, lax.add) / math.prod(at.window)
    whole = x.shape[1:-1] == tuple(map(math.prod, zip(at.window, at.output, strict=True)))
    tiled = whole and at.window == at.strides and not any(map(any, at.borders))  # borders move windows off the image
    windows = functools.partial(_sum_windows, at=at)
    on_cpu = functools.partial(_sum_tiles, at=at) if tiled else windows
    return by_platform(x, cpu=on_cpu, default=windows) / math.prod(at.window)


def _sum_tiles(x: jax.Array, at: _Windows) -> jax.Array:
    """Windows that tile the image: one axis after the other, so that the first sums run over whole rows."""
    lead, rest = x.shape[0], math.prod(x.shape[1:])
    for axis, (k, o) in enumerate(zip(at.window, at.output, strict=True)):
        lead, rest = lead * o, rest // (k * o)
        cells = x.reshape(lead, k, rest)
        cells = lax.optimization_barrier(cells) if axis else cells
        x = lax.optimization_barrier(_total(cells[:, i] for i in range(k)))
    return x.reshape(lead // math.prod(at.output), *at.output, rest)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _sum_windows(x: jax.Array, at: _Windows) -> jax.Array:
    return _total(_slices(x, at, 0.0))


@_sum_windows.defjvp
def _sum_windows_jvp(
    at: _Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return _sum_windows(primals[0], at), _total(_phase_slices(tangents[0], at))


def _slices(x: jax.Array, at: _Windows, border: float) -> list[jax.Array]:
    """The strided slice of padded `x` under each place of the window, in reading order."""
    x = jnp.pad(x, ((0, 0), *at.borders, (0, 0)), constant_values=border)
    found = []
    for place in itertools.product(*map(range, at.window)):
        last = tuple(p + s * (o - 1) + 1 for p, s, o in zip(place, at.strides, at.output, strict=True))
        found.append(lax.slice(x, (0, *place, 0), (x.shape[0], *last, x.shape[-1]), (1, *at.strides, 1)))
    return found


def _phase_slices(x: jax.Array, at: _Windows) -> list[jax.Array]:
    """The slices of `_slices` with a border of 0, cut from the phases of `x`; linear, and fast turned around."""
    tiles = [o - 1 + -(-k // s) for o, k, s in zip(at.output, at.window, at.strides, strict=True)]
    config = [
        (low, q * s - size - low, 0)
        for (low, _), q, s, size in zip(at.borders, tiles, at.strides, x.shape[1:-1], strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *config, (0, 0, 0)])
    x = x.reshape(x.shape[0], *itertools.chain.from_iterable(zip(tiles, at.strides, strict=True)), x.shape[-1])
    phases = [x]
    for axis, stride in enumerate(at.strides):
        phases = [part for phase in phases for part in lax.split(phase, (1,) * stride, axis=2 * axis + 2)]
    phases = [materialised(phase) for phase in phases]
    phase_of = dict(zip(itertools.product(*map(range, at.strides)), phases, strict=True))
    found = []
    for place in itertools.product(*map(range, at.window)):
        phase = phase_of[tuple(p % s for p, s in zip(place, at.strides, strict=True))]
        phase = phase.reshape(x.shape[0], *tiles, x.shape[-1])
        first = [p // s for p, s in zip(place, at.strides, strict=True)]
        last = [f + o for f, o in zip(first, at.output, strict=True)]
        found.append(lax.slice(phase, (0, *first, 0), (x.shape[0], *last, x.shape[-1])))
    return found


def _total(terms: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, terms)
