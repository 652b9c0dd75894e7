"""Pooling against a naive float64 oracle, against Flax in value and gradient, and what its compiled form contains."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxd2l.nn import avg_pool, global_avg_pool, max_pool

# x, window, stride, padding: windows that overlap, leave gaps, leave rows over, and differ between axes
CASES = [
    ((2, 13, 3), 3, 2, 1),
    ((2, 7, 9, 3), 2, 2, 0),
    ((2, 8, 6, 3), 2, 2, 0),
    ((2, 9, 8, 3), 3, 2, 1),
    ((2, 9, 8, 3), 3, 1, 1),
    ((2, 9, 8, 5), (3, 2), (2, 3), (1, 0)),
    ((2, 9, 7, 3), 2, 3, 0),
    ((2, 9, 6, 3), 3, 3, 1),  # the image is three windows by two, which begin before it
    ((2, 7, 6, 5, 3), (2, 3, 2), (2, 1, 3), (1, 0, 1)),
]


def spread(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def naive(x, window, stride, padding, border, reduce):
    rank = x.ndim - 2
    window, stride, padding = (spread(value, rank) for value in (window, stride, padding))
    x = np.pad(x, ((0, 0), *((p, p) for p in padding), (0, 0)), constant_values=border)
    out = [(size - k) // s + 1 for size, k, s in zip(x.shape[1:-1], window, stride, strict=True)]
    y = np.zeros((x.shape[0], *out, x.shape[-1]))
    for place in itertools.product(*map(range, out)):
        cut = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, stride, window, strict=True))
        y[(slice(None), *place)] = reduce(x[(slice(None), *cut)], axis=tuple(range(1, rank + 1)))
    return y


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES)
@pytest.mark.parametrize(("pool", "border", "reduce"), [(max_pool, -np.inf, np.max), (avg_pool, 0.0, np.mean)])
def test_pooling_is_its_definition_and_its_derivatives_agree_with_differences(
    shape, window, stride, padding, pool, border, reduce
):
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape) / 10.0  # no two are equal
    f = functools.partial(pool, window=window, stride=stride, padding=padding)
    with jax.enable_x64(True):
        expected = naive(x, window, stride, padding, border, reduce)
        np.testing.assert_allclose(jax.jit(f)(x), expected, rtol=1e-13)
        check_grads(jax.jit(f), (jnp.asarray(x),), order=1, modes=("fwd", "rev"), eps=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "window", "stride", "padding"), CASES)
def test_max_pool_equals_flax_bit_for_bit_in_value_and_gradient_ties_included(shape, window, stride, padding):
    rank = len(shape) - 2
    x = jnp.asarray(np.random.default_rng(0).integers(0, 3, shape), jnp.float32)
    window, stride, padding = (spread(value, rank) for value in (window, stride, padding))
    ours = functools.partial(max_pool, window=window, stride=stride, padding=padding)
    rng = np.random.default_rng(1)
    dy = jnp.asarray(rng.integers(-4, 5, jax.eval_shape(ours, x).shape), jnp.float32)  # exact sums in any order

    @functools.partial(jax.jit, static_argnums=0)
    def value_and_gradient(pool, x, dy):
        y, back = jax.vjp(pool, x)
        return y, back(dy)[0]

    theirs = functools.partial(nn.max_pool, window_shape=window, strides=stride, padding=tuple((p, p) for p in padding))
    for found, expected in zip(value_and_gradient(ours, x, dy), value_and_gradient(theirs, x, dy), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_no_scatter_is_compiled_so_gpus_stay_deterministic(pool):
    grad = jax.jit(jax.grad(lambda x: jnp.sum(pool(x, 3, stride=2, padding=1) ** 2)))
    text = grad.lower(jnp.zeros((2, 9, 9, 3))).as_text()
    assert "scatter" not in text
    assert "gather" not in text


@pytest.mark.slow
def test_values_of_the_notes():
    nine, sixteen = jnp.arange(9.0).reshape(1, 3, 3, 1), jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(max_pool(nine, 2, stride=1)[0, :, :, 0], [[4, 5], [7, 8]])
    np.testing.assert_array_equal(avg_pool(nine, 2, stride=1)[0, :, :, 0], [[2, 3], [5, 6]])
    both = jnp.concatenate([sixteen, sixteen + 1], axis=-1)
    pooled = max_pool(both, 3, stride=2, padding=1)
    np.testing.assert_array_equal(pooled[0, :, :, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(pooled[0, :, :, 1], [[6, 8], [14, 16]])


@pytest.mark.slow
def test_padding_never_wins_a_maximum_and_counts_as_zero_in_a_mean():
    x = jnp.full((1, 2, 2, 1), -8.0)
    np.testing.assert_array_equal(max_pool(x, 3, stride=2, padding=1), [[[[-8.0]]]])
    np.testing.assert_allclose(avg_pool(x, 3, stride=2, padding=1), [[[[-32 / 9]]]], rtol=1e-6)


@pytest.mark.slow
def test_nan_stays_nan():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
    for pool in (max_pool, avg_pool):
        np.testing.assert_array_equal(jnp.isnan(pool(x, 2))[0, :, :, 0], [[True, False], [False, False]])


@pytest.mark.slow
def test_the_stride_is_the_window_unless_given_and_vmap_equals_a_loop():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2, 6, 9, 3)), jnp.float32)
    for pool in (max_pool, avg_pool):
        grad = jax.jit(jax.grad(lambda x, pool=pool: jnp.sum(pool(x, (2, 3)) ** 2)))
        np.testing.assert_array_equal(jax.vmap(grad)(x)[3], grad(x[3]))


def test_global_average_is_the_mean_over_space():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    np.testing.assert_allclose(global_avg_pool(jnp.asarray(x, jnp.float32)), x.mean((1, 2)), rtol=1e-5, atol=1e-6)
    assert global_avg_pool(jnp.ones((2, 3, 4, 5, 7))).shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_the_dtype_is_kept(dtype):
    x = jnp.ones((2, 4, 4, 3), dtype)
    assert max_pool(x, 2).dtype == avg_pool(x, 2).dtype == global_avg_pool(x).dtype == dtype


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_pool(jnp.zeros((2, 4, 4, 3)), 5), "does not fit"),
        (lambda: max_pool(jnp.zeros((4, 4)), 2), "1 to 3 spatial axes"),
        (lambda: global_avg_pool(jnp.zeros((4, 4))), "1 to 3 spatial axes"),
        (lambda: avg_pool(jnp.zeros((2, 4, 4, 3)), 2, padding=2), "at most half"),
        (lambda: avg_pool(jnp.zeros((2, 4, 4, 3)), (2, 2, 2)), "window must be"),
        (lambda: max_pool(jnp.zeros((2, 4, 4, 3), jnp.uint8), 2), "floating-point"),
    ],
)
def test_wrong_use_is_refused_with_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()
