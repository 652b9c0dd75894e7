"""Many runs of one recipe as one program: seeds x points, by `vmap` over the functions of a single run.

Members of one seed share the order of the examples, so a batch is gathered and prepared once for all their points.
"""

import itertools
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Dataset, Examples
from jaxd2l.selection.curves import Curves, curves_from
from jaxd2l.selection.grid import Point
from jaxd2l.selection.spread import compile_spread
from jaxd2l.train.evaluation import compile_evaluation
from jaxd2l.train.mesh import on_device
from jaxd2l.train.program import Axis, Program, Weights, compile_program, initial_state
from jaxd2l.train.program.compiling import require_fitting
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import Keys, TrainState, begin, keys_of, run_keys, unsound_weights
from jaxd2l.train.step import Tally

Start = Callable[[TrainState], Weights]  # what a member begins with, from the state that its seed draws


def compile_members(recipe: Recipe, data: Dataset, seeds: int, points: int, mesh: Mesh | None = None) -> Program:
    """Compile `seeds` x `points` runs as one program, whose states and records lead with these two axes."""
    axes = Axis(seeds, seeds=True), Axis(points, rates=True)
    return compile_program(recipe, data, *axes) if mesh is None else compile_spread(recipe, data, axes, mesh)


def start(
    members: Program, seeds: Sequence[int], points: Sequence[Point], begin_with: Start | None = None
) -> tuple[TrainState, Keys]:
    """Return the members' states before the first update, and the seeds' keys.

    Raises:
        ValueError: the weights to begin with do not fit the network, or are not finite.
    """
    keys = keys_of(seeds)
    learning_rates, weight_decays, _ = np.asarray(points, np.float32).T
    drawn: TrainState = members.init(keys.init, learning_rates, weight_decays)
    if begin_with is None:
        return drawn, keys
    given = []
    for number in range(len(seeds)):
        of_seed = jax.tree.map(lambda a, s=number: np.asarray(a)[s, 0], drawn)
        given.append(begin_with(of_seed))
        require_fitting(given[-1], of_seed)
        if problem := unsound_weights(*given[-1]):
            raise ValueError(f"the weights to begin with: {problem}; take other weights")
    recipe = members.recipe

    def begun(weights: Weights, rate: jax.Array, decay: jax.Array) -> TrainState:
        optimizer = recipe.make_optimizer(recipe.learning_rate if callable(recipe.learning_rate) else rate, decay)
        return begin(optimizer, *weights, averaged=recipe.ema is not None, freeze=recipe.freeze)

    of_points = jax.vmap(begun, (None, 0, 0))
    of_seeds = jax.vmap(of_points, (0, None, None))
    state = of_seeds(jax.tree.map(lambda *leaves: jnp.stack(leaves), *given), learning_rates, weight_decays)
    return jax.tree.map(lambda a, like: jax.device_put(a.astype(like.dtype), like.sharding), state, drawn), keys


def sizes(members: Program) -> tuple[int, ...]:
    """How many seeds and how many points."""
    return tuple(axis.size for axis in members.axes)


def seconds_a_step(program: Program, members: Program, train: Examples, repeats: int = 3) -> tuple[float, float]:
    """Time a member's update in a loop over single runs and in the vmapped program: (single, vmapped).

    The two are interleaved and each time is a median; a first call of each is not counted.
    """
    rate, decay = program.recipe.learning_rate, program.recipe.weight_decay
    keys = run_keys(0)
    single = initial_state(program, 0, rate, decay)
    seeds, points = sizes(members)
    many, many_keys = start(members, range(seeds), [Point(rate, decay)] * points)
    rows, many_rows = program.shuffle(keys.shuffle, np.int32(1)), members.shuffle(many_keys.shuffle, np.int32(1))
    steps = min(8, program.train_steps)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        began = time.perf_counter()
        single, _record = jax.block_until_ready(
            program.epoch(
                single, program.record(program.train_steps), *train, rows, keys.noise, np.int32(0), np.int32(steps)
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
        times[1].append((time.perf_counter() - between) / steps / (seeds * points))
    return float(np.median(times[0][1:])), float(np.median(times[1][1:]))


def train_members(
    recipe: Recipe,
    data: Dataset,
    points: Sequence[Point],
    seeds: Sequence[int],
    members: Program,
    begin_with: Start | None = None,
) -> list[tuple[int, int, Curves]]:
    """Train a block of seeds x points as one program: (number of the seed, number of the point, curves) of each."""
    train, judging = data.train, on_device(data.judged)
    state, keys = start(members, seeds, points, begin_with)
    first, steps = np.int32(0), np.int32(members.train_steps)
    test_steps = members.evaluation_rows.indices.shape[0]
    curves = np.full((4, len(seeds), len(points), recipe.epochs), np.nan)
    diverged = np.zeros((len(seeds), len(points)), int)
    for epoch in range(1, recipe.epochs + 1):
        rows = members.shuffle(keys.shuffle, np.int32(epoch))
        state, record = members.epoch(
            state, members.record(members.train_steps), *train, rows, keys.noise, first, steps
        )
        every = [
            members.evaluation(
                *weights, members.record(test_steps), *judging, members.evaluation_rows, first, np.int32(test_steps)
            )
            for weights in state.judged.values()
        ]
        judged = every[-1]  # by what decides
        numbers = record.loss, record.gradient_norm, *(each.loss for each in every)
        finite = np.all([np.isfinite(a).all(-1) for a in numbers], axis=0)
        diverged = np.where((diverged == 0) & ~finite, epoch, diverged)
        values = np.stack([*_means(record, recipe), *_means(judged, recipe)])
        curves[..., epoch - 1] = np.where(diverged == 0, values, np.nan)
    places = itertools.product(range(len(seeds)), range(len(points)))
    tested = (lambda s, g: None) if data.validation is None else _test(recipe, data.test, state)
    return [
        (s, g, curves_from(curves[:2, s, g], curves[2:, s, g], tested(s, g), int(diverged[s, g]) or None))
        for s, g in places
    ]


def _test(recipe: Recipe, test: Examples, state: TrainState) -> Callable[[int, int], np.ndarray]:
    """Judges the last weights of one member after the other by the test part: loss and accuracy (2,)."""
    weights = lambda s, g: jax.tree.map(lambda leaf: np.asarray(leaf)[s, g], tuple(state.deciding))  # noqa: E731
    params, batch_stats = weights(0, 0)
    judge = compile_evaluation(recipe, params, batch_stats, test)

    def tested(s: int, g: int) -> np.ndarray:
        loss, accuracy = judge(*weights(s, g))
        return np.array([loss, np.nan if accuracy is None else accuracy])

    return tested


def _means(record: Tally, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss and accuracy of each member (s, g): sums over sums."""
    loss, hits, examples = (
        np.asarray(jax.device_get(a), np.float64).sum(-1) for a in (record.loss, record.hits, record.examples)
    )
    return loss / examples, hits / examples if recipe.hits is not None else np.full_like(loss, np.nan)
