"""Regularisation: weight decay and its norm, L1 against L2, the curve that picks lambda, dropout.

Source: D2L sec_weight_decay, sec_dropout.

Every list of settings trains as one program: `vmap` over lambda, or `jaxd2l.selection.kfold` where rows are held out.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Examples
from jaxd2l.data.houses import load_ames
from jaxd2l.data.synthetic import linear_regression
from jaxd2l.experiments.descent import descend
from jaxd2l.experiments.houses import Family, cross_validate
from jaxd2l.experiments.linear_regression import Line, loss
from jaxd2l.nn.init import he_normal
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.selection.folds import assign_folds, same_in_every_fold
from jaxd2l.selection.grid import choose, grid
from jaxd2l.selection.kfold import kfold
from jaxd2l.train import run_keys, sgd


class Decay(NamedTuple):
    """One strength of weight decay.

    Attributes:
        strength: lambda of lambda / 2 |w|^2; the bias is not decayed.
        norm: |w| at the end.
        train_loss, test_loss: half the mean squared error after each epoch, (epochs,).
    """

    strength: float
    norm: float
    train_loss: np.ndarray
    test_loss: np.ndarray


class Selection(NamedTuple):
    """Weights under an L1 and an L2 penalty of the same strength; `truth` has `truth != 0` in few places."""

    truth: np.ndarray
    l1: np.ndarray
    l2: np.ndarray


class ValidationCurve(NamedTuple):
    """K-fold validation loss for each lambda.

    Attributes:
        strengths: lambdas.
        train_loss, validation_loss: (lambdas, folds), half the mean squared error after the last epoch.
        choice: the lambda with the lowest mean validation loss, of those that diverged in no fold.
    """

    strengths: tuple[float, ...]
    train_loss: np.ndarray
    validation_loss: np.ndarray
    choice: float


class DropoutEffect(NamedTuple):
    """One dropout rate: log-RMSE over folds on held-out houses (seeds, folds), and the training loss of the end."""

    rate: float
    log_rmse: np.ndarray
    train_loss: float


def few_examples(seed: int = 0, num_train: int = 20, num_test: int = 100, num_inputs: int = 200) -> Examples:
    """Draw more inputs than training examples: y = 0.05 + sum(0.01 x) + noise 0.01; training rows first."""
    return linear_regression(seed, num_train + num_test, np.full(num_inputs, 0.01), bias=0.05, noise=0.01)


def weight_decay(
    strengths: Sequence[float] = (0.0, 3.0),
    seed: int = 0,
    *,
    epochs: int = 100,
    learning_rate: float = 0.003,
    batch_size: int = 5,
    num_train: int = 20,
) -> list[Decay]:
    """Fit 20 examples of 200 inputs from w ~ N(0, 1), b = 0, with each strength.

    Published: |w| 12.96 and test loss 98 without decay, .356 and .08 with lambda 3.
    """
    x, y = map(jnp.asarray, few_examples(seed, num_train))
    keys = run_keys(seed)
    start = Line(jax.random.normal(keys.init, (x.shape[1], 1)), jnp.zeros(1))
    parts = (slice(None, num_train), slice(num_train, None))

    def train(strength: jax.Array) -> tuple[Line, tuple[jax.Array, ...]]:
        return descend(
            loss,
            start,
            x[parts[0]],
            y[parts[0]],
            keys.shuffle,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            penalty=lambda line: 0.5 * strength * jnp.sum(jnp.square(line.weights)),
            measure=lambda line: tuple(jnp.mean(loss(line, x[part], y[part])) for part in parts),
        )

    line, (train_loss, test_loss) = jax.jit(jax.vmap(train))(jnp.asarray(strengths, jnp.float32))
    norms = np.linalg.norm(np.asarray(line.weights), axis=(1, 2))
    curves = zip(strengths, norms, np.asarray(train_loss), np.asarray(test_loss), strict=True)
    return [Decay(float(strength), float(norm), *losses) for strength, norm, *losses in curves]


def shrink(line: Line, amount: float | jax.Array) -> Line:
    """Move every weight towards zero by `amount`, and to exactly zero where it is nearer: the L1 proximal step."""
    weights = jnp.sign(line.weights) * jnp.maximum(jnp.abs(line.weights) - amount, 0.0)
    return Line(weights, line.bias)


def l1_against_l2(
    strength: float = 0.1, seed: int = 0, *, num_inputs: int = 20, epochs: int = 400, learning_rate: float = 0.05
) -> Selection:
    """Fit 60 examples of which 3 of 20 inputs matter, once with lambda |w|_1 and once with lambda / 2 |w|^2.

    L1 is stepped by `shrink` after each full-batch step (ISTA): its subgradient alone never arrives at zero.
    """
    truth = np.zeros(num_inputs)
    truth[[1, 4, 10]] = (2.0, -3.4, 1.0)
    x, y = map(jnp.asarray, linear_regression(seed, 60, truth, bias=0.0, noise=0.5))
    keys = run_keys(seed)
    start = Line(0.1 * jax.random.normal(keys.init, (num_inputs, 1)), jnp.zeros(1))
    fit = partial(
        descend, loss, start, x, y, keys.shuffle, learning_rate=learning_rate, epochs=epochs, batch_size=len(x)
    )
    l1, _ = jax.jit(lambda: fit(proximal=lambda line, step: shrink(line, strength * step)))()
    l2, _ = jax.jit(lambda: fit(penalty=lambda line: 0.5 * strength * jnp.sum(jnp.square(line.weights))))()
    return Selection(truth, np.asarray(l1.weights[:, 0]), np.asarray(l2.weights[:, 0]))


def validation_curve(
    strengths: Sequence[float] = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), seed: int = 0, *, k: int = 5
) -> ValidationCurve:
    """Cross-validate each lambda on 60 noisy examples of 40 inputs: too little overfits, too much underfits.

    Raises:
        ArithmeticError: every lambda diverged.
    """
    weights = np.random.default_rng(seed).normal(size=40) / 3
    examples = linear_regression(seed, 60, weights, bias=0.5, noise=1.0)
    folds = same_in_every_fold(examples, assign_folds(60, k, seed))
    points = grid((0.03,), strengths)
    result = kfold(lambda dropout: Linear(), folds, points, epochs=300, batch_size=16, optimizer=sgd)
    train_loss, validation_loss = result.train_loss[..., -1], result.validation_loss[..., -1]
    choice = float(strengths[choose(validation_loss)])
    return ValidationCurve(tuple(strengths), train_loss[:, 0], validation_loss[:, 0], choice)


def dropout_effect(
    rates: Sequence[float] = (0.0, 0.2, 0.5), *, width: int = 64, seeds: Sequence[int] = (0,), epochs: int = 50
) -> list[DropoutEffect]:
    """Cross-validate an MLP without weight decay on the Ames houses at each dropout rate."""
    train, test = load_ames()
    fold = assign_folds(len(train.ids), 5, 0)
    network = lambda rate: MLP(hidden=(width,), num_outputs=1, dropout=(rate,), kernel_init=he_normal)  # noqa: E731
    family = Family("mlp", network, grid((0.003,), (0.0,), rates), tuple(seeds), epochs=epochs)
    outcome = cross_validate(family, train, test, fold)
    if outcome.result is None:
        raise ValueError("cross_validate returned no curves")
    last = outcome.result.train_loss[..., -1].mean(axis=(1, 2))
    return [DropoutEffect(*values) for values in zip(map(float, rates), outcome.scores, map(float, last), strict=True)]
