"""Training: the host's loop over epochs around the compiled one."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples
from jaxd2l.train.check_data import check_run
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import Program, compile_program, initial_state, mean, on_device
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.results import DivergenceError, EpochResult, Progress, Run
from jaxd2l.train.same_program import require_same_program
from jaxd2l.train.state import TrainState, run_keys

CHUNK_SECONDS = 0.5  # how long the host lets the device run before it looks at signals and the progress bar


class _Pace:
    """How many steps make up a piece of about `seconds`, from the time the last ones took; 1 at first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._a_step: float | None = None

    def last_step(self, first: int, steps: int) -> int:
        size = 1 if self._a_step is None else max(1, int(self._seconds / max(self._a_step, 1e-9)))
        return min(steps, first + size)

    def learn(self, steps: int, seconds: float) -> None:
        self._a_step = seconds / steps


def fit(
    recipe: Recipe,
    data: Dataset,
    seed: int = 0,
    *,
    program: Program | None = None,
    start: Progress | None = None,
    on_epoch: Callable[[EpochResult, TrainState], None] | None = None,
    on_chunk: Callable[[Progress], None] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> Run:
    """Train `recipe` on `data`.

    The same seed gives the same run, bit for bit, on the same machine and versions; so does a run that goes on
    from any `Progress` of it.

    Args:
        recipe: what to train and how.
        data: training and test examples on the host or the device.
        seed: an integer in [0, 2**32).
        program: from `compile_program` with the same recipe up to learning rate, weight decay and epochs,
            and data of the same shapes, which is looked at; compiled here when None. Give it to train many seeds.
        start: go on from here, of the same recipe, data and seed; from the beginning when None. More epochs than it
            began with make it longer, unless its schedule is laid out for them. Its arrays are donated.
        on_epoch: called as `(result, state)` after each epoch. Read the state at once: the next epoch
            donates its buffers.
        on_chunk: called with the run's `Progress` after each piece of an epoch and between epochs: the place to
            save it or to stop the run by raising. Read its arrays at once.
        on_progress: called as `(what, done, total)` with "train" or "test" and the batches done.
        chunk_seconds: about how long a piece takes; at least one update. It does not change the bits.

    Returns:
        The finished run.

    Raises:
        DivergenceError: the loss or gradient became non-finite; it carries the last finite state.
        ValueError: the settings do not fit the data, before anything runs.
        DataError: the data cannot be trained on, before anything is traced; see `check_dataset`.
    """
    keys = run_keys(seed)
    data = check_run(recipe, data)
    compile_seconds = 0.0
    if program is not None:
        require_same_program(program, recipe, data)
    else:
        program = compile_program(recipe, data)
        compile_seconds = program.compile_seconds
    train, test = on_device(data.train), on_device(data.test)
    steps, classified = program.train_steps, recipe.hits is not None
    initial = initial_state(program, seed, recipe.learning_rate, recipe.weight_decay)
    now = start or beginning(program, jax.tree.map(jnp.copy, initial))
    report = on_progress or (lambda what, done, total: None)
    watch = on_chunk or (lambda progress: None)
    train_pace, test_pace = _Pace(chunk_seconds), _Pace(chunk_seconds)

    while now.epoch <= recipe.epochs:
        finite = initial if now.epoch == 1 else jax.tree.map(jnp.copy, now.state)  # the loop donates `now.state`
        rows = program.shuffle(keys.shuffle, np.int32(now.epoch))
        while now.step < steps:
            last = train_pace.last_step(now.step, steps)
            began = time.perf_counter()
            state, record = jax.block_until_ready(
                program.epoch(now.state, now.record, *train, rows, keys.noise, np.int32(now.step), np.int32(last))
            )
            took = time.perf_counter() - began
            train_pace.learn(last - now.step, took)
            now = now._replace(state=state, record=record, step=last, seconds=now.seconds + took)
            _refuse_nonfinite(now, recipe, finite)
            report("train", last, steps)
            watch(now)
        test_loss, test_accuracy = _evaluate(program, now, test, report, watch, test_pace)
        if not np.isfinite(test_loss):  # the last update of the epoch left the range of the floats
            raise _divergence(now, steps - 1, recipe, finite)
        train_loss, train_accuracy = mean(now.record, classified)
        images_per_second = float(np.asarray(now.record.examples).sum()) / max(now.seconds, 1e-9)
        rate = recipe.rate_in_force(now.state.opt_state, int(now.state.step), steps)
        result = EpochResult(
            now.epoch, train_loss, train_accuracy, test_loss, test_accuracy, now.seconds, images_per_second, rate
        )
        if on_epoch is not None:
            on_epoch(result, now.state)
        now = Progress(now.state, empty_tally(steps), now.epoch + 1, 0, 0.0, (*now.results, result))
        watch(now)
    return Run(recipe, seed, now.state, now.results, compile_seconds)


def beginning(program: Program, state: TrainState) -> Progress:
    """A run before its first update."""
    return Progress(state, empty_tally(program.train_steps), 1, 0, 0.0, ())


def _refuse_nonfinite(now: Progress, recipe: Recipe, finite: TrainState) -> None:
    loss, norm = (np.asarray(a)[: now.step] for a in (now.record.loss, now.record.gradient_norm))
    bad = np.flatnonzero(~(np.isfinite(loss) & np.isfinite(norm)))
    if bad.size:
        raise _divergence(now, int(bad[0]), recipe, finite)


def _divergence(now: Progress, i: int, recipe: Recipe, finite: TrainState) -> DivergenceError:
    loss, examples, norm = (
        float(np.asarray(a)[i]) for a in (now.record.loss, now.record.examples, now.record.gradient_norm)
    )
    rate, by_name = recipe.learning_rate, not recipe.course.is_constant
    scheduled = callable(recipe.optimizer) and (callable(rate) or by_name)
    if not callable(recipe.optimizer):
        rate = None
    elif scheduled:
        updates = int(now.state.step) - now.step + i + 1  # with the one that failed
        rate = recipe.rate_in_force(now.state.opt_state, updates, now.record.loss.size)
    at = (now.epoch, i + 1, loss / examples, norm)
    given = recipe.learning_rate if by_name else None
    return DivergenceError(*at, rate, finite, now.results, scheduled=scheduled, given=given)


def _evaluate(
    program: Program,
    now: Progress,
    test: Examples,
    report: Callable[[str, int, int], None],
    watch: Callable[[Progress], None],
    pace: _Pace,
) -> tuple[float, float | None]:
    rows = program.evaluation_rows
    steps, done = rows.indices.shape[0], 0
    params, batch_stats = now.state.params, now.state.batch_stats
    record: Any = empty_tally(steps)
    while done < steps:
        last = pace.last_step(done, steps)
        began = time.perf_counter()
        record = jax.block_until_ready(
            program.evaluation(params, batch_stats, record, *test, rows, np.int32(done), np.int32(last))
        )
        pace.learn(last - done, time.perf_counter() - began)
        done = last
        report("test", done, steps)
        if done < steps:
            watch(now)
    return mean(record, program.recipe.hits is not None)
