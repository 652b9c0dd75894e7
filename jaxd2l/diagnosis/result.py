"""What a curve is taken for, as values and as text."""

import dataclasses
import textwrap
from typing import Any, NamedTuple

from jaxd2l.diagnosis.causes import CAUSES, RIGHT
from jaxd2l.diagnosis.comparison import Likely
from jaxd2l.notebook_table import html_table
from jaxd2l.report.text import columns as aligned
from jaxd2l.wording import counted

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

    Right trainings are those whose figures were measured as the curve's: during each epoch, or after it.

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
        missing: variants that no trainings are stored of. Where they are most, no mistake is named for certain.
        notes: what was left out.
        made: where the stored trainings were made.
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
    missing: tuple[str, ...]
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
        lines = [f"{self.recipe}, {self._told()}; compared with {self.seeds} right trainings", "", self._headline()]
        if self.figures:
            header = (f"epoch {self.figures[0].epoch}", "here", "right, 5% to 95%", "percentile", "")
            lines += ["", aligned(header, [_row(figure) for figure in self.figures])]
        if self.causes:
            lines += ["", "likelihood  cause"]
            for cause in self.causes:
                if cause.likelihood >= _SHOWN or cause is self.causes[0]:
                    lines += _told(cause)
        return [*lines, *([""] if self.notes else []), *(f"note: {note}" for note in self.notes)]

    def _told(self) -> str:
        counts = {name: count for name, count in self.epochs.items() if count}
        if len({*counts.values()}) == 1:
            count = next(iter(counts.values()))
            return f"{counted(count, 'epoch')} of {', '.join(counts)}"
        return ", ".join(f"{count} of {name}" for name, count in counts.items()) or "no finite figure"

    def _headline(self) -> str:
        where = ""
        if self.percentile is not None and self.distance is not None:
            where = f"percentile {self.percentile:.0f}, the share of right trainings that lie nearer to their mean"
            where += f"; {self.distance:.3g} times as far as the furthest of them" if self.distance > 1 else ""
        if self.diverged is not None:
            where = f"the loss is not finite from epoch {self.diverged} on, which no right training's is"
        if self.verdict == NORMAL:
            measured = "" if RIGHT in self.causes[0].names else ", if training figures were measured after each epoch"
            return f"normal{measured}: {where}"
        if self.verdict == UNLIKE:
            return f"cannot tell: unlike right trainings and unlike every mistake that is known here; {where}"
        if self.verdict == SEVERAL and self.missing and RIGHT not in self.causes[0].names:
            return f"not normal, but which mistake cannot be told, since most are not compared with: {where}"
        if self.verdict == SEVERAL:
            return f"cannot tell which: several causes give such a curve; {where}"
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
