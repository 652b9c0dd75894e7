"""A user's own data by what it lies in: one door for a folder, an .npz, a .csv and a prepared data set."""

import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Unpack

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples
from jaxd2l.data.own.assemble import assemble
from jaxd2l.data.own.cache import Decoded
from jaxd2l.data.own.listing import list_csv, list_folder, list_tfds
from jaxd2l.data.own.listing.pictures import Pictures, check_classes, shown
from jaxd2l.data.own.npz import from_npz
from jaxd2l.data.own.settings import Convert, Options, Settings, warn
from jaxd2l.data.own.unreadable import describe
from jaxd2l.wording import counted, some

PREFIX = "tfds:"


def open_data(
    spec: str | PathLike[str],
    *,
    image_size: int | None = None,
    channels: int | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    hold_out: bool = True,
    skip_unreadable: bool = False,
    cache: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] = warn,
    convert: Convert | None = None,
    stream: bool | None = False,
) -> Dataset:
    """Read a user's own pictures.

    Args:
        spec: a folder of class folders, a `.npz` of arrays, a `.csv` of file,label, or `tfds:DIR`, a data set that
            tensorflow-datasets prepared as ArrayRecord.
        image_size: pixels a side of the square that pictures are cut and resized to; None follows the data.
        channels: 1 for grey, 3 for colour; None follows the data.
        test_fraction: share of each class that is held out where the data have no test part.
        seed: decides which pictures those are.
        hold_out: False is for a network that knows the classes, which is judged by them: every picture is in both
            parts where the data have no test part, and one class is enough.
        skip_unreadable: go on without the pictures that cannot be read.
        cache: keep decoded pictures for the next start.
        on_progress: called with the pictures decoded so far and their number.
        on_note: called with each line that a user should know; by default a `DataWarning`.
        convert: makes the image of a picture's file and name, uint8 of `image_size` and `channels`, which have to be
            given, or raises DataError; the arrays of a `.npz` are images already. None reads as described here. What it
            makes is not kept; with `stream` it makes the same image at each reading, also in worker processes.
        stream: look at every picture file once and leave its pixels on the disk, from which a training reads them a
            batch at a time, see `jaxd2l.fit`; None does so where they would not fit into memory. Rows are the same.

    Returns:
        uint8 NHWC images and int32 labels; images left on the disk are an `OnDisk`. Rows of files
        are in an order that mixes the classes and depends on the names alone; those of a `.npz` keep theirs.

    Raises:
        ValueError: a setting out of range.
        DataError: the data are not what they claim; `UnreadableError` lists the files.
        OSError: a folder or file is not there or cannot be read.
    """
    settings = Settings(
        image_size=image_size,
        channels=channels,
        test_fraction=test_fraction,
        seed=seed,
        hold_out=hold_out,
        skip_unreadable=skip_unreadable,
        cache=cache,
        on_progress=on_progress,
        on_note=on_note,
        convert=convert,
        stream=stream,
    )
    text = str(spec)
    if text.startswith(PREFIX):
        return read(list_tfds(_existing(text.removeprefix(PREFIX))), settings)
    path = _existing(text)
    if path.is_dir():
        return read(list_folder(path), settings)
    kind = path.suffix.casefold()
    if kind == ".npz":
        return from_npz(path, settings)
    if kind == ".csv":
        return read(list_csv(path), settings)
    archive = kind in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".xz", ".bz2")
    hint = "an archive: unpack it and give the folder" if archive else "expected a folder, .npz, .csv or tfds:DIR"
    raise DataError(f"{shown(text)}: {hint}")


def from_folder(folder: str | PathLike[str], **options: Unpack[Options]) -> Dataset:
    """Read a folder of class folders; see `open_data`."""
    path = _existing(str(folder))
    if not path.is_dir():
        raise DataError(f"{shown(str(path))}: not a folder; open_data reads .npz and .csv")
    return read(list_folder(path), Settings(**options))


def read(pictures: Pictures, settings: Settings) -> Dataset:
    """Decode what was listed and make a data set of it.

    Raises:
        DataError: see `check_classes`, `read_pictures` and `assemble`; a class of which no picture is readable.
    """
    of_all = (pictures.classes, pictures.labels, pictures.in_test, pictures.name)
    check_classes(*of_all, learned=settings.hold_out)  # before hours of decoding
    decoded = _decoded(pictures, settings)
    notes = list(pictures.notes)
    labels = pictures.labels[decoded.rows]
    if decoded.unreadable:
        n = len(decoded.unreadable)
        notes.append(f"{n:,} of {counted(len(pictures.names), 'picture')} are skipped: {describe(decoded.unreadable)}")
        if gone := sorted(set(pictures.labels.tolist()) - set(labels.tolist())):
            names = some(pictures.classes[label] for label in gone)
            raise DataError(f"{pictures.name}: no picture of class {names} can be read: {describe(decoded.unreadable)}")
    if decoded.peak is not None and decoded.peak < 1 << 12:
        notes.append(
            f"the 16-bit pictures hold values up to {decoded.peak} of 65535, of which {decoded.peak // 256 + 1} levels "
            "of grey are left; stretch them to the whole range before"
        )
    for note in notes:
        settings.on_note(f"{pictures.name}: {note}")
    cut = len(labels) if pictures.in_test is None else int((~pictures.in_test[decoded.rows]).sum())
    spans = [slice(0, cut)] if pictures.in_test is None else [slice(0, cut), slice(cut, None)]
    parts = [Examples(decoded.images[span], labels[span]) for span in spans]
    row_names = [pictures.names[row] for row in decoded.rows]
    return assemble(pictures.name, parts, pictures.classes, row_names, settings, decoded.digests)


def _decoded(pictures: Pictures, settings: Settings) -> Decoded:
    from jaxd2l.data.own.read import NoRoomError, read_pictures  # imports Pillow
    from jaxd2l.data.own.streamed import seen_pictures

    if settings.stream:
        return seen_pictures(pictures, settings)
    try:
        return read_pictures(pictures, settings)
    except NoRoomError:
        if settings.stream is None:
            return seen_pictures(pictures, settings)
        raise


def _existing(text: str) -> Path:
    path = Path(os.path.expanduser(text))
    if not text or not os.path.exists(path):
        kinds = "a folder, .npz, .csv or tfds:DIR"
        raise FileNotFoundError(f"{shown(text) or 'an empty name'}: no such folder or file; expected {kinds}")
    return path
