"""Judging parameters on examples: every example counts exactly once, at one compiled shape."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Dataset, Examples, Rows, ordered_rows
from jaxd2l.train.check_data import check_dataset
from jaxd2l.train.compiler import compiled
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.feed import Feed, feed_of_evaluation
from jaxd2l.train.mesh import agreed, placed, sharded_shapes
from jaxd2l.train.program import evaluation_of, identity, mean, stored, streams, window_of
from jaxd2l.train.program.windows import held
from jaxd2l.train.recipe import Recipe

PyTree = Any
CHUNK_SECONDS = 0.5  # how long the host lets the device run before it looks at signals and the progress bar


class Pace:
    """How many steps make up a piece of about `seconds`, from the time the last ones took; 1 at first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._a_step: float | None = None

    def last_step(self, first: int, steps: int) -> int:
        """The end of a piece that begins at `first`."""
        size = 1 if self._a_step is None else max(1, int(self._seconds / max(self._a_step, 1e-9)))
        return min(steps, first + size)

    def learn(self, steps: int, seconds: float) -> None:
        """Hear how long a piece of so many steps took."""
        self._a_step = seconds / steps


class Evaluation:
    """Examples on the device with the executable that judges weights on them, a piece at a time."""

    def __init__(
        self,
        executable: Any,
        rows: Rows,
        feed: Feed,
        *,
        classified: bool,
        seconds: float = CHUNK_SECONDS,
        mesh: Mesh | None = None,
    ) -> None:
        """Bind `executable(params, batch_stats, record, x, y, rows, first, last)` of the mesh to its rows."""
        self._executable, self._rows, self.feed = executable, placed(rows, mesh), feed
        self._classified, self._pace, self._mesh, self._passes = classified, Pace(seconds), mesh, 0

    def __call__(
        self, params: PyTree, batch_stats: PyTree, on_piece: Callable[[int, int], None] = lambda done, steps: None
    ) -> tuple[float, float | None]:
        """Mean loss and accuracy; `on_piece` is called with the batches done and all of them after each piece."""
        steps, done = self._rows.indices.shape[0], 0
        record: Any = placed(empty_tally(steps), self._mesh)
        params, batch_stats = placed((params, batch_stats), self._mesh)
        self.feed.begin(self._passes, self._rows)
        self._passes += 1
        while done < steps:
            began = time.perf_counter()
            x, y, end = self.feed.at(done)
            last = agreed(self._pace.last_step(done, end), self._mesh)
            record = jax.block_until_ready(
                self._executable(params, batch_stats, record, x, y, self._rows, np.int32(done), np.int32(last))
            )
            self._pace.learn(last - done, time.perf_counter() - began)
            done = last
            on_piece(done, steps)
        return mean(record, self._classified)


def compile_evaluation(
    recipe: Recipe,
    params: PyTree,
    batch_stats: PyTree,
    examples: Examples,
    *,
    batch_size: int | None = None,
    seconds: float = CHUNK_SECONDS,
    mesh: Mesh | None = None,
    stream: bool = False,
    passes: int = 1,
    workers: int | None = None,
) -> Evaluation:
    """Compile the judgement of weights like the given ones on `examples`, which are checked already."""
    rows = ordered_rows(len(examples.x), batch_size or recipe.batch_size, 1 if mesh is None else mesh.size)
    steps, size = rows.weight.shape
    window = window_of(examples, size, steps) if streams(Dataset("", examples, examples), stream) else None
    feed = feed_of_evaluation(examples, rows, window, passes=passes, mesh=mesh, workers=workers)
    on_it = held(stored(recipe, examples), size, window)
    call: Any = (params, batch_stats, empty_tally(steps), *on_it, placed(rows, mesh), np.int32(0), np.int32(steps))
    call = call if mesh is None else sharded_shapes(call, mesh)
    executable = compiled(evaluation_of(recipe), call, donate=(2,), mesh=mesh, key=("evaluation", identity(recipe)))
    return Evaluation(executable, rows, feed, classified=recipe.hits is not None, seconds=seconds, mesh=mesh)


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
        ValueError: no example, a batch of none, or inputs the network refuses.
        DataError: the examples cannot be judged, before anything is traced; see `check_dataset`.
    """
    if np.shape(examples.x)[:1] == (0,):
        raise ValueError("no example to evaluate on; at least one is needed")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    examples = check_dataset(recipe, Dataset("evaluation", examples, examples)).test
    judge = compile_evaluation(recipe, params, batch_stats, examples, batch_size=batch_size)
    with closing(judge.feed):
        return judge(params, batch_stats)
