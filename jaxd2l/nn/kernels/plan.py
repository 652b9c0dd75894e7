"""Which way a 2-D convolution and its two gradients are computed: the choice by platform and shape, in one place.

GPU and TPU: XLA's own convolution, which picks among the vendor's kernels. CPU: the table in `plan`, whose figures are
measured by `benchmarks/layers.py --all-ways`. The platform is that of the lowering (`lax.platform_dependent`), so one
traced program serves several. A plain program (`tracing`) is that of the GPU.
"""

import math

import jax
import jax.numpy as jnp

from jaxd2l.nn.kernels import winograd
from jaxd2l.nn.kernels.bilinear import bilinear
from jaxd2l.nn.kernels.precision import widened, widened_again
from jaxd2l.nn.kernels.shards import gradients_on_own_rows, on_own_rows
from jaxd2l.nn.kernels.tracing import by_platform
from jaxd2l.nn.kernels.ways import Geometry, Pair, Shape, Ways, minimal, patched, plain, pointwise, routine

__all__ = ["Geometry", "convolve", "plan"]

SMALL_IMAGE = 1024  # pixels up to which the patches of a batch stay in memory from the forward to the backward pass
THIN = 16  # channels and features up to which a convolution routine has too little to fill its vector registers with
PRODUCT_WIDTH = 32  # columns of a matrix product up to which another output shares a patch: wider gains nothing more
MOST_COLUMNS = 4  # outputs that share a patch at most: the work grows by (columns + kw - 1) / kw
WIDE = 64  # features from which a product over patches of one output is wide enough
FAR = 128  # entries under the window for a pixel from which reordering the kernel, once a call, costs the routine most
TILED = 40, 20  # multiply-adds for each number of Winograd's transforms that pay for these: of an image, of a kernel
FEWER = 0.65  # share of a convolution's products from which Winograd's are no longer worth their transforms


def plan(shape: Shape, *, exact: bool = False) -> Ways:
    """The fastest known way on CPU; where `exact`, without Winograd's transforms.

    | shape | way | because |
    |---|---|---|
    | 1x1 without a border | a matrix product | it is one |
    | few channels in and out, small images (LeNet) | patches of several outputs, all three | made once, kept for all |
    | kernel far larger than the image (3x3x512 on 3x3) | patches | the routine reorders the kernel at each call |
    | window larger than the image (5x5 on 3x3) | patches | XLA has only naive loops for it |
    | strides, both gradients | patches | the routine would multiply mostly zeros |
    | 3x3, 5x5 of many channels and features (VGG, ResNet) | Winograd's tiles | less than half the products |
    | filter gradient of few channels, or to many features | patches | wide enough for a product |
    | everything else | the routine | fastest of those tried |
    """
    image, window, channels, features, at = shape
    if window == (1, 1) and at.borders == ((0, 0), (0, 0)):
        return pointwise(shape)
    strided, taps, output = at.strides != (1, 1), math.prod(window), shape.output
    thin = not strided and max(channels, features) <= THIN
    columns = _columns(features) if thin else 1
    if thin and math.prod(image) <= SMALL_IMAGE:
        return patched(shape, columns)
    single, direct = patched(shape, 1), routine(shape)
    forward = _exceeds(window, image) or (taps * channels > FAR * math.prod(output) and features >= WIDE)
    back = strided or _exceeds(window, output) or (taps * features > FAR * math.prod(image) and channels >= WIDE)
    to_kernel = strided or channels <= THIN or features >= WIDE
    shared = forward and columns == 1  # the patches are those of the forward pass
    ways = Ways(
        (single if forward else direct).forward,
        (single if back else direct).input_gradient,
        ((single if shared else patched(shape, columns, kept=False)) if to_kernel else direct).filter_gradient,
    )
    if exact or strided or window not in winograd.WINDOWS:
        return ways
    tiled, rich = minimal(shape), channels * features / (channels + features)
    to_image, of_kernel = (rich >= least for least in TILED)
    return Ways(
        tiled.forward if to_image and not forward and _tiles_well(output, window) else ways.forward,
        tiled.input_gradient if to_image and not back and _tiles_well(image, window) else ways.input_gradient,
        tiled.filter_gradient if of_kernel and not shared and _tiles_well(output, window) else ways.filter_gradient,
    )


def _tiles_well(output: Pair, window: Pair) -> bool:
    """Whether little of Winograd's tiles lies beyond the outputs."""
    return winograd.num_products(output, window) <= FEWER * math.prod(window) * math.prod(output)


def _columns(features: int) -> int:
    """How many outputs share a patch, so that the product is about `PRODUCT_WIDTH` wide."""
    return next((b for b in (MOST_COLUMNS, 2) if b * features <= PRODUCT_WIDTH), 1)


def _exceeds(window: Pair, image: Pair) -> bool:
    return any(k > size for k, size in zip(window, image, strict=True))


def convolve(x: jax.Array, kernel: jax.Array, at: Geometry) -> jax.Array:
    """`conv2d` of (n, h, w, c) and (kh, kw, c, features) of one dtype; differentiable in both modes, to any order.

    16-bit floats give the float32 sums, for the caller to round. On CPU all of it is computed in float32; the vendors'
    kernels take 16 bits and sum in float32 themselves, so there the cotangent gets back the 16 bits it came from.
    """
    dtype, shape = x.dtype, Shape(x.shape[1:3], kernel.shape[:2], kernel.shape[2], kernel.shape[3], at)
    here, elsewhere = plan(shape, exact=dtype == jnp.float64), plain(shape)

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return by_platform(
            x,
            kernel,
            cpu=lambda x, kernel: here.forward(widened(x), widened(kernel)),
            default=lambda x, kernel: widened(elsewhere.forward(x, kernel)),
        )

    def input_gradient(kernel: jax.Array, dy: jax.Array) -> jax.Array:
        return by_platform(
            kernel,
            dy,
            cpu=lambda kernel, dy: here.input_gradient(widened(kernel), dy).astype(dtype),
            default=lambda kernel, dy: elsewhere.input_gradient(kernel, dy.astype(dtype)),
        )

    def filter_gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        return by_platform(
            x,
            dy,
            cpu=lambda x, dy: here.filter_gradient(widened_again(x), dy).astype(dtype),
            default=lambda x, dy: elsewhere.filter_gradient(x, dy.astype(dtype)),
        )

    rows = x.shape[0]
    transposes = gradients_on_own_rows(input_gradient, filter_gradient, rows)
    return bilinear(on_own_rows(product, rows), *transposes)(x, kernel)
