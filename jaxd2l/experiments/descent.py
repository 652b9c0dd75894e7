"""Minibatch gradient descent from scratch: `grad`, a subtraction and two scans (D2L sec_linear_scratch).

The experiments of this package differ in loss, penalty and data alone. It is written out because it is a topic of
the book; `jaxd2l.train.loop` is the loop to use, and a test holds the two against each other.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.data import epoch_rows

PyTree = Any


def descend(
    loss: Callable[[PyTree, jax.Array, jax.Array], jax.Array],
    params: PyTree,
    x: jax.Array,
    y: jax.Array,
    key: jax.Array,
    *,
    learning_rate: float | jax.Array,
    epochs: int,
    batch_size: int,
    penalty: Callable[[PyTree], jax.Array] = lambda params: jnp.zeros(()),
    measure: Callable[[PyTree], PyTree] = lambda params: (),
    proximal: Callable[[PyTree, float | jax.Array], PyTree] = lambda params, step: params,
) -> tuple[PyTree, PyTree]:
    """Update `params` by the gradient of the batch's mean loss plus penalty; pure, so it jits and vmaps.

    Args:
        loss: (params, x (b, d), y (b, 1)) -> per example (b,).
        params: where to start.
        x: features (n, d).
        y: targets (n, 1).
        key: epoch e is shuffled by `fold_in(key, e)`, as in `jaxd2l.train.loop`.
        learning_rate: step size; it may be traced.
        epochs: passes over the examples.
        batch_size: examples an update; the last batch is smaller where it does not fill.
        penalty: of the parameters, such as lambda / 2 |w|^2.
        measure: of the parameters after each epoch.
        proximal: applied after each step with its size, for a penalty without a gradient everywhere.

    Returns:
        The last parameters, and the measures stacked over epochs.
    """

    def objective(params: PyTree, x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
        return jnp.sum(weight * loss(params, x, y)) / jnp.sum(weight) + penalty(params)

    def update(params: PyTree, rows: Any) -> tuple[PyTree, None]:
        gradient = jax.grad(objective)(params, x[rows.indices], y[rows.indices], rows.weight)
        stepped = jax.tree.map(lambda p, g: p - learning_rate * g, params, gradient)
        return proximal(stepped, learning_rate), None

    def epoch(params: PyTree, number: jax.Array) -> tuple[PyTree, PyTree]:
        params, _ = lax.scan(update, params, epoch_rows(jax.random.fold_in(key, number), x.shape[0], batch_size))
        return params, measure(params)

    return lax.scan(epoch, params, jnp.arange(1, epochs + 1))
