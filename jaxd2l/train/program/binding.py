"""A recipe compiled for the shapes of one data set: four executables that serve every seed and learning rate.

One compile serves a single run and many runs as one program: leading axes are what differs.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxd2l.data import Dataset, Examples, Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.data.plain import stored_dtype
from jaxd2l.kept import made_once
from jaxd2l.train.epoch import empty_tally, make_epoch, make_evaluation
from jaxd2l.train.mesh import data_mesh, in_order_of_pieces, placed, require_divisible, sharded_shapes
from jaxd2l.train.optimizer import HyperparametersInState
from jaxd2l.train.program.windows import held, streams, windows_of
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, init_state, key_like
from jaxd2l.train.step import Tally, make_judge

PyTree = Any
Weights = tuple[PyTree, PyTree]
Executable = Any  # or, before it is compiled, the function itself
DONATED = {"epoch": (0, 1), "evaluation": (2,)}
# What is compiled in; the other fields name, count or cite.
COMPILED = (
    *("model", "batch_size", "image_size", "augment", "mixup", "precision", "remat", "accumulate", "clip_norm"),
    *("optimizer", "momentum", "nesterov", "schedule", "warmup", "step_epochs", "step_factor", "loss", "hits"),
    *("statistics", "label_smoothing", "class_weights", "ema", "freeze"),
)


class Axis(NamedTuple):
    """A leading axis of the runs that are one program.

    Attributes:
        size: how many runs, at least 1.
        seeds: whether they differ in their keys, and so in the order of the examples too.
        rates: whether they differ in their learning rate and weight decay.
    """

    size: int
    seeds: bool = False
    rates: bool = False


@dataclasses.dataclass(frozen=True)
class Program:
    """A run of a recipe on data of one shape, or many runs as one: its functions, or once compiled its executables.

    It holds no state and no data. Where it is of many runs, states, records, keys, rates and rows lead with its axes,
    each as far as it differs along them.

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
        train, test: shapes of the data, and types on the device; `test` of the part that epochs are judged by.
        axes: the leading axes, outermost first; none for a single run.
        mesh: the devices over which the rows of each batch are divided, see `train.mesh`; None for the default one.
        windows: batches of the training part and of the judged one on the device at a time; None where all are.
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
    train: Examples
    test: Examples
    axes: tuple[Axis, ...] = ()
    mesh: Mesh | None = None
    windows: tuple[int, ...] | None = None
    compile_seconds: float = 0.0

    def record(self, steps: int) -> Tally:
        """An empty record of `steps` batches for every run."""
        return placed(empty_tally(steps, runs=[axis.size for axis in self.axes]), self.mesh)


def stored(recipe: Recipe, part: Examples) -> Examples:
    """Shapes and types of a part of the data as they are on the device, whatever types it comes in."""
    kinds = (stored_dtype(part.x.dtype), stored_dtype(part.y.dtype, labels=recipe.takes_labels))
    types = map(jax.dtypes.canonicalize_dtype, kinds)  # float64 is float32 there, unless JAX's 64 bits are enabled
    return Examples(*(jax.ShapeDtypeStruct(a.shape, dtype) for a, dtype in zip(part, types, strict=True)))  # type: ignore[arg-type]


def bind(recipe: Recipe, data: Dataset, mesh: Mesh | Iterable[Any] | None = None, stream: bool = False) -> Program:
    """Bind a recipe and the shapes of its data to the pure functions of a single run, compiling nothing.

    Raises:
        ValueError: see `compile_program`.
    """
    n, batch_size = len(data.train.x), recipe.batch_size
    mesh = data_mesh(mesh)
    shards = 1 if mesh is None else mesh.size
    num_steps(n, batch_size)  # refuses a batch that does not fit before anything is traced
    if shards > 1:
        require_divisible(shards, n, batch_size, recipe.accumulate)
    functions = functions_of(recipe, stored(recipe, data.train).x, shards)
    steps = num_steps(n, batch_size, keep_last=functions.keep_last)
    train, test = stored(recipe, data.train), stored(recipe, data.judged)
    evaluation_rows = ordered_rows(len(data.judged.x), batch_size, shards)
    parts = (train, batch_size, steps), (test, evaluation_rows.weight.shape[1], len(evaluation_rows.weight))
    return Program(
        recipe=recipe,
        init=functions.init,
        shuffle=functions.shuffle,
        epoch=functions.epoch,
        evaluation=evaluation_of(recipe),
        train_steps=steps,
        evaluation_rows=evaluation_rows,
        dropped=0 if functions.keep_last else n - steps * batch_size,
        train=train,
        test=test,
        mesh=mesh,
        windows=windows_of(parts) if streams(data, stream) else None,
    )


def over(program: Program, axes: Sequence[Axis], mapping: Callable[[Axis], Any] = lambda axis: _vmap) -> Program:
    """The functions of a single run as those of many, leading with `axes`, each by what `mapping` gives for it."""
    init, shuffle, epoch, evaluation = program.init, program.shuffle, program.epoch, program.evaluation
    for axis in reversed(axes):
        key, rate = (0 if differs else None for differs in (axis.seeds, axis.rates))
        mapped = mapping(axis)
        init = mapped(init, (key, rate, rate))
        shuffle = mapped(shuffle, (0, None)) if axis.seeds else shuffle
        epoch = mapped(epoch, (0, 0, None, None, key, key, None, None))
        evaluation = mapped(evaluation, (0, 0, 0, *[None] * 5))
    return dataclasses.replace(
        program, init=init, shuffle=shuffle, epoch=epoch, evaluation=evaluation, axes=tuple(axes)
    )


def calls_of(program: Program) -> dict[str, tuple[Any, ...]]:
    """Shapes and types of the arguments of each function of a program, by its name; where they lie, on a mesh."""
    seeds = tuple(axis.size for axis in program.axes if axis.seeds)
    rates = tuple(axis.size for axis in program.axes if axis.rates)
    key = jax.ShapeDtypeStruct(seeds, key_like().dtype)
    number, integer = jax.ShapeDtypeStruct(rates, jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
    state, rows = jax.eval_shape(program.init, key, number, number), jax.eval_shape(program.shuffle, key, integer)
    test_rows = jax.eval_shape(lambda: program.evaluation_rows)
    record, judged = (jax.eval_shape(partial(program.record, n)) for n in (program.train_steps, len(test_rows.weight)))
    windows, size = program.windows or (None, None), program.recipe.batch_size
    train, test = held(program.train, size, windows[0]), held(program.test, test_rows.weight.shape[1], windows[1])
    calls: dict[str, tuple[Any, ...]] = {
        "init": (key, number, number),
        "shuffle": (key, integer),
        "epoch": (state, record, *train, rows, key, integer, integer),
        "evaluation": (state.params, state.batch_stats, judged, *test, test_rows, integer, integer),
    }
    return {name: sharded_shapes(call, program.mesh) for name, call in calls.items()}


class Functions(NamedTuple):
    """The functions of a single run that hold its recipe, and whether an epoch keeps a last batch that is not full."""

    init: Executable
    shuffle: Executable
    epoch: Executable
    keep_last: bool


def _vmap(function: Executable, in_axes: tuple[int | None, ...]) -> Executable:
    return made_once(("vmap", function, in_axes), lambda: jax.vmap(function, in_axes))


def functions_of(recipe: Recipe, x: Any, shards: int = 1) -> Functions:
    """The functions of a run of a recipe: for an equal one the same ones, so that JAX knows what it has compiled.

    Those of a network, loss or optimizer of one's own are made anew: what it calls may have changed.

    Args:
        recipe: what they train.
        x: shape and type of the training inputs on the device.
        shards: devices over which each batch is divided.
    """
    key = "functions", identity(recipe), x.shape, x.dtype, shards
    functions: Functions = made_once(key, lambda: _functions(recipe, x, shards), installed=True)
    return functions


def evaluation_of(recipe: Recipe) -> Executable:
    """The function that judges weights of a recipe, for an equal one the same, as `functions_of` has it."""

    def make() -> Executable:
        return make_evaluation(make_judge(recipe.model, recipe.objective()))

    return made_once(("evaluation", identity(recipe)), make, installed=True)


def identity(recipe: Recipe) -> tuple[Any, ...]:
    """What of a recipe its program holds: recipes that have it in common share one."""
    return tuple((name, getattr(recipe, name)) for name in compiled_in(recipe))


def compiled_in(recipe: Recipe) -> Iterator[str]:
    """The fields that a program of the recipe holds: `COMPILED`, and what its schedule and optimizer hold as well."""
    yield from COMPILED
    if recipe.course.spans_the_run:
        yield "epochs"
    if callable(recipe.optimizer):  # else it is finished, and has its own numbers
        in_state = isinstance(recipe.make_optimizer(), HyperparametersInState)
        if not in_state or callable(recipe.learning_rate):
            yield "learning_rate"
        if not in_state:
            yield "weight_decay"


def _functions(recipe: Recipe, x: Any, shards: int) -> Functions:
    optimizer, objective = recipe.make_optimizer(), recipe.objective()
    kept: dict[str, Any] = {"averaged": recipe.ema is not None, "freeze": recipe.freeze}
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    prepared = jax.eval_shape(lambda x: objective.prepare(x).astype(jnp.float32), one)

    def init(key: jax.Array, learning_rate: jax.Array, weight_decay: jax.Array) -> TrainState:
        x = jnp.zeros(prepared.shape, prepared.dtype)
        if not isinstance(optimizer, HyperparametersInState):
            return init_state(recipe.model, optimizer, key, x, **kept)
        rate = recipe.learning_rate if callable(recipe.learning_rate) else learning_rate
        return init_state(recipe.model, recipe.make_optimizer(rate, weight_decay), key, x, **kept)

    number = jax.ShapeDtypeStruct((), jnp.float32)
    keep_last = not jax.tree.leaves(jax.eval_shape(init, key_like(), number, number).batch_stats)
    sizes: dict[str, Any] = {"n": len(x), "batch_size": recipe.batch_size, "keep_last": keep_last}
    order = partial(in_order_of_pieces, shards=shards, accumulate=recipe.accumulate)
    return Functions(
        init=init,
        shuffle=lambda key, epoch: order(epoch_rows(jax.random.fold_in(key, epoch), **sizes)),
        epoch=make_epoch(recipe.make_step(recipe.scheduled_optimizer(num_steps(**sizes)))),
        keep_last=keep_last,
    )
