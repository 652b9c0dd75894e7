"""The batches of a run as a sequence: batch `step` of pass `number` is element `number * steps + step`.

What a batch holds follows from that place alone, so where a run stands is two integers, and whoever reads, in whatever
process and order, reads the same.
"""

import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.batches import epoch_rows
from jaxd2l.data.streaming.on_disk import OnDisk


class Order(Protocol):
    """Which rows make up the batches of a pass."""

    def __call__(self, number: int) -> np.ndarray:
        """Row numbers (steps, batch_size)."""


class InOrder:
    """The same rows in every pass."""

    def __init__(self, indices: np.ndarray) -> None:
        self._indices = indices

    def __call__(self, number: int) -> np.ndarray:
        """Row numbers (steps, batch_size)."""
        return self._indices


class Shuffled:
    """Every pass an order of its own, that of `epoch_rows` under `fold_in(key, number + 1)`, in whatever process."""

    def __init__(self, key: jax.Array, columns: np.ndarray, *, n: int, keep_last: bool) -> None:
        """Bind the key.

        Args:
            key: of the run's orders; it travels as numbers.
            columns: the order of the places within a batch (batch_size,), as devices that share it want it.
            n: rows there are.
            keep_last: see `epoch_rows`.
        """
        self._numbers, self._generator = np.asarray(jax.random.key_data(key)), str(jax.random.key_impl(key))
        self._columns, self._sizes = columns, {"n": n, "batch_size": len(columns), "keep_last": keep_last}
        self._last: tuple[int, np.ndarray] | None = None

    def __call__(self, number: int) -> np.ndarray:
        """Row numbers (steps, batch_size)."""
        last = self._last
        if last is None or last[0] != number:
            key = jax.random.wrap_key_data(jnp.asarray(self._numbers), impl=self._generator)
            rows = _rows(jax.random.fold_in(key, number + 1), **self._sizes)
            last = self._last = number, np.asarray(rows.indices)[:, self._columns]
        return last[1]


@functools.partial(jax.jit, static_argnames=("n", "batch_size", "keep_last"))
def _rows(key: jax.Array, *, n: int, batch_size: int, keep_last: bool) -> Any:
    return epoch_rows(key, n, batch_size, keep_last=keep_last)


class Course:
    """The batches of `passes` passes, for `grain.MapDataset.source`.

    Element i is `rows` (b,), the numbers of its examples, their inputs `x` (b, ...) and their targets `y` (b, ...).

    Attributes:
        places: those of a batch that are read (b,); all of them unless given.
    """

    def __init__(
        self, x: Any, y: np.ndarray, order: Order, *, steps: int, passes: int, places: np.ndarray | None = None
    ) -> None:
        self._x, self._y, self._order = x.bare() if isinstance(x, OnDisk) else x, y, order
        self._steps, self._passes, self.places = steps, passes, slice(None) if places is None else places

    @property
    def on_disk(self) -> bool:
        """Whether its inputs have to be read and decoded."""
        return isinstance(self._x, OnDisk)

    def __len__(self) -> int:
        return self._passes * self._steps

    def __getitem__(self, place: Any) -> dict[str, np.ndarray]:
        number, step = divmod(int(place), self._steps)
        rows = self._order(number)[step][self.places]
        x = self._x.take(rows) if isinstance(self._x, OnDisk) else self._x[rows]
        return {"rows": rows, "x": x, "y": self._y[rows]}
