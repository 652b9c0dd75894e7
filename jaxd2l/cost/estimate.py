"""What a network costs: parameters, computation, memory to train and memory to predict, before anything is allocated.

Everything comes from shapes: the step that `fit` would compile is traced, its operations are counted, and the
arrays alive at each moment are followed. `benchmarks/cost_check.py` holds the numbers against XLA's own.
"""

import dataclasses
import math
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxd2l.cost.answer import Cost, Memory
from jaxd2l.cost.flops import count
from jaxd2l.cost.layers import Layer, layers
from jaxd2l.cost.liveness import peak
from jaxd2l.cost.traced import operations_of
from jaxd2l.data import Dataset, num_steps, shapes
from jaxd2l.earlier import place_of, remembered
from jaxd2l.machine.device import default_platform
from jaxd2l.nn.parameters import divided, flat
from jaxd2l.train.program import identity, stored
from jaxd2l.train.recipe import PRECISIONS, Recipe
from jaxd2l.train.state import TrainState, begin, variables_like, weights_of
from jaxd2l.train.step import Batch, Tally, make_judge

PyTree = Any


class Traced(NamedTuple):
    """The programs of a recipe, traced for the shapes of its data, and the state they work on."""

    step: Any
    judge: Any
    state: TrainState
    prepared: jax.ShapeDtypeStruct


def cost(recipe: Recipe, data: Dataset | None = None, *, platform: str | None = None, **settings: Any) -> Cost:
    """Count what `recipe` costs, allocating and compiling nothing.

    Args:
        recipe: the network and its settings.
        data: what it would train on; only shapes and dtypes count. Not needed for the image data sets.
        platform: "cpu", "gpu" or "tpu", which compute convolutions in different ways; the default device's
            by default.
        **settings: fields of the recipe to ask about instead of its own, such as `batch_size=32`.

    Returns:
        The cost.

    Raises:
        ValueError: a setting out of range, an image size the network refuses, or a data set of unknown shape.
    """
    recipe = dataclasses.replace(recipe, **settings)
    data = shapes(recipe.dataset) if data is None else data
    platform = platform or default_platform()
    parts = tuple(stored(recipe, part) for part in (data.train, data.test, data.validation) if part)

    def write(found: Cost) -> bytes:
        return pickle.dumps({**vars(found), "recipe": None})

    def read(content: bytes) -> Cost:
        return Cost(**pickle.loads(content))

    place = place_of("cost", (identity(recipe), parts, platform))
    found = remembered(place, lambda: _counted(recipe, data, platform), write=write, read=read)
    return dataclasses.replace(found, recipe=recipe)


def _counted(recipe: Recipe, data: Dataset, platform: str) -> Cost:
    batch = batch_like(recipe, data)
    traced = trace(recipe, data)
    dtype = PRECISIONS[recipe.precision]
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), traced.state.params)
    variables = {"params": params, "batch_stats": traced.state.batch_stats}
    found = layers(recipe.model, jax.ShapeDtypeStruct(traced.prepared.shape, dtype), variables)

    n = recipe.batch_size
    judged = count(operations_of(traced.judge, "gpu"))
    trained = count(operations_of(traced.step, "gpu"))
    padding = 2 * n * _padding_macs(recipe, found, traced.state.params)
    padding += 2 * n * sum(one.padding_macs for one in found) if recipe.remat else 0

    keep_last = not jax.tree.leaves(traced.state.batch_stats)
    total = data.train.x.shape[0]
    steps = num_steps(total, n, keep_last=keep_last) if n <= total else 1
    predict, train, kept = _memory(recipe, data, batch, traced, steps, platform)
    return Cost(
        recipe=recipe,
        layers=found,
        forward_flops=judged.total // n + 2 * sum(one.padding_macs for one in found),
        step_flops=trained.total + padding,
        padding_flops=padding,
        predict=predict,
        train=train,
        kept_activations=kept,
        steps=steps,
    )


def batch_like(recipe: Recipe, data: Dataset) -> Batch:
    """The shapes of one batch."""
    n = recipe.batch_size
    x, y = (jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype) for a in stored(recipe, data.train))
    return Batch(x, y, jax.ShapeDtypeStruct((n,), jnp.float32))  # type: ignore[arg-type]


def trace(recipe: Recipe, data: Dataset) -> Traced:
    """Trace one update and one judgement of a batch, as `fit` would compile them.

    Raises:
        ValueError: the network refuses the shape of the examples.
    """
    optimizer, objective = recipe.make_optimizer(), recipe.objective()
    batch = batch_like(recipe, data)
    prepared = jax.eval_shape(lambda x: objective.prepare(x).astype(jnp.float32), batch.x)
    key = jax.random.key(0)
    kept: dict[str, Any] = {"averaged": recipe.ema is not None, "freeze": recipe.freeze}
    drawn = variables_like(recipe.model, prepared)
    state = jax.eval_shape(lambda weights: begin(optimizer, *weights, **kept), weights_of(drawn))
    step = recipe.make_step(optimizer)
    judge = make_judge(recipe.model, objective)
    return Traced(
        step=jax.make_jaxpr(step)(state, batch, key),
        judge=jax.make_jaxpr(judge)(state.params, state.batch_stats, batch),
        state=state,
        prepared=prepared,
    )


def _padding_macs(recipe: Recipe, found: Sequence[Layer], params: PyTree) -> int:
    """Multiply-adds with paddings in an update, of one example: forwards, by the kernel and by the input.

    A frozen kernel has no gradient, and no gradient goes back to what nothing is trained before, in the order of calls.
    """
    trainable = flat(divided(params, recipe.freeze)[0])
    total, trained_before = 0, recipe.freeze is None
    for one in found:
        by_kernel, by_input = f"{one.name}/kernel" in trainable or recipe.freeze is None, not one.reads_input
        total += one.padding_macs * (1 + by_kernel + (by_input and trained_before))
        trained_before = trained_before or any(path.startswith(f"{one.name}/") for path in trainable)
    return total


def _memory(
    recipe: Recipe, data: Dataset, batch: Batch, traced: Traced, steps: int, platform: str
) -> tuple[Memory, Memory, int]:
    state, results = traced.state, len(jax.tree.leaves(traced.state))
    loss = results + Tally._fields.index("loss")
    predicting = peak(operations_of(traced.judge, platform), platform=platform)
    training = peak(operations_of(traced.step, platform), results, loss, platform)
    one_batch = bytes_of(batch)
    rows = bytes_of((batch.weight, batch.weight)) * steps  # indices are as large as weights
    records = 4 * len(Tally._fields) * steps
    predict = Memory(
        parameters=bytes_of(state.params),
        gradients=0,
        optimizer_state=0,
        batch_statistics=bytes_of(state.batch_stats),
        activations=predicting.total,
        workspace=0,
        data=one_batch,
        set_aside=0,
    )
    train = Memory(
        parameters=bytes_of(state.params),
        gradients=training.gradients,
        optimizer_state=bytes_of((state.opt_state, state.step, state.ema)),
        batch_statistics=bytes_of(state.batch_stats),
        activations=training.activations,
        workspace=training.workspace,
        data=bytes_of(stored(recipe, data.train)) + one_batch + rows + records,
        set_aside=bytes_of((state, [stored(recipe, part) for part in (data.test, data.validation) if part])),
    )
    return predict, train, training.boundary


def bytes_of(tree: PyTree) -> int:
    """What arrays of these shapes and types take."""
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(tree))
