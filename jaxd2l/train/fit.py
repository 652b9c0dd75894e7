"""Training: the host's loop over epochs around the compiled one."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Dataset, Examples
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import Program, compile_program, initial_state, mean, on_device
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.train.step import Tally

CHUNK_SECONDS = 0.5  # how long the host lets the device run before it looks at signals and the progress bar


class EpochResult(NamedTuple):
    """What one epoch came to.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's examples, each before its own update, in training mode.
        train_accuracy: likewise, share in [0, 1]; None for regression.
        test_loss: mean over all test examples after the epoch, in prediction mode.
        test_accuracy: likewise, share in [0, 1]; None for regression.
        seconds: the updates alone.
        images_per_second: training examples over `seconds`.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None
    test_loss: float
    test_accuracy: float | None
    seconds: float
    images_per_second: float


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        recipe: what was trained.
        seed: decided the parameters, the order and the dropout masks.
        state: after the last update.
        epochs: one result an epoch.
        compile_seconds: tracing and compiling, 0 where a given program was used.
    """

    recipe: Recipe
    seed: int
    state: TrainState
    epochs: tuple[EpochResult, ...]
    compile_seconds: float

    @property
    def train_seconds(self) -> float:
        """Seconds spent in updates, evaluation and compilation excluded."""
        return sum(e.seconds for e in self.epochs)

    @property
    def images_per_second(self) -> float:
        """Training examples a second of `train_seconds`."""
        return sum(e.images_per_second * e.seconds for e in self.epochs) / max(self.train_seconds, 1e-9)

    @property
    def best_test_accuracy(self) -> float | None:
        """The highest test accuracy of any epoch; None for regression."""
        return max((e.test_accuracy for e in self.epochs if e.test_accuracy is not None), default=None)


class DivergenceError(ArithmeticError):
    """The loss or its gradient became NaN or infinite.

    Attributes:
        epoch, step: where, both counted from 1; `step` within the epoch.
        loss: mean loss of that batch.
        gradient_norm: L2 norm of its gradient.
        learning_rate: in force.
        state: the last state known to be finite: after the epoch before, or the initial one.
        epochs: results of the finished epochs.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        loss: float,
        gradient_norm: float,
        learning_rate: float,
        state: TrainState,
        epochs: tuple[EpochResult, ...],
    ) -> None:
        self.epoch, self.step, self.loss, self.gradient_norm = epoch, step, loss, gradient_norm
        self.learning_rate, self.state, self.epochs = learning_rate, state, epochs
        super().__init__(
            f"the loss became non-finite at epoch {epoch}, step {step} (loss {loss:.4g}, gradient norm "
            f"{gradient_norm:.4g}, learning rate {learning_rate:g}); try a learning rate of {learning_rate / 10:g}"
        )


def _in_chunks(
    call: Callable[[Any, np.int32, np.int32], Any],
    carry: Any,
    steps: int,
    watch: Callable[[Any, int], None],
    pace: list[float],
) -> Any:
    """Run `call(carry, first, last)` over all steps, in pieces of about `CHUNK_SECONDS`.

    `pace` holds the seconds of a step, measured as it goes; the first piece of a run is one step. Between
    pieces `watch(carry, steps_done)` runs on the host, and Python handles signals.
    """
    first = 0
    while first < steps:
        size = 1 if not pace else max(1, int(CHUNK_SECONDS / max(pace[0], 1e-9)))
        last = min(steps, first + size)
        began = time.perf_counter()
        carry = jax.block_until_ready(call(carry, np.int32(first), np.int32(last)))
        pace[:] = [(time.perf_counter() - began) / (last - first)]
        watch(carry, last)
        first = last
    return carry


def fit(
    recipe: Recipe,
    data: Dataset,
    seed: int = 0,
    *,
    program: Program | None = None,
    on_epoch: Callable[[EpochResult, TrainState], None] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Run:
    """Train `recipe` on `data`.

    The same seed gives the same run, bit for bit, on the same machine and versions.

    Args:
        recipe: what to train and how.
        data: training and test examples on the host or the device.
        seed: an integer in [0, 2**32).
        program: from `compile_program` with the same recipe up to learning rate, weight decay and epochs,
            and data of the same shapes; compiled here when None. Give it to train many seeds.
        on_epoch: called as `(result, state)` after each epoch. Read the state at once: the next epoch
            donates its buffers.
        on_progress: called as `(what, done, total)` with "train" or "test" and the batches done.

    Returns:
        The finished run.

    Raises:
        DivergenceError: the loss or gradient became non-finite; it carries the last finite state.
        ValueError: the settings do not fit the data, before anything runs.
    """
    keys = run_keys(seed)
    compile_seconds = 0.0
    if program is None:
        program = compile_program(recipe, data)
        compile_seconds = program.compile_seconds
    train, test = on_device(data.train), on_device(data.test)
    state = initial_state(program, seed, recipe.learning_rate, recipe.weight_decay)
    report = on_progress or (lambda what, done, total: None)
    results: list[EpochResult] = []
    train_pace: list[float] = []
    test_pace: list[float] = []

    for epoch in range(1, recipe.epochs + 1):
        finite = jax.tree.map(jnp.copy, state)  # the loop donates `state`
        rows = program.shuffle(keys.shuffle, np.int32(epoch))

        def watch(carry: tuple[TrainState, Tally], done: int) -> None:
            _refuse_nonfinite(carry[1], done, recipe.learning_rate, epoch, finite, tuple(results))  # noqa: B023 - used at once
            report("train", done, program.train_steps)

        began = time.perf_counter()
        state, record = _in_chunks(
            lambda carry, first, last: program.epoch(*carry, *train, rows, keys.noise, first, last),  # noqa: B023 - used at once
            (state, empty_tally(program.train_steps)),
            program.train_steps,
            watch,
            train_pace,
        )
        seconds = time.perf_counter() - began
        train_loss, train_accuracy = mean(record, recipe.hits is not None)
        examples = float(np.asarray(record.examples).sum())
        test_loss, test_accuracy = _evaluate(program, state.params, state.batch_stats, test, report, test_pace)
        result = EpochResult(
            epoch, train_loss, train_accuracy, test_loss, test_accuracy, seconds, examples / max(seconds, 1e-9)
        )
        results.append(result)
        if on_epoch is not None:
            on_epoch(result, state)
    return Run(recipe, seed, state, tuple(results), compile_seconds)


def _refuse_nonfinite(
    record: Tally, done: int, learning_rate: float, epoch: int, finite: TrainState, results: tuple[EpochResult, ...]
) -> None:
    loss, norm = np.asarray(record.loss)[:done], np.asarray(record.gradient_norm)[:done]
    bad = np.flatnonzero(~(np.isfinite(loss) & np.isfinite(norm)))
    if bad.size:
        i = int(bad[0])
        batch_loss = float(loss[i] / np.asarray(record.examples)[i])
        raise DivergenceError(epoch, i + 1, batch_loss, float(norm[i]), learning_rate, finite, results)


def _evaluate(
    program: Program,
    params: Any,
    batch_stats: Any,
    test: Examples,
    report: Callable[[str, int, int], None],
    pace: list[float],
) -> tuple[float, float | None]:
    rows = program.evaluation_rows
    steps = rows.indices.shape[0]
    record = _in_chunks(
        lambda record, first, last: program.evaluation(params, batch_stats, record, *test, rows, first, last),
        empty_tally(steps),
        steps,
        lambda _, done: report("test", done, steps),
        pace,
    )
    return mean(record, program.recipe.hits is not None)
