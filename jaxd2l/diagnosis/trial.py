"""How well mistakes are named: every stored training held out, and every mistake taken away."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from jaxd2l.diagnosis.answer import verdict_of
from jaxd2l.diagnosis.comparison import Against, Variants
from jaxd2l.diagnosis.result import SEVERAL, UNLIKE
from jaxd2l.diagnosis.stored import curves_of

Columns = tuple[bool, bool, bool]  # whether loss, training accuracy and test accuracy are told
ALL: Columns = (True, True, True)


class Tried(NamedTuple):
    """What was said of the trainings of one variant.

    Attributes:
        name: the variant.
        seeds: how many of its trainings were tried.
        named: how many were named as it, or as what it cannot be told apart from.
        several: how many had several causes.
        unlike: how many were unlike all.
        wrong: how many were named as another one, by its name.
    """

    name: str
    seeds: int
    named: int
    several: int
    unlike: int
    wrong: dict[str, int]


def held_out(recipe: str, epochs: int | None = None, columns: Columns = ALL) -> list[Tried]:
    """What is said of each stored training by the others, its own variant without it.

    Args:
        recipe: whose curves are stored.
        epochs: how many are told of each; all by default.
        columns: whether loss, training accuracy and test accuracy are told.
    """
    told = _told(recipe, epochs, columns)
    variants = Variants(recipe, told, diverged=False)
    return [
        _tried(name, {name}, variants, [variants.held_out(name, i) for i in range(len(seeds.x))])
        for name, seeds in variants.seeds.items()
    ]


def left_out(recipe: str, epochs: int | None = None, columns: Columns = ALL) -> list[Tried]:
    """What is said of the trainings of each variant where it is not known: that they are unlike all, if all is well."""
    told = _told(recipe, epochs, columns)
    every = Variants(recipe, told, diverged=False)
    found = []
    for name, seeds in every.seeds.items():
        others = every.without(name)
        alike = {other for group in every.groups if name in group for other in group}
        compared = [every.held_out(name, i) for i in range(len(seeds.x))]
        known = [{other: one for other, one in seed.items() if other != name} for seed in compared]
        found.append(_tried(name, alike, others, known))
    return found


def _told(recipe: str, epochs: int | None, columns: Columns) -> np.ndarray:
    return np.tile(columns, (epochs or curves_of(recipe).epochs, 1))


def _tried(name: str, alike: set[str], variants: Variants, compared: list[dict[str, Against]]) -> Tried:
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for found in compared:
        causes = variants.likely(found)
        verdict = verdict_of(causes)
        if verdict in (SEVERAL, UNLIKE):
            counts[verdict] += 1
        elif alike & set(causes[0].names):
            counts["named"] += 1
        else:
            wrong[causes[0].names[0]] += 1
    return Tried(name, len(compared), counts["named"], counts[SEVERAL], counts[UNLIKE], dict(wrong))
