"""Our layers against Flax, optax and jax.nn over random shapes, in value and gradient."""

import chex
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_table import UNOPTIMISED
from random_arrays import normal

from jaxd2l import nn

EXAMPLE = {"derandomize": True, "deadline": None, "max_examples": 5}
SHAPES = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


def assert_same(ours, theirs, *arrays):
    """Value and gradients of a function that weighs every output differently, both in one program."""

    def outcome(f):
        def loss(*arrays):
            y = f(*arrays)
            return jnp.sum(y * np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape)), y

        return jax.value_and_grad(loss, argnums=tuple(range(len(arrays))), has_aux=True)

    both = jax.jit(lambda *arrays: (outcome(ours)(*arrays), outcome(theirs)(*arrays)), compiler_options=UNOPTIMISED)
    chex.assert_trees_all_close(*both(*arrays), rtol=2e-4, atol=2e-4)  # float32 sums


@pytest.mark.slow
@settings(**EXAMPLE)
@given(SHAPES, st.integers(1, 5))
def test_dense_equals_flax(shape, features):
    x, kernel = normal(0, shape), normal(1, (shape[-1], features))
    bias = jnp.arange(1.0, features + 1)
    flax = linen.Dense(features)
    assert_same(nn.dense, lambda x, k, b: flax.apply({"params": {"kernel": k, "bias": b}}, x), x, kernel, bias)


@pytest.mark.slow
@settings(**EXAMPLE)
@given(SHAPES, st.integers(2, 5))
def test_batch_norm_equals_flax(shape, n):
    x = normal(0, (n, *shape))
    scale, bias = jnp.arange(1.0, shape[-1] + 1), jnp.ones(shape[-1:])
    running = nn.RunningStatistics(jnp.zeros(shape[-1:]), jnp.ones(shape[-1:]))
    flax = linen.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5, use_fast_variance=False)
    stats = {"mean": running.mean, "var": running.var}

    def theirs(x, scale, bias):
        params = {"scale": scale, "bias": bias}
        return flax.apply({"params": params, "batch_stats": stats}, x, mutable=["batch_stats"])[0]

    assert_same(lambda x, s, b: nn.batch_norm(x, s, b, running, train=True)[0], theirs, x, scale, bias)


@pytest.mark.slow
@settings(**EXAMPLE)
@given(SHAPES)
def test_layer_norm_equals_flax(shape):
    x = normal(0, shape)
    scale, bias = jnp.arange(1.0, shape[-1] + 1), jnp.ones(shape[-1:])
    flax = linen.LayerNorm(epsilon=1e-5, use_fast_variance=False)
    assert_same(nn.layer_norm, lambda x, s, b: flax.apply({"params": {"scale": s, "bias": b}}, x), x, scale, bias)


@pytest.mark.slow
@settings(**EXAMPLE)
@given(st.integers(1, 7), st.integers(1, 7))
def test_losses_equal_optax(n, k):
    logits, target = 5 * normal(0, (n, k)), normal(1, (n, k))
    labels = jnp.arange(n) % k
    theirs = optax.softmax_cross_entropy_with_integer_labels
    assert_same(lambda x: nn.cross_entropy(x, labels), lambda x: theirs(x, labels), logits)
    share = nn.softmax(target)
    assert_same(nn.cross_entropy_with_probabilities, optax.softmax_cross_entropy, logits, share)
    assert_same(nn.squared_error, lambda x, y: jnp.sum(optax.l2_loss(x, y), -1), logits, target)
    assert_same(nn.huber, lambda x, y: jnp.sum(optax.huber_loss(x, y), -1), logits, target)


@pytest.mark.slow
@settings(**EXAMPLE)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_pooling_equals_flax(h, w, window, stride):
    if window > min(h, w):
        return
    x = normal(0, (2, h, w, 3))
    size, strides = (window, window), (stride, stride)
    assert_same(lambda x: nn.max_pool(x, window, stride=stride), lambda x: linen.max_pool(x, size, strides), x)
    assert_same(lambda x: nn.avg_pool(x, window, stride=stride), lambda x: linen.avg_pool(x, size, strides), x)


@pytest.mark.slow
def test_dropout_equals_flax_given_the_same_key():
    x = normal(0, (5, 7))
    ours = nn.Dropout(0.3).apply({}, x, train=True, rngs={"dropout": jax.random.key(1)})
    theirs = linen.Dropout(0.3, deterministic=False).apply({}, x, rngs={"dropout": jax.random.key(1)})
    chex.assert_trees_all_close(ours, theirs, rtol=1e-6)
