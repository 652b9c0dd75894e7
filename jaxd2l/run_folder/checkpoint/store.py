"""Checkpoints: Orbax behind one small class, with a digest of every leaf and every file.

Orbax commits a step whole or not at all, but does not notice damage afterwards: one flipped bit in a data
file comes back as other weights. So the same checkpoint holds the SHA-256 of every leaf and of its own JSON,
and a checkpoint that does not agree with them is never returned. A list of the files' digests, added once the
step is committed, keeps damaged files away from Orbax; `sha256sum -c SHA256SUMS` reads it too.

Arrays are saved from host copies by a thread of their own, importing Orbax included (a second), so that
training goes on meanwhile and may donate its buffers. What lies on the devices of several processes is saved by all of
them together while training waits.
"""

import errno
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxd2l.data import DataError
from jaxd2l.machine.disk import patiently, replace
from jaxd2l.run_folder.checkpoint.digests import damaged_file, disagreement, document_of, sum_files
from jaxd2l.run_folder.checkpoint.manager import TRASH, open_manager, restored, save_together
from jaxd2l.train.mesh import agreed

_HARD = (errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # not the file's fault
_HARD_WORDS = ("PERMISSION_DENIED", "Permission denied", "RESOURCE_EXHAUSTED", "Too many open files")


class Checkpoint(NamedTuple):
    """One verified checkpoint: updates made, arrays by name, and plain JSON facts."""

    number: int
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, in one folder, numbered by updates made.

    The newest `keep` stay, and the earliest one with the highest score. One writer a folder: the caller holds a lock.
    Of several processes that save together all but the first are `read_only`.
    """

    def __init__(self, folder: Path, *, keep: int = 2, damaged: Path | None = None, read_only: bool = False) -> None:
        self._folder = folder.absolute()
        self._keep = keep
        self._damaged = (damaged or folder.with_name("damaged")).absolute()
        self._read_only = read_only
        self._orbax: Any = None
        self._opening = threading.Lock()
        self._scores: dict[int, float | None] = {}
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def numbers(self) -> list[int]:
        """Committed checkpoints, oldest first; reading may still find one damaged."""
        return sorted(self._manager().all_steps()) if self._folder.is_dir() else []

    def save(
        self,
        number: int,
        arrays: Mapping[str, np.ndarray | jax.Array],
        facts: Mapping[str, Any],
        score: float | None = None,
    ) -> None:
        """Begin to save; returns at once where no other save is under way, which is waited for.

        What holds a NaN or an infinity outside the optimizer's state, where one may stand for "none so far", is not
        saved, and neither is a number that is there already.

        Args:
            number: updates made so far.
            arrays: host arrays that nobody changes any more; or arrays that lie on the devices of several processes,
                each of which calls this, and returns when it is saved.
            facts: plain JSON values.
            score: the highest one is kept beside the newest; None is never the best.

        Raises:
            OSError: an earlier save failed; the checkpoints before it are untouched.
        """
        self.wait()
        if any(isinstance(a, jax.Array) for a in arrays.values()):
            return self._save(number, dict(arrays), dict(facts), score)
        self._writer = self._writer or ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending = self._writer.submit(self._save, number, dict(arrays), dict(facts), score)
        return None

    @property
    def busy(self) -> bool:
        """Whether a save is under way.

        Raises:
            OSError: the last one failed.
        """
        if self._pending is not None and self._pending.done():
            self.wait()
        return self._pending is not None

    def wait(self) -> None:
        """Until the last save is on disk.

        Raises:
            OSError: it failed.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, then end the thread.

        Raises:
            OSError: the last save failed.
        """
        try:
            self.wait()
        finally:
            if self._writer is not None:
                self._writer.shutdown()
            if self._orbax is not None:
                self._orbax.close()
            self._writer = self._orbax = None

    def read(self, number: int) -> Checkpoint:
        """One checkpoint, every leaf compared with its digest.

        Raises:
            DataError: it is damaged, in whatever way.
            OSError: it cannot be read.
        """
        try:
            problem = damaged_file(self._folder / str(number))
            item: Any = None if problem else restored(self._manager(), self._folder, number)
        except Exception as error:  # damage shows as nearly any exception of Orbax, TensorStore or JSON
            hard = isinstance(error, OSError) and error.errno in _HARD
            if hard or isinstance(error, MemoryError):
                raise
            reason = " ".join(str(error).split())[:200]
            if any(word in reason for word in _HARD_WORDS):
                raise OSError(f"{self._folder / str(number)}: cannot be read ({reason})") from error
            raise DataError(f"{self._folder / str(number)}: damaged ({type(error).__name__}: {reason})") from error
        problem = problem or disagreement(item.arrays, item.facts)
        if problem:
            raise DataError(f"{self._folder / str(number)}: damaged ({problem})")
        return Checkpoint(number, item.arrays, item.facts["facts"])

    def newest(self, warn: Callable[[str], None]) -> Checkpoint | None:
        """The newest sound checkpoint; damaged ones on the way are moved to the folder `damaged`.

        Args:
            warn: called with one line for each damaged one.

        Returns:
            None where there never was one.

        Raises:
            DataError: there were some and all of them are damaged.
            OSError: they cannot be read or moved.
        """
        for number in reversed(self.numbers()):
            try:
                return self.read(number)
            except DataError as error:
                warn(f"{error}; moved to {self._set_aside(number)}, going back to the one before")
        if self._damaged.is_dir() and any(path.name[0].isdigit() for path in self._damaged.iterdir()):
            raise DataError(f"{self._damaged} holds every checkpoint of the run: all are damaged; start again")
        return None

    def _manager(self) -> Any:
        with self._opening:
            if self._orbax is None:
                self._orbax = open_manager(self._folder, read_only=self._read_only)
            return self._orbax

    def _save(
        self, number: int, arrays: dict[str, np.ndarray | jax.Array], facts: dict[str, Any], score: float | None
    ) -> None:
        if (document := document_of(arrays, facts)) is None:
            return
        try:
            import orbax.checkpoint as ocp

            together = next((a.sharding.mesh for a in arrays.values() if isinstance(a, jax.Array)), None)  # type: ignore[attr-defined]
            if agreed(not self._read_only and number in self._manager().all_steps(), together):
                return
            self._require_room(arrays)
            items = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), facts=ocp.args.JsonSave(document))
            if together is None:
                self._manager().save(number, args=items, force=True)
            else:
                save_together(self._folder / str(number), items)
            if self._read_only:
                return
            manager = self._manager()
            if together is not None:
                manager.reload()
            sum_files(self._folder / str(number))
            self._scores[number] = score
            self._forget(manager)
        except Exception as error:  # a full disk comes as OSError, ValueError or an exception of TensorStore
            for half in self._folder.glob(f"{number}.*"):
                shutil.rmtree(half, ignore_errors=True)  # on a full disk it would take the room of the next one
            reason = " ".join(str(error).split())[:200]
            raise OSError(f"cannot save a checkpoint in {self._folder}: {reason}") from error

    def _require_room(self, arrays: Mapping[str, np.ndarray | jax.Array]) -> None:
        """Orbax finds a full disk too, but by half a checkpoint and tracebacks from its threads."""
        needed = sum(a.nbytes for a in arrays.values()) * 9 // 8 + 2**16
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(f"{needed / 1e6:.3g} MB are needed, {free / 1e6:.3g} MB are free; make room and resume")

    def _forget(self, manager: Any) -> None:
        numbers = sorted(manager.all_steps())
        for number in numbers:
            if number not in self._scores:  # of a process before this one
                try:
                    self._scores[number] = self.read(number).facts.get("score")
                except DataError:
                    self._scores[number] = None
        scored = [number for number in numbers if self._scores[number] is not None]
        best = max(scored, key=lambda n: (self._scores[n], -n), default=None)  # the earliest among equals
        old = [number for number in numbers[: -self._keep] if number != best]
        for number in old:  # Orbax deletes file by file: a kill would leave half a checkpoint under its own name
            trash = self._folder / f"{TRASH}{number}"
            replace(self._folder / str(number), trash)
            patiently(shutil.rmtree, trash)
        if old:
            manager.reload()

    def _set_aside(self, number: int) -> Path:
        self._damaged.mkdir(exist_ok=True)
        names = (str(number), *(f"{number}.{i}" for i in range(2, 1000)))
        target = next(self._damaged / name for name in names if not (self._damaged / name).exists())
        replace(self._folder / str(number), target)
        self._manager().reload()
        return target
