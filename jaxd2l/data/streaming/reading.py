"""Batches read ahead through Grain: arrays in threads, pictures on a disk decoded in worker processes.

Reading takes the extra `stream` (`pip install jaxd2l[stream]`); nothing else imports Grain.
"""

import importlib.util
import multiprocessing
import os
import signal
import threading
from typing import Any

import jax

from jaxd2l.data.streaming.course import Course

AHEAD = 2  # batches that wait in each thread or worker
MOST_THREADS = 4  # that copy rows out of memory: more wait for each other


def require_grain() -> None:
    """Refuse to stream where Grain is not installed.

    Raises:
        ValueError: saying what to install.
    """
    if importlib.util.find_spec("grain") is None:
        raise ValueError("streaming reads through Grain, which is not installed: pip install 'jaxd2l[stream]'")


def default_workers() -> int:
    """Processes that decode where nobody says how many: one for each core that this process may use, at most 16."""
    from jaxd2l.machine.processor import visible_cores  # imports psutil

    return min(visible_cores(), 16)


def read_ahead(course: Course, first: int, workers: int | None = None) -> Any:
    """The batches of a course from place `first` on, in their order, read before they are asked for.

    Args:
        course: what to read.
        first: the place to begin at.
        workers: processes that read and decode rows on a disk, 0 for threads of this one; `default_workers()` where
            None. Rows in memory are taken by threads, whatever it says.

    Returns:
        An iterator with `close()`, which ends its threads and processes.
    """
    import grain
    from absl import flags

    if workers is None:
        workers = default_workers()
    batches = grain.MapDataset.source(course).slice(slice(first, None))
    if not course.on_disk or not workers:
        threads = min(default_workers(), MOST_THREADS) if not course.on_disk else default_workers()
        return iter(batches.to_iter_dataset(grain.ReadOptions(threads, max(threads, AHEAD))))
    if not flags.FLAGS.is_parsed():  # Grain asks them on its way to processes, and nobody here has any
        flags.FLAGS.mark_as_parsed()
    settings = jax.config.jax_enable_x64, jax.config.jax_threefry_partitionable
    one_by_one = batches.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1))
    # Shared memory that Grain gives back late is reported as leaked at the end, so batches go through pipes.
    copied = grain.experimental.DatasetOptions(min_shm_size=2**62)
    one_by_one = grain.experimental.WithOptionsIterDataset(one_by_one, copied)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
    return iter(one_by_one.mp_prefetch(processes, worker_init_fn=_Start(*settings)))


class _Start:
    """What a worker does first; it has to travel there by name."""

    def __init__(self, x64: bool, partitionable: bool) -> None:
        self._x64, self._partitionable = x64, partitionable

    def __call__(self, worker: int, workers: int) -> None:
        """Leave accelerators and signals to the process that trains, and end with it."""
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", self._x64)
        jax.config.update("jax_threefry_partitionable", self._partitionable)
        for name in ("SIGINT", "SIGTERM"):  # sent to all of a group: the one that trains saves, and then ends these
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
