"""`metrics.jsonl`: a line an epoch, each epoch once, written as it happens; `test.json`: what the test part said."""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxd2l.data import DataError
from jaxd2l.machine.disk import with_name, write_atomically, write_json
from jaxd2l.run_folder.files import METRICS, TEST
from jaxd2l.train import EpochResult, Judged


def append_metrics(path: Path, result: EpochResult) -> None:
    """Add one epoch's line to `metrics.jsonl`, the whole line or nothing, so that a reader sees it at once.

    Raises:
        OSError: it cannot be written; the lines before it stay.
    """
    with open(path / METRICS, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        line = _line(result.row())
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            file.truncate(end)
            raise with_name(error, path / METRICS) from error


def write_metrics(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace `metrics.jsonl` by these epochs, the whole file or nothing."""
    write_atomically(path / METRICS, b"".join(_line(row) for row in rows))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The epochs of a run, oldest first.

    Raises:
        DataError: a line is no JSON object.
        OSError: the file cannot be read.
    """
    rows = []
    for number, line in enumerate((path / METRICS).read_bytes().splitlines(), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path / METRICS}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path / METRICS}, line {number}: expected an object, got {type(row).__name__}")
        rows.append(row)
    return rows


def whole_rows(path: Path) -> list[dict[str, Any]]:
    """The epochs 1, 2, ... of `metrics.jsonl` up to the first line that is not the next one.

    After a crash the last line may be torn; what was finished before it counts.
    """
    rows: list[dict[str, Any]] = []
    try:
        lines = (path / METRICS).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return rows
    for line in lines:
        try:
            row = json.loads(line)
            EpochResult(**row)
        except (ValueError, OverflowError, TypeError, RecursionError):
            break
        if row["epoch"] != len(rows) + 1:
            break
        rows.append(row)
    return rows


def ends_whole(path: Path) -> bool:
    """Whether `metrics.jsonl` is there and ends with a whole line."""
    try:
        return (path / METRICS).read_bytes()[-1:] in (b"", b"\n")
    except FileNotFoundError:
        return False


def write_tested(path: Path, tested: Mapping[str, Judged]) -> None:
    """Keep what the test part said at the end of a run whose epochs were judged by a validation part."""
    write_json(path / TEST, {name: judged._asdict() for name, judged in tested.items()})


def read_tested(path: Path, epochs: int) -> dict[str, Judged]:
    """What the test part said after so many epochs; {} where it has not been judged, or earlier in a longer run."""
    try:
        found = {name: Judged(**judged) for name, judged in json.loads((path / TEST).read_bytes()).items()}
    except (FileNotFoundError, ValueError, OverflowError, TypeError, AttributeError, RecursionError):
        return {}
    return found if {"last", "best"} <= found.keys() and found["last"].epoch == epochs else {}


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, allow_nan=False) + "\n").encode()
