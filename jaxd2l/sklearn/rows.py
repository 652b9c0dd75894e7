"""Rows as training takes them: each different one once, with its weight, in an order of their own.

So what an estimator learns is a function of the rows alone: a weight of two is exactly a row given twice, a weight of
zero a row left out, and the order in which rows are given says nothing.
"""

import hashlib
from typing import NamedTuple

import numpy as np

_SMALLEST = 1e-30  # of a weight over the mean weight: a batch of the smallest ones still has a sum above 0


class Weighted(NamedTuple):
    """Different rows.

    Attributes:
        x: stored inputs (n, ...).
        y: targets (n, ...).
        weight: above 0, of mean 1, float32 (n,).
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def part(self, chosen: np.ndarray) -> "Weighted":
        """The rows of a mask or of indices."""
        return Weighted(*(a[chosen] for a in self))


def different_rows(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Weighted:
    """Put equal rows together and all of them in the order of their digests.

    Args:
        x: (n, ...).
        y: (n, ...); rows are equal where both inputs and targets are.
        weight: (n,), above 0.
    """
    digests = np.array([_digest(a, b) for a, b in zip(_unsigned_zero(x), _unsigned_zero(y), strict=True)])
    _, first, place = np.unique(digests, return_index=True, return_inverse=True)
    total = np.bincount(place, weights=weight)
    share = total / total.mean() if (total != total[0]).any() else np.ones(len(total))
    return Weighted(x[first], y[first], np.maximum(share, _SMALLEST).astype(np.float32))


def some_weight(weight: np.ndarray) -> np.ndarray:
    """Weights of rows, (n,), at least 0.

    Raises:
        ValueError: all of them are 0.
    """
    if not weight.any():
        raise ValueError("sample_weight is 0 for every row; give at least one a weight above 0")
    return weight


def _unsigned_zero(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a + 0.0 if a.dtype.kind == "f" else a)


def _digest(x: np.ndarray, y: np.ndarray) -> bytes:
    return hashlib.blake2b(x.tobytes() + y.tobytes(), digest_size=16).hexdigest().encode()
