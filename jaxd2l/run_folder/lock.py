"""One run a folder: a lock that the kernel frees, however its holder ends."""

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

LOCK = ".lock"


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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(file)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise FolderInUseError(
                f"{self._folder} is in use by another run (process {holder(self._folder) or 'unknown'}); "
                "wait for it or name another folder"
            ) from None
        self._file = file

    def release(self) -> None:
        """Free the folder."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

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
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None
