"""Files written whole or not at all, and what Windows refuses for a moment tried again."""

import contextlib
import errno
import io
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from gzip import GzipFile
from pathlib import Path
from typing import Any, BinaryIO

_PAUSES_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.2)
_OPEN_ELSEWHERE = (5, 32)  # Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: a reader never sees half of it, also after a crash.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write whole files, all of them or none: each one lies beside its place before the first takes its own.

    Raises:
        OSError: one cannot be written; what was there before stays, but for what an earlier one replaced already where
            only a later place could not be taken.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}") for path in contents}
    new: list[Path] = []
    path = Path()
    try:
        for path, data in contents.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with open(temporary[path], "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            there = os.path.lexists(path)
            replace(temporary[path], path)
            new += [] if there else [path]
    except OSError as error:
        for made in new:
            with contextlib.suppress(OSError):
                patiently(made.unlink, missing_ok=True)
        raise with_name(error, path) from error
    finally:
        for unused in temporary.values():
            with contextlib.suppress(OSError):  # never instead of the reason: a read-only system refuses this too
                patiently(unused.unlink, missing_ok=True)


def write_named(path: Path, data: bytes) -> None:
    """`write_atomically` for a file that somebody named: through a symbolic link, to where it leads.

    What is no regular file, such as a pipe, and a file in a folder that takes no new ones are written straight: they
    cannot be replaced, and a device must not be. What is open already, such as `/dev/stdout`, is written where it
    stands, also where the shell leads it to a file that holds more.

    Raises:
        OSError: it cannot be written.
    """
    target = path.resolve()
    if (number := _descriptor(path)) is not None:
        try:
            print(end="", flush=True)  # what was said before stands before it
            with os.fdopen(os.dup(number), "wb") as file:
                file.write(data)
        except OSError as error:
            raise with_name(error, path) from error
    elif target.exists() and not (target.is_file() and os.access(target.parent, os.W_OK)):
        try:
            with open(path, "wb") as file:
                file.write(data)
        except OSError as error:
            raise with_name(error, path) from error
    else:
        write_atomically(target, data)


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path such as `/dev/stdout` or `/dev/fd/3` names; None for any other path."""
    found = re.fullmatch(r"/dev/std(?:(out)|err)|/(?:dev|proc/self)/fd/(\d+)", str(path))
    if found is None:
        return None
    return int(found[2]) if found[2] else 1 if found[1] else 2


def read_at_most(file: BinaryIO | GzipFile, most: int, name: str) -> bytes:
    """All that a file holds, which may be a device or an archive's content that never ends.

    Raises:
        OSError: it holds more than `most` bytes, or cannot be read.
    """
    found = io.BytesIO()
    while part := file.read(1 << 22):
        found.write(part)
        if found.tell() > most:
            raise OSError(errno.EFBIG, f"larger than the {most / 1e6:,.0f} MB that can be read here", name)
    return found.getvalue()


def patiently[**P, R](action: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `action`, again and again within half a second where Windows refuses it because the file is open elsewhere.

    A reader, a virus scanner or an indexer there keeps others from replacing, renaming and deleting a file, for
    milliseconds as a rule. Elsewhere a refusal is final and is passed on at once.

    Raises:
        OSError: what `action` raised last.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return action(*args, **kwargs)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
        time.sleep(pause)
    return action(*args, **kwargs)


def replace(source: Path, target: Path) -> None:
    """`os.replace`, patiently."""
    patiently(os.replace, source, target)


def with_name(error: OSError, path: Path) -> OSError:
    """The same error with the file's name, which a failed write does not know."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """`write_atomically` as indented JSON; NaN and infinity are refused, since JSON has none."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
