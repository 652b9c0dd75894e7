"""A list of pictures to one array: in parallel, straight to the size asked for, kept for the next start."""

import math
import statistics
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
import PIL

from jaxd2l.data.division.equal import row_digests
from jaxd2l.data.error import DataError
from jaxd2l.data.own import cache
from jaxd2l.data.own.cache import Decoded
from jaxd2l.data.own.decode import Header, UnreadablePictureError, decode, read_header
from jaxd2l.data.own.listing.pictures import Pictures
from jaxd2l.data.own.settings import Settings
from jaxd2l.data.own.unreadable import UnreadableError, describe, is_lasting
from jaxd2l.machine.memory import free_host_bytes
from jaxd2l.machine.processor import visible_cores
from jaxd2l.wording import counted

LARGEST_CHOSEN = 224  # pixels a side where the sizes differ: the largest input of the book's networks
_BYTES_A_PIXEL = 24  # at most, while a picture is decoded: colour in 4 bytes, turned, laid on white, converted


def read_pictures(pictures: Pictures, settings: Settings) -> Decoded:
    """Decode every picture, or take them from the cache.

    Args:
        pictures: n of them, at least one.
        settings: image size and channels are those of the pictures where they are None: the common size, or where
            sizes differ a square with the median of the short sides, at most `LARGEST_CHOSEN`; grey where all are.

    Returns:
        The pictures that are readable, the same whatever the number of threads and whether the cache was used.

    Raises:
        NoRoomError: the decoded pictures would not fit into half of the memory that is left.
        UnreadableError: a picture cannot be read and `settings.skip_unreadable` is off, or none can be read.
    """
    asked = f"{settings.image_size} {settings.channels}"
    file = cache.cache_file(pictures.root, asked) if settings.cache and settings.convert is None else None
    states = (f"{name} {stamp}" for name, stamp in zip(pictures.names, pictures.stamps, strict=True))
    valid_for = cache.fingerprint((pictures.root, asked, PIL.__version__, *states))
    if file and (kept := cache.kept_shape(file, valid_for)):
        require_room(kept, pictures.name)
    decoded = cache.load(file, valid_for) if file else None
    fresh = decoded is None
    if decoded is None:
        with warnings.catch_warnings():  # Pillow's are about single files; this filter holds in the threads too
            warnings.simplefilter("ignore")
            decoded = _decode_all(pictures, settings)
    elif settings.on_progress:
        settings.on_progress(len(pictures.names), len(pictures.names))
    refuse_unreadable(pictures, decoded, settings)
    if fresh and file and decoded.lasting:
        cache.save(file, valid_for, decoded)
    return decoded


def in_threads[T](
    function: Callable[[int], T], n: int, threads: int | None, on_progress: Callable[[int, int], None] | None = None
) -> list[T]:
    """`function(0), ..., function(n - 1)`; Pillow and hashlib let other threads run while they work."""
    pool = ThreadPoolExecutor(threads or visible_cores())
    results = []
    try:
        for result in pool.map(function, range(n)):
            results.append(result)
            if on_progress:
                on_progress(len(results), n)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the thousands that are left
    return results


class NoRoomError(DataError):
    """Decoded pictures would not fit into half of the memory that is left."""


def require_room(shape: tuple[int, int, int, int], where: str) -> None:
    """Refuse what would not fit into half of the memory that is left: parts are copies, and so is what a device holds.

    Raises:
        NoRoomError: naming the size and one that fits.
    """
    count, height, width, channels = shape
    needed, free = math.prod(shape), free_host_bytes()
    if free is not None and needed > free // 2:
        side = int((free // 2 / (count * channels)) ** 0.5)
        raise NoRoomError(
            f"{where}: {counted(count, 'picture')} of {height} x {width} x {channels} bytes take {needed / 1e9:,.1f} "
            f"GB, more than half of the memory that is left ({free / 1e9:,.1f} GB); choose "
            f"image_size={max(1, min(side, LARGEST_CHOSEN))} or less"
        )


class Room:
    """Bytes that threads may take at a time together; who needs more than all of them waits until it is alone."""

    def __init__(self, size: int) -> None:
        self._size = self._left = max(1, size)
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait for so many bytes, and hold them."""
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


def _decode_all(pictures: Pictures, settings: Settings) -> Decoded:
    n, (shape, lasting) = len(pictures.names), array_shape(pictures, settings)
    require_room((n, *shape), pictures.name)
    images = np.empty((n, *shape), np.uint8)
    results = each_picture(pictures, settings, shape, images.__setitem__, images.nbytes)
    rows = np.flatnonzero(results.readable)
    images = images if len(rows) == n else images[rows]
    return Decoded(images, row_digests(images), rows, results.unreadable, results.peak, results.lasting and lasting)


class Results(NamedTuple):
    """What decoding n pictures found.

    Attributes:
        readable: bool (n,).
        unreadable: name and reason of each of the others, sorted.
        peak: the largest value of any 16-bit grey picture, None without such.
        lasting: whether each reason lies in its picture; a disk or network that failed may do better next time.
    """

    readable: np.ndarray
    unreadable: tuple[tuple[str, str], ...]
    peak: int | None
    lasting: bool


def each_picture(
    pictures: Pictures,
    settings: Settings,
    shape: tuple[int, int, int],
    see: Callable[[int, np.ndarray], None],
    held: int = 0,
) -> Results:
    """Decode every picture in threads and show it to `see(row, image)`, beside `held` bytes that are to be filled."""
    height, width, channels = shape
    free = free_host_bytes()
    room = Room(1 << 62 if free is None else (free - held) // 2)

    def taken(pixels: int) -> AbstractContextManager[None]:
        return room.taken(_BYTES_A_PIXEL * (pixels + height * width))

    def one(row: int) -> tuple[str, int | None, bool]:
        try:
            with pictures.open(row) as file:
                if settings.convert is None:
                    image, peak = decode(file, height, width, channels, taken)
                    see(row, image)
                    return "", peak, True
                with taken(_pixels(file)):
                    see(row, settings.convert(file, pictures.names[row]))
                return "", None, True
        except (OSError, UnreadablePictureError, DataError) as error:
            return _why(error).removeprefix(f"{pictures.names[row]}: "), None, is_lasting(error, pictures.stamps[row])

    results = in_threads(one, len(pictures.names), settings.threads, settings.on_progress)
    unreadable = sorted((name, reason) for name, (reason, *_) in zip(pictures.names, results, strict=True) if reason)
    return Results(
        np.array([not reason for reason, *_ in results]),
        tuple(unreadable),
        max((peak for _, peak, _ in results if peak is not None), default=None),
        all(lasting for *_, lasting in results),
    )


def array_shape(pictures: Pictures, settings: Settings) -> tuple[tuple[int, int, int], bool]:
    """Height, width and channels that pictures are brought to, and whether they are so next time.

    Files are only looked at where they decide.
    """
    if settings.image_size is not None and settings.channels is not None:
        return (settings.image_size, settings.image_size, settings.channels), True

    def one(row: int) -> tuple[Header | None, bool]:
        try:
            with pictures.open(row) as file:
                return read_header(file), True
        except (OSError, UnreadablePictureError) as error:
            return None, is_lasting(error, pictures.stamps[row])  # decoding names it

    results = in_threads(one, len(pictures.names), settings.threads)
    headers, lasting = [header for header, _ in results if header], all(lasting for _, lasting in results)
    channels = settings.channels or (3 if any(header.colour for header in headers) else 1)
    if settings.image_size is not None:
        return (settings.image_size, settings.image_size, channels), lasting
    return (*_common_size(headers), channels), lasting


def _common_size(headers: Iterable[Header]) -> tuple[int, int]:
    sizes = [(header.height, header.width) for header in headers]
    if len(set(sizes)) == 1:
        return sizes[0]
    side = min(statistics.median_low([min(size) for size in sizes] or [1]), LARGEST_CHOSEN)
    return side, side


def _pixels(file: BinaryIO) -> int:
    """Of a picture, as its head says; the file is as before."""
    try:
        header = read_header(file)
        return header.height * header.width
    except UnreadablePictureError:  # converting it says why
        return 0
    finally:
        file.seek(0)


def refuse_unreadable(pictures: Pictures, decoded: Decoded, settings: Settings) -> None:
    """Refuse pictures that cannot be read, unless some of them are to be skipped; see `read_pictures`."""
    found, n = decoded.unreadable, len(pictures.names)
    if not found:
        return
    count = f"{pictures.name}: {len(found):,} of {counted(n, 'picture')} cannot be read"
    if len(found) == n:
        raise UnreadableError(f"{count}: {describe(found)}", found)
    if not settings.skip_unreadable:
        advice = "repair or remove them, or go on without them (skip_unreadable)"
        raise UnreadableError(f"{count}: {describe(found)}; {advice}", found)


def _why(error: Exception) -> str:
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
