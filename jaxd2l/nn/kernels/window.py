"""Sizes of sliding windows: what convolution and pooling share (D2L sec_padding, sec_pooling)."""

from collections.abc import Sequence
from typing import Any

__all__ = ["Padding", "Sizes", "output_size", "pads", "sizes"]

type Sizes = int | Sequence[int]
type Padding = int | Sequence[int] | Sequence[tuple[int, int]]


def sizes(name: str, value: Sizes, rank: int) -> tuple[int, ...]:
    """One positive size for each of `rank` axes, from a single size or one for each axis.

    Raises:
        ValueError: `value` is neither, or a size is below 1; `name` says which setting it was.
    """
    found = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(found) != rank or not all(isinstance(size, int) and size >= 1 for size in found):
        raise ValueError(f"{name} must be a whole number from 1 or {rank} of them, got {value!r}")
    return found


def pads(value: Padding, rank: int) -> tuple[tuple[int, int], ...]:
    """(low, high) for each of `rank` axes, from one number, one for each axis, or the pairs themselves.

    Raises:
        ValueError: `value` is none of these, or negative; 'SAME' is refused because with a stride it pads unevenly.
    """
    found: tuple[Any, ...] = (value,) * rank if isinstance(value, int) else tuple(value)
    pairs = tuple((pad, pad) if isinstance(pad, int) else tuple(pad) for pad in found)
    if len(pairs) != rank or not all(
        len(pair) == 2 and all(isinstance(pad, int) and pad >= 0 for pad in pair) for pair in pairs
    ):
        raise ValueError(
            f"padding must be a whole number from 0, {rank} of them, or {rank} (low, high) pairs, got {value!r}; "
            f"strings such as 'SAME' are not taken: spell the numbers out"
        )
    return tuple((low, high) for low, high in pairs)


def output_size(
    space: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    borders: Sequence[tuple[int, int]],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """Number of places of the window along each axis: floor((n + low + high - d (k - 1) - 1) / s) + 1.

    Raises:
        ValueError: the window is larger than the padded input along some axis.
    """
    padded = tuple(size + low + high for size, (low, high) in zip(space, borders, strict=True))
    reach = tuple(d * (k - 1) + 1 for k, d in zip(window, dilations, strict=True))
    if any(r > p for r, p in zip(reach, padded, strict=True)):
        raise ValueError(
            f"a window of {reach} does not fit an input of {tuple(space)} padded to {padded}: "
            f"use a larger input, more padding or a smaller window"
        )
    return tuple((p - r) // s + 1 for p, r, s in zip(padded, reach, strides, strict=True))
