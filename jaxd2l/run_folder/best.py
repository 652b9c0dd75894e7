"""`best.safetensors`: the weights of the best epoch, byte for byte what `weights.safetensors` was after it.

Where weights are averaged the best epoch is that of the best average, and it is `ema.safetensors` as it was then.

It is written after the epoch's line in `metrics.jsonl`. A kill between the two leaves a `weights.safetensors` of the
very epoch whose copy is missing, so it can always be made up for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data import DataError, Dataset
from jaxd2l.interop.digested import pack, parse
from jaxd2l.machine.disk import write_atomically
from jaxd2l.run_folder.checkpoint import Checkpoints
from jaxd2l.run_folder.files import BEST, CHECKPOINTS, EMA, METRICS, WEIGHTS
from jaxd2l.run_folder.metrics import read_tested, whole_rows
from jaxd2l.run_folder.weights import weights_epoch
from jaxd2l.train import EpochResult, Recipe, best_epoch

KEPT_WEIGHTS = ("last", "best", "ema")


class Chosen(NamedTuple):
    """Weights of a run folder.

    Attributes:
        tensors: by name, such as `params.Conv_0.kernel`.
        epoch: after which they were taken; None where their file does not say, 0 for initial ones.
        place: the file or folder they were found in.
    """

    tensors: dict[str, np.ndarray]
    epoch: int | None
    place: str


def best_of(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The best epoch of `metrics.jsonl`, see `jaxd2l.train.best_epoch`; None where no epoch is finished.

    Raises:
        DataError: the lines hold something else than numbers.
    """
    try:
        return best_epoch([EpochResult(**row) for row in rows]) if rows else None
    except TypeError as error:
        raise DataError(f"{METRICS}: losses or accuracies are not numbers ({error})") from error


def ended_early(rows: Sequence[Mapping[str, Any]], patience: Any) -> bool:
    """Whether the run of these lines stopped early, see `jaxd2l.train.results.stopped_early`; not where it is None.

    Raises:
        DataError: the lines hold something else than numbers.
    """
    best = best_of(rows)
    return best is not None and isinstance(patience, int) and len(rows) - best >= patience


def files_of_weights(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The files that are written after each epoch of such a run; `best.safetensors` is a copy of the last of them."""
    averaged = any(name.startswith("ema_") for row in rows[:1] for name in row)
    return (WEIGHTS, EMA) if averaged else (WEIGHTS,)


def is_finished(folder: Path, recipe: Recipe, data: Dataset) -> bool:
    """Whether a folder holds all that a run comes to: its epochs, their weights and what is said of the test part."""
    rows = whole_rows(folder)
    over = len(rows) == recipe.epochs or ended_early(rows, recipe.early_stop)
    kept = all(weights_epoch(folder, name) == len(rows) for name in files_of_weights(rows))
    return over and kept and (data.validation is None or bool(read_tested(folder, len(rows))))


def choose_weights(folder: Path, weights: str = "last") -> Chosen:
    """The weights of the last finished epoch, their average after it, or those of the best one wherever they are.

    Args:
        folder: of a run.
        weights: "last", "best" or "ema".

    Raises:
        ValueError: another choice, no epoch to choose the best of, or a run that averages none.
        DataError: the weights are damaged, or those of the best epoch were not kept.
        OSError: they cannot be read.
    """
    if weights not in KEPT_WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(KEPT_WEIGHTS)}, got {weights!r}")
    rows = whole_rows(folder)
    if weights == "ema" and not (folder / EMA).exists() and EMA not in files_of_weights(rows):
        raise ValueError(f"{folder} keeps no averaged weights; take others, or train with --ema DECAY")
    if weights != "best":
        file = folder / (EMA if weights == "ema" else WEIGHTS)
        return Chosen(*parse(file.read_bytes(), str(file)), file.name)
    best = best_of(rows)
    if best is None:
        raise ValueError(f"{folder} has no finished epoch to choose the best of; take the last weights")
    problems: list[str] = []
    found = _find(folder, best, problems.append, files_of_weights(rows)[-1])
    if found is None:
        reason = problems[0] if problems else f"there is no {BEST} of it and no checkpoint"
        raise DataError(
            f"{folder}: the weights of epoch {best}, the best, were not kept ({reason}); those of epoch {len(rows)}, "
            "the last, are there"
        )
    return found


def put_best_in_order(folder: Path, rows: Sequence[Mapping[str, Any]], warn: Callable[[str], None]) -> None:
    """Make `best.safetensors` the one of the best epoch, from wherever its weights are; the caller holds the lock.

    Where they are nowhere the file stays as it is, with a warning.

    Raises:
        OSError: it cannot be written.
    """
    best = best_of(rows)
    if best is None:
        return
    problems: list[str] = []
    found = _find(folder, best, problems.append, files_of_weights(rows)[-1])
    if found is None:
        reason = "".join(f" ({problem})" for problem in problems[:1])
        warn(f"the weights of epoch {best}, the best so far, are not in {folder}{reason}")
    elif found.place != BEST:
        write_atomically(folder / BEST, pack(found.tensors, best))


def _find(folder: Path, epoch: int, tell: Callable[[str], None], source: str) -> Chosen | None:
    """What `source` held after this epoch from the cheapest place that has it; `tell` hears of damaged ones."""
    for name in (BEST, source):
        try:
            tensors, found = parse((folder / name).read_bytes(), name)
        except FileNotFoundError:
            continue
        except DataError as error:
            tell(str(error))
            continue
        if found == epoch:
            return Chosen(tensors, epoch, name)
    if not (folder / CHECKPOINTS).is_dir():
        return None
    checkpoints = Checkpoints(folder / CHECKPOINTS, read_only=True)
    try:
        prefix = "state.ema." if source == EMA else "state."
        return next(filter(None, (_saved(checkpoints, n, epoch, tell, prefix) for n in checkpoints.numbers())), None)
    finally:
        checkpoints.close()


def _saved(
    checkpoints: Checkpoints, number: int, epoch: int, tell: Callable[[str], None], prefix: str
) -> Chosen | None:
    try:
        checkpoint = checkpoints.read(number)
    except DataError as error:
        tell(str(error))
        return None
    if (checkpoint.facts.get("epoch"), checkpoint.facts.get("step")) != (epoch + 1, 0):
        return None
    named = {name.removeprefix(prefix): array for name, array in checkpoint.arrays.items() if name.startswith(prefix)}
    tensors = {name: a for name, a in named.items() if name.startswith(("params.", "batch_stats."))}
    return Chosen(tensors, epoch, f"{CHECKPOINTS}/{number}")
