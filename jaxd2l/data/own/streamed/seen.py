"""One look at every picture: digest, sums of the channels and whether it can be read; its pixels are dropped again.

What was seen is kept for the next start, as decoded pictures are (`jaxd2l.data.own.cache`); `JAXD2L_CACHE_DIR` names
another folder.
"""

import io
import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from jaxd2l.data.division.equal import row_digests
from jaxd2l.data.error import DataError
from jaxd2l.data.own import cache
from jaxd2l.data.own.cache import Decoded
from jaxd2l.data.own.decode import MOST_PIXELS
from jaxd2l.data.own.listing.pictures import Pictures
from jaxd2l.data.own.read import array_shape, each_picture, refuse_unreadable
from jaxd2l.data.own.settings import Settings
from jaxd2l.data.own.streamed.reader import ReadPictures
from jaxd2l.data.streaming import OnDisk
from jaxd2l.machine.disk import write_atomically


class Seen(NamedTuple):
    """What one look at n pictures of a list found; rows of those that cannot be read are 0.

    Attributes:
        shape: height, width and channels that they are brought to.
        digests: SHA-256 of the pixels of each, uint8 (n, 32).
        sums: sum and sum of squares of the pixels, by channel, int64 (n, 2, channels).
        readable: bool (n,).
        unreadable: name and reason of each of the others.
        peak: the largest value of any 16-bit grey picture, None without such.
        lasting: whether each reason lies in its picture; only what lasts is kept.
    """

    shape: tuple[int, int, int]
    digests: np.ndarray
    sums: np.ndarray
    readable: np.ndarray
    unreadable: tuple[tuple[str, str], ...]
    peak: int | None
    lasting: bool = True


def seen_pictures(pictures: Pictures, settings: Settings) -> Decoded:
    """`read_pictures` with images that stay on the disk.

    Raises:
        DataError: a picture would have more than `MOST_PIXELS` pixels.
        UnreadableError: see `read_pictures`.
    """
    asked = f"streamed {settings.image_size} {settings.channels}"
    file = cache.cache_file(pictures.root, asked) if settings.cache and settings.convert is None else None
    states = (f"{name} {stamp}" for name, stamp in zip(pictures.names, pictures.stamps, strict=True))
    valid_for = cache.fingerprint((pictures.root, asked, PIL.__version__, *states))
    seen = _load(file, valid_for) if file else None
    fresh = seen is None
    if seen is None:
        seen = _look(pictures, settings)
    elif settings.on_progress:
        settings.on_progress(len(pictures.names), len(pictures.names))
    rows = np.flatnonzero(seen.readable)
    read = ReadPictures(pictures.open, pictures.names, seen.digests, seen.shape, pictures.name, settings.convert)
    images = OnDisk(read, seen.shape, np.uint8, rows=rows, digests=seen.digests[rows], sums=seen.sums[rows])
    decoded = Decoded(images, images.digests, rows, seen.unreadable, seen.peak)  # type: ignore[arg-type]
    refuse_unreadable(pictures, decoded, settings)
    if fresh and file and seen.lasting:
        _save(file, valid_for, seen)
    return decoded


def _look(pictures: Pictures, settings: Settings) -> Seen:
    with warnings.catch_warnings():  # Pillow's are about single files; this filter holds in the threads too
        warnings.simplefilter("ignore")
        return _seen(pictures, settings)


def _seen(pictures: Pictures, settings: Settings) -> Seen:
    n, (shape, lasting) = len(pictures.names), array_shape(pictures, settings)
    if shape[0] * shape[1] > MOST_PIXELS:
        size, most = f"{shape[0]} x {shape[1]} pixels", f"{MOST_PIXELS / 1e6:.0f} million"
        raise DataError(f"{pictures.name}: a picture of {size} is larger than any that is read ({most}); choose less")
    digests, sums = np.zeros((n, 32), np.uint8), np.zeros((n, 2, shape[2]), np.int64)

    def see(row: int, image: np.ndarray) -> None:
        digests[row] = row_digests(image[None])[0]
        pixels = image.reshape(-1, shape[2]).astype(np.int64)
        sums[row] = pixels.sum(0), (pixels**2).sum(0)

    results = each_picture(pictures, settings, shape, see)
    return Seen(shape, digests, sums, *results._replace(lasting=results.lasting and lasting))


def _load(path: Path, valid_for: str) -> Seen | None:
    """What `_save` wrote; None where it is absent, of other data or damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            head = json.loads(str(kept["head"]))
            if head["valid_for"] != valid_for:
                return None
            unreadable = tuple((str(name), str(reason)) for name, reason in head["unreadable"])
            height, width, channels = head["shape"]
            digests, sums, readable = (kept[name] for name in ("digests", "sums", "readable"))
            return Seen((height, width, channels), digests, sums, readable, unreadable, head["peak"])
    except Exception:  # damage makes zipfile, json and NumPy raise nearly everything; each member has a checksum
        return None


def _save(path: Path, valid_for: str, seen: Seen) -> None:
    head = {"valid_for": valid_for, "shape": seen.shape, "unreadable": seen.unreadable, "peak": seen.peak}
    written = io.BytesIO()
    np.savez(written, head=json.dumps(head), digests=seen.digests, sums=seen.sums, readable=seen.readable)
    with suppress(OSError):  # a convenience
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, written.getvalue())
