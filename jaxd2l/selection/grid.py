"""The points of a grid of settings, and how the learning rate goes over the epochs."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Schedule = Callable[[jax.Array, int], jax.Array]


class Point(NamedTuple):
    """One point of the grid; in the compiled program each field is an array."""

    learning_rate: float | jax.Array
    weight_decay: float | jax.Array = 0.0
    dropout: float | jax.Array = 0.0


def constant(epoch: jax.Array, epochs: int) -> jax.Array:
    """Keep the learning rate as it is: share 1 in every epoch."""
    return jnp.ones((), jnp.float32)


def cosine(epoch: jax.Array, epochs: int) -> jax.Array:
    """Lower the learning rate along half a cosine: share 1 in epoch 1, near 0 in the last (arXiv:1608.03983)."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * (epoch - 1) / epochs))


def grid(
    learning_rates: Sequence[float], weight_decays: Sequence[float] = (0.0,), dropouts: Sequence[float] = (0.0,)
) -> tuple[Point, ...]:
    """Combine every value with every other.

    Raises:
        ValueError: no value, a rate that is not above 0, a decay below 0, a dropout outside [0, 1).
    """
    points = tuple(Point(*values) for values in itertools.product(learning_rates, weight_decays, dropouts))
    if not points:
        raise ValueError("the grid is empty; give at least one learning rate, weight decay and dropout")
    for point in points:
        rate, decay, dropout = (float(value) for value in point)
        if not (rate > 0 and decay >= 0 and 0 <= dropout < 1 and math.isfinite(rate) and math.isfinite(decay)):
            raise ValueError(f"expected learning rate > 0, weight decay >= 0 and dropout in [0, 1), got {point}")
    return points


def choose(scores: np.ndarray) -> int:
    """Return the point with the lowest mean score over seeds and folds; a training that diverged rules it out.

    Raises:
        ArithmeticError: every point has a score that is not finite.
    """
    mean = scores.mean(axis=(1, 2))
    if not np.isfinite(mean).any():
        raise ArithmeticError("every point of the grid diverged; use smaller learning rates")
    return int(np.nanargmin(np.where(np.isfinite(mean), mean, np.nan)))
