"""An epoch as one compiled loop, on the device from the first batch to the last.

The loop's bounds are arguments: the same executable runs the whole epoch in one call, or a few
steps at a time where somebody watches a progress bar or may press Ctrl-C, with equal bits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxd2l.data import Ring, Rows
from jaxd2l.nn.kernels.shards import whole
from jaxd2l.train.state import TrainState
from jaxd2l.train.step import Batch, Step, Tally

PyTree = Any
Bound = jax.Array | int


def _gather(x: jax.Array | Ring, y: jax.Array | Ring, rows: Rows, i: jax.Array) -> Batch:
    def take(a: jax.Array | Ring) -> jax.Array:
        if isinstance(a, Ring):
            return a.batches[i % len(a.batches)]
        return a.at[rows.indices[i]].get(mode="promise_in_bounds")  # the rows were made from the data's size

    return Batch(take(x), take(y), whole(rows.weight[i]))  # so that every device counts the examples by itself


def empty_tally(steps: int, dtype: Any = jnp.float32, runs: Sequence[int] = ()) -> Tally:
    """A record of `steps` batches, all zero, after an axis for each of `runs`: what the loops below fill in."""
    zeros = [np.zeros((*runs, steps), dtype) for _ in Tally._fields]
    return Tally(*jax.device_put(zeros, may_alias=False))  # made without compiling anything


def _record(record: Tally, tally: Tally, i: jax.Array) -> Tally:
    return jax.tree.map(lambda all_steps, one: all_steps.at[i].set(one), record, tally)


def make_epoch(
    step: Step,
) -> Callable[..., tuple[TrainState, Tally]]:
    """Loop `step` over batches.

    Returns:
        `epoch(state, record, x, y, rows, key, first, last) -> (state, record)`: the updates for the batches
        `first <= i < last` of `rows`; update t draws with `fold_in(key, t)`. Jit it with `state` and
        `record` donated.
    """

    def epoch(
        state: TrainState,
        record: Tally,
        x: jax.Array | Ring,
        y: jax.Array | Ring,
        rows: Rows,
        key: jax.Array,
        first: Bound,
        last: Bound,
    ) -> tuple[TrainState, Tally]:
        def body(i: jax.Array, carry: tuple[TrainState, Tally]) -> tuple[TrainState, Tally]:
            state, record = carry
            state, tally = step(state, _gather(x, y, rows, i), jax.random.fold_in(key, state.step))
            return state, _record(record, tally, i)

        return lax.fori_loop(first, last, body, (state, record))

    return epoch


def make_evaluation(judge: Callable[[PyTree, PyTree, Batch], Tally]) -> Callable[..., Tally]:
    """Loop `judge` over batches.

    Returns:
        `evaluation(params, batch_stats, record, x, y, rows, first, last) -> record`. Jit it with `record` donated.
    """

    def evaluation(
        params: PyTree,
        batch_stats: PyTree,
        record: Tally,
        x: jax.Array | Ring,
        y: jax.Array | Ring,
        rows: Rows,
        first: Bound,
        last: Bound,
    ) -> Tally:
        def body(i: jax.Array, record: Tally) -> Tally:
            return _record(record, judge(params, batch_stats, _gather(x, y, rows, i)), i)

        return lax.fori_loop(first, last, body, record)

    return evaluation
