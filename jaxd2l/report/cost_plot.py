"""Parameters, computation and accuracy of many networks in one picture."""

from collections.abc import Sequence
from pathlib import Path

from jaxd2l.train.cost import Cost


def published_accuracy(one: Cost) -> float | None:
    """Mean published test accuracy of the recipe, a share in [0, 1]; None where nothing is published."""
    found = [p.test_accuracy for p in one.recipe.published if p.test_accuracy is not None]
    return sum(found) / len(found) if found else None


def draw(costs: Sequence[Cost], path: Path) -> None:
    """Draw FLOPs to predict against published test accuracy; the area of a point is its number of parameters.

    Networks without a published accuracy stand on the lower edge, hollow.

    Args:
        costs: of the recipes to show.
        path: where to; the ending decides the format (.svg, .png, .pdf).

    Raises:
        ValueError: matplotlib does not know the ending.
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    shown = [(one, published_accuracy(one)) for one in costs if one.recipe.hits is not None]
    lowest = min((accuracy for _, accuracy in shown if accuracy is not None), default=0.5) - 0.02
    for one, accuracy in shown:
        y = lowest if accuracy is None else accuracy
        size = 4 + 300 * (one.parameters / 50e6) ** 0.5
        face = "none" if accuracy is None else "tab:blue"
        axes.scatter([one.forward_flops], [y], s=size, facecolors=face, edgecolors="tab:blue", alpha=0.7)
        turn = 60 if accuracy is None else 0
        axes.annotate(
            one.recipe.name, (one.forward_flops, y), (4, 4), textcoords="offset points", rotation=turn, fontsize=8
        )
    axes.set_xscale("log")
    axes.set_xlabel("FLOPs to predict one image")
    axes.set_ylabel("published test accuracy (hollow: none published)")
    axes.set_title("Area of a point: square root of the number of parameters")
    figure.savefig(path)
