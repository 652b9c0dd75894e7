"""The predicted cost beside XLA's own figures, and beside what a run measures."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.cost.estimate import Cost, batch_like
from jaxd2l.data import Dataset, shapes
from jaxd2l.train.compiler import compiled
from jaxd2l.train.device import default_device
from jaxd2l.train.program import bind, calls_of
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import run_keys
from jaxd2l.train.step import make_judge

PLAIN = ("cuda",)  # lowered for it, a convolution is one operation that XLA knows how to count; no GPU is needed
MEASURED_STEPS = 5


class XlaCost(NamedTuple):
    """What XLA says of the same programs.

    Attributes:
        forward_flops: of the prediction of one batch, before optimisation; without products with padding zeros.
        step_flops: of one update, likewise.
        predict_bytes: arguments and temporaries of the compiled prediction.
        train_bytes: arguments and temporaries of the compiled epoch; compare with `train.total - train.set_aside`.
    """

    forward_flops: float
    step_flops: float
    predict_bytes: int
    train_bytes: int


class Measured(NamedTuple):
    """What a few updates on the default device came to.

    Attributes:
        step_seconds: median of `MEASURED_STEPS` updates after one to warm up.
        flops_per_second: the counted FLOPs of an update over that time.
        peak_bytes: the device's own record of its peak, None where it keeps none (a CPU).
    """

    step_seconds: float
    flops_per_second: float
    peak_bytes: int | None


def xla_flops(recipe: Recipe, data: Dataset | None = None) -> tuple[float, float]:
    """FLOPs of the prediction of one batch and of one update, as XLA counts them; nothing is compiled."""
    data = shapes(recipe.dataset) if data is None else data
    optimizer, objective, batch = recipe.make_optimizer(), recipe.objective(), batch_like(recipe, data)
    key, step = run_keys(0).init, recipe.make_step(optimizer)
    state, *_ = calls_of(bind(recipe, data))["epoch"]
    judge = jax.jit(make_judge(recipe.model, objective)).trace(state.params, state.batch_stats, batch)
    update = jax.jit(step).trace(state, batch, key)
    forward, both = (t.lower(lowering_platforms=PLAIN).cost_analysis()["flops"] for t in (judge, update))
    return float(forward), float(both)


def xla_cost(recipe: Recipe, data: Dataset | None = None) -> XlaCost:
    """Compile a recipe's epoch and prediction for the default device and ask XLA about them; nothing runs."""
    data = shapes(recipe.dataset) if data is None else data
    run = bind(recipe, data)
    calls = calls_of(run)
    params, batch_stats, *_ = calls["evaluation"]
    judge = make_judge(recipe.model, recipe.objective())
    predict = compiled(judge, (params, batch_stats, batch_like(recipe, data)))
    train = compiled(run.epoch, calls["epoch"], donate=(0, 1))
    return XlaCost(*xla_flops(recipe, data), *map(_bytes, (predict, train)))


def _bytes(program: Any) -> int:
    analysis: Any = program.memory_analysis()
    return int(analysis.argument_size_in_bytes + analysis.temp_size_in_bytes)


def measure(found: Cost, data: Dataset | None = None) -> Measured:
    """Run a few updates on made-up examples: the rate that the device reaches on this very network.

    Args:
        found: the cost to hold against the clock.
        data: as in `cost`; only shapes count.
    """
    recipe = found.recipe
    data = shapes(recipe.dataset) if data is None else data
    key = run_keys(0)
    rate = np.float32(0 if callable(recipe.learning_rate) else recipe.learning_rate)  # a schedule is in the program
    state = jax.jit(bind(recipe, data).init)(key.init, rate, np.float32(0))
    step = recipe.make_step()
    batch = jax.tree.map(lambda a: jnp.ones(a.shape, a.dtype), batch_like(recipe, data))
    update = compiled(step, (state, batch, key.noise), donate=(0,))
    seconds = []
    for i in range(MEASURED_STEPS + 1):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(update(state, batch, jax.random.fold_in(key.noise, i)))
        seconds.append(time.perf_counter() - began)
    median = float(np.median(seconds[1:]))
    stats = default_device().memory_stats() or {}
    return Measured(median, found.step_flops / median, stats.get("peak_bytes_in_use"))
