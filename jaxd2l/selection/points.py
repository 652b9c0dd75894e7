"""The points of a sweep, and a point put into a recipe."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from jaxd2l.selection.grid import Point
from jaxd2l.train.recipe import Recipe


def points_of(learning_rates: Sequence[float], weight_decays: Sequence[float]) -> tuple[Point, ...]:
    """Combine every learning rate with every weight decay, each once.

    Raises:
        ValueError: none of one of them.
    """
    points = tuple(dict.fromkeys(Point(*pair) for pair in itertools.product(learning_rates, weight_decays)))
    if not points:
        raise ValueError("a sweep needs at least one learning rate and one weight decay")
    return points


def as_points(points: Iterable[Any]) -> tuple[Point, ...]:
    """Points however they are given: as `points_of` makes them, as pairs, as rows of an array.

    Raises:
        ValueError: they are none.
    """
    try:
        return tuple(Point(*point) for point in points)
    except TypeError as error:
        raise ValueError(
            f"points must be a learning rate and a weight decay each, as points_of gives them, got {points!r:.60}"
        ) from error


def varied(point: Point) -> dict[str, Any]:
    """What a sweep varies of a point: fields of a recipe."""
    return {"learning_rate": point.learning_rate, "weight_decay": point.weight_decay}


def at(recipe: Recipe, point: Point) -> Recipe:
    """The recipe at a point."""
    return dataclasses.replace(recipe, **varied(point))


def require_points(recipe: Recipe, points: Sequence[Point]) -> None:
    """Refuse rates that are no numbers, and points that would have no effect on the optimizer or the network."""
    if callable(recipe.learning_rate) or any(callable(point.learning_rate) for point in points):
        raise ValueError(
            "a sweep varies numbers, not schedules; name one, schedule='cosine', or put it into the optimizer: "
            "lambda rate, decay: optax.adamw(optax.cosine_decay_schedule(rate, steps), weight_decay=decay)"
        )
    for point in points:
        at(recipe, point)
        if point.dropout:
            raise ValueError(
                f"a sweep's network has its own dropout, so a point has none, got {point}; kfold varies it"
            )
    if not callable(recipe.optimizer) and len(set(points)) > 1:
        raise ValueError(
            f"a finished optimizer follows none of the {len(set(points))} rates; give optimizer as "
            "f(learning_rate, weight_decay)"
        )
