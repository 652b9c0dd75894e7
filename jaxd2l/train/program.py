"""A recipe compiled for the shapes of one data set: four executables that serve every seed and learning rate."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples, Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.data.plain import stored_dtype
from jaxd2l.train.compiler import compile_lowered
from jaxd2l.train.epoch import empty_tally, make_epoch, make_evaluation
from jaxd2l.train.optimizer import HyperparametersInState
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, init_state, run_keys
from jaxd2l.train.step import Tally, make_judge

Executable = Any
# Drawing a network's parameters once takes less time than optimising the code that does: ResNet-18's initialisation
# compiles in a third of the time, to the same bits.
_RUNS_ONCE = {"xla_backend_optimization_level": 1}


@dataclasses.dataclass(frozen=True)
class Program:
    """Compiled for a recipe and the shapes of its data; holds no state and no data.

    Attributes:
        recipe: what was compiled; its epochs are only a default, and so are its learning rate and weight decay where
            the optimizer holds them in its state.
        init: `(key, learning_rate, weight_decay) -> TrainState`.
        shuffle: `(key, epoch) -> Rows` of one epoch.
        epoch: `(state, record, x, y, rows, key, first, last) -> (state, record)`; donates state and record.
        evaluation: `(params, batch_stats, record, x, y, rows, first, last) -> record`; donates record.
        train_steps: updates an epoch.
        evaluation_rows: the rows that each epoch is judged by in order, padded.
        dropped: training examples left out of each epoch because they fill no batch.
        compile_seconds: what tracing and compiling took.
        train, test: shapes and types of the data, as on the device; `test` of the part that epochs are judged by.
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
    train: Examples
    test: Examples


def on_device(examples: Examples) -> Examples:
    """The same rows, resident on the default device; no copy where they already are."""
    return Examples(*(jax.device_put(a) for a in examples))


def stored(recipe: Recipe, part: Examples) -> Examples:
    """Shapes and types of a part of the data as they are on the device, whatever types it comes in."""
    types = (stored_dtype(part.x.dtype), stored_dtype(part.y.dtype, labels=recipe.takes_labels))
    return Examples(*(jax.ShapeDtypeStruct(a.shape, dtype) for a, dtype in zip(part, types, strict=True)))  # type: ignore[arg-type]


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
    pure = bind(recipe, data)
    key = run_keys(0).init
    number = jax.ShapeDtypeStruct((), jnp.float32)
    integer = jax.ShapeDtypeStruct((), jnp.int32)
    state = jax.eval_shape(pure.init, key, number, number)
    rows = jax.eval_shape(pure.shuffle, key, integer)
    train, test, test_rows = stored(recipe, data.train), stored(recipe, data.judged), _like(pure.evaluation_rows)
    record = _like(empty_tally(pure.train_steps))
    epoch = jax.jit(pure.epoch, donate_argnums=(0, 1)).lower(state, record, *train, rows, key, integer, integer)
    record = _like(empty_tally(test_rows.indices.shape[0]))
    evaluation = jax.jit(pure.evaluation, donate_argnums=2).lower(
        state.params, state.batch_stats, record, *test, test_rows, integer, integer
    )
    return Program(
        recipe=recipe,
        init=jax.jit(pure.init).lower(key, number, number).compile(_RUNS_ONCE),
        shuffle=jax.jit(pure.shuffle).lower(key, integer).compile(),
        epoch=compile_lowered(epoch),
        evaluation=compile_lowered(evaluation),
        train_steps=pure.train_steps,
        evaluation_rows=pure.evaluation_rows,
        dropped=pure.dropped,
        compile_seconds=time.perf_counter() - began,
        train=train,
        test=test,
    )


class Functions(NamedTuple):
    """The pure functions of a run with everything bound but the arrays; the fields are those of `Program`."""

    init: Callable[[jax.Array, jax.Array, jax.Array], TrainState]
    shuffle: Callable[[jax.Array, jax.Array], Rows]
    epoch: Callable[..., tuple[TrainState, Tally]]
    evaluation: Callable[..., Tally]
    train_steps: int
    evaluation_rows: Rows
    dropped: int


def bind(recipe: Recipe, data: Dataset) -> Functions:
    """Bind a recipe and the shapes of its data, compiling nothing: to compile it, or to vmap it first.

    Raises:
        ValueError: the batch is larger than the data, or the network refuses the images' shape.
    """
    n, batch_size = len(data.train.x), recipe.batch_size
    num_steps(n, batch_size)  # refuses a batch that does not fit before anything is traced
    optimizer, objective, averaged = recipe.make_optimizer(), recipe.objective(), recipe.ema is not None
    one = jax.ShapeDtypeStruct((1, *data.train.x.shape[1:]), stored_dtype(data.train.x.dtype))
    prepared = jax.eval_shape(lambda x: objective.prepare(x).astype(jnp.float32), one)

    def init(key: jax.Array, learning_rate: jax.Array, weight_decay: jax.Array) -> TrainState:
        x = jnp.zeros(prepared.shape, prepared.dtype)
        if not isinstance(optimizer, HyperparametersInState):
            return init_state(recipe.model, optimizer, key, x, averaged=averaged)
        rate = recipe.learning_rate if callable(recipe.learning_rate) else learning_rate
        return init_state(recipe.model, recipe.make_optimizer(rate, weight_decay), key, x, averaged=averaged)

    number = jax.ShapeDtypeStruct((), jnp.float32)
    keep_last = not jax.tree.leaves(jax.eval_shape(init, run_keys(0).init, number, number).batch_stats)
    steps = num_steps(n, batch_size, keep_last=keep_last)
    rows_of = partial(epoch_rows, n=n, batch_size=batch_size, keep_last=keep_last)
    step = recipe.make_step(recipe.scheduled_optimizer(steps))
    return Functions(
        init=init,
        shuffle=lambda key, epoch: rows_of(jax.random.fold_in(key, epoch)),
        epoch=make_epoch(step),
        evaluation=make_evaluation(make_judge(recipe.model, objective)),
        train_steps=steps,
        evaluation_rows=ordered_rows(len(data.judged.x), batch_size),
        dropped=0 if keep_last else n - steps * batch_size,
    )


def initial_state(program: Program, seed: int, learning_rate: Any, weight_decay: float) -> TrainState:
    """The state before the first update of the run with this seed; a schedule is the program's own."""
    rate = 0.0 if callable(learning_rate) else learning_rate
    return program.init(run_keys(seed).init, np.float32(rate), np.float32(weight_decay))


def mean(record: Tally, classified: bool) -> tuple[float, float | None]:
    """Mean loss and accuracy of a record, read back to the host: sums over sums, not a mean of batch means."""
    loss, hits, examples = (float(np.asarray(a, np.float64).sum()) for a in (record.loss, record.hits, record.examples))
    return loss / examples, hits / examples if classified else None
