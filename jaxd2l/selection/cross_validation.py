"""K-fold cross-validation of a whole recipe: augmentation, mixup, class weights, schedule, average and all.

Each fold is a data set of its own: its training rows are all others, its validation part the fold. What a recipe takes
from its training rows, mean and deviation of the channels and balanced class weights, is taken from the fold's, so a
member is the single run with its seed on these rows. (`selection.kfold` trains all folds as one program, which pays for
small networks; of a recipe it knows network, optimizer, schedule and loss.)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data import Dataset, balanced_class_weights, channel_statistics, deal_out, fold_of
from jaxd2l.selection.curves import Curves
from jaxd2l.selection.grid import Point
from jaxd2l.selection.points import as_points
from jaxd2l.selection.sweep import Choice, sweep
from jaxd2l.train.recipe import Recipe


class CrossValidated(NamedTuple):
    """All trainings: points x seeds x folds.

    Attributes:
        points: (g).
        seeds: (s).
        fold: int32 (n,), which fold validates each training row.
        curves: of each (number of the point, number of the seed, fold): `validation_...` of the fold in every epoch,
            and the test part judged once, by the last weights.
    """

    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    fold: np.ndarray
    curves: dict[tuple[int, int, int], Curves]

    def last(self, name: str = "validation_accuracy") -> np.ndarray:
        """A column of `Curves` after the last epoch, (g, s, k); NaN where a training diverged."""
        found = np.empty((len(self.points), len(self.seeds), int(self.fold.max()) + 1))
        for place, curves in self.curves.items():
            found[place] = curves.columns()[name][-1]
        return found


def cross_validate(
    recipe: Recipe,
    data: Dataset,
    k: int = 5,
    *,
    points: Sequence[Point] | None = None,
    seeds: Sequence[int] = (0,),
    split_seed: int = 0,
    balanced: bool = False,
    on_fold: Callable[[int, Recipe, Dataset], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **options: Any,
) -> CrossValidated:
    """Train a recipe with every seed at every point on every fold.

    Args:
        recipe: what to train. Where it standardises images, each fold does so by its own training rows.
        data: without a validation part; its test part is judged once by each training, and decides nothing.
        k: how many folds.
        points: from `points_of`; the recipe's own learning rate and weight decay where None.
        seeds: one training each.
        split_seed: deals the rows out, see `jaxd2l.data.deal_out`.
        balanced: weigh the classes by each fold's own training rows (`balanced_class_weights`).
        on_fold: called before each fold with its number, its recipe and its data.
        on_note: see `deal_out`.
        **options: of `sweep`, such as `method`, `mesh` and `weights`, but not `finished` and `choices`. Where both ways
            are timed, the first fold is.

    Returns:
        Every curve.

    Raises:
        ValueError, DataError: see `sweep` and `deal_out`; an option of one sweep alone; a class without a training row
            where it is to be balanced.
    """
    if given := sorted({"finished", "choices"} & options.keys()):
        raise ValueError(f"{given[0]} is of the members of one sweep, and each fold is one of its own; leave it out")
    own_point = (Point(recipe.learning_rate, recipe.weight_decay),)
    points, seeds = own_point if points is None else as_points(points), tuple(seeds)
    fold = deal_out(data, k, split_seed, on_note=on_note)
    curves: dict[tuple[int, int, int], Curves] = {}
    choices: dict[int, Choice] = {}
    for number in range(k):
        divided = fold_of(data, fold, number)
        own = fitted_to_rows(recipe, divided, balanced=balanced)
        if on_fold is not None:
            on_fold(number, own, divided)
        members = sweep(own, divided, points, seeds, choices=choices, **options)
        for g, point in enumerate(points):
            for s, seed in enumerate(seeds):
                curves[g, s, number] = members[point, seed]
    return CrossValidated(tuple(points), tuple(seeds), fold, curves)


def fitted_to_rows(recipe: Recipe, data: Dataset, *, balanced: bool = False) -> Recipe:
    """The recipe with what it takes from training rows taken from these: statistics of images, balanced class weights.

    Raises:
        DataError: a class has no row.
    """
    if recipe.statistics is not None:
        recipe = dataclasses.replace(recipe, statistics=channel_statistics(data.train))
    if balanced:
        weights = balanced_class_weights(np.asarray(data.train.y), len(data.classes))
        recipe = dataclasses.replace(recipe, class_weights=weights)
    return recipe
