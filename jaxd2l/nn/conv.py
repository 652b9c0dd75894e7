"""Convolution as networks mean it, that is cross-correlation (PyTorch's `conv1d`, `conv2d`, `conv3d`).

Source: D2L sec_conv_layer, sec_padding, sec_channels.

Channels come last: `x` is (n, *space, channels) and a kernel is (*window, channels / groups, features).
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.nn.init import BiasRule, Initializer, torch_bias, xavier_uniform
from jaxd2l.nn.kernels import plan as conv_plan
from jaxd2l.nn.kernels.precision import widened
from jaxd2l.nn.kernels.shards import on_own_rows
from jaxd2l.nn.kernels.tracing import barrier, by_platform, is_plain
from jaxd2l.nn.kernels.window import Padding, Sizes, axes_of, output_size, pads, sizes, whole_number
from jaxd2l.nn.parameters import kernel_and_bias
from jaxd2l.wording import counted

__all__ = ["Conv", "conv1d", "conv2d", "conv3d"]

_SPACE = {1: "W", 2: "HW", 3: "DHW"}


def conv1d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> jax.Array:
    """`conv2d` over one spatial axis: `x` (n, w, c), `kernel` (kw, c / groups, features)."""
    return _rounded(_convolve(1, x, kernel, stride, padding, dilation, groups), x, kernel)


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> jax.Array:
    """Slide `kernel` over `x` and take the sum of products at each place.

    Args:
        x: (n, h, w, c), floating point.
        kernel: (kh, kw, c / groups, features).
        stride: step of the window in pixels, one for all axes or one for each.
        padding: zeros added on both sides of each axis, or a (low, high) pair for each axis, in pixels.
        dilation: distance between neighbouring taps of the kernel, in pixels.
        groups: features are split into this many blocks, each seeing its own block of channels.

    Returns:
        (n, floor((h + 2 p - d (kh - 1) - 1) / s) + 1, likewise for w, features), in the promoted dtype; 16-bit floats
        are summed in float32 and rounded once.

    Raises:
        ValueError: a rank, a channel count or a setting does not fit, or the window is larger than the padded input.
    """
    return _rounded(_convolve(2, x, kernel, stride, padding, dilation, groups), x, kernel)


def conv3d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> jax.Array:
    """`conv2d` over three spatial axes: `x` (n, d, h, w, c), `kernel` (kd, kh, kw, c / groups, features)."""
    return _rounded(_convolve(3, x, kernel, stride, padding, dilation, groups), x, kernel)


def _convolve(
    rank: int, x: jax.Array, kernel: jax.Array, stride: Sizes, padding: Padding, dilation: Sizes, groups: int
) -> jax.Array:
    """Check everything at the door, then convolve over the `rank` spatial axes: sums in at least float32."""
    space = _SPACE[rank]
    if x.ndim != rank + 2 or kernel.ndim != rank + 2:
        raise ValueError(
            f"conv{rank}d takes x of {rank + 2} axes (N{space}C) and a kernel of {rank + 2} ({space}IO), "
            f"got shapes {x.shape} and {kernel.shape}"
        )
    if not (jnp.issubdtype(x.dtype, jnp.floating) and jnp.issubdtype(kernel.dtype, jnp.floating)):
        raise ValueError(
            f"conv{rank}d takes floating-point arrays, got {x.dtype} and {kernel.dtype}: convert them first"
        )
    channels, features, blocks = x.shape[-1], kernel.shape[-1], whole_number(groups)
    if blocks is None or blocks < 1 or channels % blocks or features % blocks:
        raise ValueError(
            f"groups must divide the {counted(channels, 'channel')} and the {counted(features, 'feature')}, got "
            f"{groups}"
        )
    groups = blocks
    if channels != kernel.shape[-2] * groups:
        raise ValueError(
            f"x has {counted(channels, 'channel')} (its last axis) but the kernel takes {kernel.shape[-2]} in each of "
            f"{counted(groups, 'group')}: shapes {x.shape} and {kernel.shape}; is x channels-first?"
        )
    strides, dilations, borders = sizes("stride", stride, rank), sizes("dilation", dilation, rank), pads(padding, rank)
    output_size(x.shape[1:-1], kernel.shape[:rank], strides, borders, dilations)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    x, kernel = x.astype(dtype), kernel.astype(dtype)
    planned = groups == 1 and set(dilations) == {1} and x.size > 0 and kernel.size > 0 and not is_plain()
    if planned and rank == 1:
        at = conv_plan.Geometry((1, *strides), ((0, 0), *borders))
        return conv_plan.convolve(x[:, None], kernel[None], at)[:, 0]
    if planned and rank == 2:
        return conv_plan.convolve(x, kernel, conv_plan.Geometry(strides, borders))
    plain = functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=borders,
        rhs_dilation=dilations,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
    )
    wide = functools.partial(_convolve_volume, strides=strides, borders=borders) if planned else plain

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        if not planned and jnp.promote_types(dtype, jnp.float32) == dtype:
            return plain(x, kernel)
        return by_platform(
            x,
            kernel,
            cpu=lambda x, kernel: wide(widened(x), widened(kernel)),
            default=lambda x, kernel: widened(plain(x, kernel)),  # the vendors' kernels sum in float32 themselves
        )

    return product(x, kernel) if planned else on_own_rows(product, x.shape[0])(x, kernel)


def _rounded(y: jax.Array, *arguments: jax.Array) -> jax.Array:
    """The sums `y` in the dtype that `arguments` promote to; behind a barrier, or the wide ones would be kept too."""
    dtype = functools.reduce(jnp.promote_types, (a.dtype for a in arguments))
    return y if y.dtype == dtype else barrier(y.astype(dtype))


def _convolve_volume(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], borders: tuple[tuple[int, ...], ...]
) -> jax.Array:
    """A 3-D convolution as the sum of one 2-D convolution for each depth of the kernel.

    In a compiled loop on CPU, XLA's gradients of a 3-D convolution are naive loops, 10 times slower.
    """
    (n, _, *_), depth = x.shape, kernel.shape[0]
    x = jnp.pad(x, ((0, 0), borders[0], (0, 0), (0, 0), (0, 0)))
    planes = (x.shape[1] - depth) // strides[0] + 1
    at = conv_plan.Geometry(strides[1:], borders[1:])

    def seen(i: int) -> jax.Array:
        return lax.slice_in_dim(x, i, i + (planes - 1) * strides[0] + 1, strides[0], axis=1)

    parts = [conv_plan.convolve(seen(i).reshape(n * planes, *x.shape[2:]), kernel[i], at) for i in range(depth)]
    return functools.reduce(jnp.add, parts).reshape(n, planes, *parts[0].shape[1:])


class Conv(nn.Module):
    """`conv1d`, `conv2d` or `conv3d`, by the rank of its input, plus a bias for each feature.

    Parameters: `kernel` (*kernel_size, channels / groups, features) and `bias` (features,), in the dtype of the `x`
    the layer is initialised with.

    Attributes:
        features: channels of the output.
        kernel_size: of the window in pixels, one size for all axes or one for each.
        stride, padding, dilation, groups: as in `conv2d`.
        use_bias: whether a bias is added.
        kernel_init: draws the kernel.
        bias_init: draws the bias: an initialiser, or a rule that takes the inputs one output sees and gives one.
    """

    features: int
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Padding = 0
    dilation: Sizes = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = xavier_uniform
    bias_init: BiasRule | Initializer = torch_bias

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (n, *space, channels) to (n, *smaller space, features).

        Raises:
            ValueError: the rank of x, the groups or a setting do not fit, or the stored kernel takes other channels.
        """
        rank = x.ndim - 2 if (axes := axes_of(self.kernel_size)) is None else axes
        if rank not in _SPACE or x.ndim != rank + 2:
            kind = f"{rank}-D Conv" if rank in _SPACE else "Conv"
            shape = f"{rank + 2} axes (N{_SPACE[rank]}C)" if rank in _SPACE else "3, 4 or 5 axes (NWC, NHWC, NDHWC)"
            raise ValueError(f"a {kind} takes x of {shape}, got shape {x.shape} and kernel_size {self.kernel_size}")
        if (groups := whole_number(self.groups)) is None or groups < 1 or x.shape[-1] % groups:
            raise ValueError(f"groups must divide the {counted(x.shape[-1], 'channel')}, got {self.groups}")
        window, channels = sizes("kernel_size", self.kernel_size, rank), x.shape[-1] // groups
        kernel, bias = kernel_and_bias(self, (*window, channels, self.features), x)
        y = _convolve(rank, x, kernel, self.stride, self.padding, self.dilation, self.groups)
        if bias is None:
            return _rounded(y, x, kernel)
        y = by_platform(y, widened(bias), cpu=_add_bias_to_rows, default=_add_bias)
        return _rounded(y, x, kernel, bias)


def _add_bias(y: jax.Array, bias: jax.Array) -> jax.Array:
    return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


def _add_bias_to_rows(y: jax.Array, bias: jax.Array) -> jax.Array:
    """The same, row by row: with few features, XLA's code on CPU is slow over the last axis alone."""
    rows = y.reshape(math.prod(y.shape[:-2]), y.shape[-2] * y.shape[-1])
    return (rows + lax.optimization_barrier(jnp.tile(bias, y.shape[-2]))[None]).reshape(y.shape)
