"""On what ground a data set shows its things, and how large."""

from typing import NamedTuple

import numpy as np

DIFFERENT = 26  # of 255: nearer to the ground than a tenth is ground


class Framing(NamedTuple):
    """How a data set shows its things.

    Attributes:
        dark: whether most images have a dark border: median below 64 of 255.
        fill: share of the frame that the longer side of a thing takes, the median over images; None without a dark
            border, where what is thing and what is ground cannot be told.
        own: whether they are a user's own pictures, which `convert_like_own` reads as they were read.
    """

    dark: bool
    fill: float | None
    own: bool = False


def framing(images: np.ndarray, rows: int = 1000) -> Framing:
    """Look at the first images of a data set, uint8 (n, h, w, c); `Framing(False, None)` for what is none."""
    some = np.asarray(images[:rows])
    if some.ndim != 4 or not some.size or np.median(border_of(some)) >= 64:
        return Framing(False, None)
    seen = some.max(axis=-1) > DIFFERENT
    extents = [seen.any(axis=axis) for axis in (1, 2)]  # (n, w), (n, h)
    sides = [_extent(extent) / extent.shape[1] for extent in extents]
    return Framing(True, float(np.median(np.maximum(*sides))))


def _extent(seen: np.ndarray) -> np.ndarray:
    """From the first to the last of each row that is seen, at least 1."""
    length = seen.shape[1] - seen.argmax(axis=1) - seen[:, ::-1].argmax(axis=1)
    return np.where(seen.any(axis=1), length, 1)


def border_of(images: np.ndarray) -> np.ndarray:
    """The outermost pixels of images (n, h, w, c): (n, pixels, c)."""
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return np.concatenate(edges, axis=1)
