"""Linear regression three ways: from scratch, by layer, and in closed form.

Source: D2L sec_linear_scratch, sec_linear_concise.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples
from jaxd2l.data.synthetic import linear_regression
from jaxd2l.experiments.descent import descend
from jaxd2l.nn.loss import squared_error
from jaxd2l.recipes import RECIPES
from jaxd2l.train import fit, run_keys
from jaxd2l.wording import counted


class Line(NamedTuple):
    """Weights (d, 1) and bias (1,) of a linear function."""

    weights: jax.Array
    bias: jax.Array


class Comparison(NamedTuple):
    """The three solutions of one data set.

    Attributes:
        scratch, layer, closed_form: the solutions.
        scratch_loss, layer_loss: mean loss over all training examples after each epoch, (epochs,).
        noise_floor: the closed form's loss; no line has a lower one.
    """

    scratch: Line
    layer: Line
    closed_form: Line
    scratch_loss: np.ndarray
    layer_loss: np.ndarray
    noise_floor: float


def predict(line: Line, x: jax.Array) -> jax.Array:
    """(n, d) to (n, 1)."""
    return x @ line.weights + line.bias[None, :]


def loss(line: Line, x: jax.Array, y: jax.Array) -> jax.Array:
    """Half the squared error of each example: (n,)."""
    return squared_error(predict(line, x), y)


def closed_form(examples: Examples) -> Line:
    """Solve (X'X) w = X'y with a column of ones for the bias, by QR: X'X squares the condition number.

    Raises:
        ValueError: fewer rows than unknowns, or columns that depend on each other, so that no solution is unique.
    """
    x = np.asarray(examples.x, np.float64)
    design = np.column_stack([x, np.ones(len(x))])
    solution, _, rank, _ = np.linalg.lstsq(design, np.asarray(examples.y, np.float64), rcond=None)
    if rank < design.shape[1]:
        raise ValueError(
            f"{rank} of {counted(design.shape[1], 'unknown')} follow from {counted(len(x), 'row')}; give more rows or "
            "drop columns"
        )
    return Line(jnp.asarray(solution[:-1], jnp.float32), jnp.asarray(solution[-1], jnp.float32))


def compare(seed: int = 0, epochs: int = 3, learning_rate: float = 0.03, batch_size: int = 10) -> Comparison:
    """Fit the book's 1,000 examples, w = [2, -3.4] and b = 4.2, with both descents starting from the same weights.

    Published losses of the epochs: .042790, .000162, .000051.
    """
    examples = linear_regression(seed)
    after: list[Line] = []
    data = Dataset("synthetic_linear", examples, examples)  # judged on the training examples, as in the book
    recipe = dataclasses.replace(RECIPES["linear"], epochs=epochs, learning_rate=learning_rate, batch_size=batch_size)
    run = fit(recipe, data, seed, on_epoch=lambda result, state: after.append(_line(state.params)))
    x, y = jnp.asarray(examples.x), jnp.asarray(examples.y)
    keys = run_keys(seed)
    start = _line(recipe.model.init(keys.init, x[:1], train=False)["params"])
    measure = lambda line: jnp.mean(loss(line, x, y))  # noqa: E731
    descent = partial(descend, loss, learning_rate=learning_rate, epochs=epochs, batch_size=batch_size, measure=measure)
    scratch, scratch_loss = jax.jit(descent)(start, x, y, keys.shuffle)
    exact = closed_form(examples)
    return Comparison(
        scratch=scratch,
        layer=after[-1],
        closed_form=exact,
        scratch_loss=np.asarray(scratch_loss),
        layer_loss=np.array([result.test_loss for result in run.epochs]),
        noise_floor=float(measure(exact)),
    )


def _line(params: dict[str, dict[str, jax.Array]]) -> Line:
    layer = params["Dense_0"]
    return Line(jnp.array(layer["kernel"]), jnp.array(layer["bias"]))  # copies: training goes on in these buffers
