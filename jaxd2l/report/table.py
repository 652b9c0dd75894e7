"""Results over seeds beside the published figures: a point of a sweep with a published column."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxd2l.report.spread import Interval, Spread, interval, over_seeds
from jaxd2l.selection.curves import Curves, curves_of
from jaxd2l.train import EpochResult, Published, Recipe

type KeptRun = Mapping[str, Any]


class Row(NamedTuple):
    """One recipe over its seeds.

    Attributes:
        recipe: its name.
        parameters: of the network.
        seeds: how many.
        figures: of test accuracies, or of losses in a regression.
        classified: whether there are accuracies.
        judged_on: the part of the data that the best epoch is chosen on, "test" or "validation".
        seconds: median over seeds of a run's training time, evaluation and compilation apart.
        images_per_second: likewise.
        published: accuracies with their sources.
    """

    recipe: str
    parameters: int
    seeds: int
    figures: Spread
    classified: bool
    seconds: float
    images_per_second: float
    published: str
    judged_on: str = "test"

    def as_json(self) -> dict[str, Any]:
        """Plain values; a figure is its mean and deviation, and accuracies are None for regression."""

        def pair(figure: Interval) -> tuple[float | None, float | None]:
            return figure.mean, figure.deviation

        train_loss, last, best = self.figures
        return {
            "recipe": self.recipe,
            "parameters": self.parameters,
            "seeds": self.seeds,
            "train_loss": pair(train_loss),
            "test_accuracy": pair(last) if self.classified else None,
            "best_test_accuracy": pair(best) if self.classified else None,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "published": self.published,
            **({} if self.judged_on == "test" else {"best_epoch_on": self.judged_on}),
        }


def members(runs: Sequence[KeptRun]) -> tuple[list[Curves], bool]:
    """The runs that `jaxd2l reproduce` kept as members of a sweep, and whether they are judged by accuracies."""
    results = [[EpochResult(**epoch) for epoch in run["epochs"]] for run in runs]
    classified = all(result.deciding[1] is not None for of_a_run in results for result in of_a_run)
    validated = all(result.judged_on == "validation" for of_a_run in results for result in of_a_run)
    curves = [curves_of(of_a_run, len(of_a_run), None, validated=validated) for of_a_run in results]
    return curves, classified


def figures_of(runs: Sequence[KeptRun]) -> tuple[Spread, bool, str]:
    """Figures on the test part, whether they are accuracies, and the part that the best epoch is chosen on.

    Where that is the validation part, the test part is judged by the last and by the best weights alone.
    """
    curves, classified = members(runs)
    spread, judged_on = over_seeds(curves, classified), curves[0].judged_on
    if judged_on == "validation":
        key = "test_accuracy" if classified else "test_loss"
        told = [run["tested"] for run in runs]
        last = [tested["ema" if "ema" in tested else "last"][key] for tested in told]
        best = [tested["best"][key] for tested in told]
        finite = [interval([value for value in values if value is not None]) for values in (last, best)]
        spread = spread._replace(last=finite[0], best=finite[1])
    return spread, classified, judged_on


def summarise(recipe: Recipe, runs: Sequence[KeptRun]) -> Row:
    """One row from the finished runs of a recipe.

    Args:
        recipe: what was run, for its published figures.
        runs: each with `parameters` and `epochs`, a list of `EpochResult` as mappings.

    Raises:
        ValueError: no run.
    """
    if not runs:
        raise ValueError(f"no finished run of {recipe.name}; at least one is needed")
    figures, classified, judged_on = figures_of(runs)
    seconds = _seconds(runs)
    images = [sum(e["images_per_second"] * e["seconds"] for e in run["epochs"]) for run in runs]
    return Row(
        recipe=recipe.name,
        parameters=runs[0]["parameters"],
        seeds=len(runs),
        figures=figures,
        classified=classified,
        seconds=median_seconds(runs),
        images_per_second=statistics.median(n / s for n, s in zip(images, seconds, strict=True)),
        published=accuracies(recipe.published),
        judged_on=judged_on,
    )


def median_seconds(runs: Sequence[KeptRun]) -> float:
    """Median over the runs of the training time of each, evaluation and compilation apart."""
    return statistics.median(_seconds(runs))


def _seconds(runs: Sequence[KeptRun]) -> list[float]:
    return [sum(epoch["seconds"] for epoch in run["epochs"]) for run in runs]


def accuracies(published: Sequence[Published]) -> str:
    """Published test accuracies with their sources, such as `0.828 (zh)`."""
    return ", ".join(f"{p.test_accuracy:.3f} ({p.source})" for p in published if p.test_accuracy is not None)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    title = "best epoch" if all(row.judged_on == "test" for row in rows) else "best epoch on validation"
    lines = [
        f"| recipe | parameters | seeds | train loss | test accuracy, last epoch | {title} | published "
        "| training s | images/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        train_loss, last, best = row.figures
        small = train_loss.mean is not None and train_loss.mean < 0.01
        cells = (
            row.recipe,
            f"{row.parameters:,}",
            str(row.seeds),
            f"{train_loss.mean:.3g}" if small else train_loss.short(),
            *((last.short(), best.short()) if row.classified else ("", "")),
            row.published,
            f"{row.seconds:.1f}",
            f"{row.images_per_second:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
