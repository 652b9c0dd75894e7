"""The four executables of a run, and what they begin with and end in."""

import dataclasses
import time
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Dataset
from jaxd2l.machine.compiling import Compile, compile_each, compiled_here
from jaxd2l.nn.parameters import described, differences, flat
from jaxd2l.train.compiler import lowered, tracing_on
from jaxd2l.train.mesh import data_mesh, placed
from jaxd2l.train.program.binding import DONATED, Axis, Program, bind, calls_of, over
from jaxd2l.train.program.remembering import remembered_program
from jaxd2l.train.program.windows import streams
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, begin, run_keys
from jaxd2l.train.step import Tally

Weights = tuple[Any, Any]
# Drawing a network's parameters once takes less time than optimising the code that does, and gives the same bits.
# (Those of many runs at once differ in their last bits.)
OPTIONS = {"init": {"xla_backend_optimization_level": 1}}
# An order is of integers, the same however it is drawn; of few examples it is drawn before its code is optimised.
_FEW, _SHUFFLE_OF_FEW = 10_000, {"shuffle": {"xla_backend_optimization_level": 0}}
# What takes longest to compile is traced first, and compiled beside the tracing of the others.
_LONGEST_FIRST = ("epoch", "evaluation", "init", "shuffle")


def compile_program(
    recipe: Recipe,
    data: Dataset,
    *axes: Axis,
    mesh: Mesh | Iterable[Any] | None = None,
    stream: bool = False,
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
        stream: whether the data go to the device a window of batches at a time, see `train.feed`; those that lie on a
            disk do whatever it says.
        without: names of functions that are left as they are, not compiled.

    Returns:
        The program; running it on data of other shapes is an error.

    Raises:
        ValueError: the batch is larger than the data, or cannot be divided over the devices, or the network refuses
            the images' shape; or data are to be streamed and Grain is not installed.
    """
    began = time.perf_counter()
    mesh = data_mesh(mesh)
    options = ({} if axes else OPTIONS) | (_SHUFFLE_OF_FEW if len(data.train.x) <= _FEW else {})

    def make(compiled: Compile) -> Program:
        program = over(bind(recipe, data, mesh, stream), axes)
        calls = {name: call for name, call in calls_of(program).items() if name not in without}
        return dataclasses.replace(program, **compile_functions(program, calls, options, mesh, compiled))

    with tracing_on(mesh):
        if mesh is None and not without:
            program = remembered_program(recipe, data, axes, streams(data, stream), make)
        else:
            program = make(compiled_here)
    return dataclasses.replace(program, compile_seconds=time.perf_counter() - began)


def compile_functions(
    program: Program,
    calls: Mapping[str, tuple[Any, ...]],
    options: Mapping[str, dict[str, Any]] = MappingProxyType({}),
    mesh: Mesh | None = None,
    compiled: Compile = compiled_here,
) -> dict[str, Any]:
    """The executables of a program's functions by their names, each compiled beside the tracing of the next.

    Args:
        program: not yet compiled.
        calls: what each function that is to be compiled is called with, from `calls_of`.
        options: of XLA, by the names of functions.
        mesh: as in `lowered`.
        compiled: compiles one.
    """
    lowerings = (
        (name, lowered(getattr(program, name), calls[name], donate=DONATED.get(name, ()), mesh=mesh), options.get(name))
        for name in sorted(calls, key=_LONGEST_FIRST.index)
    )
    return compile_each(lowerings, compiled)


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
    require_fitting(weights, drawn)
    recipe = program.recipe
    begun = begin(recipe.make_optimizer(), *weights, averaged=recipe.ema is not None, freeze=recipe.freeze)
    if hasattr(drawn.opt_state, "hyperparams"):
        begun = begun._replace(opt_state=begun.opt_state._replace(hyperparams=drawn.opt_state.hyperparams))
    return placed(jax.tree.map(lambda a, like: jnp.array(a, like.dtype), begun, drawn), program.mesh)


def require_fitting(weights: Weights, drawn: TrainState) -> None:
    """Refuse weights that are not the network's.

    Raises:
        ValueError: names, shapes or types differ from those of the state; all differences are listed.
    """
    given, own = (described(flat(trees)) for trees in (weights, (drawn.params, drawn.batch_stats)))
    if wrong := differences(given, own):
        raise ValueError(f"the weights to begin with do not fit the network: {'; '.join(wrong)}")


def mean(record: Tally, classified: bool) -> tuple[float, float | None]:
    """Mean loss and accuracy of a record, read back to the host: sums over sums, not a mean of batch means."""
    loss, hits, examples = (float(np.asarray(a, np.float64).sum()) for a in (record.loss, record.hits, record.examples))
    return loss / examples, hits / examples if classified else None
