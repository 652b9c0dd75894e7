"""Sizes of sliding windows: what convolution and pooling share (D2L sec_padding, sec_pooling)."""

import operator
from collections.abc import Sequence
from typing import Any

__all__ = ["Padding", "Sizes", "axes_of", "output_size", "pads", "sizes", "whole_number"]

type Sizes = int | Sequence[int]
type Padding = int | Sequence[int] | Sequence[tuple[int, int]]


def axes_of(value: Any) -> int | None:
    """How many axes a setting is for: its length, or None where it is one whole number for all, or neither."""
    return None if whole_number(value) is not None else len(_elements(value)) or None


def whole_number(value: Any) -> int | None:
    """The whole number that `value` is, NumPy's among them; None where it is none."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def _elements(value: Any) -> tuple[Any, ...]:
    """Those of a sequence; () where `value` is none, or text."""
    try:
        return () if isinstance(value, str) else tuple(value)
    except TypeError:
        return ()


def _spread(value: Any, rank: int) -> tuple[Any, ...]:
    """One value for each axis, whole numbers as Python's; () where `value` is neither a number nor a sequence."""
    if (whole := whole_number(value)) is not None:
        return (whole,) * rank
    return tuple(one if (whole := whole_number(one)) is None else whole for one in _elements(value))


def sizes(name: str, value: Sizes, rank: int) -> tuple[int, ...]:
    """One positive size for each of `rank` axes, from a single size or one for each axis.

    Raises:
        ValueError: `value` is neither, or a size is below 1; `name` says which setting it was.
    """
    found = _spread(value, rank)
    if len(found) != rank or not all(isinstance(size, int) and size >= 1 for size in found):
        raise ValueError(f"{name} must be a whole number from 1 or {rank} of them, got {value!r}")
    return found


def pads(value: Padding, rank: int) -> tuple[tuple[int, int], ...]:
    """(low, high) for each of `rank` axes, from one number, one for each axis, or the pairs themselves.

    Raises:
        ValueError: `value` is none of these, or negative; 'SAME' is refused because with a stride it pads unevenly.
    """
    pairs = tuple(_spread(pad, 2) for pad in _spread(value, rank))
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
