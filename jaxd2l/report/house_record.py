"""`houses.json`: what a cross-validation of house prices came to, from which its page is written again."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxd2l.experiments.houses import Outcome
from jaxd2l.selection.grid import Point


def houses_record(
    outcomes: Sequence[Outcome],
    chosen: Outcome,
    remarks: Sequence[str] = (),
    *,
    points: Mapping[str, Sequence[Any]] | None = None,
    test_price: np.ndarray | None = None,
) -> dict[str, Any]:
    """The arguments of `houses_page` as plain values; curves and parameters stay out."""
    return {
        "chosen": next(i for i, outcome in enumerate(outcomes) if outcome is chosen),
        "remarks": list(remarks),
        "points": {name: [_settings(point) for point in grid] for name, grid in (points or {}).items()},
        "test_price": None if test_price is None else _numbers(test_price),
        "outcomes": [
            {
                **outcome._asdict(),
                "point": None if outcome.point is None else _settings(outcome.point),
                "scores": _numbers(outcome.scores),
                "test_price": _numbers(outcome.test_price),
                "test_log_rmse": None if outcome.test_log_rmse is None else _numbers(np.array(outcome.test_log_rmse)),
                "result": None,
            }
            for outcome in outcomes
        ],
    }


def houses_arguments(record: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `houses_page` was called with, out of its record.

    Raises:
        KeyError, TypeError, ValueError, IndexError: it is none.
    """
    outcomes = [
        Outcome(
            **{
                **one,
                "point": None if one["point"] is None else Point(**one["point"]),
                "scores": _array(one["scores"]),
                "test_price": _array(one["test_price"]),
            }
        )
        for one in record["outcomes"]
    ]
    points = {name: [Point(**point) for point in grid] for name, grid in record["points"].items()}
    price = None if record["test_price"] is None else _array(record["test_price"])
    named = {"points": points, "test_price": price}
    return (outcomes, outcomes[record["chosen"]], [str(line) for line in record["remarks"]]), named


def _settings(point: Point) -> dict[str, float]:
    return {name: float(value) for name, value in point._asdict().items()}


def _numbers(values: np.ndarray) -> Any:
    """Numbers as JSON holds them: None for those that are not finite, of a training that diverged."""
    if values.ndim == 0:
        return float(values) if math.isfinite(float(values)) else None
    return [_numbers(row) for row in values]


def _array(values: Any) -> np.ndarray:
    return np.array(values, np.float64)  # None becomes NaN
