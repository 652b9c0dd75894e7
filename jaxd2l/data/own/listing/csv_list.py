"""A CSV of `file,label`, with or without a column `split`: pictures where they lie."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.listing.folder import open_regular, stamp
from jaxd2l.data.own.listing.pictures import Pictures, check_class_name, rank, shown
from jaxd2l.data.table.csv_file import read_records
from jaxd2l.wording import counted, some

_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}


def list_csv(path: Path) -> Pictures:
    """List the pictures of a CSV.

    Args:
        path: a CSV (see `read_table`) with a header that names `file` and `label`, and perhaps `split` (train, test or
            val); other columns are passed over. Files are relative to the CSV's folder. Labels are text: 01 and 1 are
            two.

    Returns:
        The pictures. Where rows are called test and others val, those of val are left out.

    Raises:
        DataError: what `read_table` refuses, no such column; naming the row: an empty field, an unknown split, a file
            listed twice.
        OSError: the CSV cannot be read.
    """
    rows: list[tuple[str, str, str]] = []  # part, file, label
    seen: dict[str, int] = {}
    for where, record in _rows(path):
        name, label, part = record["file"], record["label"], record.get("split", "")
        if not name:
            raise DataError(f"{where}: no file is named; name one or remove the row")
        check_class_name(label, where)
        if "split" in record and part.casefold() not in _PARTS:
            raise DataError(f"{where}: split is {shown(part)!r}, expected train, test or val")
        key = os.path.normpath(_spelled(path.parent, name))
        if key in seen:
            raise DataError(f"{where}: {shown(name)} is listed in row {seen[key]} too; list every file once")
        seen[key] = len(seen) + 1
        rows.append((_PARTS[part.casefold()] if "split" in record else "", key, label))
    parts = {part for part, _, _ in rows}
    judge = "test" if "test" in parts else "val"
    unread = sum(part == "val" for part, _, _ in rows) if judge == "test" else 0
    notes = [f"{counted(unread, 'row')} of split val are not read: test is what is judged by"] if unread else []
    kept = [row for row in rows if row[0] in ("", "train", judge)]
    if parts == {"train"}:
        notes.append("every row is of split train: a share of them is held out")
    kept.sort(key=lambda row: (row[0] == judge, rank(row[1])))
    classes = sorted({label for _, _, label in kept})
    place = {name: number for number, name in enumerate(classes)}
    files = tuple(name for _, name, _ in kept)
    return Pictures(
        name=shown(path.stem),
        root=str(path.resolve()),
        names=files,
        labels=np.array([place[label] for _, _, label in kept], np.int32),
        in_test=None if judge not in parts else np.array([part == judge for part, _, _ in kept]),
        classes=tuple(classes),
        stamps=tuple(stamp(path.parent / name) for name in files),
        open=partial(_open_row, path.parent.absolute(), files),
        notes=tuple(notes),
    )


def _open_row(folder: Path, names: tuple[str, ...], row: int) -> BinaryIO:
    return open_regular(folder / names[row])


def _spelled(folder: Path, name: str) -> str:
    """The name as this system spells it: a list made on Windows has backslashes."""
    other = name.replace("\\", "/")
    return other if other != name and not os.path.exists(folder / name) else name


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Every row by column, with where it stands; rows are counted from 1, the first after the header."""
    header, records = read_records(path)
    columns = [name.strip().casefold() for name in header]
    for column, least in (("file", 1), ("label", 1), ("split", 0)):
        if not least <= (count := columns.count(column)) <= 1:
            found = some(map(shown, header))
            table = "; a table of features is read with the target column that it is to predict" if not count else ""
            raise DataError(f"{path}: expected one column {column!r} in the header, got {found}{table}")
    for number, record in enumerate(records, 1):
        yield f"{path}, row {number}", dict(zip(columns, map(str.strip, record), strict=True))
