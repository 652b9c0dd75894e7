"""Results over seeds beside the published figures: mean and deviation of the last and of the best epoch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxd2l.train import Recipe


class Spread(NamedTuple):
    """Mean and sample standard deviation; the deviation of a single value is None, for one run tells nothing of it."""

    mean: float
    deviation: float | None

    def __str__(self) -> str:
        """Four digits, such as `0.8612 ± 0.0031`."""
        return f"{self.mean:.4f}" + ("" if self.deviation is None else f" ± {self.deviation:.4f}")


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation (n - 1) of at least one value."""
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


class Row(NamedTuple):
    """One recipe over its seeds; accuracies are shares in [0, 1] and None for regression."""

    recipe: str
    parameters: int
    seeds: int
    train_loss: Spread
    test_accuracy: Spread | None
    best_test_accuracy: Spread | None
    seconds: float
    images_per_second: float
    published: str


def summarise(recipe: Recipe, runs: Sequence[Mapping[str, Any]]) -> Row:
    """One row from the finished runs of a recipe.

    Args:
        recipe: what was run, for its published figures.
        runs: each with `parameters` and `epochs`, a list of `EpochResult` as mappings.

    Returns:
        The row; `seconds` is the median over runs of a run's training time, evaluation and compilation apart.

    Raises:
        ValueError: no run.
    """
    if not runs:
        raise ValueError(f"no finished run of {recipe.name}; at least one is needed")
    last = [run["epochs"][-1] for run in runs]
    classified = last[0]["test_accuracy"] is not None
    best = [max(e["test_accuracy"] for e in run["epochs"]) for run in runs] if classified else []
    seconds = [sum(e["seconds"] for e in run["epochs"]) for run in runs]
    images = [sum(e["images_per_second"] * e["seconds"] for e in run["epochs"]) for run in runs]
    return Row(
        recipe=recipe.name,
        parameters=runs[0]["parameters"],
        seeds=len(runs),
        train_loss=spread([e["train_loss"] for e in last]),
        test_accuracy=spread([e["test_accuracy"] for e in last]) if classified else None,
        best_test_accuracy=spread(best) if classified else None,
        seconds=statistics.median(seconds),
        images_per_second=statistics.median(n / s for n, s in zip(images, seconds, strict=True)),
        published=", ".join(
            f"{p.test_accuracy:.3f} ({p.source})" for p in recipe.published if p.test_accuracy is not None
        ),
    )


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| recipe | parameters | seeds | train loss | test accuracy, last epoch | best epoch | published "
        "| training s | images/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        loss = f"{row.train_loss.mean:.3g}" if row.train_loss.mean < 0.01 else str(row.train_loss)
        cells = (
            row.recipe,
            f"{row.parameters:,}",
            str(row.seeds),
            loss,
            str(row.test_accuracy or ""),
            str(row.best_test_accuracy or ""),
            row.published,
            f"{row.seconds:.1f}",
            f"{row.images_per_second:,.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
