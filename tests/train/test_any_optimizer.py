"""`fit` with any optimizer and schedule of optax is the loop that its documentation writes by hand."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxd2l.data import Dataset, Examples, epoch_rows
from jaxd2l.nn import cross_entropy
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.train import Recipe, compile_program, fit, run_keys

pytestmark = pytest.mark.usefixtures("unoptimised")
Y = (np.arange(23) % 3).astype(np.int32)
X = (np.random.default_rng(0).normal(size=(23, 5)) + Y[:, None]).astype(np.float32)
DATA = Dataset("clouds", Examples(X, Y), Examples(X[:7], Y[:7]))
MODEL = Linear(3)
RECIPE = Recipe(name="r", model=MODEL, dataset="clouds", learning_rate=0.1, epochs=2, batch_size=6)
COSINE = optax.cosine_decay_schedule(0.1, 8)
OPTIMIZERS = {
    "adamw": ({"optimizer": lambda r, d: optax.adamw(r, weight_decay=d)}, optax.adamw(0.1, weight_decay=0)),
    "schedule": ({"optimizer": lambda r, d: optax.adamw(r), "learning_rate": COSINE}, optax.adamw(COSINE)),
    "sgd": ({"learning_rate": COSINE}, optax.sgd(COSINE)),
    "finished": ({"optimizer": optax.sgd(0.1)}, optax.sgd(0.1)),
    "line search": ({"optimizer": optax.lbfgs()}, optax.lbfgs()),
}


def by_hand(optimizer):
    optimizer, keys = optax.with_extra_args_support(optimizer), run_keys(0)
    params = MODEL.init(keys.init, X[:1], train=False)["params"]
    state = optimizer.init(params)

    @jax.jit
    def update(params, state, x, y, weight):
        def loss(params):
            values = cross_entropy(MODEL.apply({"params": params}, x, train=False), y)
            return jnp.sum(weight * values) / jnp.sum(weight)

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(params, updates), state

    for epoch in (1, 2):
        rows = epoch_rows(jax.random.fold_in(keys.shuffle, epoch), 23, 6)
        for index, weight in zip(rows.indices, rows.weight, strict=True):
            params, state = update(params, state, X[index], Y[index], weight)
    return params


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_is_optax_written_by_hand(name):
    changes, optimizer = OPTIMIZERS[name]
    params = fit(dataclasses.replace(RECIPE, **changes), DATA).state.params
    chex.assert_trees_all_close(params, by_hand(optimizer), rtol=1e-4, atol=1e-5)  # 8 updates in float32


@pytest.mark.slow
def test_a_program_of_another_recipe_or_other_data_is_refused_with_the_difference():
    program = compile_program(RECIPE, DATA)
    with pytest.raises(ValueError, match="batch_size 6, but the recipe has 5"):
        fit(dataclasses.replace(RECIPE, batch_size=5), DATA, program=program)
    with pytest.raises(ValueError, match=r"inputs float32 \(23, 5\), but these are float32 \(22, 5\)"):
        fit(RECIPE, DATA._replace(train=Examples(X[:22], Y[:22])), program=program)


def test_labels_and_outputs_that_do_not_fit_are_refused_before_compiling():
    narrow = dataclasses.replace(RECIPE, model=MLP(hidden=(4,), num_outputs=2))
    with pytest.raises(ValueError, match=r"label 2 at row 2 .*expected 0 to 1, as the network has 2 outputs"):
        fit(narrow, DATA)


@pytest.mark.parametrize("optimizer", [optax.adam, "adagrad", lambda rate: optax.sgd(rate), lambda rate, decay: None])
def test_what_is_no_optimizer_is_refused(optimizer):
    with pytest.raises(ValueError, match=r"optimizer|weight decay"):
        fit(dataclasses.replace(RECIPE, optimizer=optimizer), DATA)
