"""How a value of the notes is held against the value here: equal, within, at most, at least, one more seed or curve."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.diagnosis.likelihood import EXTRA, compared_figures

CONFIDENCE = 0.95


class Comparison(NamedTuple):
    """A rule and its words.

    Attributes:
        words: as they stand in the table and in JSON, such as `within 5e-05`.
        holds: (expected, here) to whether the value here is as expected.
    """

    words: str
    holds: Callable[[Any, Any], bool]


def _equal(expected: Any, here: Any) -> bool:
    if isinstance(expected, str) or isinstance(here, str):
        return bool(expected == here)
    expected, here = np.asarray(expected), np.asarray(here)
    return expected.shape == here.shape and bool(np.array_equal(expected, here))


equal = Comparison("equal", _equal)


def within(tolerance: float) -> Comparison:
    """Every number differs by at most `tolerance`; a NaN never agrees."""

    def holds(expected: Any, here: Any) -> bool:
        expected, here = np.asarray(expected, np.float64), np.asarray(here, np.float64)
        return expected.shape == here.shape and bool(np.all(np.abs(expected - here) <= tolerance))

    return Comparison(f"within {tolerance:g}", holds)


at_most = Comparison("at most", lambda expected, here: bool(np.all(np.asarray(here) <= np.asarray(expected))))
at_least = Comparison("at least", lambda expected, here: bool(np.all(np.asarray(here) >= np.asarray(expected))))


def _one_more_seed(expected: Any, here: Any) -> bool:
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    expected, here = np.asarray(expected, np.float64), np.asarray(here, np.float64)
    n = len(here)
    if n < 2 or here.shape[1:] != expected.shape:
        return False
    alone = 1 - (1 - CONFIDENCE) / max(expected.size, 1)  # all figures together are to hold with CONFIDENCE
    width = stdtrit(n - 1, (1 + alone) / 2) * here.std(axis=0, ddof=1) * math.sqrt(1 + 1 / n)
    return bool(np.all(np.abs(expected - here.mean(axis=0)) <= width))


one_more_seed = Comparison("one more seed", _one_more_seed)
"""A single run's figures beside those of several seeds here, (seeds, ...): it could be one more of them.

Each figure lies in Student's prediction interval for one more run, of 95% for all figures of the claim together
(Bonferroni). Fewer than two seeds tell nothing, and fail.
"""


def _one_more_curve(expected: Any, here: Any) -> bool:
    expected, here = np.asarray(expected, np.float64), np.asarray(here, np.float64)
    if len(here) < FEWEST_CURVES or here.shape[1:] != expected.shape:
        return False
    curves = compared_figures(np.concatenate([here, expected[None]]), np.ones(expected.shape, bool))
    added = np.tile(EXTRA, len(expected))

    def unlikeness(i: int) -> float:
        others = np.delete(curves, i, axis=0)
        away = np.abs(curves[i] - others.mean(axis=0)) / np.hypot(others.std(axis=0, ddof=1), added)
        return float(away.max())

    return unlikeness(len(here)) <= max(map(unlikeness, range(len(here))))


FEWEST_CURVES = round(1 / (1 - CONFIDENCE)) - 1  # of fewer the most unlike is not one of twenty
one_more_curve = Comparison("one more curve", _one_more_curve)
"""A run's loss, training and test accuracy after every epoch (epochs, 3) beside those of many seeds here (seeds, ...).

It is one more unless no seed's curve is as unlike all others as it is: of n + 1 curves of one recipe each is that one
with probability 1 / (n + 1), whatever the figures are distributed like. How unlike a curve is, is the largest distance
of its figures from the others' mean, in their deviations; the figures are those that `jaxd2l diagnose` compares, since
a test accuracy falls now and then in whichever epoch. Fewer than 19 seeds tell nothing, and fail.
"""
