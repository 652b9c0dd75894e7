"""A file that somebody names to be written, refused before the work whose result it is to hold."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path


def check_writable(path: Path, option: str, what: str, inputs: Iterable[Path | None]) -> None:
    """Refuse what would be lost at the end: minutes of work, or a file of the user's that is read here.

    Args:
        path: to be written; one that is there is replaced.
        option: by which it was named.
        what: is to be written, in words.
        inputs: the files that are read.

    Raises:
        ValueError: it is one of `inputs`.
        OSError: it is a folder, its folder is not there, or it cannot be written.
    """
    if any(read is not None and _is_same(path, read) for read in inputs):
        raise ValueError(f"{option} {path} is a file that is read here; give another name")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = path.resolve().parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"no such folder for {what}", str(folder))
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
