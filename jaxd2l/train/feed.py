"""Where the compiled loops find their batches on the device: in the whole data, or in a window of some batches.

A loop takes batch i from what it is given: from resident examples by its rows, from a window, which is a `Ring` of
batches, by its place. The loop is the same function, and batches and bits are the same. Resident examples lie on every
device whole; of a window each device holds its share of each batch, and each process reads its own devices' rows alone.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import Examples, Ring, Rows
from jaxd2l.data.streaming import Course, InOrder, Shuffled, read_ahead
from jaxd2l.machine.device import default_device
from jaxd2l.train.mesh import in_order_of_pieces, on_device, own_places, readable, ring_on_device
from jaxd2l.train.program import Program


class Held(NamedTuple):
    """What is on the device: inputs and targets, as a loop takes them, and up to which batch they go."""

    x: Any
    y: Any
    last: int


class Feed(Protocol):
    """Hands a loop its batches, pass after pass."""

    waited: float  # seconds in which there was nothing to work on

    def begin(self, number: int, rows: Rows, step: int = 0) -> None:
        """A pass of this number over these rows begins, from batch `step` on."""

    def at(self, step: int) -> Held:
        """What holds batch `step`, and more of them as far as it goes."""

    def close(self) -> None:
        """Nothing is asked for any more."""


class Resident:
    """All examples on the device."""

    waited = 0.0

    def __init__(self, examples: Examples, mesh: Mesh | None) -> None:
        self._examples = on_device(examples, mesh)

    def begin(self, number: int, rows: Rows, step: int = 0) -> None:
        """See `Feed`."""
        self._last = rows.weight.shape[0]

    def at(self, step: int) -> Held:
        """See `Feed`."""
        return Held(*self._examples, self._last)

    def close(self) -> None:
        """See `Feed`."""


class Windows:
    """A window of batches on the device while the next one is read and put beside it."""

    def __init__(
        self, course: Course, steps: int, size: int, *, passes: int, mesh: Mesh | None, workers: int | None
    ) -> None:
        """Read nothing yet.

        Args:
            course: what to read: of each batch the rows at `own_places`.
            steps: batches of a pass.
            size: batches of a window.
            passes: how many there can be, for what is read ahead.
            mesh: see `Resident`.
            workers: see `read_ahead`.
        """
        self._course, self._steps, self._size, self._passes = course, steps, size, passes
        self._mesh, self._workers, self._device = mesh, workers, default_device()
        self._x64 = bool(jax.config.jax_enable_x64)
        self._thread = ThreadPoolExecutor(1, "window")
        self._batches: Any = None
        self._ahead: tuple[tuple[int, int], Future[tuple[list[Ring], np.ndarray]]] | None = None
        self._closed, self.waited = False, 0.0

    def begin(self, number: int, rows: Rows, step: int = 0) -> None:
        """See `Feed`."""
        self._number, self._batch_size = number, rows.weight.shape[1]
        self._wanted = np.asarray(readable(rows.indices))[:, self._course.places]
        self._now: Held | None = None
        if step < self._steps and (self._ahead is None or self._ahead[0] != (number, step)):
            if self._ahead is not None:
                self._ahead[1].exception()  # nobody reads any more
                self._batches.close()
            self._batches = read_ahead(self._course, number * self._steps + step, self._workers)
            self._read(number, step)

    def at(self, step: int) -> Held:
        """See `Feed`.

        Raises:
            DataError: an example is not what it was, see `OnDisk`.
        """
        if self._now is None or step >= self._now.last:
            assert self._ahead is not None
            (number, first), reading = self._ahead
            assert (number, first) == (self._number, step)
            self._now = None  # its memory is the next one's
            began = time.perf_counter()
            (x, y), rows = reading.result()
            self.waited += time.perf_counter() - began
            last = first + len(rows)
            if not np.array_equal(rows, self._wanted[first:last]):
                raise RuntimeError(f"other examples came than batches {first} to {last} of pass {number} consist of")
            self._now = Held(x, y, last)
            self._ahead = None
            if last < self._steps:
                self._read(number, last)
            elif number + 1 < self._passes:
                self._read(number + 1, 0)
        return self._now

    def close(self) -> None:
        """See `Feed`."""
        self._closed = True
        self._thread.shutdown(cancel_futures=True)  # which waits for the batch that it is at
        if self._batches is not None:
            self._batches.close()

    def _read(self, number: int, first: int) -> None:
        last = min(first + self._size, self._steps)
        self._ahead = (number, first), self._thread.submit(self._window, self._batches, first, last)

    def _window(self, batches: Any, first: int, last: int) -> tuple[list[Ring], np.ndarray]:
        """The batches from `first` to `last` on the device, and the rows of them that this process reads."""
        rows: list[np.ndarray] = []
        ring: list[np.ndarray] = []
        for step in range(first, last):
            if self._closed:
                raise RuntimeError("the run is over")
            batch = next(batches)
            ring = ring or [np.zeros((self._size, *a.shape), a.dtype) for a in (batch["x"], batch["y"])]
            for array, new in zip(ring, (batch["x"], batch["y"]), strict=True):
                array[step % self._size] = new
            rows.append(np.array(batch["rows"]))
        # a thread has settings of its own
        with jax.enable_x64(self._x64), jax.default_device(self._device):
            return [ring_on_device(own, self._batch_size, self._mesh) for own in ring], np.stack(rows)


def feed_of_training(
    program: Program, examples: Examples, shuffle: jax.Array, *, epochs: int, workers: int | None
) -> Feed:
    """Hands out the batches of the training part, shuffled by the run's key."""
    if program.windows is None:
        return Resident(examples, program.mesh)
    size, shards = program.recipe.batch_size, 1 if program.mesh is None else program.mesh.size
    columns = jnp.arange(size)[None]
    columns = in_order_of_pieces(Rows(columns, columns), shards, program.recipe.accumulate).indices[0]
    order = Shuffled(shuffle, np.asarray(columns), n=len(examples.x), keep_last=program.dropped == 0)
    steps, places = program.train_steps, own_places(size, program.mesh)
    course = Course(examples.x, np.asarray(examples.y), order, steps=steps, passes=epochs, places=places)
    return Windows(course, steps, program.windows[0], passes=epochs, mesh=program.mesh, workers=workers)


def feed_of_evaluation(
    examples: Examples, rows: Rows, window: int | None, *, passes: int, mesh: Mesh | None, workers: int | None
) -> Feed:
    """Hands out the batches of a part that is judged, in the order of its rows."""
    if window is None:
        return Resident(examples, mesh)
    steps, size = rows.weight.shape
    order, places = InOrder(np.asarray(rows.indices)), own_places(size, mesh)
    course = Course(examples.x, np.asarray(examples.y), order, steps=steps, passes=passes, places=places)
    return Windows(course, steps, window, passes=passes, mesh=mesh, workers=workers)
