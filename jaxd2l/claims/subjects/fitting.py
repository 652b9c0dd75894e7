"""Day 7 and 8: under- and overfitting, weight decay, dropout."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import at_least, at_most, within
from jaxd2l.data import Dataset, Examples, hold_out
from jaxd2l.experiments.polynomial import Fit, fit_degrees
from jaxd2l.experiments.regularisation import Decay, l1_against_l2, weight_decay
from jaxd2l.nn import Dropout, dropout
from jaxd2l.selection.folds import assign_folds
from jaxd2l.train import sgd


@cache
def _polynomials() -> dict[int, Fit]:
    return {one.degree: one for one in fit_degrees()}


@cache
def _decays() -> list[Decay]:
    return weight_decay()


def _gap(degree: int) -> float:
    one = _polynomials()[degree]
    return float(one.test_loss[-1] - one.train_loss[-1])


def _three_sets() -> list[int]:
    rows = Examples(np.zeros((100, 3), np.float32), np.arange(100, dtype=np.int32) % 2)
    data = hold_out(Dataset("toy", rows, rows, ("a", "b")), 0.2)
    return [len(part.x) for part in (data.train, data.validation, data.test) if part is not None]


def _decayed() -> list[float]:
    """One update of weight 2 and bias 2 by gradient 1, with rate .1 and lambda .5."""
    params = {"Dense_0": {"kernel": jnp.array([2.0]), "bias": jnp.array([2.0])}}
    optimizer = sgd(0.1, 0.5)
    step, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    return [(params["Dense_0"][name] + step["Dense_0"][name]).item() for name in ("kernel", "bias")]


def _selects() -> bool:
    """Whether L1 sets at least 10 weights of the 17 inputs that do not matter to 0, and L2 none of any."""
    found = l1_against_l2()
    useless = found.truth == 0
    return bool(useless.sum() == 17 and (found.l1[useless] == 0).sum() >= 10 and not (found.l2 == 0).any())


def _dropped() -> jax.Array:
    return dropout(jnp.ones(100_000), 0.5, jax.random.key(0))


def _shares_dropped() -> list[float]:
    """Share of units that the layer drops while training and in prediction."""
    x = jnp.ones(100_000)
    by_mode = [Dropout(0.5).apply({}, x, train=train, rngs={"dropout": jax.random.key(0)}) for train in (True, False)]
    return [(one == 0).mean().item() for one in by_mode]


CLAIMS = (
    Claim(
        "fitting",
        7,
        "A cubic fits the cubic data down to their noise, .01: test error",
        None,
        lambda: float(_polynomials()[3].test_loss[-1]),
        at_most,
        truth=0.02,
    ),
    Claim(
        "fitting",
        7,
        "A line underfits them: training error",
        None,
        lambda: float(_polynomials()[1].train_loss[-1]),
        at_least,
        truth=1,
    ),
    Claim(
        "fitting",
        7,
        "A higher degree has the larger gap between test and training error (19 against 3).",
        True,
        lambda: _gap(19) > _gap(3),
    ),
    Claim(
        "fitting",
        7,
        "Data come in three sets: training, validation, test of 100.",
        None,
        _three_sets,
        truth=[80, 20, 100],
    ),
    Claim(
        "fitting",
        7,
        "K-fold: each of 10 rows is validated once, 5 folds of 2.",
        [2, 2, 2, 2, 2],
        lambda: np.bincount(assign_folds(10, 5, 0)),
    ),
    Claim(
        "decay",
        7,
        "w <- (1 - rate * lambda) w - rate * gradient, and no decay of the bias: 2 and 2 become",
        [1.8, 1.9],
        _decayed,
        within(1e-6),
    ),
    Claim(
        "decay",
        7,
        "A larger lambda makes smaller weights: |w| at lambda 3 over |w| at 0.",
        None,
        lambda: _decays()[1].norm / _decays()[0].norm,
        at_most,
        truth=0.2,
    ),
    Claim(
        "decay",
        7,
        "and a smaller test error, with 20 examples of 200 inputs: their ratio",
        None,
        lambda: float(_decays()[1].test_loss[-1] / _decays()[0].test_loss[-1]),
        at_most,
        truth=0.1,
    ),
    Claim(
        "decay",
        7,
        "L1 selects features: at least 10 of 17 useless weights are exactly 0, of L2's none.",
        True,
        _selects,
    ),
    Claim(
        "dropout",
        8,
        "h is 0 with probability p, else h / (1 - p): the values of ones at p = .5.",
        [0, 2],
        lambda: np.unique(_dropped()),
    ),
    Claim(
        "dropout", 8, "The expectation stays: mean of 100,000 ones.", 1, lambda: _dropped().mean().item(), within(0.02)
    ),
    Claim(
        "slip_dropout",
        8,
        "Dropout is not used in training. Share of units dropped, p = .5, in training and in prediction.",
        [0, 0.5],
        _shares_dropped,
        within(0.01),
        truth=[0.5, 0],
    ),
)
