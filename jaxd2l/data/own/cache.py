"""Decoded pictures kept between runs: one file for a data set and the settings it was read with.

A convenience: whatever is wrong with it, the pictures are decoded again, and a folder that cannot be written to is no
error. `JAXD2L_CACHE_DIR` names another folder than the user's cache.
"""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jaxd2l.data.division.equal import row_digests
from jaxd2l.data.download import user_cache

_FORMAT = "jaxd2l pictures 1"


class Decoded(NamedTuple):
    """What came out of a list of pictures.

    Attributes:
        images: uint8 (m, height, width, channels) of the m that are readable, in the order of the list.
        digests: SHA-256 of the pixels of each, uint8 (m, 32).
        rows: their place in the list, int64 (m,).
        unreadable: name and reason of each of the others.
        peak: the largest value of any 16-bit grey picture, None without such.
        lasting: whether each reason lies in its picture; only what lasts is kept.
    """

    images: np.ndarray
    digests: np.ndarray
    rows: np.ndarray
    unreadable: tuple[tuple[str, str], ...]
    peak: int | None
    lasting: bool = True


def cache_dir() -> Path | None:
    """Where decoded pictures are kept; None for a user without such a place."""
    folder = os.environ.get("JAXD2L_CACHE_DIR") or user_cache()
    return Path(folder) / "pictures" if folder else None


def cache_file(root: str, settings: str) -> Path | None:
    """The one file of the data at `root` read with `settings`, so that data that change do not pile up."""
    folder = cache_dir()
    return folder and folder / f"{_hex((root, settings))[:20]}.bin"


def fingerprint(parts: Iterable[str]) -> str:
    """What a file is valid for: any part that changes makes it another."""
    return _hex((_FORMAT, *parts))


def kept_shape(path: Path, valid_for: str) -> tuple[int, int, int, int] | None:
    """The shape of the images that `load` would read; None where it would give None, as far as the heads say."""
    try:
        with path.open("rb") as file:
            if json.loads(file.readline())["valid_for"] != valid_for:
                return None
            for _ in range(2):
                np.load(file, allow_pickle=False)
            np.lib.format.read_magic(file)
            (count, height, width, channels), _, _ = np.lib.format.read_array_header_1_0(file)
        shape = count, height, width, channels
        return shape if math.prod(shape) <= path.stat().st_size else None
    except Exception:  # see `load`
        return None


def load(path: Path, valid_for: str) -> Decoded | None:
    """Read what `save` wrote; None where it is absent, of other data, damaged or changed."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
            if head["valid_for"] != valid_for:
                return None
            digests, rows, images = (np.load(file, allow_pickle=False) for _ in range(3))
        unreadable = tuple((str(name), str(reason)) for name, reason in head["unreadable"])
        if _summary(digests, rows, images.shape, unreadable, head["peak"]) != head["summary"]:
            return None
        if not np.array_equal(row_digests(images), digests):
            return None
        return Decoded(images, digests, rows, unreadable, head["peak"])
    except Exception:  # damage makes json and NumPy raise nearly everything, a size that no memory holds too
        return None


def save(path: Path, valid_for: str, decoded: Decoded) -> bool:
    """Write the file whole or not at all.

    Returns:
        Whether it was written.
    """
    head: dict[str, object] = {
        "valid_for": valid_for,
        "unreadable": decoded.unreadable,
        "peak": decoded.peak,
        "summary": _summary(decoded.digests, decoded.rows, decoded.images.shape, decoded.unreadable, decoded.peak),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix="writing-")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            _write(file, head, decoded)
        os.replace(part, path)
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):  # gone where it was moved
            os.unlink(part)


def _write(file: IO[bytes], head: dict[str, object], decoded: Decoded) -> None:
    file.write(json.dumps(head).encode() + b"\n")
    for array in (decoded.digests, decoded.rows, decoded.images):
        np.save(file, array, allow_pickle=False)


def _summary(
    digests: np.ndarray, rows: np.ndarray, shape: tuple[int, ...], unreadable: tuple[tuple[str, str], ...], peak: object
) -> str:
    return _hex((digests.tobytes().hex(), rows.tobytes().hex(), repr(shape), json.dumps(unreadable), repr(peak)))


def _hex(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.hexdigest()
