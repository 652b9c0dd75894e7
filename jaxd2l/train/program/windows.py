"""Data that do not fit on the device: how many batches of them lie there at a time."""

import math
from collections.abc import Iterable

import jax

from jaxd2l.data import Dataset, Examples, Ring
from jaxd2l.data.streaming import OnDisk, require_grain

BYTES = 2**26  # of a window: seconds of a deep network on an accelerator, and thousands of copies of a small batch


def streams(data: Dataset, asked: bool = False) -> bool:
    """Whether data go through windows: where that is asked for, or where a part lies on a disk."""
    return asked or any(isinstance(part.x, OnDisk) for part in (data.train, data.test, data.validation) if part)


def window_of(part: Examples, batch_size: int, steps: int) -> int:
    """Batches in a window, over all devices: as many as `BYTES` hold, at least one and at most `steps`."""
    return max(1, min(steps, BYTES // batch_bytes(part, batch_size)))


def batch_bytes(part: Examples, batch_size: int) -> int:
    """What a batch of these examples takes."""
    return batch_size * sum(math.prod(a.shape[1:]) * a.dtype.itemsize for a in part)


def held(part: Examples, batch_size: int, window: int | None) -> Examples:
    """Shapes and types of what is on the device of a part: itself, or a window of it."""
    if window is None:
        return part
    shapes = (jax.ShapeDtypeStruct((window, batch_size, *a.shape[1:]), a.dtype) for a in part)
    return Examples(*(Ring(shape) for shape in shapes))  # type: ignore[arg-type]


def windows_of(parts: Iterable[tuple[Examples, int, int]]) -> tuple[int, ...]:
    """The window of each part, given with its batch size and its batches; see `window_of`.

    Raises:
        ValueError: Grain is not installed.
    """
    require_grain()
    return tuple(window_of(*part) for part in parts)
