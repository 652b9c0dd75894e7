import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import normal

from jaxd2l.nn import BatchNorm, LayerNorm, RunningStatistics, batch_norm, layer_norm


def fresh(channels):
    return jnp.ones(channels), jnp.zeros(channels), RunningStatistics(jnp.zeros(channels), jnp.ones(channels))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(11, 3), (2, 5, 7, 3), (2, 5, 2, 7, 3)])
def test_batch_norm_output_has_mean_0_and_variance_1_over_all_axes_but_the_channels(shape):
    x = 5 + 3 * normal(0, shape)
    y, _ = batch_norm(x, *fresh(3), train=True)
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(jnp.mean(y, axes), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.var(y, axes), 1, atol=1e-4)
    # Over the axes that would be right for NCHW it is not normalised: a swapped axis cannot pass.
    wrong = jnp.mean(y, (0, *range(2, len(shape)))) if len(shape) > 2 else jnp.mean(y, 1)
    assert np.max(np.abs(wrong)) > 1e-2


@pytest.mark.slow
def test_batch_norm_equals_a_naive_float64_oracle():
    x = np.random.default_rng(0).normal(2, 3, (2, 5, 7, 3))
    scale, bias = np.array([0.5, 1.0, 2.0]), np.array([1.0, -1.0, 0.0])
    want = np.empty_like(x)
    for c in range(3):
        channel = x[..., c]
        want[..., c] = (channel - channel.mean()) / np.sqrt(channel.var() + 1e-5) * scale[c] + bias[c]
    with jax.enable_x64(True):
        running = RunningStatistics(jnp.zeros(3), jnp.ones(3))
        y, new = batch_norm(jnp.asarray(x), jnp.asarray(scale), jnp.asarray(bias), running, train=True)
        np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(new.mean, 0.1 * x.mean((0, 1, 2)))
        np.testing.assert_allclose(new.var, 0.9 + 0.1 * x.var((0, 1, 2), ddof=1))  # unbiased, as PyTorch


@pytest.mark.slow
def test_prediction_uses_the_running_statistics_and_leaves_them():
    x = normal(0, (5, 3))
    running = RunningStatistics(jnp.asarray([1.0, 2.0, 3.0]), jnp.asarray([4.0, 5.0, 6.0]))
    y, new = batch_norm(x, jnp.ones(3), jnp.zeros(3), running, train=False)
    want = (x - running.mean[None]) / jnp.sqrt(running.var[None] + 1e-5)
    chex.assert_trees_all_close(y, want, rtol=1e-5, atol=1e-6)
    assert new is running


@pytest.mark.slow
def test_running_statistics_converge_to_those_of_the_data():
    x = 5 + 3 * normal(0, (101, 2))
    scale, bias, running = fresh(2)
    for _ in range(100):
        _, running = batch_norm(x, scale, bias, running, train=True)
    np.testing.assert_allclose(running.mean, jnp.mean(x, 0), rtol=1e-3)
    np.testing.assert_allclose(running.var, jnp.var(x, 0, ddof=1), rtol=1e-3)


@pytest.mark.slow
def test_batch_of_one_learns_nothing():
    x = jnp.asarray([[3.0, -1.0]])
    scale, bias, running = fresh(2)
    y, new = batch_norm(x, scale, bias + 7, running, train=True)
    np.testing.assert_array_equal(y, [[7, 7]])
    weight = jnp.asarray([[1.0, 2.0]])
    gradient = jax.grad(lambda x: jnp.sum(batch_norm(x, scale, bias, running, train=True)[0] * weight))(x)
    np.testing.assert_array_equal(gradient, 0)
    chex.assert_tree_all_finite(new)


def test_channels_first_input_is_refused_with_the_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3, 5, 7\).*have to be \(7,\).*\(3,\)"):
        batch_norm(jnp.ones((2, 3, 5, 7)), *fresh(3), train=True)


@pytest.mark.slow
def test_statistics_of_bfloat16_are_float32_and_the_output_bfloat16():
    layer = BatchNorm()
    x = (200 + normal(0, (64, 3))).astype(jnp.bfloat16)
    stored = layer.init(jax.random.key(0), x, train=False)
    y, updated = layer.apply(stored, x, train=True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    assert updated["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.1 * np.mean(np.asarray(x, np.float32), 0), rtol=1e-5)


@pytest.mark.slow
def test_layer_norm_output_has_mean_0_and_variance_1_in_every_example():
    x = 5 + 3 * normal(0, (5, 3, 101))
    y = layer_norm(x, jnp.ones(101), jnp.zeros(101))
    np.testing.assert_allclose(jnp.mean(y, -1), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.var(y, -1), 1, atol=1e-4)
    layer = LayerNorm()
    chex.assert_trees_all_close(layer.apply(layer.init(jax.random.key(0), x), x), y, rtol=1e-6)


def test_layer_norm_refuses_parameters_that_are_not_the_last_axes():
    with pytest.raises(ValueError, match="last axes"):
        layer_norm(jnp.ones((5, 3)), jnp.ones(5), jnp.zeros(5))
