"""Mean and deviation of each channel of stored images, exactly."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxd2l.data.examples import Examples
from jaxd2l.data.plain import chunks
from jaxd2l.data.streaming.on_disk import OnDisk


class ChannelStatistics(NamedTuple):
    """In the unit of `scale`, shares of white in [0, 1]: one mean and one deviation a channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def plain(self) -> dict[str, list[float]]:
        """As JSON gives them back."""
        return {name: list(numbers) for name, numbers in self._asdict().items()}


def channel_statistics(examples: Examples) -> ChannelStatistics:
    """Mean and deviation over all pixels of all images, each rounded once.

    Args:
        examples: uint8 images (n, height, width, channels); give the training part.

    Returns:
        The mean and the root of the mean squared difference from it, 0 for a channel of one value.

    Raises:
        ValueError: other arrays than images of bytes, or none.
    """
    x = examples.x
    if x.dtype != np.uint8 or x.ndim != 4 or 0 in x.shape:
        raise ValueError(f"expected uint8 images (n, height, width, channels), got {x.dtype} {x.shape}")
    mean, deviation = [], []
    for n, total, squares in _totals(x):
        mean.append(total / (255 * n))  # whole numbers up to here
        deviation.append(math.sqrt((n * squares - total * total) / (255 * n) ** 2))
    return ChannelStatistics(tuple(mean), tuple(deviation))


def _totals(x: np.ndarray | OnDisk) -> Iterator[tuple[int, int, int]]:
    """Of each channel how many pixels there are, their sum and the sum of their squares."""
    if isinstance(x, OnDisk):  # each picture was added up when it was looked at
        for total, squares in zip(*x.sums.sum(axis=0), strict=True):
            yield math.prod(x.shape[:3]), int(total), int(squares)
        return
    counts = np.zeros((x.shape[3], 256), np.int64)
    for _, chunk in chunks(x):
        for channel in range(x.shape[3]):
            counts[channel] += np.bincount(np.asarray(chunk[..., channel]).ravel(), minlength=256)
    for row in counts:
        histogram = list(enumerate(map(int, row)))
        yield sum(c for _, c in histogram), sum(v * c for v, c in histogram), sum(v * v * c for v, c in histogram)
