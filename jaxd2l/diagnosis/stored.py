"""The stored curves: right trainings and mistakes made on purpose, over seeds, with what made them."""

import functools
import importlib.resources
import json
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.catalogue import require

MAKE = "python benchmarks/mistakes.py"


def _file(recipe: str) -> Any:
    return importlib.resources.files("jaxd2l.diagnosis").joinpath(f"curves/{recipe}.json")


RECIPES = tuple(name for name in ("softmax", "mlp", "lenet") if _file(name).is_file())


class Stored(NamedTuple):
    """The curves of a recipe.

    Attributes:
        recipe: its name.
        curves: loss, training accuracy and test accuracy by variant (seeds, epochs, 3); NaN from the epoch on in which
            a training diverged.
        made: command, device, processor, versions, time and seeds of each place they were made at.
    """

    recipe: str
    curves: dict[str, np.ndarray]
    made: tuple[dict[str, Any], ...]

    @property
    def epochs(self) -> int:
        """How many each training has."""
        return int(next(iter(self.curves.values())).shape[1])


@functools.cache
def curves_of(recipe: str) -> Stored:
    """The stored curves of a recipe.

    Raises:
        ValueError: there is no such recipe, or none are stored of it.
    """
    require(recipe)
    file = _file(recipe)
    if not file.is_file():
        there = ", ".join(RECIPES)
        raise ValueError(f"no trainings of recipe {recipe} are stored to compare with; there are those of {there}")
    kept = json.loads(file.read_text(encoding="utf-8"))
    curves = {}
    for name, seeds in kept["variants"].items():
        curves[name] = np.full((len(seeds), kept["epochs"], 3), np.nan)
        for i, rows in enumerate(seeds.values()):
            curves[name][i, : len(rows)] = np.reshape(rows, (-1, 3))
    return Stored(recipe, curves, tuple(kept["made"]))
