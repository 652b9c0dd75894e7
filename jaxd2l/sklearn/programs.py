"""Programs by shape: what is compiled for one fit serves every other of the same network on about as many rows.

Rows are padded to a round number of batches, and the padding is in no batch. So a search compiles once, not for each of
its fits, and so do the folds of a cross-validation, whose sizes differ by one.
"""

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxd2l.data import Dataset, Examples, Rows
from jaxd2l.kept import made_once
from jaxd2l.machine.device import default_device
from jaxd2l.prediction import Predictor
from jaxd2l.sklearn.rows import Weighted
from jaxd2l.train.program import Program, compile_program, identity, stored
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import variables_like
from jaxd2l.train.step import Tally

_FEWEST = 256  # rows that a program is made for at least


class Training(NamedTuple):
    """What `jaxd2l.train.fit` trains.

    Attributes:
        recipe: with as many rows a batch as there are.
        data: the rows, padded; the test part is one of them, which nobody looks at.
        program: of the rows without the padding, and with their weights.
    """

    recipe: Recipe
    data: Dataset
    program: Program


def dataset_of(rows: Weighted, classes: Sequence[str]) -> Dataset:
    """The rows as they are."""
    return Dataset("X", Examples(rows.x, rows.y), Examples(rows.x[:1], rows.y[:1]), tuple(classes))


def training_of(recipe: Recipe, rows: Weighted, held: Weighted | None, classes: Sequence[str]) -> Training:
    """A training on weighted rows, its program compiled now or at an earlier time.

    Args:
        recipe: fitted to the rows.
        rows: to be trained on.
        held: that epochs are judged by; None where nothing judges them.
        classes: the name of each label.
    """
    data, n = dataset_of(rows, classes), len(rows.x)
    keep_last = not _normalises_batches(recipe, data)  # padding would enter the statistics
    size = min(recipe.batch_size, n)
    if keep_last:
        few = max(32, 1 << (n - 1).bit_length())
        size = recipe.batch_size if recipe.accumulate > 1 else min(recipe.batch_size, few)
    recipe = dataclasses.replace(recipe, batch_size=size)
    room = _room(n, size)
    if not recipe.course.is_constant:  # a schedule is laid out for the updates of an epoch
        room = -(-n // size) * size if keep_last else n
    data = data._replace(train=_padded(rows, room))
    if held is not None:
        data = data._replace(validation=_padded(held, _room(len(held.x), size)))
    compiled = _compiled(recipe, data)
    shuffle = _made_here(("shuffle", room, size, keep_last), lambda: jax.jit(compiled.shuffle))
    program = dataclasses.replace(
        compiled,
        recipe=recipe,
        shuffle=functools.partial(_shuffled, shuffle, rows.weight, keep_last),
        epoch=functools.partial(_epoch, compiled),
        train_steps=-(-n // size) if keep_last else n // size,
    )
    if held is not None:
        program = dataclasses.replace(program, evaluation_rows=_weighted(compiled.evaluation_rows, held.weight))
    return Training(recipe, data, program)


def predictor_for(
    recipe: Recipe, params: Any, batch_stats: Any, classes: int, shape: tuple[int, ...], dtype: np.dtype
) -> Predictor:
    """A predictor, its program compiled now or at an earlier time."""

    def make() -> Predictor:
        first = Predictor(recipe, params, batch_stats, tuple(map(str, range(classes))), shape, dtype)
        first.outputs(np.zeros((1, *shape), dtype))
        return first

    fields = tuple(getattr(recipe, name) for name in ("model", "image_size", "statistics", "precision"))
    other = copy.copy(_made_here(("predict", fields, recipe.hits is None, classes, shape, str(dtype)), make))
    other.variables = jax.device_put({"params": params, "batch_stats": batch_stats})
    return other


def _room(rows: int, batch_size: int) -> int:
    """How many rows a program is made for: at most a quarter more than are needed, or `_FEWEST`."""
    batches = -(-max(rows, _FEWEST) // batch_size)
    unit = 1 << max(0, batches.bit_length() - 3)
    return -(-batches // unit) * unit * batch_size


def _padded(rows: Weighted, room: int) -> Examples:
    """As many rows as there is room for: the first one again at the end."""
    more = room - len(rows.x)
    return Examples(*(np.concatenate([a, np.broadcast_to(a[:1], (more, *a.shape[1:]))]) for a in rows[:2]))


def _normalises_batches(recipe: Recipe, data: Dataset) -> bool:
    """Whether the network has running statistics."""
    shape = (1, *recipe.input_shape(data.train.x))

    def make() -> bool:
        x = jax.ShapeDtypeStruct(shape, np.float32)
        return bool(jax.tree.leaves(variables_like(recipe.model, x).get("batch_stats", {})))

    return bool(_made_here(("statistics", recipe.model, shape), make))


def _compiled(recipe: Recipe, data: Dataset) -> Program:
    """The program of all rows, padding too, without its order, which is of no network."""
    shapes = data._replace(train=stored(recipe, data.train), test=stored(recipe, data.test))
    without: tuple[str, ...] = ("shuffle", "evaluation")
    if data.validation is not None:
        shapes, without = shapes._replace(validation=stored(recipe, data.validation)), without[:1]
    arrays = [(a.shape, str(a.dtype)) for part in (shapes.train, shapes.judged) for a in part]
    program: Program = _made_here(
        (identity(recipe), arrays, without), lambda: compile_program(recipe, shapes, without=without)
    )
    return program


def _made_here(key: Any, make: Callable[[], Any]) -> Any:
    """What was made once for this key, this device and these types."""
    return made_once(("sklearn", key, default_device(), jax.config.jax_enable_x64), make)


def _shuffled(
    shuffle: Callable[..., Rows], weight: np.ndarray, keep_last: bool, key: jax.Array, epoch: np.int32
) -> Rows:
    """The order that is drawn for all rows, without those that are padding."""
    drawn = shuffle(key, epoch)
    indices = np.asarray(drawn.indices)
    n, size = len(weight), indices.shape[1]
    order = indices.ravel()[np.asarray(drawn.weight).ravel() > 0]
    order = order[order < n]
    order = order if keep_last else order[: n // size * size]
    filled = np.zeros(indices.size, np.int32)
    filled[: len(order)] = order
    return _weighted(drawn._replace(indices=filled.reshape(indices.shape)), weight[order])  # type: ignore[arg-type]


def _weighted(rows: Rows, weight: np.ndarray) -> Rows:
    """The same rows in batches, the first of them with these weights and the others with 0."""
    weights = np.zeros(rows.indices.size, np.float32)
    weights[: len(weight)] = weight
    return rows._replace(weight=weights.reshape(rows.indices.shape))  # type: ignore[arg-type]


def _epoch(program: Program, state: Any, record: Tally, *arguments: Any) -> tuple[Any, Tally]:
    """The program's epoch, whose record has room for the batches of the padding too."""
    steps = len(record.loss)
    room = [np.pad(np.asarray(a), (0, program.train_steps - steps)) for a in record]
    state, filled = program.epoch(state, Tally(*room), *arguments)  # type: ignore[arg-type]
    return state, Tally(*(np.asarray(a)[:steps] for a in filled))  # type: ignore[arg-type]
