"""Rows that lie on a disk and are read when they are needed, with the face of a NumPy array."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

AT_A_TIME = 2**25  # bytes of rows that are read one after another


class OnDisk:
    """An array (n, ...) of which only the rows asked for are ever in memory.

    A slice, a mask or integers choose rows and read none; an integer reads a row; `np.asarray` reads all. It travels to
    other processes as what opens it.

    Attributes:
        read: row numbers (k,) of the source -> the rows (k, ...), in any process.
        rows: those of the source that belong to this array, int64 (n,).
        digests: SHA-256 of each of them, uint8 (n, 32).
        sums: sum and sum of squares of the pixels of each, by channel, int64 (n, 2, channels).
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, ...],
        dtype: Any,
        *,
        rows: np.ndarray,
        digests: np.ndarray,
        sums: np.ndarray,
    ) -> None:
        self.read, self.rows, self.digests, self.sums = read, rows, digests, sums
        self.shape, self.dtype = (len(rows), *shape), np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Axes, that of the rows included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What all rows would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, int | np.integer):
            return self.read(self.rows[np.array([which])])[0]
        return OnDisk(
            self.read,
            self.shape[1:],
            self.dtype,
            rows=self.rows[which],
            digests=self.digests[which],
            sums=self.sums[which],
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(self.rows), dtype)

    def bare(self) -> "OnDisk":
        """The same rows without what is known of each: what a process needs that only reads."""
        nothing = np.empty((len(self), 0))
        return OnDisk(self.read, self.shape[1:], self.dtype, rows=self.rows, digests=nothing, sums=nothing)

    def take(self, which: np.ndarray) -> np.ndarray:
        """Read these rows (k,)."""
        return self.read(self.rows[which])


def chosen_rows(array: Any, which: Any) -> Any:
    """Rows of an array on the host, chosen and not read where it is on a disk."""
    return array[which] if isinstance(array, OnDisk) else np.asarray(array)[which]


def rows_in_order(array: Any) -> Iterator[np.ndarray]:
    """All rows of an array (n, ...) on the host, some at a time; those on a disk are read by threads, a core each."""
    if not isinstance(array, OnDisk):
        yield np.asarray(array)
        return
    from jaxd2l.machine.processor import visible_cores  # imports psutil

    threads = visible_cores()
    size = max(1, AT_A_TIME * len(array) // max(1, array.nbytes) // threads)
    numbers = np.arange(len(array))
    with ThreadPoolExecutor(threads, "rows") as pool:
        for first in range(0, len(array), size * threads):
            last = min(first + size * threads, len(array))
            yield from pool.map(array.take, [numbers[i : min(i + size, last)] for i in range(first, last, size)])
