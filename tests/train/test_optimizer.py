import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxd2l.train import adam, kernels_only, sgd, with_hyperparameters

PARAMS = {
    "Dense_0": {"kernel": jnp.array([[3.0, -2.0, 0.5]]), "bias": jnp.array([1.0, -5.0, 7.0])},
    "BatchNorm_0": {"scale": jnp.array([2.0]), "bias": jnp.array([-3.0])},
}
GRADIENT = jax.tree.map(lambda leaf: jnp.arange(1.0, 1 + leaf.size).reshape(leaf.shape) / 10, PARAMS)


def test_decay_shrinks_kernels_wherever_the_tree_has_them():
    boxed = nn.Partitioned(np.ones(2), ("rows",))
    tree = {"Dense_0": {"kernel": boxed, "bias": np.ones(2)}, "weights": [np.ones(2)], "kernel": [np.ones(2)]}
    mask = {"Dense_0": {"kernel": boxed.replace(value=True), "bias": False}, "weights": [False], "kernel": [True]}
    assert jax.tree.leaves(kernels_only(tree)) == jax.tree.leaves(mask)


def test_only_kernels_decay():
    mask = kernels_only(PARAMS)
    assert mask == {
        "Dense_0": {"kernel": True, "bias": False},
        "BatchNorm_0": {"scale": False, "bias": False},
    }


@pytest.mark.slow
def test_sgd_is_the_update_written_by_hand():
    optimizer = sgd(0.1, weight_decay=0.5, momentum=0.9)
    params, state, moment = PARAMS, optimizer.init(PARAMS), jax.tree.map(np.zeros_like, PARAMS)
    expected = jax.tree.map(np.asarray, PARAMS)
    for _ in range(3):
        updates, state = optimizer.update(GRADIENT, state, params)
        params = optax.apply_updates(params, updates)
        g = jax.tree.map(np.asarray, GRADIENT)
        g["Dense_0"]["kernel"] = g["Dense_0"]["kernel"] + 0.5 * expected["Dense_0"]["kernel"]
        moment = jax.tree.map(lambda m, g: 0.9 * m + g, moment, g)
        expected = jax.tree.map(lambda w, m: w - 0.1 * m, expected, moment)
    chex.assert_trees_all_close(params, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [sgd, adam])
def test_hyperparameters_can_change_without_another_compilation(make):
    optimizer = make(0.1)

    @jax.jit
    @chex.assert_max_traces(n=1)
    def update(state, gradient, params):
        return optimizer.update(gradient, state, params)[0]

    chex.clear_trace_counter()
    first = update(optimizer.init(PARAMS), GRADIENT, PARAMS)
    other = update(with_hyperparameters(optimizer.init(PARAMS), learning_rate=0.2), GRADIENT, PARAMS)
    chex.assert_trees_all_close(jax.tree.map(lambda u: 2 * u, first), other, rtol=1e-6)


@pytest.mark.slow
def test_clipping_bounds_the_global_norm_and_leaves_short_gradients_alone():
    for limit, expected in ((0.1, 0.1), (1e6, float(optax.tree.norm(GRADIENT)))):
        optimizer = sgd(1.0, clip_norm=limit)
        updates, _ = optimizer.update(GRADIENT, optimizer.init(PARAMS), PARAMS)
        np.testing.assert_allclose(optax.tree.norm(updates), expected, rtol=1e-6)
