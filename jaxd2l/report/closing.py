"""What a finished run came to: a table beside the published figures, which weights are kept, and plain values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import Dataset
from jaxd2l.report.text import columns, short_loss
from jaxd2l.train import EpochResult, Recipe, Run, best_epoch


def closing_table(recipe: Recipe, run: Run) -> str:
    """This run beside the published ones.

    Where a validation part judged the epochs its figures have a column of their own, and what the test part said at the
    end stands beside them; otherwise the best epoch is chosen on the test part, which is said.
    """
    last, best = run.epochs[-1], run.epochs[run.best_epoch - 1]
    judged, classified = last.judged_on, last.deciding[1] is not None
    rows = [("last epoch", short_loss(last.train_loss), _share(last.train_accuracy), *_judged(run, last, "last"))]
    if last.averaged:
        rows.append(("last epoch, ema", "", "", *_judged(run, last, "ema")))
    if classified or run.tested:
        rows.append((f"best epoch on {judged}", "", "", *_judged(run, best, "best")))
    rows = [(f"this run, {first}", *others) for first, *others in rows]
    blank = ("",) if run.tested else ()
    rows += [
        (f"published ({p.source})", short_loss(p.train_loss), _share(p.train_accuracy), *blank, _share(p.test_accuracy))
        for p in recipe.published
    ]
    unit = "acc" if classified or not run.tested else "loss"
    parts = (f"validation {unit}", f"test {unit}") if run.tested else (f"test {unit}",)
    table = columns((recipe.name, "train loss", "train acc", *parts), rows)
    return f"\n{table}\n\ntrained in {run.train_seconds:.1f} s, {run.images_per_second:,.0f} images/s"


def _judged(run: Run, result: EpochResult, weights: str) -> tuple[str, ...]:
    """What an epoch was judged at by the weights "last", "ema" or "best", and what the test part said of them."""
    part = f"{'ema_' if result.averaged and weights != 'last' else ''}{result.judged_on}"
    accuracy = getattr(result, f"{part}_accuracy")
    if not run.tested:
        return (_share(accuracy),)
    tested = run.tested[weights]
    if accuracy is None:
        return short_loss(getattr(result, f"{part}_loss")), short_loss(tested.test_loss)
    return _share(accuracy), _share(tested.test_accuracy)


def kept_weights(folder: Path, results: Sequence[EpochResult]) -> str:
    """Which epochs' weights the folder of a finished run holds."""
    best, last = best_epoch(results), results[-1]
    kept = run_folder.weights_epoch(folder, run_folder.BEST) == best
    files = [f"{run_folder.WEIGHTS} after epoch {last.epoch}, the last"]
    if last.averaged:
        files.append(f"{run_folder.EMA}, their average")
    which = f"epoch {best}, the best on the {last.judged_on} examples{' by the average' if last.averaged else ''}"
    files.append(f"{run_folder.BEST} after {which}" if kept else f"those of {which}, are lost")
    return f"weights: {'; '.join(files)}"


def at_chance(data: Dataset, last: EpochResult) -> str | None:
    """A warning where the network does no better than naming the most frequent label, within 3 standard errors.

    Of few examples these reach beyond 1: more than half way from there to all of them right is never called a guess.
    """
    accuracy = last.test_accuracy if data.validation is None else last.validation_accuracy
    if accuracy is None:
        return None
    labels = np.asarray(data.judged.y)
    guess = float(np.bincount(labels).max()) / len(labels)
    if accuracy > guess + min(3 * (guess * (1 - guess) / len(labels)) ** 0.5, (1 - guess) / 2):
        return None
    return (
        f"{last.judged_on} accuracy {accuracy:.3f} is that of a guess ({guess:.3f}): the network has not learned; "
        "train longer, or try another learning rate"
    )


def summary(
    dataset: str, done: Run, parameters: int, compile_seconds: float, folder: Path, devices: int = 1
) -> dict[str, Any]:
    """What a run came to, as plain values by name; `devices` of those that shared its batches, where there are more."""
    last = done.epochs[-1]
    tested = done.tested.get("last", last)
    found = {
        "recipe": done.recipe.name,
        "dataset": dataset,
        "seed": done.seed,
        "epochs": len(done.epochs),
        "parameters": parameters,
        "train_loss": last.train_loss,
        "train_accuracy": last.train_accuracy,
        "test_loss": tested.test_loss,
        "test_accuracy": tested.test_accuracy,
        "best_test_accuracy": done.best_test_accuracy,
        "best_epoch": done.best_epoch,
        "compile_seconds": round(compile_seconds, 3),
        "train_seconds": round(done.train_seconds, 3),
        "images_per_second": round(done.images_per_second, 1),
        "device": run_folder.device_name(),
        "run_dir": str(folder),
    }
    if devices > 1:
        found["devices"] = devices
    row = last.row()
    found |= {name: row[name] for name in row if name.startswith(("validation_", "ema_"))}
    if done.tested:
        found["tested"] = {name: judged._asdict() for name, judged in done.tested.items()}
        found["stopped_early"] = done.stopped_early
    return found


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
