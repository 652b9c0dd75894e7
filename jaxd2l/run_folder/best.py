"""`best.safetensors`: the weights of the best epoch, byte for byte what `weights.safetensors` was after it.

It is written after the epoch's line in `metrics.jsonl`. A kill between the two leaves a `weights.safetensors` of the
very epoch whose copy is missing, so it can always be made up for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.run_folder.checkpoint import Checkpoints
from jaxd2l.run_folder.files import BEST, CHECKPOINTS, METRICS, WEIGHTS, write_atomically
from jaxd2l.run_folder.metrics import whole_rows
from jaxd2l.run_folder.weights import pack, parse
from jaxd2l.train import EpochResult, best_epoch

LAST_OR_BEST = ("last", "best")


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


def choose_weights(folder: Path, weights: str = "last") -> Chosen:
    """The weights of the last finished epoch, or of the best one wherever the folder has them.

    Args:
        folder: of a run.
        weights: "last" or "best".

    Raises:
        ValueError: another choice, or no epoch to choose the best of.
        DataError: the weights are damaged, or those of the best epoch were not kept.
        OSError: they cannot be read.
    """
    if weights not in LAST_OR_BEST:
        raise ValueError(f"weights must be one of {', '.join(LAST_OR_BEST)}, got {weights!r}")
    if weights == "last":
        file = folder / WEIGHTS
        return Chosen(*parse(file.read_bytes(), str(file)), WEIGHTS)
    rows = whole_rows(folder)
    best = best_of(rows)
    if best is None:
        raise ValueError(f"{folder} has no finished epoch to choose the best of; take the last weights")
    problems: list[str] = []
    found = _find(folder, best, problems.append)
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
    found = _find(folder, best, problems.append)
    if found is None:
        reason = "".join(f" ({problem})" for problem in problems[:1])
        warn(f"the weights of epoch {best}, the best so far, are not in {folder}{reason}")
    elif found.place != BEST:
        write_atomically(folder / BEST, pack(found.tensors, best))


def _find(folder: Path, epoch: int, tell: Callable[[str], None]) -> Chosen | None:
    """The weights after this epoch from the cheapest place that has them; `tell` hears of damaged ones."""
    for name in (BEST, WEIGHTS):
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
        return next(filter(None, (_saved(checkpoints, n, epoch, tell) for n in checkpoints.numbers())), None)
    finally:
        checkpoints.close()


def _saved(checkpoints: Checkpoints, number: int, epoch: int, tell: Callable[[str], None]) -> Chosen | None:
    try:
        checkpoint = checkpoints.read(number)
    except DataError as error:
        tell(str(error))
        return None
    if (checkpoint.facts.get("epoch"), checkpoint.facts.get("step")) != (epoch + 1, 0):
        return None
    named = {name.removeprefix("state."): array for name, array in checkpoint.arrays.items()}
    tensors = {name: a for name, a in named.items() if name.startswith(("params.", "batch_stats."))}
    return Chosen(tensors, epoch, f"{CHECKPOINTS}/{number}")
