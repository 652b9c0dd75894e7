"""A recipe compiled for the shapes of one data set: four executables that serve every seed and learning rate.

One compile serves a single run and many runs as one program: leading axes are what differs.
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Dataset, Examples, Rows, epoch_rows, num_steps, ordered_rows
from jaxd2l.data.plain import stored_dtype
from jaxd2l.nn.parameters import described, differences, flat
from jaxd2l.train.compiler import compiled
from jaxd2l.train.epoch import empty_tally, make_epoch, make_evaluation
from jaxd2l.train.mesh import data_mesh, in_order_of_pieces, placed, require_divisible, sharded_shapes
from jaxd2l.train.optimizer import HyperparametersInState
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, begin, init_state, run_keys
from jaxd2l.train.step import Tally, make_judge

PyTree = Any
Weights = tuple[PyTree, PyTree]
Executable = Any  # or, before it is compiled, the function itself
# Drawing a network's parameters once takes less time than optimising the code that does: ResNet-18's initialisation
# compiles in a third of the time, to the same bits. (Those of many runs at once differ in their last bits.)
OPTIONS = {"init": {"xla_backend_optimization_level": 1}}
DONATED = {"epoch": (0, 1), "evaluation": (2,)}


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
        train, test: shapes and types of the data, as on the device; `test` of the part that epochs are judged by.
        axes: the leading axes, outermost first; none for a single run.
        mesh: the devices over which the rows of each batch are divided, see `train.mesh`; None for the default one.
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
    compile_seconds: float = 0.0

    def record(self, steps: int) -> Tally:
        """An empty record of `steps` batches for every run."""
        sizes = [axis.size for axis in self.axes]
        record = jax.tree.map(lambda a: jnp.zeros((*sizes, *a.shape), a.dtype), empty_tally(steps))
        return placed(record, self.mesh)


def stored(recipe: Recipe, part: Examples) -> Examples:
    """Shapes and types of a part of the data as they are on the device, whatever types it comes in."""
    types = (stored_dtype(part.x.dtype), stored_dtype(part.y.dtype, labels=recipe.takes_labels))
    return Examples(*(jax.ShapeDtypeStruct(a.shape, dtype) for a, dtype in zip(part, types, strict=True)))  # type: ignore[arg-type]


def bind(recipe: Recipe, data: Dataset, mesh: Mesh | Iterable[Any] | None = None) -> Program:
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
    optimizer, objective = recipe.make_optimizer(), recipe.objective()
    kept: dict[str, Any] = {"averaged": recipe.ema is not None, "freeze": recipe.freeze}
    one = jax.ShapeDtypeStruct((1, *data.train.x.shape[1:]), stored_dtype(data.train.x.dtype))
    prepared = jax.eval_shape(lambda x: objective.prepare(x).astype(jnp.float32), one)

    def init(key: jax.Array, learning_rate: jax.Array, weight_decay: jax.Array) -> TrainState:
        x = jnp.zeros(prepared.shape, prepared.dtype)
        if not isinstance(optimizer, HyperparametersInState):
            return init_state(recipe.model, optimizer, key, x, **kept)
        rate = recipe.learning_rate if callable(recipe.learning_rate) else learning_rate
        return init_state(recipe.model, recipe.make_optimizer(rate, weight_decay), key, x, **kept)

    number = jax.ShapeDtypeStruct((), jnp.float32)
    keep_last = not jax.tree.leaves(jax.eval_shape(init, run_keys(0).init, number, number).batch_stats)
    steps = num_steps(n, batch_size, keep_last=keep_last)
    rows_of = partial(epoch_rows, n=n, batch_size=batch_size, keep_last=keep_last)
    order = partial(in_order_of_pieces, shards=shards, accumulate=recipe.accumulate)
    return Program(
        recipe=recipe,
        init=init,
        shuffle=lambda key, epoch: order(rows_of(jax.random.fold_in(key, epoch))),
        epoch=make_epoch(recipe.make_step(recipe.scheduled_optimizer(steps))),
        evaluation=make_evaluation(make_judge(recipe.model, objective)),
        train_steps=steps,
        evaluation_rows=ordered_rows(len(data.judged.x), batch_size, shards),
        dropped=0 if keep_last else n - steps * batch_size,
        train=stored(recipe, data.train),
        test=stored(recipe, data.judged),
        mesh=mesh,
    )


def compile_program(
    recipe: Recipe,
    data: Dataset,
    *axes: Axis,
    mesh: Mesh | Iterable[Any] | None = None,
    without: Collection[str] = (),
) -> Program:
    """Trace and compile everything a run needs, or many runs as one program, before anything runs.

    A network with batch statistics drops, after shuffling, the last batch where it is not full: padding
    would enter the statistics. Every other network pads it with examples of weight 0, which is exact.

    Args:
        recipe: what to train.
        data: only shapes and dtypes count.
        *axes: of many runs, outermost first; those of seeds come before those of rates alone, so that a batch is
            gathered and prepared once for all runs that share their seed.
        mesh: devices over which the rows of each batch are divided, see `train.mesh`; the default one when None.
        without: names of functions that are left as they are, not compiled.

    Returns:
        The program; running it on data of other shapes is an error.

    Raises:
        ValueError: the batch is larger than the data, or cannot be divided over the devices, or the network refuses
            the images' shape.
    """
    began = time.perf_counter()
    program = over(bind(recipe, data, mesh), axes)
    options = {} if axes else OPTIONS
    executables: dict[str, Any] = {
        name: compiled(
            getattr(program, name), call, donate=DONATED.get(name, ()), options=options.get(name), mesh=program.mesh
        )
        for name, call in calls_of(program).items()
        if name not in without
    }
    return dataclasses.replace(program, **executables, compile_seconds=time.perf_counter() - began)


def over(program: Program, axes: Sequence[Axis], mapping: Callable[[Axis], Any] = lambda axis: jax.vmap) -> Program:
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
    key = jax.ShapeDtypeStruct(seeds, run_keys(0).init.dtype)
    number, integer = jax.ShapeDtypeStruct(rates, jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
    state, rows = jax.eval_shape(program.init, key, number, number), jax.eval_shape(program.shuffle, key, integer)
    test_rows = jax.eval_shape(lambda: program.evaluation_rows)
    record, judged = (jax.eval_shape(partial(program.record, n)) for n in (program.train_steps, len(test_rows.weight)))
    calls: dict[str, tuple[Any, ...]] = {
        "init": (key, number, number),
        "shuffle": (key, integer),
        "epoch": (state, record, *program.train, rows, key, integer, integer),
        "evaluation": (state.params, state.batch_stats, judged, *program.test, test_rows, integer, integer),
    }
    return {name: sharded_shapes(call, program.mesh) for name, call in calls.items()}


def initial_state(
    program: Program, seed: int, learning_rate: Any, weight_decay: float, weights: Weights | None = None
) -> TrainState:
    """The state before the first update of the run with this seed; a schedule is the program's own.

    Args:
        program: of a single run.
        seed: draws the parameters.
        learning_rate: of the run.
        weight_decay: likewise.
        weights: `(params, batch_stats)` to begin with instead of drawn ones.

    Raises:
        ValueError: names, shapes or types of the weights are not those of the network; all differences are listed.
    """
    rate = 0.0 if callable(learning_rate) else learning_rate
    drawn: TrainState = program.init(run_keys(seed).init, np.float32(rate), np.float32(weight_decay))
    if weights is None:
        return drawn
    given, own = (described(flat(trees)) for trees in (weights, (drawn.params, drawn.batch_stats)))
    if wrong := differences(given, own):
        raise ValueError(f"the weights to begin with do not fit the network: {'; '.join(wrong)}")
    recipe = program.recipe
    begun = begin(recipe.make_optimizer(), *weights, averaged=recipe.ema is not None, freeze=recipe.freeze)
    if hasattr(drawn.opt_state, "hyperparams"):
        begun = begun._replace(opt_state=begun.opt_state._replace(hyperparams=drawn.opt_state.hyperparams))
    return placed(jax.tree.map(lambda a, like: jnp.array(a, like.dtype), begun, drawn), program.mesh)


def mean(record: Tally, classified: bool) -> tuple[float, float | None]:
    """Mean loss and accuracy of a record, read back to the host: sums over sums, not a mean of batch means."""
    loss, hits, examples = (float(np.asarray(a, np.float64).sum()) for a in (record.loss, record.hits, record.examples))
    return loss / examples, hits / examples if classified else None
