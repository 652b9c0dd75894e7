"""Mean and deviation of each channel of stored images, exactly."""

import math
from typing import NamedTuple

import numpy as np

from jaxd2l.data.examples import Examples
from jaxd2l.data.plain import chunks


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
    counts = np.zeros((x.shape[3], 256), np.int64)
    for _, chunk in chunks(x):
        for channel in range(x.shape[3]):
            counts[channel] += np.bincount(np.asarray(chunk[..., channel]).ravel(), minlength=256)
    mean, deviation = [], []
    for row in counts:
        histogram = list(enumerate(map(int, row)))
        n, total = sum(c for _, c in histogram), sum(v * c for v, c in histogram)
        squares = sum(v * v * c for v, c in histogram)
        mean.append(total / (255 * n))  # whole numbers up to here
        deviation.append(math.sqrt((n * squares - total * total) / (255 * n) ** 2))
    return ChannelStatistics(tuple(mean), tuple(deviation))
