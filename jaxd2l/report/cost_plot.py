"""Parameters, computation and accuracy of many networks in one picture."""

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

from jaxd2l.cost.answer import Cost
from jaxd2l.machine.disk import write_named


def published_accuracy(one: Cost) -> float | None:
    """Mean published test accuracy of the recipe, a share in [0, 1]; None where nothing is published."""
    found = [p.test_accuracy for p in one.recipe.published if p.test_accuracy is not None]
    return sum(found) / len(found) if found else None


def require_drawable(path: Path) -> Path:
    """Refuse a picture that `draw` could not make.

    Returns:
        The file that `draw` writes: a name without an ending gets that of a PNG.

    Raises:
        ValueError: matplotlib is not installed, does not know the ending, or lacks what draws it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("the picture is drawn by matplotlib: pip install 'jaxd2l[plot]'")
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix and path.suffix[1:].lower() not in known:
        raise ValueError(f"no picture is drawn as {path.suffix}; give {path} an ending of {', '.join(known)}")
    from matplotlib.figure import Figure

    file = path if path.suffix else path.with_suffix(".png")
    tried = Figure(figsize=(1, 1))
    tried.text(0, 0, "a")
    try:
        tried.savefig(io.BytesIO(), format=file.suffix[1:])
    except RuntimeError as error:  # .pgf takes LaTeX
        raise ValueError(f"no picture is drawn as {file.suffix} here: {error}") from error
    return file


def draw(costs: Sequence[Cost], file: Path) -> None:
    """Draw FLOPs to predict against published test accuracy; the area of a point grows with its parameters.

    Networks without a published accuracy are left out.

    Args:
        costs: of the recipes to show.
        file: where to, of `require_drawable`; the ending decides the format (.svg, .png, .pdf).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    shown = [(one, accuracy) for one in costs if (accuracy := published_accuracy(one)) is not None]
    for i, (one, accuracy) in enumerate(sorted(shown, key=lambda pair: pair[0].forward_flops)):
        axes.scatter([one.forward_flops], [accuracy], s=4 + 300 * (one.parameters / 50e6) ** 0.5, alpha=0.6)
        below = i % 2  # labels of neighbours on either side of their points
        axes.annotate(
            one.recipe.name,
            (one.forward_flops, accuracy),
            (0, -14 if below else 9),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.margins(0.1)
    axes.set_xlabel("FLOPs to predict one example")
    axes.set_ylabel("test accuracy, mean of the published runs")
    axes.set_title("Area of a point: root of the number of parameters", fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=file.suffix[1:])
    write_named(file, drawn.getvalue())
