"""Day 11 to 13: from dense weights to a convolution, kernels, padding, stride, channels, pooling."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import at_most, within
from jaxd2l.nn import (
    avg_pool,
    conv1d,
    conv2d,
    conv3d,
    convolve2d,
    corr1d,
    corr2d,
    corr3d,
    dense,
    max_pool,
    squared_error,
)

EDGE = ((1.0, -1.0),)


def _bars() -> jax.Array:
    """Six rows of white, black and white: (6, 8)."""
    return jnp.ones((6, 8)).at[:, 2:6].set(0.0)


def _image(x: jax.Array) -> jax.Array:
    return x[None, :, :, None]


def _single(y: jax.Array) -> jax.Array:
    return y[0, :, :, 0]


@cache
def _weights() -> tuple[jax.Array, jax.Array]:
    """The derivative of output [i, j] by input [k, l], for a 2x3 convolution of a 4x5 image, and its kernel."""
    kernel = jnp.arange(1.0, 7.0).reshape(2, 3)
    jacobian = jax.jacobian(lambda x: _single(conv2d(_image(x), kernel[:, :, None, None])))(jnp.zeros((4, 5)))
    return jacobian, kernel


def _fully_connected() -> float:
    """How far the 4-D tensor times the image is from the convolution."""
    weights, kernel = _weights()
    x = jnp.arange(20.0).reshape(4, 5)
    return jnp.abs(jnp.einsum("ijkl,kl->ij", weights, x) - corr2d(x, kernel)).max().item()


def _translation() -> float:
    """Largest difference between w[i, j, i + a, j + b] and the kernel's [a, b], over all i, j."""
    weights, kernel = _weights()
    places = [weights[i, j, i : i + 2, j : j + 3] for i in range(3) for j in range(3)]
    return max(jnp.abs(place - kernel).max().item() for place in places)


def _locality() -> int:
    weights, kernel = _weights()
    return int((weights != 0).sum()) - kernel.size * weights.shape[0] * weights.shape[1]


def _equivariance() -> float:
    x, kernel = jax.random.normal(jax.random.key(0), (9, 9)), jnp.arange(9.0).reshape(3, 3)
    moved = corr2d(jnp.roll(x, 2, axis=1), kernel)
    return jnp.abs(moved[:, 2:] - corr2d(x, kernel)[:, :-2]).max().item()


def _learned() -> jax.Array:
    """The kernel after ten steps of gradient descent, rate .03, from the start that PyTorch's draws have."""
    x, y = _bars(), corr2d(_bars(), jnp.array(EDGE))

    def loss(kernel: jax.Array) -> jax.Array:
        predicted = _single(conv2d(_image(x), kernel))
        return 2 * jnp.sum(squared_error(predicted, y))

    start = jax.random.uniform(jax.random.key(0), (1, 2, 1, 1), minval=-(0.5**0.5), maxval=0.5**0.5)
    return jax.jit(lambda k: lax.fori_loop(0, 10, lambda _, k: k - 0.03 * jax.grad(loss)(k), k))(start)[0, :, 0, 0]


def _dimensions() -> list[float]:
    x1, k1 = jnp.arange(7.0), jnp.array([2.0, -3.0, 5.0])
    x3, k3 = jnp.arange(60.0).reshape(3, 4, 5), jnp.arange(8.0).reshape(2, 2, 2)
    one = conv1d(x1[None, :, None], k1[:, None, None])[0, :, 0] - corr1d(x1, k1)
    three = conv3d(x3[None, ..., None], k3[..., None, None])[0, ..., 0] - corr3d(x3, k3)
    return [jnp.abs(one).max().item(), jnp.abs(three).max().item()]


def _turned() -> bool:
    x, kernel = jnp.arange(20.0).reshape(4, 5), jnp.arange(6.0).reshape(2, 3)
    return bool(jnp.all(convolve2d(x, kernel) == corr2d(x, kernel[::-1, ::-1])))


def _size(window: tuple[int, int], **settings: Any) -> list[int]:
    return list(_single(conv2d(jnp.ones((1, 8, 8, 1)), jnp.ones((*window, 1, 1)), **settings)).shape)


def _formula() -> int:
    """In how many settings floor((n - k + p + s) / s), with p zeros in all, is not the size of the output."""
    settings = [(n, k, p, s) for n in (7, 8) for k in (1, 2, 3) for p in (0, 1) for s in (1, 2, 3)]
    sizes = [conv1d(jnp.ones((1, n, 1)), jnp.ones((k, 1, 1)), padding=p, stride=s).shape[1] for n, k, p, s in settings]
    return sum(size != (n - k + 2 * p + s) // s for size, (n, k, p, s) in zip(sizes, settings, strict=True))


def _channels() -> jax.Array:
    """arange(18) as two channels of 3x3 through kernels K, K + 1, K + 2 of arange(8): (3, 2, 2), channels first."""
    x = jnp.arange(18.0).reshape(2, 3, 3)
    kernel = jnp.arange(8.0).reshape(2, 2, 2)
    kernels = jnp.stack([kernel, kernel + 1, kernel + 2])
    return conv2d(x.transpose(1, 2, 0)[None], kernels.transpose(2, 3, 1, 0))[0].transpose(2, 0, 1)


def _one_by_one() -> float:
    x, kernel = jax.random.normal(jax.random.key(0), (1, 3, 3, 3)), jax.random.normal(jax.random.key(1), (3, 2))
    return jnp.abs(conv2d(x, kernel[None, None]) - dense(x, kernel)).sum().item()


def _pooled_channels() -> jax.Array:
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    return max_pool(jnp.concatenate([x, x + 1], axis=3), 3, stride=2, padding=1)[0].transpose(2, 0, 1)


def _nine() -> jax.Array:
    return jnp.arange(9.0).reshape(1, 3, 3, 1)


CLAIMS = (
    Claim(
        "to_convolution",
        11,
        "A dense layer on images has weights w[i,j,k,l]; the Jacobian of a convolution is such a tensor: their "
        "products differ by",
        0,
        _fully_connected,
        within(1e-4),
    ),
    Claim(
        "to_convolution",
        11,
        "Translation: it holds the same kernel at each place. Difference",
        0,
        _translation,
        within(1e-6),
    ),
    Claim("to_convolution", 11, "Locality: numbers in it outside the windows that are not 0.", 0, _locality),
    Claim("to_convolution", 11, "A shifted image gives the shifted output: difference", 0, _equivariance, within(1e-4)),
    Claim(
        "correlation",
        12,
        "[[1, -1]] finds the edges of a black bar: its first row.",
        [0, 1, 0, 0, 0, -1, 0],
        lambda: corr2d(_bars(), jnp.array(EDGE))[0],
    ),
    Claim("correlation", 12, "Ten steps learn the kernel [1, -1].", [1, -1], _learned, within(0.1)),
    Claim(
        "correlation",
        12,
        "The output is (nh - kh + 1) by (nw - kw + 1): 3x3 with 2x2.",
        [2, 2],
        lambda: list(corr2d(jnp.ones((3, 3)), jnp.ones((2, 2))).shape),
    ),
    Claim("correlation", 12, "A convolution is the cross-correlation with the kernel turned.", True, _turned),
    Claim("correlation", 12, "One and three dimensions: layer less definition.", [0, 0], _dimensions, within(1e-3)),
    Claim("padding", 13, "8x8, kernel 3, padding 1.", [8, 8], lambda: _size((3, 3), padding=1)),
    Claim(
        "padding", 13, "8x8, kernel (5, 3), padding (2, 1).", [8, 8], lambda: _size((5, 3), padding=((2, 2), (1, 1)))
    ),
    Claim("padding", 13, "The same with stride 2.", [4, 4], lambda: _size((5, 3), padding=((2, 2), (1, 1)), stride=2)),
    Claim(
        "padding",
        13,
        "8x8, kernel (3, 5), padding (0, 1), stride (3, 4).",
        [2, 2],
        lambda: _size((3, 5), padding=((0, 0), (1, 1)), stride=(3, 4)),
    ),
    Claim("padding", 13, "floor((n - k + p + s) / s): settings out of 36 where it is wrong.", 0, _formula),
    Claim(
        "channels",
        13,
        "Two channels in, one out: arange(18) with arange(8).",
        [[268, 296], [352, 380]],
        lambda: _channels()[0],
    ),
    Claim(
        "channels",
        13,
        "Three out, by the kernels K, K + 1, K + 2: the second and third.",
        [[[320, 356], [428, 464]], [[372, 416], [504, 548]]],
        lambda: _channels()[1:],
    ),
    Claim("channels", 13, "A 1x1 convolution is a matrix product: sum of the differences", 1e-6, _one_by_one, at_most),
    Claim(
        "pooling",
        13,
        "Maximum of 2x2 windows of arange(9).",
        [[4, 5], [7, 8]],
        lambda: _single(max_pool(_nine(), 2, stride=1)),
    ),
    Claim(
        "pooling",
        13,
        "Average of 2x2 windows of arange(9).",
        [[2, 3], [5, 6]],
        lambda: _single(avg_pool(_nine(), 2, stride=1)),
    ),
    Claim(
        "pooling",
        13,
        "Edges under a maximum of 2x2: the first row.",
        [1, 1, 0, 0, 0, 0],
        lambda: _single(max_pool(_image(corr2d(_bars(), jnp.array(EDGE))), 2, stride=1))[0],
    ),
    Claim(
        "pooling",
        13,
        "Channel by channel: arange(16) and that + 1, 3x3, padding 1, stride 2.",
        [[[5, 7], [13, 15]], [[6, 8], [14, 16]]],
        _pooled_channels,
    ),
    Claim(
        "pooling",
        13,
        "Without a stride given, windows do not overlap: a 3x3 maximum of 4x4.",
        [1, 1],
        lambda: list(_single(max_pool(jnp.ones((1, 4, 4, 1)), 3)).shape),
    ),
    Claim(
        "pooling",
        13,
        "Rectangles: window and stride (2, 3), padding (0, 1), of 4x4.",
        [2, 2],
        lambda: list(_single(max_pool(jnp.ones((1, 4, 4, 1)), (2, 3), padding=((0, 0), (1, 1)))).shape),
    ),
)
