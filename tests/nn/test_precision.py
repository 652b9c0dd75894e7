"""16-bit floats: every sum is taken in float32 and rounded once, in value and gradient."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import UNOPTIMISED, quick_first

from jaxd2l import nn


def batch_norm(x, scale, bias):
    running = nn.RunningStatistics(jnp.zeros(x.shape[-1]), jnp.ones(x.shape[-1]))
    return nn.batch_norm(x, scale, bias, running, train=True)[0]


# One program for each case, in which every rounding that is written is made, as one operation after the other would.
compiled = partial(jax.jit, compiler_options={**UNOPTIMISED, "xla_allow_excess_precision": False})


@partial(compiled, static_argnums=0)
def value_and_gradients(function, dy, *arguments):
    y, back = jax.vjp(function, *arguments)
    return (y, *back(dy))


# shapes whose sums have so many terms that a 16-bit sum stands still
CASES = {
    "avg_pool": (lambda x: nn.avg_pool(x, 40, stride=1), [(2, 47, 3)]),
    "avg_pool_tiles": (lambda x: nn.avg_pool(x, (2, 24)), [(1, 4, 48, 3)]),
    "global_avg_pool": (nn.global_avg_pool, [(2, 32, 33, 3)]),
    "max_pool": (lambda x: nn.max_pool(x, 5, stride=1, padding=2), [(2, 17, 19, 3)]),
    "max_pool_stride": (lambda x: nn.max_pool(x, 9, stride=2, padding=4), [(2, 17, 19, 3)]),
    "softmax": (nn.softmax, [(3, 2000)]),
    "log_softmax": (nn.log_softmax, [(3, 2000)]),
    "dense": (nn.dense, [(600, 700), (700, 5), (5,)]),
    "dense_wide": (nn.dense, [(600, 40), (40, 50), (50,)]),
    "conv1d": (nn.conv1d, [(4, 300, 3), (5, 3, 7)]),
    "conv2d_thin": (lambda x, k: nn.conv2d(x, k, padding=2), [(7, 20, 21, 3), (5, 5, 3, 6)]),
    "conv2d_many": (lambda x, k: nn.conv2d(x, k, padding=1), [(4, 15, 16, 32), (3, 3, 32, 40)]),
    "conv2d_stride": (lambda x, k: nn.conv2d(x, k, stride=2, padding=1), [(4, 15, 16, 32), (3, 3, 32, 17)]),
    "conv2d_1x1": (nn.conv2d, [(4, 15, 16, 300), (1, 1, 300, 7)]),
    "conv2d_groups": (lambda x, k: nn.conv2d(x, k, groups=2), [(4, 15, 16, 60), (3, 3, 30, 4)]),
    "conv2d_dilation": (lambda x, k: nn.conv2d(x, k, dilation=2), [(4, 15, 16, 30), (3, 3, 30, 4)]),
    "conv3d": (lambda x, k: nn.conv3d(x, k, padding=1), [(2, 6, 7, 8, 20), (3, 3, 3, 20, 5)]),
    "batch_norm": (batch_norm, [(600, 3), (3,), (3,)]),
    "layer_norm": (nn.layer_norm, [(3, 600), (600,), (600,)]),
    "corr1d": (nn.corr1d, [(302,), (300,)]),
    "corr2d": (nn.corr2d, [(32, 31), (30, 30)]),
    "centred": (lambda x: nn.Centred().apply({}, x), [(2000,)]),
    "relu": (nn.relu, [(500,)]),
    "leaky_relu": (nn.leaky_relu, [(500,)]),
    "tanh": (nn.tanh, [(500,)]),
    "sigmoid": (nn.sigmoid, [(500,)]),
    "gelu": (nn.gelu, [(500,)]),
}


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", quick_first(CASES, {"dense", "relu", "conv2d_1x1", "softmax"}))
def test_16_bits_give_what_float32_gives_on_the_same_numbers_rounded_once(name, dtype):
    function, shapes = CASES[name]
    rng = np.random.default_rng(0)
    arguments = [rng.uniform(0.1, 1, shape).astype(dtype) for shape in shapes]
    dy = (rng.uniform(0.1, 1, jax.eval_shape(function, *arguments).shape) / 64).astype(dtype)
    got = value_and_gradients(function, dy, *arguments)
    want = value_and_gradients(function, *(a.astype(np.float32) for a in (dy, *arguments)))
    for a, b in zip(got, want, strict=True):
        assert a.dtype == dtype
        scale = float(np.max(np.abs(b)))
        # one rounding of the number itself; what cancels within float32 counts on the scale of the array
        error = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
        assert np.all(error <= 1.01 * jnp.finfo(dtype).eps * np.abs(np.asarray(b, np.float64)) + 1e-5 * scale + 1e-7)


@pytest.mark.slow
def test_a_mean_of_equal_numbers_is_that_number():
    ones = jnp.ones((1, 303, 1), jnp.bfloat16)  # a sum of ones in bfloat16 ends at 256
    mean = compiled(lambda x: nn.avg_pool(x, 300, stride=1))
    np.testing.assert_array_equal(mean(ones), jnp.ones((1, 4, 1), jnp.bfloat16))
    high = jnp.full((1, 8, 8, 1), 2000, jnp.float16)
    np.testing.assert_array_equal(nn.avg_pool(high, 8), [[[[2000]]]])
    np.testing.assert_array_equal(nn.global_avg_pool(high), [[2000]])
    np.testing.assert_array_equal(jax.grad(lambda x: nn.avg_pool(x, 8).sum())(high), jnp.full_like(high, 1 / 64))


@pytest.mark.slow
def test_dropout_scales_16_bits_by_the_share_that_was_asked_for():
    kept = nn.dropout(jnp.ones(999, jnp.bfloat16), 0.3, jax.random.key(0))
    assert set(np.unique(np.asarray(kept, np.float32))) == {0.0, float(jnp.asarray(1 / 0.7, jnp.bfloat16))}
