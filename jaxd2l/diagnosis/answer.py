"""The answer: is the curve that of a right training, and if not, what was done?"""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.diagnosis.causes import CAUSES, RIGHT
from jaxd2l.diagnosis.comparison import SURE, Likely, variants_of
from jaxd2l.diagnosis.curve import Curve, CurveError, read_curve
from jaxd2l.diagnosis.likelihood import transformed
from jaxd2l.diagnosis.stored import curves_of
from jaxd2l.notebook_table import html_table
from jaxd2l.report.text import columns as aligned

NAMES = ("loss", "train accuracy", "test accuracy")
NORMAL, MISTAKE, SEVERAL, UNLIKE = "normal", "mistake", "several causes", "cannot tell"
_SHOWN = 0.01  # likelihood from which a cause is shown


class Figure(NamedTuple):
    """A figure of the last epoch told, among those of right trainings.

    Attributes:
        name, epoch: which.
        value: of the curve.
        low, high: the middle nine tenths of right trainings.
        percentile: percentage of right trainings with a lower one, counting equal ones half.
    """

    name: str
    epoch: int
    value: float
    low: float
    high: float
    percentile: float


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What a curve is taken for.

    Attributes:
        recipe: it was compared with.
        verdict: "normal", "mistake", "several causes" or "cannot tell".
        causes: groups of causes that cannot be told apart with the likelihood of each group, the likeliest first; none
            where the curve is unlike all.
        percentile: percentage of right trainings nearer to their mean than the curve.
        distance: of the curve from that mean, over the furthest right training's. None for both where the curve
            diverged before a figure.
        figures: of the last epoch that tells any.
        epochs: how many were compared, and how many figures of each, by name.
        diverged: the epoch from which on the loss is not finite; None where none is.
        seeds: how many right trainings there are.
        notes: what was left out.
        made: what made the stored curves.
    """

    recipe: str
    verdict: str
    causes: tuple[Likely, ...]
    percentile: float | None
    distance: float | None
    figures: tuple[Figure, ...]
    epochs: dict[str, int]
    diverged: int | None
    seeds: int
    notes: tuple[str, ...]
    made: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found = dataclasses.asdict(self)
        return {
            **found,
            "causes": [
                {"names": list(c.names), "what": [CAUSES[n].what for n in c.names], "likelihood": c.likelihood}
                for c in self.causes
            ],
            "figures": [figure._asdict() for figure in self.figures],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        told = ", ".join(f"{count} of {name}" for name, count in self.epochs.items() if count) or "no finite figure"
        lines = [f"{self.recipe}, {told}; compared with {self.seeds} right trainings", "", self._headline()]
        if self.figures:
            header = (f"epoch {self.figures[0].epoch}", "here", "right, 5% to 95%", "percentile", "")
            lines += ["", aligned(header, [_row(figure) for figure in self.figures])]
        if self.causes:
            lines += ["", "likelihood  cause"]
            for cause in self.causes:
                if cause.likelihood >= _SHOWN or cause is self.causes[0]:
                    lines += _told(cause)
        return [*lines, *([""] if self.notes else []), *(f"note: {note}" for note in self.notes)]

    def _headline(self) -> str:
        first = self.causes[0] if self.causes else None
        where = ""
        if self.percentile is not None and self.distance is not None:
            where = f"{self.percentile:.0f}% of right trainings lie nearer to their mean"
            where += f" (it is {self.distance:.3g} times as far as the furthest)" if self.distance > 1 else ""
        if self.diverged is not None:
            where = f"the loss is not finite from epoch {self.diverged} on, which no right training's is"
        if self.verdict == NORMAL:
            return f"normal: {where}"
        if self.verdict == UNLIKE:
            return f"cannot tell: unlike right trainings and unlike every mistake that is known here; {where}"
        if self.verdict == SEVERAL:
            return f"cannot tell which: several causes give such a curve; {where}"
        assert first is not None
        return f"not normal: {where}"

    def _repr_html_(self) -> str:
        rows = [("; or ".join(CAUSES[name].what for name in c.names), c.likelihood) for c in self.causes]
        return html_table(f"{self.recipe}: {self._headline()}", ("cause", "likelihood"), rows)


def _row(figure: Figure) -> tuple[str, ...]:
    spread = f"{_short(figure.low)} to {_short(figure.high)}"
    return figure.name, _short(figure.value), spread, f"{figure.percentile:.0f}", ""


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:.4g}"


def _told(cause: Likely) -> list[str]:
    share = f"{cause.likelihood:.2f}" if cause.likelihood < 0.995 else ">.99"
    texts = []
    for i, name in enumerate(cause.names):
        known = CAUSES[name]
        texts.append(
            f"{'or, with the same curve: ' if i else ''}{known.what}" + (f" ({known.look})" if known.look else "")
        )
    return [
        f"{share if i == 0 else '':10}  {line}"
        for i, line in enumerate(
            part for text in texts for part in textwrap.wrap(text, 106, subsequent_indent="  ", break_on_hyphens=False)
        )
    ]


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
    notes = _notes(read, stored.epochs, stored.curves)
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
    x = transformed(figures)[told]
    found = {variant: variants.against(variant, x) for variant in variants.seeds}
    causes = variants.likely(found)
    right = found.get(RIGHT)
    return Diagnosis(
        recipe=name,
        verdict=verdict_of(causes),
        causes=causes,
        percentile=None if right is None or not x.size else 100 * right.nearer,
        distance=None if right is None or not x.size else right.distance,
        figures=_figures(figures, told, stored.curves[RIGHT]),
        epochs=dict(zip(NAMES, map(int, told.sum(0)), strict=True)) if told.size else dict.fromkeys(NAMES, 0),
        diverged=diverged,
        seeds=len(stored.curves[RIGHT]),
        notes=notes,
        made=stored.made,
    )


def verdict_of(causes: Sequence[Likely]) -> str:
    """What the likelihoods come to."""
    if not causes:
        return UNLIKE
    if causes[0].likelihood < SURE:
        return SEVERAL
    return NORMAL if any(not CAUSES[name].wrong for name in causes[0].names) else MISTAKE


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


def _notes(read: Curve, epochs: int, curves: dict[str, np.ndarray]) -> tuple[str, ...]:
    notes = []
    if read.left_out:
        notes.append(f"{read.left_out} {'line' if read.left_out == 1 else 'lines'} without a figure left out")
    if len(read.figures) > epochs:
        notes.append(f"epochs after {epochs} are left out, since the stored trainings have {epochs}")
    return tuple(notes)
