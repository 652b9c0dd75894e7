"""A CSV of `file,label`, with or without a column `split`: pictures where they lie."""

import csv
import io
import os
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.folder import open_regular, stamp
from jaxd2l.data.own.pictures import Pictures, check_class_name, rank, shown

_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}


def list_csv(path: Path) -> Pictures:
    """List the pictures of a CSV.

    Args:
        path: UTF-8 with a header that names `file` and `label`, and perhaps `split` (train, test or val); other
            columns are passed over. Files are relative to the CSV's folder. Labels are text: 01 and 1 are two.

    Returns:
        The pictures. Where rows are called test and others val, those of val are left out.

    Raises:
        DataError: naming the line: not UTF-8, no such column, a row of another length, an empty field, an unknown
            split, a file listed twice.
        OSError: the CSV cannot be read.
    """
    rows: list[tuple[str, str, str]] = []  # part, file, label
    seen: dict[str, int] = {}
    for line, record in _records(path):
        name, label, part = (record.get(column, "").strip() for column in ("file", "label", "split"))
        where = f"{path}, line {line}"
        if not name or "\0" in name:
            raise DataError(f"{where}: no file is named; name one or remove the line")
        check_class_name(label, where)
        if "split" in record and part.casefold() not in _PARTS:
            raise DataError(f"{where}: split is {shown(part)!r}, expected train, test or val")
        key = os.path.normpath(_spelled(path.parent, name))
        if key in seen:
            raise DataError(f"{where}: {shown(name)} is listed on line {seen[key]} too; list every file once")
        seen[key] = line
        rows.append((_PARTS[part.casefold()] if "split" in record else "", key, label))
    parts = {part for part, _, _ in rows}
    judge = "test" if "test" in parts else "val"
    unread = sum(part == "val" for part, _, _ in rows) if judge == "test" else 0
    notes = [f"{unread:,} rows of split val are not read: test is what is judged by"] if unread else []
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
        open=partial(_open_row, path.parent, files),
        notes=tuple(notes),
    )


def _open_row(folder: Path, names: tuple[str, ...], row: int) -> BinaryIO:
    return open_regular(folder / names[row])


def _spelled(folder: Path, name: str) -> str:
    """The name as this system spells it: a list made on Windows has backslashes."""
    other = name.replace("\\", "/")
    return other if other != name and not os.path.exists(folder / name) else name


def _records(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Every row by column, with its line."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        for column in ("file", "label"):
            if header.count(column) != 1:
                hint = (
                    "; the fields are separated by semicolons: use commas"
                    if len(header) == 1 and ";" in header[0]
                    else ""
                )
                found = shown(", ".join(header[:5])) or "nothing"
                raise DataError(f"{path}, line 1: expected one column {column!r} in the header, got {found}{hint}")
        if header.count("split") > 1:
            raise DataError(f"{path}, line 1: two columns are called 'split'; keep one")
        records = []
        for fields in reader:
            if not fields:
                continue  # a blank line
            if len(fields) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(fields)} fields, but the header has {len(header)}; "
                    "complete the row or quote the field that holds a comma"
                )
            records.append((reader.line_num, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a CSV ({error})") from None
    if not records:
        raise DataError(f"{path}: a header without rows; at least two classes are needed")
    return records
