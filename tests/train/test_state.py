import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.nn.models import MLP
from jaxd2l.train import init_state, run_keys, sgd


def test_the_three_streams_of_a_run_differ_and_repeat():
    data = [tuple(jax.random.key_data(key).tolist()) for seed in (0, 1) for key in run_keys(seed)]
    assert len(set(data)) == 6
    assert [tuple(jax.random.key_data(key).tolist()) for key in run_keys(1)] == data[3:]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "0", None])
def test_a_seed_that_would_wrap_or_is_no_integer_is_refused(seed):
    with pytest.raises(ValueError, match="from 0 to 4294967295"):
        run_keys(seed)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(3)])
def test_seeds_in_range_are_taken(seed):
    chex.assert_shape(run_keys(seed).init, ())


@pytest.mark.slow
def test_the_initial_state_holds_arrays_only_and_the_given_hyperparameters():
    state = init_state(MLP(hidden=(3,)), sgd(0.5), jax.random.key(0), jnp.ones((1, 7)), learning_rate=0.25)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    assert state.step == 0
    assert state.batch_stats == {}
    assert state.opt_state.hyperparams["learning_rate"] == 0.25


@pytest.mark.slow
def test_an_unknown_hyperparameter_is_refused():
    with pytest.raises(ValueError, match=r"unknown hyperparameter 'rate'.*learning_rate"):
        init_state(MLP(), sgd(0.5), jax.random.key(0), jnp.ones((1, 7)), rate=0.25)
