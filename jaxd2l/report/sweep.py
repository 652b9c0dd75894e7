"""A sweep in a table and a map: mean, deviation and 95% interval of every point over its seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxd2l.report.spread import Interval, Spread, interval, over_seeds
from jaxd2l.selection.curves import Curves
from jaxd2l.selection.grid import Point
from jaxd2l.selection.sweep import Sweep


class Summary(NamedTuple):
    """One point of a sweep over its seeds; members that diverged count in `diverged` alone.

    Attributes:
        recipe: the recipe's name.
        point: learning rate and weight decay.
        seeds: how many, times the folds.
        diverged: the epoch of each member that diverged.
        at_chance: members whose last test accuracy is within 0.02 of a uniform guess; None for regression.
        figures: over the members that did not diverge.
        judged_on: the part of the data that they are of, "test" or "validation".
        tested: what the test part said of the last weights, where a validation part judged the epochs; over those of
            which it said a number.
        folds: into how many the training part was dealt, each of which validates once; None for one validation part.
    """

    recipe: str
    point: Point
    seeds: int
    diverged: tuple[int, ...]
    at_chance: int | None
    figures: Spread
    judged_on: str = "test"
    tested: Interval | None = None
    folds: int | None = None

    @property
    def chosen_on(self) -> str:
        """What points are chosen on, in words."""
        return "the validation part" if self.folds is None else f"{self.folds} folds"


def summarise(recipe: str, sweep: Sweep, num_classes: int | None, *, folds: int | None = None) -> list[Summary]:
    """Summarise every point, in the sweep's order.

    Args:
        recipe: name of the recipe.
        sweep: at least one member.
        num_classes: for the accuracy of a uniform guess; None for regression.
        folds: see `Summary`; of each seed there is a member a fold then.
    """
    summaries = []
    for point in dict.fromkeys(point for point, _ in sweep):
        members = [curves for (at, _), curves in sweep.items() if at == point]
        whole = [curves for curves in members if curves.diverged is None]
        chance = 0 if num_classes is None else 1 / num_classes + 0.02
        summaries.append(
            Summary(
                recipe=recipe,
                point=point,
                seeds=len(members),
                diverged=tuple(curves.diverged for curves in members if curves.diverged is not None),
                at_chance=None if num_classes is None else sum(bool(c.judged(True)[-1] < chance) for c in whole),
                figures=over_seeds(whole, num_classes is not None),
                judged_on=members[0].judged_on,
                tested=_tested(whole, num_classes is not None),
                folds=folds,
            )
        )
    return summaries


def _tested(whole: Sequence[Curves], classified: bool) -> Interval | None:
    validated = [curves for curves in whole if curves.judged_on == "validation"]
    values = [float((c.test_accuracy if classified else c.test_loss)[-1]) for c in validated]
    return interval([value for value in values if math.isfinite(value)]) if validated else None


def chosen(summaries: Sequence[Summary]) -> list[Summary]:
    """The point of each recipe that did best on the validation part after the last epoch, none of its seeds diverged.

    Nothing is chosen where the test part judged the epochs.
    """
    best: dict[str, Summary] = {}
    for summary in summaries:
        mean = summary.figures.last.mean
        if summary.tested is None or summary.diverged or mean is None:
            continue
        before = best[summary.recipe].figures.last.mean if summary.recipe in best else None
        if before is None or (mean < before if summary.at_chance is None else mean > before):
            best[summary.recipe] = summary
    return list(best.values())


def choice_line(summary: Summary) -> str:
    """What was chosen, and the figure that the test part gives it."""
    unit = "loss" if summary.at_chance is None else "accuracy"
    return (
        f"{summary.recipe}: rate {summary.point.learning_rate:g}, decay {summary.point.weight_decay:g} is chosen on "
        f"{summary.chosen_on}; its test {unit}, judged once, is {summary.tested}"
    )


def markdown(summaries: Sequence[Summary]) -> str:
    """The summaries as a Markdown table, mean ± deviation [95% interval of the mean]."""
    what, part = "loss" if summaries[0].at_chance is None else "accuracy", summaries[0].judged_on
    trainings = "seeds" if summaries[0].folds is None else "seeds x folds"
    lines = [
        f"| recipe | learning rate | weight decay | {trainings} | diverged | at chance | train loss "
        f"| last {part} {what} | best {part} {what} |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.recipe} | {s.point.learning_rate:g} | {s.point.weight_decay:g} | {s.seeds} | {len(s.diverged)} "
        f"| {'' if s.at_chance is None else s.at_chance} | {' | '.join(map(str, s.figures))} |"
        for s in summaries
    ]
    return "\n".join(lines)


def divergence_map(summaries: Sequence[Summary]) -> str:
    """Learning rates across, recipes and weight decays down: `ok`, or how many of the seeds failed and how.

    `2/5 at 3` is two of five seeds diverged, the first in epoch 3; `4/5 chance` is four that learned nothing.
    """
    columns = sorted({s.point.learning_rate for s in summaries})
    rows = list(dict.fromkeys((s.recipe, s.point.weight_decay) for s in summaries))
    cells = {(s.recipe, s.point.weight_decay, s.point.learning_rate): _fate(s) for s in summaries}
    table = [["", *(f"{rate:g}" for rate in columns)]]
    table += [[f"{name}, decay {decay:g}", *(cells.get((name, decay, c), "") for c in columns)] for name, decay in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)


def _fate(summary: Summary) -> str:
    fates = []
    if summary.diverged:
        fates.append(f"{len(summary.diverged)}/{summary.seeds} at {min(summary.diverged)}")
    if summary.at_chance:
        fates.append(f"{summary.at_chance}/{summary.seeds} chance")
    return ", ".join(fates) or "ok"
