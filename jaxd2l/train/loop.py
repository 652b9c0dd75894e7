"""Training: the host's loop over epochs around the compiled one."""

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Dataset
from jaxd2l.nn.parameters import described, differences, flat
from jaxd2l.train.check_data import check_run
from jaxd2l.train.evaluation import CHUNK_SECONDS, Evaluation, Pace, compile_evaluation
from jaxd2l.train.feed import feed_of_evaluation, feed_of_training
from jaxd2l.train.mesh import agreed, copied, placed, readable
from jaxd2l.train.optimizer.schedule import rate_in_force
from jaxd2l.train.program import Program, Weights, compile_program, initial_state, mean, require_same_program
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.results import DivergenceError, EpochResult, Judged, Progress, Run, best_epoch, stopped_early
from jaxd2l.train.state import TrainState, run_keys, unsound_weights
from jaxd2l.wording import counted


def fit(
    recipe: Recipe,
    data: Dataset,
    seed: int = 0,
    *,
    program: Program | None = None,
    mesh: Mesh | Iterable[Any] | None = None,
    weights: Weights | None = None,
    start: Progress | None = None,
    on_epoch: Callable[[EpochResult, TrainState], None] | None = None,
    on_chunk: Callable[[Progress], None] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    best_weights: Callable[[], Weights] | None = None,
    with_test: bool = True,
    stream: bool = False,
    workers: int | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> Run:
    """Train `recipe` on `data`.

    Each epoch is judged by the validation part where the data have one; then the test part is judged once, at the end,
    by the last weights, by those of the best epoch and, where they are averaged, by the last average. Without a
    validation part each epoch is judged by the test part, and "best" is chosen on it.

    The same seed gives the same run, bit for bit, on the same machine and versions; so does a run that goes on
    from any `Progress` of it.

    Args:
        recipe: what to train and how.
        data: training and test examples on the host or the device.
        seed: an integer in [0, 2**32).
        program: from `compile_program` with the same recipe up to learning rate, weight decay and epochs,
            and data of the same shapes, which is looked at; compiled here when None. Give it to train many seeds.
        mesh: devices over which the rows of each batch are divided: `jax.make_mesh((8,), ("data",))`, or some devices
            of one kind. The default device when None, or those of `program`. The numbers agree to rounding whatever
            the devices are, the bits do not.
        weights: `(params, batch_stats)` to begin with, like the network's; drawn from the seed where None.
        start: go on from here, of the same recipe, data and seed; from the beginning when None. More epochs than it
            began with make it longer, unless its schedule is laid out for them. Its arrays are donated.
        on_epoch: called as `(result, state)` after each epoch. Read the state at once: the next epoch
            donates its buffers.
        on_chunk: called with the run's `Progress` after each piece of an epoch and between epochs: the place to
            save it or to stop the run by raising. Read its arrays at once.
        on_progress: called as `(what, done, total)` with "train", "validation" or "test" and the batches done.
        best_weights: gives `(params, batch_stats)` of the best epoch at the end, averaged ones where they are averaged;
            kept in memory where None. Only asked for where there is a validation part.
        with_test: whether the test part is looked at. Without it and without a validation part nothing judges an epoch,
            and which was best is unknown.
        stream: read the data through Grain while the device works, which holds a window of batches at a time. Neither
            order nor bits change. Data that lie on a disk (`jaxd2l.data.open_data(where, stream=True)`) are streamed
            whatever it says.
        workers: processes that decode pictures on a disk, 0 for threads of this one; one a core, at most 16, if None.
        chunk_seconds: about how long a piece takes; at least one update. It does not change the bits.

    Returns:
        The finished run.

    Raises:
        DivergenceError: the loss or gradient became non-finite; it carries the last finite state.
        ValueError: the settings do not fit the data, or weights are not finite, before anything runs; or the network
            draws such weights; or `start` lies after an epoch whose weights
            nobody has, see `best_weights`, or where this run never stands.
        DataError: the data cannot be trained on, before anything is traced; see `check_dataset`.
    """
    keys = run_keys(seed)
    data = check_run(recipe, data)
    if weights is not None and (problem := unsound_weights(*weights)):
        raise ValueError(f"the weights to begin with: {problem}; take other weights")
    compile_seconds = 0.0
    if program is not None:
        require_same_program(program, recipe, data, mesh, stream)
    else:
        judges = with_test or data.validation is not None
        without = () if judges else ("evaluation",)
        program = compile_program(recipe, data, mesh=mesh, stream=stream, without=without)
        compile_seconds = program.compile_seconds
    validated, windows = data.validation is not None, program.windows
    if validated and best_weights is None and start is not None and start.results:
        raise ValueError("the weights of the best epoch before `start` are not known; give best_weights")
    steps, classified = program.train_steps, recipe.hits is not None
    initial = initial_state(program, seed, recipe.learning_rate, recipe.weight_decay, weights)
    if start is not None:
        _refuse_place(start, beginning(program, initial), recipe)
    now = start or beginning(program, copied(initial, program.mesh))
    now = now._replace(state=placed(now.state, program.mesh), record=placed(now.record, program.mesh))
    report = on_progress or (lambda what, done, total: None)
    watch = on_chunk or (lambda progress: None)
    here: dict[str, Any] = {"mesh": program.mesh, "workers": workers}
    feed = feed_of_training(program, data.train, keys.shuffle, epochs=recipe.epochs, workers=workers)
    passes, window = recipe.epochs * len(now.state.judged), None if windows is None else windows[1]
    judged_by = feed_of_evaluation(data.judged, program.evaluation_rows, window, passes=passes, **here)
    judge = Evaluation(
        program.evaluation,
        program.evaluation_rows,
        judged_by,
        classified=classified,
        seconds=chunk_seconds,
        mesh=program.mesh,
    )
    pace, best = Pace(chunk_seconds), initial.deciding

    def judged(weights: Weights, what: str, judge: Evaluation) -> tuple[float, float | None]:
        def on_piece(done: int, total: int) -> None:
            report(what, done, total)
            if done < total:
                watch(now)

        return judge(*weights, on_piece)

    with closing(feed), closing(judged_by), ExitStack() as stack:
        while now.epoch <= recipe.epochs and not stopped_early(now.results, recipe.early_stop):
            finite = initial if now.epoch == 1 else copied(now.state, program.mesh)  # the loop donates it
            rows = program.shuffle(keys.shuffle, np.int32(now.epoch))
            feed.begin(now.epoch - 1, rows, now.step)
            while now.step < steps:
                began = time.perf_counter()
                x, y, end = feed.at(now.step)
                last = agreed(pace.last_step(now.step, min(end, steps)), program.mesh)  # rows may have room for more
                state, record = jax.block_until_ready(
                    program.epoch(now.state, now.record, x, y, rows, keys.noise, np.int32(now.step), np.int32(last))
                )
                took = time.perf_counter() - began
                pace.learn(last - now.step, took)
                now = now._replace(state=state, record=record, step=last, seconds=now.seconds + took)
                _refuse_nonfinite(now, recipe, finite)
                report("train", last, steps)
                watch(now)
            what = "validation" if validated else "test"
            columns: dict[str, Any] = {}
            for kind, weights in now.state.judged.items() if validated or with_test else ():
                columns[f"{kind}{what}_loss"], columns[f"{kind}{what}_accuracy"] = judged(weights, what, judge)
            if not all(np.isfinite(value) for name, value in columns.items() if name.endswith("loss")):
                raise _divergence(now, steps - 1, recipe, finite)  # the last update left the range of the floats
            train_loss, train_accuracy = mean(now.record, classified)
            images_per_second = float(np.asarray(now.record.examples).sum()) / max(now.seconds, 1e-9)
            rate = rate_in_force(recipe, now.state.opt_state, int(now.state.step), steps)
            result = EpochResult(
                now.epoch, train_loss, train_accuracy, None, None, now.seconds, images_per_second, rate
            )
            result = result._replace(**columns)
            if on_epoch is not None:
                on_epoch(result, now.state)
            if validated and best_weights is None and best_epoch((*now.results, result)) == now.epoch:
                best = jax.tree.map(np.array, readable(now.state.deciding))
            now = Progress(now.state, program.record(steps), now.epoch + 1, 0, 0.0, (*now.results, result))
            watch(now)
        tested = {}
        if validated and with_test:
            last = len(now.results)
            to_test = {("ema" if kind else "last"): (last, weights) for kind, weights in now.state.judged.items()}
            to_test["best"] = (best_epoch(now.results), best if best_weights is None else best_weights())
            here |= {"stream": windows is not None, "passes": len(to_test)}
            judge = compile_evaluation(recipe, *to_test["last"][1], data.test, seconds=chunk_seconds, **here)
            stack.enter_context(closing(judge.feed))
            for name, (epoch, weights) in to_test.items():
                loss, accuracy = judged(weights, "test", judge)
                tested[name] = Judged(epoch, loss if np.isfinite(loss) else None, accuracy)
    return Run(recipe, seed, now.state, now.results, compile_seconds, tested, feed.waited)


def beginning(program: Program, state: TrainState) -> Progress:
    """A run before its first update."""
    return Progress(state, program.record(program.train_steps), 1, 0, 0.0, ())


def _refuse_place(start: Progress, like: Progress, recipe: Recipe) -> None:
    """Refuse to go on from where a run like the given one never stands."""
    if start.epoch > recipe.epochs + (start.step == 0):
        raise ValueError(
            f"start is at epoch {start.epoch}, step {start.step}, and the recipe ends after "
            f"{counted(recipe.epochs, 'epoch')}; give it more of them, or an earlier start"
        )
    found, expected = (described(flat({"state": of.state, "record": of.record})) for of in (start, like))
    if wrong := differences(found, expected):
        raise ValueError(f"start is of another recipe or other data: {'; '.join(wrong[:3])}")


def _refuse_nonfinite(now: Progress, recipe: Recipe, finite: TrainState) -> None:
    loss, norm = (np.asarray(a)[: now.step] for a in (now.record.loss, now.record.gradient_norm))
    bad = np.flatnonzero(~(np.isfinite(loss) & np.isfinite(norm)))
    if bad.size:
        if problem := unsound_weights(*readable((finite.params, finite.batch_stats))):
            raise ValueError(f"the network draws weights that nothing can be trained from: {problem}; look at its init")
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
        rate = rate_in_force(recipe, now.state.opt_state, updates, now.record.loss.size)
    at = (now.epoch, i + 1, loss / examples, norm)
    given = recipe.learning_rate if by_name else None
    return DivergenceError(*at, rate, finite, now.results, scheduled=scheduled, given=given)
