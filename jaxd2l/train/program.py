"""A recipe compiled for the shapes of one data set: four executables that serve every seed and learning rate."""

import dataclasses
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples, Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.train.epoch import empty_tally, make_epoch, make_evaluation
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, init_state, run_keys
from jaxd2l.train.step import Tally, make_judge, make_step

Executable = Any


@dataclasses.dataclass(frozen=True)
class Program:
    """Compiled for a recipe and the shapes of its data; holds no state and no data.

    Attributes:
        recipe: what was compiled; its learning rate, weight decay and epochs are only defaults.
        init: `(key, learning_rate, weight_decay) -> TrainState`.
        shuffle: `(key, epoch) -> Rows` of one epoch.
        epoch: `(state, record, x, y, rows, key, first, last) -> (state, record)`; donates state and record.
        evaluation: `(params, batch_stats, record, x, y, rows, first, last) -> record`; donates record.
        train_steps: updates an epoch.
        evaluation_rows: the test rows in order, padded.
        dropped: training examples left out of each epoch because they fill no batch.
        compile_seconds: what tracing and compiling took.
    """

    recipe: Recipe
    init: Executable
    shuffle: Executable
    epoch: Executable
    evaluation: Executable
    train_steps: int
    evaluation_rows: Rows
    dropped: int
    compile_seconds: float


def on_device(examples: Examples) -> Examples:
    """The same rows, resident on the default device; no copy where they already are."""
    return Examples(*(jax.device_put(a) for a in examples))


def _like(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def compile_program(recipe: Recipe, data: Dataset) -> Program:
    """Trace and compile everything a run needs, before anything runs.

    A network with batch statistics drops, after shuffling, the last batch where it is not full: padding
    would enter the statistics. Every other network pads it with examples of weight 0, which is exact.

    Args:
        recipe: what to train.
        data: only shapes and dtypes count.

    Returns:
        The program; running it on data of other shapes is an error.

    Raises:
        ValueError: the batch is larger than the data, or the network refuses the images' shape.
    """
    began = time.perf_counter()
    n = len(data.train.x)
    batch_size = recipe.batch_size
    num_steps(n, batch_size)  # refuses a batch that does not fit before anything is traced
    optimizer, objective = recipe.make_optimizer(), recipe.objective()
    stored = jax.ShapeDtypeStruct((1, *data.train.x.shape[1:]), data.train.x.dtype)
    prepared = jax.eval_shape(lambda x: objective.prepare(x).astype(jnp.float32), stored)

    def init(key: jax.Array, learning_rate: jax.Array, weight_decay: jax.Array) -> TrainState:
        x = jnp.zeros(prepared.shape, prepared.dtype)
        return init_state(recipe.model, optimizer, key, x, learning_rate=learning_rate, weight_decay=weight_decay)

    key = run_keys(0).init
    number = jax.ShapeDtypeStruct((), jnp.float32)
    integer = jax.ShapeDtypeStruct((), jnp.int32)
    compiled_init = jax.jit(init).lower(key, number, number).compile()
    state = jax.eval_shape(init, key, number, number)

    keep_last = not jax.tree.leaves(state.batch_stats)
    steps = num_steps(n, batch_size, keep_last=keep_last)
    rows_of = partial(epoch_rows, n=n, batch_size=batch_size, keep_last=keep_last)
    shuffle = jax.jit(lambda key, epoch: rows_of(jax.random.fold_in(key, epoch)))
    rows = jax.eval_shape(shuffle, key, integer)
    step = make_step(recipe.model, optimizer, objective, remat=recipe.remat, accumulate=recipe.accumulate)
    epoch = jax.jit(make_epoch(step), donate_argnums=(0, 1))
    train = _like(data.train)
    compiled_epoch = epoch.lower(state, _like(empty_tally(steps)), *train, rows, key, integer, integer).compile()

    test_rows = ordered_rows(len(data.test.x), batch_size)
    evaluation = jax.jit(make_evaluation(make_judge(recipe.model, objective)), donate_argnums=2)
    record = _like(empty_tally(test_rows.indices.shape[0]))
    compiled_evaluation = evaluation.lower(
        state.params, state.batch_stats, record, *_like(data.test), _like(test_rows), integer, integer
    ).compile()
    return Program(
        recipe=recipe,
        init=compiled_init,
        shuffle=shuffle.lower(key, integer).compile(),
        epoch=compiled_epoch,
        evaluation=compiled_evaluation,
        train_steps=steps,
        evaluation_rows=test_rows,
        dropped=0 if keep_last else n - steps * batch_size,
        compile_seconds=time.perf_counter() - began,
    )


def initial_state(program: Program, seed: int, learning_rate: float, weight_decay: float) -> TrainState:
    """The state before the first update of the run with this seed."""
    return program.init(run_keys(seed).init, np.float32(learning_rate), np.float32(weight_decay))


def mean(record: Tally, classified: bool) -> tuple[float, float | None]:
    """Mean loss and accuracy of a record, read back to the host: sums over sums, not a mean of batch means."""
    loss, hits, examples = (float(np.asarray(a, np.float64).sum()) for a in (record.loss, record.hits, record.examples))
    return loss / examples, hits / examples if classified else None
