"""Judging parameters on examples: every example counts exactly once, at one compiled shape."""

from typing import Any

import jax
import numpy as np

from jaxd2l.data import Dataset, Examples, ordered_rows
from jaxd2l.train.check_data import check_dataset
from jaxd2l.train.compiler import compile_lowered
from jaxd2l.train.epoch import empty_tally, make_evaluation
from jaxd2l.train.program import mean, on_device
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.step import make_judge

PyTree = Any


def evaluate(
    recipe: Recipe, params: PyTree, batch_stats: PyTree, examples: Examples, batch_size: int | None = None
) -> tuple[float, float | None]:
    """Mean loss and accuracy in prediction mode.

    Args:
        recipe: the network and its objective.
        params: the network's parameters.
        batch_stats: running statistics, `{}` without batch normalisation.
        examples: at least one.
        batch_size: rows at a time; the recipe's by default. It does not change the result
            beyond the order of summation.

    Returns:
        `(loss, accuracy)`; accuracy is a share in [0, 1], None for regression.

    Raises:
        ValueError: no example, or inputs the network refuses.
        DataError: the examples cannot be judged, before anything is traced; see `check_dataset`.
    """
    if np.shape(examples.x)[:1] == (0,):
        raise ValueError("no example to evaluate on; at least one is needed")
    examples = check_dataset(recipe, Dataset("evaluation", examples, examples)).test
    rows = ordered_rows(len(examples.x), batch_size or recipe.batch_size)
    steps = rows.indices.shape[0]
    x, y = on_device(examples)
    call = (params, batch_stats, empty_tally(steps), x, y, rows, np.int32(0), np.int32(steps))
    evaluation = jax.jit(make_evaluation(make_judge(recipe.model, recipe.objective())), donate_argnums=2)
    record = compile_lowered(evaluation.lower(*call))(*call)
    return mean(record, recipe.hits is not None)
