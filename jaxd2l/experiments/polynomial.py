"""Under- and overfitting: one cubic law, models of degree 1, 3 and 19 (D2L sec_model_selection).

A model of degree d is the one of degree 19 with its higher features set to zero, so all degrees train as one program.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.synthetic import polynomial
from jaxd2l.experiments.descent import descend
from jaxd2l.train import run_keys

NUM_FEATURES = 20


class Fit(NamedTuple):
    """One model.

    Attributes:
        degree: of the polynomial.
        weights: (20,) of u**i / i!, zero above the degree; the truth is 5, 1.2, -3.4, 5.6, 0, ...
        train_loss, test_loss: mean squared error after each epoch, (epochs,); the noise alone has 0.01.
    """

    degree: int
    weights: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray


def fit_degrees(
    degrees: Sequence[int] = (1, 3, 19),
    seed: int = 0,
    *,
    epochs: int = 400,
    learning_rate: float = 0.01,
    batch_size: int = 10,
    num_train: int = 100,
    num_test: int = 100,
) -> list[Fit]:
    """Fit every degree to the same examples, from PyTorch's initial weights, by the mean squared error.

    Published train / test errors after 400 epochs: degree 3 .0108 / .0106, degree 1 8.43 / 15.6; degree 19 after
    1,500 epochs .0121 / .0178.

    Raises:
        ValueError: a degree outside 0..19.
    """
    if not degrees or min(degrees) < 0 or max(degrees) >= NUM_FEATURES:
        raise ValueError(f"degrees must be between 0 and {NUM_FEATURES - 1}, got {tuple(degrees)}")
    x, y = map(jnp.asarray, polynomial(seed, num_train + num_test, num_features=NUM_FEATURES))
    keys = run_keys(seed)
    draw = jax.random.uniform(keys.init, (NUM_FEATURES, 1), minval=-1.0)

    def squared(weights: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.square(x @ weights - y)[:, 0]

    def train(degree: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        used = jnp.where(jnp.arange(NUM_FEATURES) <= degree, 1.0, 0.0)
        seen = x * used[None, :]
        start = draw * used[:, None] / jnp.sqrt(degree + 1.0)  # U(-a, a), a = 1 / sqrt(features)
        learn, held_out = (slice(None, num_train), slice(num_train, None))
        return descend(
            squared,
            start,
            seen[learn],
            y[learn],
            keys.shuffle,
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            measure=lambda w: tuple(jnp.mean(squared(w, seen[part], y[part])) for part in (learn, held_out)),
        )

    weights, (train_loss, test_loss) = jax.jit(jax.vmap(train))(jnp.asarray(degrees))
    return [
        Fit(degree, np.asarray(weights[i, :, 0]), np.asarray(train_loss[i]), np.asarray(test_loss[i]))
        for i, degree in enumerate(degrees)
    ]
