"""Operations of networks, each a function of an example, for what writes a network down for something else than JAX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxd2l.nn import avg_pool, conv1d, conv2d, gelu, leaky_relu, max_pool, sigmoid, softmax, tanh

IMAGE, ROWS = (1, 7, 9, 4), (1, 5, 6)


def kernel(*shape):
    return jnp.asarray(np.random.default_rng(5).standard_normal(shape), jnp.float32)


def of_flax(layer, shape=IMAGE, **settings):
    variables = layer.init(jax.random.key(0), jnp.ones(shape), **settings)
    return lambda x: layer.apply(variables, x, **settings)


def channels_first(x):
    y = lax.conv_general_dilated(x.transpose(0, 3, 1, 2), kernel(6, 4, 3, 3), (2, 1), "SAME")
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def attention(x):
    weights = softmax(jnp.einsum("nqd,nkd->nqk", x, 2 * x))
    return jnp.einsum("nqk,nkd->nqd", weights, x)


CASES = {
    "conv2d with uneven borders": (
        IMAGE,
        lambda x: conv2d(x, kernel(3, 2, 4, 5), stride=(2, 3), padding=[(0, 2), (1, 0)]),
    ),
    "conv2d with dilation": (IMAGE, lambda x: conv2d(x, kernel(2, 3, 4, 5), dilation=(2, 3))),
    "conv2d in groups": (IMAGE, lambda x: conv2d(x, kernel(3, 3, 2, 6), padding=1, groups=2)),
    "depthwise": (IMAGE, lambda x: conv2d(x, kernel(3, 3, 1, 4), padding=1, groups=4)),
    "pointwise": (IMAGE, lambda x: conv2d(x, kernel(1, 1, 4, 7))),
    "pointwise with stride": (IMAGE, lambda x: conv2d(x, kernel(1, 1, 4, 7), stride=2)),
    "conv1d": (ROWS, lambda x: conv1d(x, kernel(3, 6, 5), stride=2, padding=1)),
    "transposed convolution": (IMAGE, of_flax(nn.ConvTranspose(5, (3, 3), (2, 2)))),
    "channels first": (IMAGE, channels_first),
    "negative borders": (
        IMAGE,
        lambda x: lax.conv_general_dilated(
            x, kernel(2, 2, 4, 3), (1, 1), [(-1, 0), (1, -2)], dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
    ),
    "max_pool": (IMAGE, lambda x: max_pool(x, 3, stride=2, padding=1)),
    "avg_pool": (IMAGE, lambda x: avg_pool(x, (3, 2), stride=(2, 3), padding=(1, 0))),
    "pools of Flax": (IMAGE, lambda x: nn.max_pool(x, (2, 2), (2, 2), "SAME") + nn.avg_pool(x, (2, 2), (2, 2), "SAME")),
    "activations": (
        ROWS,
        lambda x: [
            relu(3 * x)
            for relu in (
                sigmoid,
                tanh,
                gelu,
                leaky_relu,
                nn.relu,
                nn.gelu,
                nn.swish,
                nn.elu,
                nn.softplus,
                nn.hard_tanh,
                nn.log_softmax,
                nn.relu6,
            )
        ],
    ),
    "normalisations": (IMAGE, lambda x: of_flax(nn.LayerNorm())(x) + of_flax(nn.GroupNorm(2))(x)),
    "attention": (ROWS, attention),
    "products": (ROWS, lambda x: jnp.einsum("nab,bc,da->ncd", x, kernel(6, 3), kernel(4, 5))),
    "reductions": (IMAGE, lambda x: [x.mean((1, 2)), x.max(-1), x.min((1, 3)), jnp.prod(x, 2), x.sum(), x.var((0, 1))]),
    "moves": (
        IMAGE,
        lambda x: [
            x[:, ::2, 1:-2],
            x[:, ::-1],
            jnp.concatenate([x, 2 * x], 1),
            x.swapaxes(1, 3),
            jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=3),
            jnp.tile(x, (1, 2, 1, 1)),
            lax.pad(x, -jnp.inf, [(0, 0, 0), (-1, 2, 1), (1, -1, 0), (0, 0, 2)]),
            x[:, 3],
            *jnp.split(x, 2, -1),
            lax.dynamic_slice(x, (0, 2, 30, 0), (1, 3, 4, 4)),
            jnp.stack([x, 2 * x, jnp.ones_like(x)], 2),
            x[:, :, jnp.asarray([8, 0, 0, 5])],
            jnp.take(x, jnp.asarray([[1, 3, 2], [0, 0, 1]]), -1),
            x[:, jnp.asarray([2, 4]), 0],
            jax.image.resize(x, (1, 5, 13, 4), "nearest"),
        ],
    ),
    "elementwise": (
        ROWS,
        lambda x: [
            jnp.where(x > 0.2, x, -1.0),
            jnp.clip(x, -0.5, 0.5),
            x**3,
            jnp.round(4 * x),
            lax.round(4 * x),
            jnp.floor(x),
            jnp.sign(x),
            jnp.exp2(x),
            jnp.expm1(x),
            jnp.cbrt(x),
            jnp.log1p(x * x),
            (x > 0) & (x < 1) | ~(x == x),
            (4 * x).astype(int),
            x.astype(bool),
            jnp.isfinite(x),
            lax.rsqrt(x * x + 1),
            lax.erf(2 * x),
            lax.erfc(3 * x),
            lax.reduce_precision(x, 8, 11),
            abs(x) ** 1.5,
        ],
    ),
    "transposed after it is repeated or compared": (
        (1, 4, 4),
        lambda x: [
            x + jnp.broadcast_to(x[:, :1], x.shape).swapaxes(1, 2),
            jnp.where((x <= 0).swapaxes(1, 2), 0, x),
            jnp.where(x.swapaxes(1, 2) <= 0, 0, x),
            jnp.where(x.swapaxes(1, 2) <= 0, 0, x.swapaxes(1, 2)),
            jnp.where(x <= 0, jnp.zeros((1, 4, 1)), x),
        ],
    ),
    "a loop over known numbers": (ROWS, lambda x: x * lax.fori_loop(0, 3, lambda i, a: a * 2.0, jnp.float32(1.0))),
}
PAGE_ALONE = {
    "a page alone": (ROWS, lambda x: jnp.arctan2(x, 2 * x + 1)),
}
