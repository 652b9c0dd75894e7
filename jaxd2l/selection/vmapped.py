"""Many runs of one recipe as one program: seeds x rates, by `vmap` over the functions of a single run.

Members of one seed share the order of the examples, so a batch is gathered and prepared once for all their rates.
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples
from jaxd2l.selection.curves import Curves
from jaxd2l.train.compiler import compile_lowered
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import Program, bind, stored
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.train.step import Tally

Executable = Any


class Rates(NamedTuple):
    """One point of a sweep."""

    learning_rate: float
    weight_decay: float = 0.0


class Members(NamedTuple):
    """Compiled for s seeds x g rates; leaves of states and records carry (s, g) in front.

    Attributes:
        init, shuffle, epoch, evaluation: as in `Program`, over members.
        seeds, rates: how many of each.
        train_steps: updates an epoch.
        evaluation_rows: the test rows in order, padded.
        compile_seconds: tracing and compiling.
    """

    init: Executable
    shuffle: Executable
    epoch: Executable
    evaluation: Executable
    seeds: int
    rates: int
    train_steps: int
    evaluation_rows: Any
    compile_seconds: float

    def start(self, seeds: Sequence[int], rates: Sequence[Rates]) -> tuple[TrainState, Any]:
        """Return the members' states before the first update, and the seeds' keys."""
        keys = jax.tree.map(lambda *key: jnp.stack(key), *[run_keys(seed) for seed in seeds])
        learning_rates, weight_decays = np.asarray(rates, np.float32).T
        return self.init(keys.init, learning_rates, weight_decays), keys

    def record(self, steps: int) -> Tally:
        """Return an empty record for every member."""
        return jax.tree.map(lambda a: jnp.zeros((self.seeds, self.rates, *a.shape), a.dtype), empty_tally(steps))


def compile_members(recipe: Recipe, data: Dataset, seeds: int, rates: int) -> Members:
    """Compile `seeds` x `rates` runs as one program.

    Args:
        recipe: all but its seed, learning rate and weight decay.
        data: only shapes and dtypes count.
        seeds: how many, at least 1.
        rates: how many, at least 1.
    """
    began = time.perf_counter()
    pure = bind(recipe, data)
    over = lambda function, by_rate, by_seed: jax.vmap(jax.vmap(function, by_rate), by_seed)  # noqa: E731
    shared = (None, None)  # of x and y, or of first and last
    init = over(pure.init, (None, 0, 0), (0, None, None))
    shuffle = jax.vmap(pure.shuffle, (0, None))
    epoch = over(pure.epoch, (0, 0, *shared, None, None, *shared), (0, 0, *shared, 0, 0, *shared))
    evaluation = over(pure.evaluation, (0, 0, 0, *shared, None, *shared), (0, 0, 0, *shared, None, *shared))

    like = lambda tree: jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)  # noqa: E731
    key = like(jnp.stack([run_keys(0).init] * seeds))
    number, integer = jax.ShapeDtypeStruct((rates,), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32)
    state, rows = jax.eval_shape(init, key, number, number), jax.eval_shape(shuffle, key, integer)
    record = lambda steps: jax.tree.map(  # noqa: E731
        lambda a: jax.ShapeDtypeStruct((seeds, rates, *a.shape), a.dtype), empty_tally(steps)
    )
    test_rows = like(pure.evaluation_rows)
    epoch_call = (state, record(pure.train_steps), *stored(recipe, data.train), rows, key, integer, integer)
    judged = record(pure.evaluation_rows.indices.shape[0])
    evaluation_call = (state.params, state.batch_stats, judged, *stored(recipe, data.test), test_rows, integer, integer)
    return Members(
        init=jax.jit(init).lower(key, number, number).compile(),
        shuffle=jax.jit(shuffle).lower(key, integer).compile(),
        epoch=compile_lowered(jax.jit(epoch, donate_argnums=(0, 1)).lower(*epoch_call)),
        evaluation=compile_lowered(jax.jit(evaluation, donate_argnums=2).lower(*evaluation_call)),
        seeds=seeds,
        rates=rates,
        train_steps=pure.train_steps,
        evaluation_rows=pure.evaluation_rows,
        compile_seconds=time.perf_counter() - began,
    )


def seconds_a_step(program: Program, members: Members, train: Examples, repeats: int = 3) -> tuple[float, float]:
    """Time a member's update in a loop over single runs and in the vmapped program: (single, vmapped).

    The two are interleaved and each time is a median; a first call of each is not counted.
    """
    rates = [Rates(program.recipe.learning_rate, program.recipe.weight_decay)]
    keys = run_keys(0)
    single = program.init(keys.init, *(np.float32(value) for value in rates[0]))
    many, many_keys = members.start(range(members.seeds), rates * members.rates)
    rows, many_rows = program.shuffle(keys.shuffle, np.int32(1)), members.shuffle(many_keys.shuffle, np.int32(1))
    steps = min(8, program.train_steps)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        began = time.perf_counter()
        single, _record = jax.block_until_ready(
            program.epoch(
                single, empty_tally(program.train_steps), *train, rows, keys.noise, np.int32(0), np.int32(steps)
            )
        )
        between = time.perf_counter()
        many, _record = jax.block_until_ready(
            members.epoch(
                many,
                members.record(members.train_steps),
                *train,
                many_rows,
                many_keys.noise,
                np.int32(0),
                np.int32(steps),
            )
        )
        times[0].append((between - began) / steps)
        times[1].append((time.perf_counter() - between) / steps / (members.seeds * members.rates))
    return float(np.median(times[0][1:])), float(np.median(times[1][1:]))


def train_members(
    recipe: Recipe, train: Examples, test: Examples, rates: Sequence[Rates], seeds: Sequence[int], members: Members
) -> list[tuple[int, int, Curves]]:
    """Train a block of seeds x rates as one program: (number of the seed, number of the rates, curves) of each."""
    state, keys = members.start(seeds, rates)
    first, steps = np.int32(0), np.int32(members.train_steps)
    test_steps = members.evaluation_rows.indices.shape[0]
    curves = np.full((4, len(seeds), len(rates), recipe.epochs), np.nan)
    diverged = np.zeros((len(seeds), len(rates)), int)
    for epoch in range(1, recipe.epochs + 1):
        rows = members.shuffle(keys.shuffle, np.int32(epoch))
        state, record = members.epoch(
            state, members.record(members.train_steps), *train, rows, keys.noise, first, steps
        )
        judged = members.evaluation(
            state.params,
            state.batch_stats,
            members.record(test_steps),
            *test,
            members.evaluation_rows,
            first,
            np.int32(test_steps),
        )
        finite = np.isfinite(record.loss).all(-1) & np.isfinite(record.gradient_norm).all(-1)
        diverged = np.where((diverged == 0) & ~finite, epoch, diverged)
        values = np.stack([*_means(record, recipe), *_means(judged, recipe)])
        curves[..., epoch - 1] = np.where(diverged == 0, values, np.nan)
    return [
        (s, g, Curves(curves[0, s, g], curves[1, s, g], curves[2, s, g], curves[3, s, g], int(diverged[s, g]) or None))
        for s in range(len(seeds))
        for g in range(len(rates))
    ]


def _means(record: Tally, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss and accuracy of each member (s, g): sums over sums."""
    loss, hits, examples = (
        np.asarray(jax.device_get(a), np.float64).sum(-1) for a in (record.loss, record.hits, record.examples)
    )
    return loss / examples, hits / examples if recipe.hits is not None else np.full_like(loss, np.nan)
