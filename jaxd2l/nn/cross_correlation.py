"""Cross-correlation written out: slide a kernel, multiply, sum. To read, not to train with.

Source: D2L sec_conv_layer, sec_channels.

`corr1d`, `corr2d`, `corr3d` are the definition, one window at a time. `corr_channels` adds channels, stride, padding,
dilation and groups, one tap of the kernel at a time, and is the oracle that the fast convolutions are tested against.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxd2l.nn.kernels.precision import rounded, widened


def corr1d(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """(n,) and (k,) to (n - k + 1,): entry i is sum(x[i : i + k] * kernel)."""
    return _corr(x, kernel, 1)


def corr2d(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """(h, w) and (kh, kw) to (h - kh + 1, w - kw + 1): the sum of products of each window with the kernel.

    Raises:
        ValueError: the ranks are not 2, or the kernel is larger than x.
    """
    return _corr(x, kernel, 2)


def corr3d(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`corr2d` with a depth axis in front: a video's frames or a volume's slices."""
    return _corr(x, kernel, 3)


def convolve2d(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolution in the mathematical sense: `corr2d` with the kernel turned by 180 degrees.

    A network that learns its kernel cannot tell the two apart, so deep learning calls both convolution.
    """
    return corr2d(x, kernel[::-1, ::-1])


def corr_channels(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation with channels, in as many dimensions as `stride` has entries.

    Each tap of the kernel is a matrix (in / groups, out); it maps every pixel that the tap sees, and the taps add up.

    Args:
        x: (n, *space, in).
        kernel: (*window, in / groups, out).
        stride: step between windows, in pixels, per axis.
        padding: zeros on both sides, in pixels, per axis.
        dilation: distance between taps, in pixels, per axis.
        groups: the features of block g see only the channels of block g.

    Returns:
        (n, *places, out), floor((size + 2 padding - dilation (k - 1) - 1) / stride) + 1 places along each axis.
    """
    rank, window, dtype = len(stride), kernel.shape[:-2], jnp.result_type(x, kernel)
    x, kernel = widened(x), widened(kernel)
    x = jnp.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)])
    places = [
        (size - d * (k - 1) - 1) // s + 1 for size, k, s, d in zip(x.shape[1:-1], window, stride, dilation, strict=True)
    ]
    x_blocks, kernel_blocks = jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1)
    features = []
    for block, weights in zip(x_blocks, kernel_blocks, strict=True):
        total = jnp.zeros((x.shape[0], *places, weights.shape[-1]), jnp.result_type(x, kernel))
        for tap in itertools.product(*map(range, window)):
            seen = tuple(
                slice(tap[a] * dilation[a], tap[a] * dilation[a] + stride[a] * (places[a] - 1) + 1, stride[a])
                for a in range(rank)
            )
            total = total + block[(slice(None), *seen)] @ weights[tap]
        features.append(total)
    return rounded(jnp.concatenate(features, axis=-1), dtype)


def _corr(x: jax.Array, kernel: jax.Array, rank: int) -> jax.Array:
    if x.ndim != rank or kernel.ndim != rank:
        raise ValueError(f"corr{rank}d takes x and kernel of {rank} axes, no channels; got {x.shape}, {kernel.shape}")
    if any(k > size for k, size in zip(kernel.shape, x.shape, strict=True)):
        raise ValueError(f"the kernel {kernel.shape} is larger than x {x.shape}: no window fits")
    places = tuple(size - k + 1 for size, k in zip(x.shape, kernel.shape, strict=True))
    dtype, x, kernel = jnp.result_type(x, kernel), widened(x), widened(kernel)
    windows = [
        jnp.sum(x[tuple(slice(p, p + k) for p, k in zip(place, kernel.shape, strict=True))] * kernel)
        for place in itertools.product(*map(range, places))
    ]
    return rounded(jnp.stack(windows).reshape(places), dtype)
