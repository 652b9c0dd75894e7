"""The answer: is the curve that of a right training, and if not, what was done?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxd2l.diagnosis.causes import CAUSES, RIGHT, compared
from jaxd2l.diagnosis.comparison import SURE, Likely, variants_of
from jaxd2l.diagnosis.curve import Curve, CurveError, read_curve
from jaxd2l.diagnosis.likelihood import FEWEST, compared_figures
from jaxd2l.diagnosis.result import MISTAKE, NORMAL, SEVERAL, UNLIKE, Diagnosis, Figure
from jaxd2l.diagnosis.stored import MAKE, curves_of
from jaxd2l.wording import counted

NAMES = ("loss", "train accuracy", "test accuracy")


def diagnose(
    recipe: Any, curve: Any, *, columns: Sequence[str] | None = None, first_epoch: int | None = None
) -> Diagnosis:
    """Say whether a curve is that of a right training of a recipe, and if not, what was likely done.

    Args:
        recipe: a recipe of which curves are stored (`jaxd2l.diagnosis.RECIPES`), or its name.
        curve: pasted lines, a `Path` of a file with them, columns by name such as Keras's `history.history`, rows of
            loss, training accuracy and test accuracy, or a run; see `jaxd2l.diagnosis.read_curve`.
        columns: what columns of bare numbers are; see there.
        first_epoch: the epoch of the first line, where none is told; 1 by default.

    Returns:
        The answer; as text it is what the command `jaxd2l diagnose` prints.

    Raises:
        CurveError: the curve cannot be read, or tells nothing of the epochs that are stored.
        ValueError: no curves of this recipe are stored.
        OSError: the file cannot be read.
    """
    name = str(getattr(recipe, "name", recipe))
    stored = curves_of(name)
    read = read_curve(curve, columns=columns, first_epoch=first_epoch)
    missing = tuple(kind for kind in compared(name) if len(stored.curves.get(kind, ())) < FEWEST)
    notes = _notes(read, name, stored.epochs, missing)
    upto = stored.epochs if read.diverged is None else min(read.diverged - 1, stored.epochs)
    figures, diverged = read.figures[:upto], read.diverged
    if diverged is not None and diverged > stored.epochs:
        diverged = None
    told = np.isfinite(figures)
    if diverged is None and not told.any():
        raise CurveError(
            f"no figure of epochs 1 to {stored.epochs}, which are stored of recipe {name}; got epochs up to "
            f"{len(read.figures)}"
        )
    variants = variants_of(name, told, diverged=diverged is not None)
    x = compared_figures(figures, told)
    found = {variant: variants.against(variant, x) for variant in variants.seeds}
    causes = variants.likely(found)
    verdict = verdict_of(causes)
    if verdict == MISTAKE and 2 * len(missing) > len(compared(name)):
        verdict = SEVERAL  # who knows few mistakes takes one for another
    like = _right_among(causes[0].names) if verdict == NORMAL else RIGHT
    right = found.get(like)
    return Diagnosis(
        recipe=name,
        verdict=verdict,
        causes=causes,
        percentile=None if right is None or not x.size else 100 * right.nearer,
        distance=None if right is None or not x.size else right.distance,
        figures=_figures(figures, told, stored.curves[like]),
        epochs=dict(zip(NAMES, map(int, told.sum(0)), strict=True)) if told.size else dict.fromkeys(NAMES, 0),
        diverged=diverged,
        seeds=len(stored.curves[like]),
        missing=missing,
        notes=notes,
        made=tuple({k: v for k, v in made.items() if k != "trainings"} for made in stored.made),
    )


def verdict_of(causes: Sequence[Likely]) -> str:
    """What the likelihoods come to."""
    if not causes:
        return UNLIKE
    if causes[0].likelihood < SURE:
        return SEVERAL
    return NORMAL if _right_among(causes[0].names) else MISTAKE


def _right_among(names: Sequence[str]) -> str:
    """The variant among these that is no mistake, "" where all are."""
    return next((name for name in names if not CAUSES[name].wrong), "")


def _figures(figures: np.ndarray, told: np.ndarray, right: np.ndarray) -> tuple[Figure, ...]:
    if not told.any():
        return ()
    epoch = int(np.flatnonzero(told.any(1))[-1])
    found = []
    for i, name in enumerate(NAMES):
        if told[epoch, i]:
            seeds, value = right[:, epoch, i], float(figures[epoch, i])
            low, high = (float(q) for q in np.quantile(seeds, (0.05, 0.95)))
            below = 100 * float((seeds < value).mean() + (seeds == value).mean() / 2)
            found.append(Figure(name, epoch + 1, value, low, high, below))
    return tuple(found)


def _notes(read: Curve, recipe: str, epochs: int, missing: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if missing:
        notes.append(
            f"not compared with {', '.join(missing)}, of which no trainings are stored: {MAKE} {recipe} makes them"
        )
    if read.left_out:
        notes.append(f"{read.left_out} {'line' if read.left_out == 1 else 'lines'} without a figure left out")
    if read.again:
        told = f"{counted(read.again, 'epoch')} told again after others"
        notes.append(f"{told}, as where two runs are in a file; the last figures count")
    if len(read.figures) > epochs:
        notes.append(f"epochs after {epochs} are left out, since the stored trainings have {epochs}")
    return tuple(notes)
