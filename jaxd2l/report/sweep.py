"""A sweep in a table and a map: mean, deviation and 95% interval of every point over its seeds."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxd2l.report.spread import Spread, over_seeds
from jaxd2l.selection.grid import Point
from jaxd2l.selection.sweep import Sweep


class Summary(NamedTuple):
    """One point of a sweep over its seeds; members that diverged count in `diverged` alone.

    Attributes:
        recipe: the recipe's name.
        point: learning rate and weight decay.
        seeds: how many.
        diverged: the epoch of each member that diverged.
        at_chance: members whose last test accuracy is within 0.02 of a uniform guess; None for regression.
        figures: over the members that did not diverge.
    """

    recipe: str
    point: Point
    seeds: int
    diverged: tuple[int, ...]
    at_chance: int | None
    figures: Spread


def summarise(recipe: str, sweep: Sweep, num_classes: int | None) -> list[Summary]:
    """Summarise every point, in the sweep's order.

    Args:
        recipe: name of the recipe.
        sweep: at least one member.
        num_classes: for the accuracy of a uniform guess; None for regression.
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
                at_chance=None if num_classes is None else sum(bool(c.test_accuracy[-1] < chance) for c in whole),
                figures=over_seeds(whole, num_classes is not None),
            )
        )
    return summaries


def markdown(summaries: Sequence[Summary]) -> str:
    """The summaries as a Markdown table, mean ± deviation [95% interval of the mean]."""
    what = "loss" if summaries[0].at_chance is None else "accuracy"
    lines = [
        f"| recipe | learning rate | weight decay | seeds | diverged | at chance | train loss | last test {what} "
        f"| best test {what} |",
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
