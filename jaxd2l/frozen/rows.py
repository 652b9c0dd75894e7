"""The rows that a frozen run was trained on: kept inside, found by their name, or given; known by their digests."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l.data import DATASETS, DataError, Dataset, Examples, hold_out, load
from jaxd2l.data.own import kept_data
from jaxd2l.frozen.container import DATA, Frozen

Rows = dict[str, np.ndarray]
PARTS = ("train", "validation", "test")


def names_of(part: str) -> tuple[str, str]:
    """What the arrays of a part are called: `x_train`, `y_train`."""
    return f"x_{part}", f"y_{part}"


def described(array: np.ndarray) -> dict[str, Any]:
    """What an array is known by: type, shape, SHA-256 of its bytes."""
    plain = np.ascontiguousarray(array)
    digest = hashlib.sha256(plain.reshape(-1).view(np.uint8)).hexdigest()
    return {"dtype": str(plain.dtype), "shape": list(array.shape), "sha256": digest}


def limited(data: Dataset, config: Mapping[str, Any]) -> Dataset:
    """The parts of whole data, or of divided ones, as a run's configuration limits and divides them."""
    first = lambda part, limit: Examples(*(a[:limit] for a in part))  # noqa: E731
    train, test = (first(getattr(data, part), config.get(f"limit_{part}")) for part in ("train", "test"))
    found, fraction = data._replace(train=train, test=test), config.get("validation_fraction")
    if fraction is None or data.validation is not None:
        return found
    together = bool(config.get("pictures_together"))
    return hold_out(found, fraction, config.get("split_seed") or 0, together=together, on_note=lambda note: None)


def arrays_of(data: Dataset) -> Rows:
    """The arrays of a data set by name."""
    parts = [(part, getattr(data, part)) for part in PARTS]
    named = [zip(names_of(part), examples, strict=True) for part, examples in parts if examples is not None]
    return {name: np.asarray(array) for pairs in named for name, array in pairs}


def _as_programs_take(rows: Rows, known: Mapping[str, dict[str, Any]]) -> Rows:
    """The same numbers in the types of the frozen ones; that nothing is lost is told by their digests."""
    return {name: a.astype(known[name]["dtype"], copy=False) if name in known else a for name, a in rows.items()}


def find_rows(frozen: Frozen, where: str | None = None, on_note: Callable[[str], None] = lambda line: None) -> Rows:
    """The rows of a frozen run, by name.

    Args:
        frozen: the run.
        where: they lie now, in place of where they lay: a `.npz` of `x_train`, `y_train`, `x_test`, `y_test`, of a
            user's own data also what `jaxd2l train --data` takes.
        on_note: called with a line where more than one copy is there.

    Raises:
        DataError: they are not found, or others than the run was trained on.
        OSError: they cannot be read.
    """
    facts = frozen.facts["data"]
    if where is not None and frozen.holds(DATA):
        on_note(f"{frozen.path} holds its data; --data {where} is taken instead")
    place = where or (str(frozen.path) if frozen.holds(DATA) else facts["name"])
    rows = _as_programs_take(_read(frozen, where), facts["arrays"])
    if problems := _differences(frozen, rows):
        raise DataError(f"{place} is not what the run was trained on: {'; '.join(problems)}; {_advice(frozen)}")
    return {name: rows[name] for name in facts["arrays"]}


def _read(frozen: Frozen, where: str | None) -> Rows:
    facts, config = frozen.facts["data"], frozen.facts["config"]
    kept = kept_data(config)
    given = _from_npz(Path(where), facts["arrays"]) if where is not None and where.endswith(".npz") else None
    if given is not None and (kept is None or not _differences(frozen, given)):
        return given
    if where is None and frozen.holds(DATA):
        return frozen.arrays(DATA)
    if kept is not None:
        own = kept.own if where is None else replace(kept.own, data=where).absolute()
        try:
            data = own.read(table=kept.table, on_note=lambda line: None).dataset
        except FileNotFoundError as error:
            raise DataError(f"the data of the run are gone: {error}; {_advice(frozen)}") from error
        return arrays_of(limited(data, config))
    if where is not None:
        raise DataError(
            f"--data {where}: the run was trained on {facts['name']}; give a .npz of {', '.join(facts['arrays'])}"
        )
    if facts["name"] not in DATASETS:
        raise DataError(f"the run was trained on {facts['name']}, which cannot be found; {_advice(frozen)}")
    return arrays_of(limited(load(facts["name"]), config))


def _from_npz(path: Path, known: Mapping[str, dict[str, Any]]) -> Rows | None:
    """The arrays as they are, where the file has all of them under these names; else None."""
    if not os.path.isfile(path):
        raise FileNotFoundError(2, "no such file", str(path))
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                if not set(known) <= set(archive.files):
                    return None
                return _as_programs_take({name: archive[name] for name in known}, known)
        except MemoryError:
            raise DataError(f"{path}: the arrays do not fit into memory") from None
        except Exception as error:  # damage makes zipfile, zlib and NumPy raise nearly everything
            raise DataError(f"{path}: no .npz of plain arrays, or a damaged one ({error})") from error


def _differences(frozen: Frozen, rows: Rows) -> list[str]:
    """In what rows are not those of the run, a clause each."""
    told = []
    for name, known in frozen.facts["data"]["arrays"].items():
        if name not in rows:
            told.append(f"{name} is missing")
        elif rows[name].shape != tuple(known["shape"]):
            told.append(f"{name} has shape {rows[name].shape}, expected {tuple(known['shape'])}")
        elif described(rows[name]) != known:
            told.append(f"{name} holds other numbers")
    return told


def _advice(frozen: Frozen) -> str:
    return f"--data takes them from elsewhere, such as a .npz of {', '.join(frozen.facts['data']['arrays'])}"
