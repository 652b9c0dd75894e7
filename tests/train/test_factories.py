"""What a factory does with its two numbers is never lost: not in the state, not between K-fold's epochs."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxd2l.data import Dataset, Examples
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import Linear
from jaxd2l.selection.folds import assign_folds, same_in_every_fold
from jaxd2l.selection.grid import Point, grid
from jaxd2l.selection.kfold import kfold
from jaxd2l.selection.points import varied
from jaxd2l.selection.sweep import Method, sweep
from jaxd2l.train import Recipe, adam, fit, sgd
from jaxd2l.train.optimizer import HyperparametersInState, bound, clipped, with_hyperparameters

pytestmark = pytest.mark.usefixtures("unoptimised")
X = np.random.default_rng(0).standard_normal((17, 3)).astype(np.float32)
ROWS = Examples(X, (X @ np.float32([[1], [-2], [0.5]])).astype(np.float32))
DATA = Dataset("rows", ROWS, ROWS)
RECIPE = Recipe(
    name="r", model=Linear(), dataset="rows", learning_rate=0.05, weight_decay=0.1, epochs=2, batch_size=6,
    loss=squared_error, hits=None,
)  # fmt: skip
PARAMS = {"Dense_0": {"kernel": jnp.float32([[3.0, -2.0, 0.5]]), "bias": jnp.float32([1.0, -5.0, 7.0])}}
CHANGED = {  # a factory, and what it is at (rate, decay)
    "rate": (lambda r, d: sgd(2 * r, d), lambda r, d: sgd(2 * r, d)),
    "decay": (lambda r, d: sgd(r, 3 * d), lambda r, d: sgd(r, 3 * d)),
    "no decay": (lambda r, d: sgd(r), lambda r, d: sgd(r, 0)),
    "exchanged": (lambda r, d: sgd(d, r), lambda r, d: sgd(d, r)),
    "in a chain": (lambda r, d: optax.chain(optax.clip(9), sgd(2 * r, d)), lambda r, d: sgd(2 * r, d)),
    "clipped": (lambda r, d: clipped(adam(2 * r, d), 1e9), lambda r, d: adam(2 * r, d)),
    "optax": (lambda r, d: optax.sgd(2 * r), lambda r, d: sgd(2 * r)),
    "injected": (lambda r, d: optax.inject_hyperparams(optax.sgd)(learning_rate=2 * r), lambda r, d: sgd(2 * r)),
}
UNTRACEABLE = {
    "made": lambda r, d: sgd(float(r) * 2, d),
    "begun": lambda r, d: optax.GradientTransformation(lambda p: float(r), lambda g, s, p=None: (g, s)),
    "updated": lambda r, d: optax.stateless(lambda g, p: jax.tree.map(lambda a: -a if r > 0.01 else a, g)),
}


def steps(optimizer, state=None):
    params, state = PARAMS, optimizer.init(PARAMS) if state is None else state
    for _ in range(3):
        updates, state = optimizer.update(PARAMS, state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_other_numbers_in_the_state_pass_through_the_factory(name):
    factory, meant = CHANGED[name]
    optimizer = bound(factory, 1.0, 0.0)
    assert isinstance(optimizer, HyperparametersInState)
    state = with_hyperparameters(optimizer.init(PARAMS), learning_rate=0.05, weight_decay=0.1)
    chex.assert_trees_all_close(steps(optimizer, state), steps(meant(0.05, 0.1)), rtol=1e-6)


@pytest.mark.parametrize(
    "factory", [sgd, adam, lambda r, d: sgd(r, d, momentum=0.9), lambda r, d: clipped(sgd(r, d), 1)]
)
def test_numbers_that_are_handed_on_stay_where_they_were(factory):
    direct = factory(0.05, 0.1)
    assert jax.tree.structure(bound(factory, 0.05, 0.1).init(PARAMS)) == jax.tree.structure(direct.init(PARAMS))


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_a_factory_that_reads_its_numbers_in_python_is_no_array_in_the_state(name):
    assert not isinstance(bound(UNTRACEABLE[name], 0.05, 0.1), HyperparametersInState)
    with pytest.raises(ValueError, match=r"kfold trains every point in one program, so optimizer must be"):
        kfold(lambda _: Linear(), folds(), grid((0.1,)), epochs=1, batch_size=5, optimizer=UNTRACEABLE[name])


def folds():
    return same_in_every_fold(ROWS, assign_folds(17, 3, 0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rate", "in a chain", "injected"])
def test_k_fold_keeps_a_factor_on_the_rate(name):
    def run(factory, rate):
        return kfold(lambda _: Linear(), folds(), grid((rate,)), epochs=2, batch_size=5, optimizer=factory)

    chex.assert_trees_all_close(run(CHANGED[name][0], 0.05).params, run(sgd, 0.1).params, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exchanged", "in a chain", "injected", "made"])
def test_fit_and_sweep_train_what_the_factory_means(name):
    factory, meant = CHANGED.get(name, (UNTRACEABLE.get(name), lambda r, d: sgd(2 * r, d)))
    rates = (Point(0.05, 0.1), Point(0.02, 0.3))
    swept = sweep(dataclasses.replace(RECIPE, optimizer=factory), DATA, rates, (1,), method=Method.LOOP)
    for point in rates:
        numbers = varied(point)
        expected = fit(
            dataclasses.replace(RECIPE, optimizer=meant(*numbers.values()), learning_rate=1.0, weight_decay=0), DATA, 1
        )
        single = fit(dataclasses.replace(RECIPE, optimizer=factory, **numbers), DATA, 1)
        chex.assert_trees_all_close(single.state.params, expected.state.params, rtol=1e-5)
        np.testing.assert_allclose(swept[point, 1].test_loss, [e.test_loss for e in expected.epochs], rtol=1e-5)


@pytest.mark.slow
def test_a_sweep_with_adamw_is_its_single_runs():
    recipe = dataclasses.replace(RECIPE, optimizer=lambda r, d: optax.adamw(r, weight_decay=d))
    rates = (Point(0.05, 0.1), Point(0.02, 0.3))
    swept = sweep(recipe, DATA, rates, (0, 1), method=Method.VMAP)
    for (point, seed), curves in swept.items():
        single = fit(dataclasses.replace(recipe, **varied(point)), DATA, seed)
        np.testing.assert_allclose(curves.test_loss, [e.test_loss for e in single.epochs], rtol=1e-5)
