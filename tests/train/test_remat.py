"""Rematerialisation and accumulation change memory and time, not the gradient."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from begun import begun

from jaxd2l.nn import Conv, Dense, avg_pool, flatten, sigmoid
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.metric import hits
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import RECIPES
from jaxd2l.train import Batch, Objective, TrainState, make_step, sgd
from jaxd2l.train.remat import cuts, rematerialised


class Small(nn.Module):
    """A convolution, batch normalisation where asked for, a pool and a dense layer."""

    norm: bool

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = Conv(3, (3, 2), padding=1)(x)
        x = BatchNorm()(x, train=train) if self.norm else x
        return Dense(10)(flatten(avg_pool(sigmoid(x), 2)))


NETWORKS = {
    "plain": (Small(norm=False), (8, 7, 5, 2)),
    "dropout": (MLP(hidden=(7, 5), dropout=(0.5, 0.2)), (8, 3, 2, 1)),
    "batch_norm": (Small(norm=True), (8, 7, 5, 2)),
}


class Case(NamedTuple):
    model: nn.Module
    state: TrainState
    batch: Batch


def case(name: str) -> Case:
    model, shape = NETWORKS[name]
    with jax.enable_x64(True):
        x = jax.random.normal(jax.random.key(1), shape, jnp.float64)
        y = jnp.arange(shape[0]) % 10
        weight = jnp.ones(shape[0]).at[-1].set(0.0 if name != "batch_norm" else 1.0)
        return Case(model, begun(model, sgd(0.1), jax.random.key(0), x), Batch(x, y, weight))


def step_of(case: Case, **options) -> tuple[TrainState, jax.Array]:
    objective = Objective(cross_entropy, hits, dtype=jnp.float64)
    with jax.enable_x64(True):
        step = jax.jit(make_step(case.model, sgd(0.1), objective, **options))
        return step(case.state, case.batch, jax.random.key(2))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_rematerialisation_leaves_update_statistics_and_dropout_masks_as_they_are(name):
    arrays = case(name)
    # float64: what is left is the order of a few sums
    chex.assert_trees_all_close(step_of(arrays, remat=True), step_of(arrays), rtol=1e-11, atol=1e-13)


@pytest.mark.slow
def test_rematerialisation_computes_layers_a_second_time():
    model, shape = MLP(hidden=(64,) * 8), (512, 5, 3, 1)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros(shape), train=False))["params"]

    def loss(params, x):
        return jnp.sum(model.apply({"params": params}, x, train=True))

    flops = [jax.jit(jax.grad(f)).lower(params, x).cost_analysis()["flops"] for f in (loss, rematerialised(loss))]
    assert 1.05 < flops[1] / flops[0] < 4 / 3


def test_the_parts_hold_less_than_the_whole_and_cover_every_equation():
    def deep(x):
        for _ in range(16):
            x = jnp.sin(x)
        return jnp.sum(x)

    jaxpr = jax.make_jaxpr(deep)(jnp.ones(7)).jaxpr
    found = cuts(jaxpr)
    assert found == sorted(set(found))
    assert found[0] > 0
    assert found[-1] < len(jaxpr.eqns)
    assert 2 <= len(found) <= 8  # 16 equal activations: about 4 cuts keep 4 + 4 of them


def test_a_rematerialised_function_returns_what_it_was_given_or_a_constant():
    def f(tree, y):
        return {"same": tree["a"], "constant": 2.0, "new": tree["a"] * y}

    a, y = np.float32(3.0), np.float32(5.0)
    assert rematerialised(f)({"a": a}, y) == {"same": 3.0, "constant": 2.0, "new": 15.0}


def test_keyword_arguments_are_refused():
    with pytest.raises(ValueError, match="positional arguments only, got x"):
        rematerialised(jnp.sin)(x=1.0)


@pytest.mark.slow
def test_accumulation_gives_the_gradient_of_the_whole_batch_with_its_padding():
    arrays = case("plain")
    chex.assert_trees_all_close(step_of(arrays, accumulate=4), step_of(arrays), rtol=1e-11, atol=1e-13)


@pytest.mark.slow
def test_accumulation_with_rematerialisation_too():
    arrays = case("plain")
    both = step_of(arrays, accumulate=2, remat=True)
    chex.assert_trees_all_close(both, step_of(arrays), rtol=1e-11, atol=1e-13)


@pytest.mark.slow
def test_batch_normalisation_under_accumulation_sees_one_piece_at_a_time():
    model, state, batch = case("batch_norm")
    after, tally = step_of(Case(model, state, batch), accumulate=2)
    with jax.enable_x64(True):
        apply = jax.jit(partial(model.apply, train=True, mutable=["batch_stats"]))
        stats, losses = state.batch_stats, []
        for piece in (slice(0, 4), slice(4, 8)):  # by hand: each piece normalised by itself
            output, updated = apply({"params": state.params, "batch_stats": stats}, batch.x[piece])
            stats = updated["batch_stats"]
            losses.append(jnp.sum(cross_entropy(output, batch.y[piece])))
        chex.assert_trees_all_close(after.batch_stats, stats, rtol=1e-11)
        chex.assert_trees_all_close(tally.loss, sum(losses), rtol=1e-11)
        whole, _ = step_of(Case(model, state, batch))
        differs = jax.tree.map(lambda a, b: bool(jnp.any(jnp.abs(a - b) > 1e-6)), whole.batch_stats, after.batch_stats)
    assert any(jax.tree.leaves(differs))


@pytest.mark.slow
def test_accumulation_draws_another_dropout_mask_for_each_piece():
    model, state, batch = case("dropout")
    with jax.enable_x64(True):
        twice = Batch(*(jnp.concatenate([a[:4], a[:4]]) for a in batch))
        _, tally = step_of(Case(model, state, twice), accumulate=2)
        _, half = step_of(Case(model, state, Batch(*(a[:4] for a in batch))))
    assert abs(float(tally.loss) - 2 * float(half.loss)) > 1e-6


@pytest.mark.slow
def test_pieces_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="accumulate must divide the 8 examples of a batch, got 3"):
        step_of(case("plain"), accumulate=3)


def test_a_recipe_refuses_pieces_that_do_not_divide_its_batch():
    assert replace(RECIPES["softmax"], batch_size=6, accumulate=3).settings()["accumulate"] == 3
    with pytest.raises(ValueError, match="accumulate must divide the batch size of 256, got 3"):
        replace(RECIPES["softmax"], accumulate=3)
    with pytest.raises(ValueError, match="accumulate must be an integer of at least 1, got 0"):
        replace(RECIPES["softmax"], accumulate=0)
    with pytest.raises(ValueError, match="remat must be True or False, got 'yes'"):
        replace(RECIPES["softmax"], remat="yes")
