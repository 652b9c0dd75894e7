import dataclasses
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from begun import begun

from jaxd2l.data import random_crop_and_flip, scale
from jaxd2l.nn.loss import cross_entropy, squared_error
from jaxd2l.nn.metric import hits
from jaxd2l.nn.models import MLP, LeNet, Linear
from jaxd2l.recipes import RECIPES
from jaxd2l.train import Batch, Objective, make_judge, make_step, sgd

RNG = np.random.default_rng(0)


def _batch(n=5, features=3):
    x = jnp.asarray(RNG.normal(size=(n, features)), jnp.float32)
    return Batch(x, jnp.asarray(RNG.normal(size=(n, 1)), jnp.float32), jnp.ones(n))


@pytest.mark.slow
def test_one_step_of_linear_regression_is_the_gradient_by_hand():
    batch, optimizer = _batch(), sgd(0.1, weight_decay=0.3)
    state = begun(Linear(), optimizer, jax.random.key(0), batch.x)
    after, tally = jax.jit(make_step(Linear(), optimizer, Objective(squared_error)))(state, batch, jax.random.key(1))
    x, y = np.float64(batch.x), np.float64(batch.y)
    w, b = np.float64(state.params["Dense_0"]["kernel"]), np.float64(state.params["Dense_0"]["bias"])
    error = x @ w + b - y
    gradient = x.T @ error / 5, error.mean(0)
    # float32 against float64
    np.testing.assert_allclose(after.params["Dense_0"]["kernel"], w - 0.1 * (gradient[0] + 0.3 * w), rtol=1e-5)
    np.testing.assert_allclose(after.params["Dense_0"]["bias"], b - 0.1 * gradient[1], rtol=1e-5)
    np.testing.assert_allclose(tally.loss, (error**2 / 2).sum(), rtol=1e-5)
    norm = np.sqrt(sum((g**2).sum() for g in gradient))
    np.testing.assert_allclose(tally.gradient_norm, norm, rtol=1e-5)
    assert (tally.examples, tally.hits, after.step) == (5, 0, 1)


@pytest.mark.slow
def test_padding_changes_nothing():
    batch, optimizer = _batch(), sgd(0.1)
    state = begun(Linear(), optimizer, jax.random.key(0), batch.x)
    step = jax.jit(make_step(Linear(), optimizer, Objective(squared_error)))
    padded = Batch(*(jnp.concatenate([a, 9 * jnp.ones_like(a[:2])]) for a in batch))
    padded = padded._replace(weight=jnp.array([1.0] * 5 + [0.0] * 2))
    expected, found = step(state, batch, jax.random.key(1)), step(state, padded, jax.random.key(1))
    chex.assert_trees_all_close(found, expected, rtol=1e-6)  # another order of summation


class _Counting(nn.Module):
    """Tells training from prediction: doubles its input while training, and keeps a statistic."""

    @nn.compact
    def __call__(self, x, *, train):
        calls = self.variable("batch_stats", "calls", lambda: jnp.zeros(()))
        if train:
            calls.value = calls.value + 1
        return nn.Dense(1)(x) * (2 if train else 1)


@pytest.mark.slow
def test_judging_uses_prediction_mode_and_touches_no_statistic():
    batch, optimizer, model = _batch(), sgd(0.1), _Counting()
    state = begun(model, optimizer, jax.random.key(0), batch.x)
    trained, in_training = make_step(model, optimizer, Objective(squared_error))(state, batch, jax.random.key(1))
    assert trained.batch_stats["calls"] == state.batch_stats["calls"] + 1
    judged = make_judge(model, Objective(squared_error))(state.params, state.batch_stats, batch)
    assert judged.loss != in_training.loss
    assert judged.gradient_norm == 0


@pytest.mark.slow
def test_dropout_draws_another_mask_for_another_key():
    batch, model, optimizer = _batch(features=8), MLP(hidden=(32,), num_outputs=1, dropout=(0.5,)), sgd(0.1)
    state = begun(model, optimizer, jax.random.key(0), batch.x)
    step = jax.jit(make_step(model, optimizer, Objective(squared_error)))
    first, again, other = (step(state, batch, jax.random.key(k))[1].loss for k in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.slow
def test_bfloat16_computes_near_float32_and_keeps_parameters_and_losses_in_float32():
    x = jnp.asarray(RNG.random((6, 28, 28, 1)), jnp.float32)
    batch = Batch(x, jnp.arange(6) % 10, jnp.ones(6))
    optimizer = sgd(0.1)
    state = begun(LeNet(), optimizer, jax.random.key(0), batch.x)
    outcomes = {}
    for dtype in (jnp.float32, jnp.bfloat16):
        step = jax.jit(make_step(LeNet(), optimizer, Objective(cross_entropy, hits, dtype=dtype)))
        outcomes[dtype] = step(state, batch, jax.random.key(1))
    chex.assert_trees_all_equal_dtypes(outcomes[jnp.bfloat16], outcomes[jnp.float32])
    # bfloat16 has 8 bits of mantissa
    chex.assert_trees_all_close(outcomes[jnp.bfloat16][1].loss, outcomes[jnp.float32][1].loss, rtol=2e-2)
    assert outcomes[jnp.bfloat16][1].loss != outcomes[jnp.float32][1].loss


@pytest.mark.slow
@pytest.mark.parametrize("jit", [True, False])
def test_a_step_leaves_no_nan_at_huge_inputs(jit):
    batch = Batch(jnp.full((2, 3), 1e18), jnp.array([0, 1]), jnp.ones(2))
    model, optimizer = MLP(hidden=(4,), num_outputs=2), sgd(1e-30)
    state = begun(model, optimizer, jax.random.key(0), batch.x)
    step = make_step(model, optimizer, Objective(cross_entropy, hits))
    chex.assert_tree_all_finite((jax.jit(step) if jit else step)(state, batch, jax.random.key(1))[0].params)


@pytest.mark.slow
def test_training_sees_augmented_images_and_judging_the_stored_ones():
    images = jnp.asarray(RNG.integers(0, 256, (6, 28, 28, 1)), jnp.uint8)
    batch, optimizer = Batch(images, jnp.arange(6) % 3, jnp.ones(6)), sgd(0.1)
    key = functools.partial(jax.random.key, 3)
    recipe = dataclasses.replace(RECIPES["softmax"], augment="crop_flip")
    augmented, plain = recipe.objective(), dataclasses.replace(recipe, augment=None).objective()
    state = begun(MLP(), optimizer, jax.random.key(0), scale(images))
    changed = random_crop_and_flip(jax.random.split(key())[0], images)
    assert (changed != images).any()
    found = make_step(MLP(), optimizer, augmented)(state, batch, key())
    chex.assert_trees_all_equal(found, make_step(MLP(), optimizer, plain)(state, batch._replace(x=changed), key()))
    judged = [make_judge(MLP(), o)(state.params, state.batch_stats, batch) for o in (augmented, plain)]
    chex.assert_trees_all_equal(*judged)


def test_an_augmentation_that_is_not_there_or_has_no_images_is_refused():
    with pytest.raises(ValueError, match=r"augment must be some of flip, crop, .*, got 'turn'"):
        dataclasses.replace(RECIPES["lenet"], augment="turn")
    with pytest.raises(ValueError, match="takes no images, so nothing can be augmented"):
        dataclasses.replace(RECIPES["lenet"], augment="flip", image_size=None)
