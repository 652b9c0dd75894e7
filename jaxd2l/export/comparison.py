"""How far what is to be written differs from the run itself, and how far it may."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxd2l.data import DataError, Examples
from jaxd2l.machine.device import default_platform
from jaxd2l.prediction import TrainedRun

EXAMPLES = 100


class ExportMismatchError(Exception):
    """What was to be written does not answer as the run does: a fault of this package or of a library."""


class Comparison(NamedTuple):
    """Differences between a run and what was read back of its export.

    Attributes:
        differences: the largest absolute difference by what was compared, such as "outputs".
        allowed: the largest one that rounding explains, likewise.
        examples: how many different ones were compared.
        random: whether they were drawn at random, because the run's data cannot be had.
    """

    differences: Mapping[str, float]
    allowed: Mapping[str, float]
    examples: int
    random: bool

    @property
    def largest(self) -> float:
        """The largest difference of all; NaN where one is."""
        return float(np.max(list(self.differences.values())))

    def require(self) -> None:
        """Refuse what is beyond rounding.

        Raises:
            ExportMismatchError: naming it.
        """
        wrong = [
            f"{what} differ by {found:.2g}, allowed is {self.allowed[what]:.2g}"
            for what, found in self.differences.items()
            if not found <= self.allowed[what]
        ]
        if wrong:
            raise ExportMismatchError(f"read back, it is not the run: {'; '.join(wrong)}; nothing was written")


def tolerance(precision: str, *, cpu: float = 1e-4) -> float:
    """What rounding explains, as a share of the largest number: two programs sum in different orders.

    `cpu` is what it explains there; a prediction is closer than an update.
    Accelerators multiply float32 in fewer bits unless told otherwise (10 on a GPU, 8 on a TPU).
    """
    if precision == "bfloat16":
        return 0.1
    return cpu if default_platform() == "cpu" else 1e-2


def compare_outputs(own: np.ndarray, found: np.ndarray, share: float, random: bool) -> Comparison:
    """Compare outputs (n, k); `share` of the largest one of them, or of 1, is allowed."""
    scale = max(1.0, float(np.abs(own).max()))
    difference = math.inf if own.shape != found.shape else float(np.abs(own - found).max())
    return Comparison({"outputs": difference}, {"outputs": share * scale}, len(own), random)


def apart(own: Iterable[np.ndarray], found: Iterable[np.ndarray]) -> float:
    """The L2 distance of two lists of arrays as a share of the length of the first; 0 where both are nothing."""
    total = lambda arrays: math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))  # noqa: E731
    own, found = list(own), list(found)
    distance = total(np.asarray(a, np.float64) - b for a, b in zip(own, found, strict=True))
    return distance and distance / (total(own) or 1e-30)


def examples_of(run: TrainedRun, test: Examples | None, count: int = EXAMPLES, *, again: bool = False) -> Examples:
    """The first `count` test examples of a run, all where there are fewer, or random ones.

    Args:
        run: what is exported.
        test: its test part; None where it cannot be had.
        count: how many.
        again: where there are fewer, take them from the beginning again.

    Raises:
        DataError: there is no test part, and the run does not say what its targets are.
    """
    if test is not None and len(test.x):
        rows = np.arange(count if again else min(count, len(test.x))) % len(test.x)
        return Examples(*(np.asarray(part)[rows] for part in test))
    draw, example = np.random.default_rng(0), run.stored_example
    shape = (count, *example.shape[1:])
    x = draw.integers(0, 256, shape, np.uint8) if example.dtype == np.uint8 else draw.standard_normal(shape)
    return Examples(x.astype(example.dtype), _random_targets(run, draw, count))


def _random_targets(run: TrainedRun, draw: np.random.Generator, count: int) -> np.ndarray:
    if run.classes:
        return draw.integers(0, len(run.classes), count).astype(np.int32)
    try:
        dtype, *shape = run.config["data"]["target"]
        return draw.standard_normal((count, *map(int, shape))).astype(dtype)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run.folder} does not say what its targets are; say where its data are") from error
