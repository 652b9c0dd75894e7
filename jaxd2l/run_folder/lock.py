"""One run a folder: a lock that the system frees, however its holder ends.

It is taken on a descriptor of ours by filelock: `flock` where there is one, `LockFileEx` on Windows, which locks the
file's first byte against reading too. So the process id stands behind a blank. It is there while the lock is held:
without it somebody only looks whether the lock can be had, which takes microseconds.
"""

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from filelock import lock_descriptor, unlock_descriptor

LOCK = ".lock"
_PAUSES_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # for somebody who only looks, and has a long way to the processor


class FolderInUseError(OSError):
    """Another process writes into the folder."""


class FolderLock:
    """Holds a run folder from `acquire` (or `with`) to `release`; the file stays, the lock does not outlive us."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock or fail at once.

        Raises:
            FolderInUseError: another process has it; the message says which.
            OSError: the folder cannot be written.
        """
        file = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _locked(file):
                raise FolderInUseError(
                    f"{self._folder} is in use by another run (process {_written(file) or 'unknown'}); "
                    "wait for it or name another folder"
                )
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f" {os.getpid()}\n".encode())
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Free the folder."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, 0)
                unlock_descriptor(file)  # Windows frees what is only closed at a time of its own
            finally:
                os.close(file)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def holder(folder: Path) -> int | None:
    """The process that writes into the folder now; 0 where its number is not known, None where there is none."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        if _locked(file):
            unlock_descriptor(file)
            return None
        return _written(file)
    except OSError:  # a file system without locks
        return _written(file)
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Whether the lock could be taken, looking again while no living process says that it holds it."""
    for pause in _PAUSES_SECONDS:
        if lock_descriptor(file, blocking=False):
            return True
        if _written(file):
            return False
        time.sleep(pause)
    return lock_descriptor(file, blocking=False)


def _written(file: int) -> int:
    """The process id in a file that is locked; 0 where there is none, or none of a process that lives here."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        text = os.read(file, 32)
    except PermissionError:  # the first byte is locked
        os.lseek(file, 1, os.SEEK_SET)
        text = os.read(file, 32)
    try:
        number = int(text)
        return number if psutil.pid_exists(number) else 0
    except (ValueError, OverflowError):
        return 0
