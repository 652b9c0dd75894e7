"""What several trainings of one recipe came to: mean, deviation and 95% interval over seeds."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxd2l.selection.curves import Curves


class Interval(NamedTuple):
    """Mean over n values, its sample deviation and the 95% confidence interval of the mean (Student's t).

    Attributes:
        mean, deviation: None without a value, or for the deviation with one alone, which tells nothing of it.
        low, high: ends of the interval; None with fewer than two values.
        n: how many values.
    """

    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        """Such as `0.8612 ± 0.0031 [0.8573, 0.8651]`."""
        return self.short() + ("" if self.deviation is None else f" [{self.low:.4f}, {self.high:.4f}]")

    def short(self) -> str:
        """Without the interval, such as `0.8612 ± 0.0031`."""
        if self.mean is None:
            return "-"
        return f"{self.mean:.4f}" + ("" if self.deviation is None else f" ± {self.deviation:.4f}")


class Spread(NamedTuple):
    """The figures of trainings that differ in their seeds.

    Attributes:
        train_loss: of the last epoch.
        last, best: test accuracy of the last and of the best epoch; for regression test losses. Of the validation part
            where there is one.
    """

    train_loss: Interval
    last: Interval
    best: Interval


def interval(values: Sequence[float]) -> Interval:
    """Mean, sample deviation (n - 1) and 95% interval: mean ± t(0.975, n - 1) deviation / sqrt(n)."""
    if not len(values):
        return Interval(None, None, None, None, 0)
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Interval(mean, None, None, None, 1)
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    deviation = statistics.stdev(values)
    half = float(stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
    return Interval(mean, deviation, mean - half, mean + half, len(values))


def over_seeds(members: Sequence[Curves], classified: bool) -> Spread:
    """The figures of members that did not diverge; of accuracies where they are `classified`, else of losses."""
    judged = [curves.judged(classified) for curves in members]
    best = np.max if classified else np.min
    return Spread(
        train_loss=interval([float(curves.train_loss[-1]) for curves in members]),
        last=interval([float(values[-1]) for values in judged]),
        best=interval([float(best(values)) for values in judged]),
    )
