"""A folder of class folders, with `train/` and `test/` around them or without.

The layouts of torchvision's ImageFolder and Keras' image_dataset_from_directory.
"""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.listing.pictures import MISSING, Pictures, check_class_name, rank, shown
from jaxd2l.wording import counted, some

EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".gif")
KINDS = "PNG, JPEG, BMP, WebP, GIF"

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}  # by archivers and file managers
_TRAIN, _TEST, _VALIDATION = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")


def list_folder(folder: Path) -> Pictures:
    """List the pictures of a folder; see docs/use/own_data.md for the layouts.

    Args:
        folder: holds class folders, or `train/` and `test/` (or `val/`) that hold them.

    Returns:
        The pictures of each class, those of folders inside it too, in an order that mixes the classes and depends
        on the names alone. Names that begin with a dot and what archivers leave behind are passed over.

    Raises:
        DataError: no class folder, a test part without a training part, two class folders of one name, names of
            classes that are not UTF-8.
        OSError: a folder cannot be read.
    """
    folders, pictures = _inside(folder)
    parts, notes = _parts(folder, folders, pictures)
    rows: list[tuple[bool, str, str]] = []  # in the test part, class, path below `folder`
    classes: set[str] = set()
    others: Counter[str] = Counter()
    for in_test, part in parts:
        found: dict[str, str] = {}
        names_of_part, beside = _inside(part)
        if beside and part != folder:
            notes.append(f"{counted(beside, 'picture')} beside the class folders of {shown(part.name)}/ not read")
        for name in names_of_part:
            label = unicodedata.normalize("NFC", name)  # macOS writes é as two signs, others as one
            check_class_name(label, shown(str(folder)))
            if label in found:
                raise DataError(f"{shown(str(part))}: two folders are called {label}; rename one")
            found[label] = name
            for path in _pictures(part / name, (_identity(part),), others):
                rows.append((in_test, label, os.path.relpath(path, folder)))
        classes |= set(found)
    if classes and (empty := sorted(classes - {row[1] for row in rows})):
        kinds = f" ({some(f'{n} {kind}' for kind, n in others.most_common())} in all)" if others else ""
        where = shown(str(folder))
        raise DataError(
            f"{where}: no picture in the folder of class {some(empty)}{kinds}; {KINDS} are read: add some, or remove it"
        )
    if others:
        kinds = some((f"{n} {kind}" for kind, n in others.most_common()), 3)
        notes.append(f"files that are not {KINDS} are not read: {kinds}")
    if not classes:
        raise _no_class(folder, pictures)
    names = sorted(classes)
    place = {name: label for label, name in enumerate(names)}
    rows.sort(key=lambda row: (row[0], rank(row[2])))
    return Pictures(
        name=shown(folder.resolve().name) or "data",
        root=str(folder.resolve()),
        names=tuple(row[2] for row in rows),
        labels=np.array([place[row[1]] for row in rows], np.int32),
        in_test=np.array([row[0] for row in rows], bool) if len(parts) == 2 else None,
        classes=tuple(names),
        stamps=tuple(stamp(folder / row[2]) for row in rows),
        open=partial(_open_row, folder.absolute(), tuple(row[2] for row in rows)),
        notes=tuple(notes),
    )


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe or device of that name would block for ever.

    Raises:
        OSError: it is not there, not readable, or no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("no regular file")
    return path.open("rb")


def stamp(path: Path) -> str:
    """Size and times of a file; the time of the last change to its entry cannot be set back."""
    try:
        facts = path.stat()
    except OSError:
        return MISSING
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def _open_row(folder: Path, names: tuple[str, ...], row: int) -> BinaryIO:
    return open_regular(folder / names[row])


def passed_over(name: str) -> bool:
    """Whether a file or folder of this name was left behind by a program, or is hidden."""
    return name.startswith(".") or name.casefold() in _LEFT_BEHIND


def _inside(folder: Path) -> tuple[list[str], int]:
    """The sorted names of the folders in `folder`, and how many pictures lie beside them."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not passed_over(entry.name)]
    folders = sorted((entry.name for entry in kept if _is_folder(entry)), key=os.fsencode)
    return folders, sum(_is_picture(entry.name) and not _is_folder(entry) for entry in kept)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].casefold() in EXTENSIONS


def _identity(folder: Path) -> tuple[int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino


def _pictures(folder: Path, above: tuple[tuple[int, int], ...], others: Counter[str]) -> Iterator[Path]:
    """Every picture below `folder`; a link back to a folder above is not followed."""
    here = _identity(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if passed_over(entry.name):
                continue
            if _is_folder(entry):
                yield from _pictures(folder / entry.name, (*above, here), others)
            elif _is_picture(entry.name):
                yield folder / entry.name
            else:
                others[os.path.splitext(entry.name)[1].casefold() or "without an extension"] += 1


def _parts(folder: Path, folders: list[str], pictures: int) -> tuple[list[tuple[bool, Path]], list[str]]:
    """The folders that hold class folders, each with whether it is the test part, and notes."""
    train, test, validation = (_only(folder, folders, names) for names in (_TRAIN, _TEST, _VALIDATION))
    named = [name for name in (train, test, validation) if name is not None]
    rest = [name for name in folders if name not in named]
    labelled = [name for name in named if _inside(folder / name)[0]]
    notes = [f"{counted(pictures, 'picture')} beside the class folders not read"] if pictures and folders else []
    if train not in labelled or (rest and len(labelled) < 2):
        if named and not rest:  # never two classes called train and test
            missing = "no train/ beside it" if train is None else f"no class folder in {train}/"
            raise DataError(
                f"{shown(str(folder))}: {some(f'{name}/' for name in named)} but {missing}; see docs/use/own_data.md"
            )
        return [(False, folder)], notes
    assert train is not None
    judge = next((name for name in (test, validation) if name in labelled), None)
    unread = [f"{shown(name)}/" for name in (*named, *rest) if name not in (train, judge)]
    if unread:
        why = f"{judge}/ is what is judged by" if judge else "it has no class folder; a share of train/ is held out"
        notes.append(f"{some(unread)} is not read: {why}")
    elif judge is None:
        notes.append(f"no test/ beside {train}/: a share of {train}/ is held out")
    return [(False, folder / train), *([(True, folder / judge)] if judge else [])], notes


def _only(folder: Path, folders: list[str], names: tuple[str, ...]) -> str | None:
    """The folder called one of `names`, in whatever case."""
    found = [name for name in folders if name.casefold() in names]
    if len(found) > 1:
        raise DataError(
            f"{shown(str(folder))}: {found[0]}/ and {found[1]}/ could both be the {names[0]} part; keep one"
        )
    return found[0] if found else None


def _no_class(folder: Path, pictures: int) -> DataError:
    where = shown(str(folder))
    if (folder / "dataset_info.json").is_file():
        return DataError(f"{where}: prepared by tensorflow-datasets; write tfds:{where}")
    if pictures:
        advice = "put those of each class into a folder of its own, or list them in a CSV of file,label"
        return DataError(f"{where}: {counted(pictures, 'picture')} but no class folder; {advice}")
    return DataError(f"{where}: no class folder with pictures ({KINDS}); see docs/use/own_data.md for the layouts")
