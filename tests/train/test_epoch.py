from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import Examples, epoch_rows, ordered_rows
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.metric import hits
from jaxd2l.nn.models import MLP
from jaxd2l.train import (
    Batch,
    Objective,
    empty_tally,
    evaluate,
    init_state,
    make_epoch,
    make_evaluation,
    make_judge,
    make_step,
    sgd,
)
from jaxd2l.train.program import mean
from jaxd2l.train.recipe import Recipe

pytestmark = pytest.mark.usefixtures("unoptimised")
N, BATCH = 23, 5
MODEL, OPTIMIZER = MLP(hidden=(7,), num_outputs=3, dropout=(0.3,)), sgd(0.1)
OBJECTIVE = Objective(cross_entropy, hits)
RNG = np.random.default_rng(0)
DATA = Examples(jnp.asarray(RNG.normal(size=(N, 4)), jnp.float32), jnp.asarray(RNG.integers(0, 3, N), jnp.int32))
STEP = make_step(MODEL, OPTIMIZER, OBJECTIVE)


@jax.jit
def _state():
    return init_state(MODEL, OPTIMIZER, jax.random.key(0), DATA.x)


def _epoch(pieces):
    rows = epoch_rows(jax.random.key(5), N, BATCH)
    epoch = jax.jit(make_epoch(STEP), donate_argnums=(0, 1))
    carry = _state(), empty_tally(5)
    for first, last in pieces:
        carry = epoch(*carry, *DATA, rows, jax.random.key(7), first, last)
    return carry


@pytest.mark.slow
def test_an_epoch_is_the_loop_over_its_batches():
    rows, state, tallies, step = epoch_rows(jax.random.key(5), N, BATCH), _state(), [], jax.jit(STEP)
    for indices, weight in zip(rows.indices, rows.weight, strict=True):
        batch = Batch(DATA.x[indices], DATA.y[indices], weight)
        state, tally = step(state, batch, jax.random.fold_in(jax.random.key(7), state.step))
        tallies.append(tally)
    expected = state, jax.tree.map(lambda *parts: jnp.stack(parts), *tallies)
    found = _epoch([(0, 5)])
    chex.assert_trees_all_close(found, expected, rtol=2e-5, atol=1e-6)  # fused with the loop and without
    assert found[0].step == 5
    assert found[1].examples.tolist() == [5, 5, 5, 5, 3]


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [[(0, 1), (1, 2), (2, 5)], [(0, 3), (3, 3), (3, 5)]])
def test_an_epoch_in_pieces_has_the_bits_of_the_whole(pieces):
    chex.assert_trees_all_equal(_epoch(pieces), _epoch([(0, 5)]))


@pytest.mark.slow
def test_every_piece_runs_the_same_executable():
    chex.clear_trace_counter()
    rows = epoch_rows(jax.random.key(5), N, BATCH)
    epoch = jax.jit(make_epoch(chex.assert_max_traces(STEP, n=1)))
    for first, last in ((0, 2), (2, 5)):
        epoch(_state(), empty_tally(5), *DATA, rows, jax.random.key(7), first, last)


@pytest.mark.slow
def test_the_state_is_donated():
    state = _state()
    epoch = jax.jit(make_epoch(STEP), donate_argnums=(0, 1))
    epoch(state, empty_tally(5), *DATA, epoch_rows(jax.random.key(5), N, BATCH), jax.random.key(7), 0, 5)
    assert state.params["Dense_0"]["kernel"].is_deleted()


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_accuracy_is_hits_over_examples_at_every_batch_size(batch_size):
    params = _state().params
    logits = MODEL.apply({"params": params}, DATA.x, train=False)
    expected = float(np.mean(np.argmax(logits, -1) == DATA.y)), float(np.mean(cross_entropy(logits, DATA.y)))
    rows = ordered_rows(N, batch_size)
    steps = rows.indices.shape[0]
    evaluation = jax.jit(make_evaluation(make_judge(MODEL, OBJECTIVE)))
    loss, accuracy = mean(evaluation(params, {}, empty_tally(steps), *DATA, rows, 0, steps), classified=True)
    np.testing.assert_allclose((accuracy, loss), expected, rtol=1e-6)


@pytest.mark.slow
def test_evaluate_agrees_with_the_network_applied_to_all_rows():
    recipe = Recipe(name="tiny", model=MODEL, dataset="none", learning_rate=0.1, batch_size=BATCH)
    params = _state().params
    logits = MODEL.apply({"params": params}, DATA.x, train=False)
    loss, accuracy = evaluate(recipe, params, {}, DATA)
    np.testing.assert_allclose(loss, np.mean(cross_entropy(logits, DATA.y)), rtol=1e-6)
    assert accuracy == pytest.approx(float(np.mean(hits(logits, DATA.y))))
    with pytest.raises(ValueError, match="no example"):
        evaluate(recipe, params, {}, Examples(DATA.x[:0], DATA.y[:0]))


@pytest.mark.slow
def test_many_states_train_as_one_vmapped_epoch():
    rows = epoch_rows(jax.random.key(5), N, BATCH)
    init = partial(init_state, MODEL, OPTIMIZER, x=DATA.x)
    keys, rates = jax.random.split(jax.random.key(9), 3), jnp.array([0.01, 0.1, 1.0])
    states = jax.jit(jax.vmap(lambda key, rate: init(key, learning_rate=rate)))(keys, rates)
    epoch = make_epoch(STEP)
    run = lambda state: epoch(state, empty_tally(5), *DATA, rows, jax.random.key(7), 0, 5)  # noqa: E731
    together = jax.jit(jax.vmap(run))(states)
    single = jax.jit(run)
    for i in range(3):
        alone = single(jax.tree.map(lambda leaf: leaf[i], states))  # noqa: B023 - used at once
        # batched matrix products sum in another order
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[i], together), alone, rtol=1e-4, atol=1e-6)  # noqa: B023
