"""What a few updates take, beside what was predicted of them."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.cost.answer import Cost
from jaxd2l.cost.estimate import batch_like
from jaxd2l.data import Dataset, shapes
from jaxd2l.machine.device import default_device
from jaxd2l.train.compiler import compiled
from jaxd2l.train.program import bind
from jaxd2l.train.state import run_keys

MEASURED_STEPS = 5


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
