"""From values to pixels: ranges, round ticks and their labels, linear and logarithmic."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Scale(NamedTuple):
    """An axis from `low` to `high`, drawn from pixel `start` to pixel `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside go to the nearer end."""
        low, high, at = (self._on(v) for v in (self.low, self.high, value))
        share = 0.5 if high == low else (at - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.stop - self.start)

    def _on(self, value: float) -> float:
        return math.log10(max(value, 5e-324)) if self.log else value

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the range."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, count)


def scale_of(values: Iterable[float], start: float, stop: float, *, zero: bool = False, log: bool = False) -> Scale:
    """An axis that holds every finite value with a little room.

    Args:
        values: to hold; those that are not finite (or not positive, on a logarithmic axis) are left out.
        start: pixel of the low end.
        stop: pixel of the high end.
        zero: begin at 0 where all values are positive.
        log: logarithmic.

    Returns:
        From 0 to 1 where there is no value.
    """
    kept = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if not kept:
        return Scale(0.1 if log else 0.0, 1.0, start, stop, log)
    low, high = min(kept), max(kept)
    if log:
        return Scale(low / 1.3, min(high * 1.3, 1.7e308), start, stop, True)
    if zero and low >= 0:
        low = 0.0
    half = (high / 2 - low / 2) or abs(high) / 2 or 0.5  # halves first: the difference may leave the range of floats
    room = 0.1 * half
    return Scale(low if zero and low == 0 else low - room, min(high, 1e308) + room, start, stop)


def wants_log(values: Sequence[float], ratio: float = 50.0) -> bool:
    """Whether values are positive and so far apart that a linear axis would hide the small ones."""
    kept = [v for v in values if math.isfinite(v)]
    return bool(kept) and min(kept) > 0 and max(kept) / min(kept) > ratio


def linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    span = high - low
    raw = span / max(count, 1)
    if not (math.isfinite(span) and raw > max(1e-300, 1e-12 * abs(low))):  # nothing that floats could tell apart
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999), 10 * power)
    first = math.ceil(low / step - 1e-9)
    ticks = [round((first + i) * step, 12) if step > 1e-9 else (first + i) * step for i in range(4 * count + 4)]
    return [t for t in ticks if low - 1e-9 * span <= t <= high + 1e-9 * span] or [low]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten in [low, high], thinned to at most six; twos and fives too where there are fewer than three."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    if len(powers) < 3:
        fine = [m * 10.0**p for p in range(first - 1, last + 1) for m in (1, 2, 5)]
        return [t for t in fine if low <= t <= high] or [low]
    return [10.0**p for p in powers[:: -(-len(powers) // 6)]]


def whole_ticks(low: int, high: int, count: int = 6) -> list[int]:
    """Whole numbers in [low, high]: epochs."""
    step = max(1, int(linear_ticks(0, max(1, high - low), count)[1])) if high - low > count else 1
    ticks = [t for t in range(low, high + 1) if t % step == 0]
    return ticks if ticks and (ticks[0] == low or step == 1) else [low, *[t for t in ticks if t - low >= step / 2]]


def label(value: float) -> str:
    """A tick's value in few characters, such as 0.25, 1,200 or 1e-5."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
