"""A frozen run trained again: the host's loop over epochs around the programs of the file.

It is the loop of `jaxd2l.train.fit` without a recipe: orders, noise and schedule come out of the programs, and the
number of epochs is the recorded one, whatever ended the run.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import ordered_rows
from jaxd2l.frozen.container import INITIAL, Frozen
from jaxd2l.frozen.programs import compile_programs
from jaxd2l.frozen.rows import Rows, find_rows, names_of

Arrays = Mapping[str, Any]
TALLY = ("loss", "hits", "examples", "gradient_norm")
AVERAGE = "ema."  # begins the names of averaged weights
_WEIGHTS = ("params.", "batch_stats.")
_PIECE_SECONDS = 0.5


class Standing(NamedTuple):
    """Where the training stands between two updates: all that it takes to go on, bit for bit.

    Attributes:
        state: arrays by name: `step`, `params.Conv_0.kernel`, `opt_state.…`.
        record: what the batches of the epoch came to so far, (updates an epoch,) each.
        epoch: in progress, 1 for the first.
        step: updates of it done.
        seconds: spent on them.
        rows: a line of `metrics.jsonl` a finished epoch.
    """

    state: Arrays
    record: Arrays
    epoch: int
    step: int
    seconds: float
    rows: tuple[dict[str, Any], ...]


class Thawed(NamedTuple):
    """What a frozen run came to when it was trained again.

    Attributes:
        rows: a line of `metrics.jsonl` an epoch; the learning rate in it is the recorded one.
        weights: arrays by name, of "last", "best" and, where they were averaged, "ema".
        tested: what the test part said at the end, by the same names; {} where it judged the epochs.
        seconds: updates and evaluations.
    """

    rows: tuple[dict[str, Any], ...]
    weights: dict[str, dict[str, np.ndarray]]
    tested: dict[str, dict[str, Any]]
    seconds: float


def weights_of(state: Arrays, average: bool = False) -> dict[str, np.ndarray]:
    """The network's weights in a state, by the names of a run's files; the averaged ones where asked for."""
    return {name: np.array(a) for name, a in _on_device(state, average).items()}


def _on_device(state: Arrays, average: bool) -> dict[str, Any]:
    prefix = AVERAGE if average else ""
    named = {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}
    return {name: a for name, a in named.items() if name.startswith(_WEIGHTS)}


def thaw(
    frozen: Frozen,
    rows: Rows | None = None,
    *,
    programs: Mapping[str, Any] | None = None,
    start: Standing | None = None,
    best: dict[str, np.ndarray] | None = None,
    on_epoch: Callable[[dict[str, Any], Arrays], None] = lambda row, state: None,
    on_piece: Callable[[Standing], None] = lambda now: None,
    on_note: Callable[[str], None] = lambda line: None,
) -> Thawed:
    """Train a frozen run again.

    Args:
        frozen: of `read_frozen`.
        rows: of `find_rows`, which finds them where None.
        programs: of `compile_programs`, which compiles them where None.
        start: go on from here; from the beginning where None. Its arrays are donated.
        best: the weights of the best epoch before `start`.
        on_epoch: called with the line of each finished epoch and the state after it; read that at once.
        on_piece: called after each piece of an epoch and between epochs: the place to keep the state, or to stop by
            raising. Read its arrays at once.
        on_note: called with a line for what is odd but no reason to stop.

    Raises:
        DataError: the file is damaged, or its data are not found.
        ArithmeticError: the loss became non-finite, as it did not when the run was recorded.
        ValueError: flatbuffers is missing.
    """
    facts = frozen.facts
    rows = find_rows(frozen, on_note=on_note) if rows is None else rows
    run = programs or compile_programs(frozen, on_note)
    keys = {name: jnp.asarray(numbers, jnp.uint32) for name, numbers in facts["keys"].items()}
    train = [jax.device_put(rows[name]) for name in names_of("train")]
    steps, recorded = facts["train_steps"], facts["rows"]
    part = "validation" if "x_validation" in rows else "test"
    judge = _Judge(run["evaluation"], [rows[name] for name in names_of(part)], facts)
    began = time.perf_counter()
    now = start or Standing(_initial(frozen, run, keys), _tallies(steps), 1, 0, 0.0, ())
    while now.epoch <= facts["epochs"]:
        order = run["shuffle"](keys["shuffle"], np.int32(now.epoch))
        while now.step < steps:
            last = _last_step(now.step, now.seconds, steps)
            at = time.perf_counter()
            state, record = jax.block_until_ready(
                run["epoch"](now.state, now.record, *train, *order, keys["noise"], np.int32(now.step), np.int32(last))
            )
            took = now.seconds + time.perf_counter() - at
            now = now._replace(state=state, record=record, step=last, seconds=took)
            _refuse_nonfinite(now)
            on_piece(now)
        row = {**recorded[now.epoch - 1], **_trained(now, facts["classified"])}
        for prefix, average in _judged(now.state):
            loss, accuracy = judge(_on_device(now.state, average), partial(on_piece, now))
            if not math.isfinite(loss):
                raise _nonfinite(now)
            row |= {f"{prefix}{part}_loss": loss, f"{prefix}{part}_accuracy": accuracy}
        on_epoch(row, now.state)
        finished = (*now.rows, row)
        if best_epoch(finished) == now.epoch:
            best = weights_of(now.state, _averages(now.state))
        now = Standing(now.state, _tallies(steps), now.epoch + 1, 0, 0.0, finished)
        on_piece(now)
    weights = {("ema" if average else "last"): weights_of(now.state, average) for _, average in _judged(now.state)}
    weights["best"] = weights["last"] if best is None else best
    tested = {}
    if part == "validation":
        judge = _Judge(run["test"], [rows[name] for name in names_of("test")], facts)
        tested = _tested(judge, weights, now.rows, partial(on_piece, now))
    return Thawed(now.rows, weights, tested, time.perf_counter() - began)


def best_epoch(rows: tuple[dict[str, Any], ...]) -> int:
    """The epoch of highest accuracy, or of lowest loss where there is none; the earliest among equals.

    Of the validation part where there is one, and by the averaged weights where there are any.
    """
    part = "validation" if rows[0].get("validation_loss") is not None else "test"
    prefix = "ema_" if rows[0].get(f"ema_{part}_loss") is not None else ""

    def score(row: Mapping[str, Any]) -> float:
        accuracy = row.get(f"{prefix}{part}_accuracy")
        return float(-row[f"{prefix}{part}_loss"] if accuracy is None else accuracy)

    return max(range(1, len(rows) + 1), key=lambda epoch: (score(rows[epoch - 1]), -epoch))


class _Judge:
    """Examples on the device with the program that judges weights on them."""

    def __init__(self, program: Any, examples: list[np.ndarray], facts: Mapping[str, Any]) -> None:
        self._program, self._classified = program, facts["classified"]
        self._examples = [jax.device_put(a) for a in examples]
        self._rows = ordered_rows(len(examples[0]), facts["batch_size"])

    def __call__(self, weights: Arrays, on_piece: Callable[[], None]) -> tuple[float, float | None]:
        steps, done, seconds = len(self._rows.weight), 0, 0.0
        record = _tallies(steps)
        while done < steps:
            last, at = _last_step(done, seconds, steps), time.perf_counter()
            bounds = np.int32(done), np.int32(last)
            record = jax.block_until_ready(self._program(weights, record, *self._examples, *self._rows, *bounds))
            done, seconds = last, seconds + time.perf_counter() - at
            if done < steps:
                on_piece()
        return _mean(record, self._classified)


def _initial(frozen: Frozen, run: Mapping[str, Any], keys: Arrays) -> Arrays:
    if not frozen.facts["drawn"]:
        return {name: jnp.asarray(a) for name, a in frozen.arrays(INITIAL).items()}
    numbers = (np.float32(frozen.facts[name]) for name in ("learning_rate", "weight_decay"))
    state: Arrays = run["init"](keys["init"], *numbers)
    return state


def _tallies(steps: int) -> Arrays:
    return {name: jnp.zeros(steps, jnp.float32) for name in TALLY}


def _last_step(done: int, seconds: float, steps: int) -> int:
    """The end of a piece of about half a second, by what the steps took so far; 1 at first."""
    size = int(_PIECE_SECONDS * done / max(seconds, 1e-9)) if done else 1
    return min(steps, done + max(1, size))


def _refuse_nonfinite(now: Standing) -> None:
    if not all(np.isfinite(np.asarray(now.record[name])).all() for name in ("loss", "gradient_norm")):
        raise _nonfinite(now)


def _nonfinite(now: Standing) -> ArithmeticError:
    return ArithmeticError(f"the loss became non-finite in epoch {now.epoch}, as it did not when it was recorded")


def _trained(now: Standing, classified: bool) -> dict[str, Any]:
    loss, accuracy = _mean(now.record, classified)
    images = float(np.asarray(now.record["examples"]).sum()) / max(now.seconds, 1e-9)
    figures = {"train_loss": loss, "train_accuracy": accuracy}
    return {"epoch": now.epoch, **figures, "seconds": now.seconds, "images_per_second": images}


def _mean(record: Arrays, classified: bool) -> tuple[float, float | None]:
    loss, hits, examples = (float(np.asarray(record[name], np.float64).sum()) for name in TALLY[:3])
    return loss / examples, hits / examples if classified else None


def _averages(state: Arrays) -> bool:
    return any(name.startswith(AVERAGE) for name in state)


def _judged(state: Arrays) -> Iterator[tuple[str, bool]]:
    """What an epoch is judged by: the prefix of its columns, and whether by the averaged weights."""
    yield "", False
    if _averages(state):
        yield "ema_", True


def _tested(
    judge: _Judge, weights: Mapping[str, Arrays], rows: tuple[dict[str, Any], ...], on_piece: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    found = {}
    for name, named in weights.items():
        loss, accuracy = judge(named, on_piece)
        epoch = best_epoch(rows) if name == "best" else len(rows)
        found[name] = {"epoch": epoch, "test_loss": loss if math.isfinite(loss) else None, "test_accuracy": accuracy}
    return found
