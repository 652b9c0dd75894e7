"""A table with a target column to a data set: classes or numbers, the transform fitted on the training rows alone."""

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, check_examples
from jaxd2l.data.own.assemble import digests_of
from jaxd2l.data.own.divide import draw_test_rows
from jaxd2l.data.own.listing.pictures import check_class_name, check_classes, rank, shown
from jaxd2l.data.own.settings import Settings, warn
from jaxd2l.data.table import Table, apply_table, fit_table, read_table
from jaxd2l.data.table.column import TRUTH, Cells, as_kind, kind_of, number_in, read_cells
from jaxd2l.data.table.transform import by_name
from jaxd2l.wording import counted, some

if TYPE_CHECKING:
    import pandas as pd

MOST_NUMBERED_CLASSES = 20
Task = Literal["classification", "regression"]


class TableDataset(NamedTuple):
    """A data set made of a table, and how further rows are turned into inputs.

    Attributes:
        dataset: x float32 (n, d); y int32 labels (n,), or float32 (n, 1) and no classes for regression.
        table: fitted on the training rows; `apply_table(table, frame).x` are the inputs of other rows.
        target: the column to predict.
    """

    dataset: Dataset
    table: Table
    target: str


def from_table(
    table: "str | PathLike[str] | pd.DataFrame",
    target: str,
    *,
    task: Task | None = None,
    ignore: Sequence[str] = (),
    test: "str | PathLike[str] | pd.DataFrame | None" = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    hold_out: bool = True,
    limit: float = float("inf"),
    fitted: Table | None = None,
    classes: Sequence[str] = (),
    learned_from: Callable[[np.ndarray], np.ndarray] | None = None,
    on_note: Callable[[str], None] = warn,
) -> TableDataset:
    """Make a data set of a table.

    Args:
        table: a CSV (see `read_table`) or a frame.
        target: the column to predict; the others are features.
        task: None reads it off the target: text, truth values and whole numbers of at most `MOST_NUMBERED_CLASSES`
            different values are classes, other numbers are a regression. A number is one class however it is
            spelled, 1 and 1.0, and so is True and TRUE.
        ignore: columns that are no features, such as one that only names the rows.
        test: the rows to judge by; None holds a share of the rows out, of each class for classes.
        test_fraction: that share.
        seed: decides which rows those are.
        hold_out: False gives every row to both parts where `test` is None.
        limit: see `fit_table`.
        fitted: a transform of other training rows, to be applied to these.
        classes: those of the other training rows, whose labels these rows get; of a table with classes.
        learned_from: from the targets of the training rows to those that the transform is fitted on, bool (n,): such
            as `lambda y: ~held_out_rows(y, 0.1, 0)` where `hold_out` then takes a validation part. None takes all.
        on_note: called with each line that a user should know; by default a `DataWarning`.

    Raises:
        ValueError: a setting out of range.
        DataError: no such column, the target or all features in `ignore`, a missing target, text for a regression,
            text among numbers, nearly as many classes as rows, a class that is none of `classes`, and what
            `read_table`, `fit_table` and `apply_table` refuse.
        OSError: the file cannot be read.
    """
    settings = Settings(test_fraction=test_fraction, seed=seed, on_note=on_note)
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task must be 'classification', 'regression' or None, got {task!r}")
    name = shown(Path(table).stem) if isinstance(table, str | PathLike) else "table"
    frames = [
        read_table(Path(os.path.expanduser(part))) if isinstance(part, str | PathLike) else part
        for part in (table, *([] if test is None else [test]))
    ]
    where = [name, f"{name}, test table"]
    begins = ["", "" if test is None else f"{where[1]}: "]  # of messages that do not name the table
    targets = [_target(frame, str(target), *of) for frame, *of in zip(frames, where, begins, strict=False)]
    if fitted is None:
        _require_columns(frames[0], ignore, str(target), name)
    classify = _is_classes(targets[0], target) if task is None else task == "classification"
    if classify:
        ys, names = _labels(targets, classes, f"{name}: target {target}", on_note)
    else:
        ys, names = [_numbers(part, f"{of}: target {target}") for part, of in zip(targets, where, strict=False)], ()
    spans = [np.arange(len(y)) for y in ys]  # of each part, in its table
    if test is not None:
        settings.note_test_part(name)
    if len(frames) == 1 and hold_out:
        in_test = _drawn(ys[0], names, settings, name)
        spans = [np.flatnonzero(~in_test), np.flatnonzero(in_test)]
        frames, ys = [frames[0].iloc[span] for span in spans], [ys[0][span] for span in spans]
    elif classify and len(frames) == 2:
        in_test = np.repeat([False, True], [len(y) for y in ys])
        for note in check_classes(names, np.concatenate(ys), in_test, name):
            on_note(f"{name}: {note}")
    apart = {str(target), *ignore}
    features = [frame.loc[:, [str(column) not in apart for column in frame.columns]] for frame in frames]
    learned = np.ones(len(ys[0]), bool) if learned_from is None else learned_from(ys[0])
    fit = fit_table(features[0][learned], limit=limit, rows=spans[0][learned] + 1) if fitted is None else fitted
    parts = []
    for frame, y, span, what, begin in zip(features, ys, spans, ("training", "test"), begins, strict=False):
        with _errors_begin(begin):
            rows = apply_table(fit, frame, span + 1)
        parts.append(check_examples(Examples(rows.x, y), len(names) or None, f"{name} {what} part"))
        if rows.unseen:
            counts = some(f"{column} ({counted(n, 'row')})" for column, n in rows.unseen.items())
            had = "no training row has" if fitted is None else "no training row of the run had"
            who = f"the {what} part has" if len(spans) == 2 else "rows have"
            having = who if what == "test" or learned.all() else "rows that are not trained on have"
            on_note(f"{name}: {having} categories that {had}, in {counts}")
    for note in fit.notes if fitted is None else ():
        on_note(f"{name}: {note}")
    parts = parts * 2 if len(parts) == 1 else parts
    dataset = Dataset(name, parts[0], parts[1], names, digests_of(parts, names))
    return TableDataset(dataset, fit, target)


@contextmanager
def _errors_begin(begin: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        if not begin:
            raise
        raise DataError(f"{begin}{error}") from error


def _target(frame: "pd.DataFrame", target: str, name: str, begin: str) -> Cells:
    """The target's cells, none of them missing; `begin` is where messages do that do not name the table."""
    with _errors_begin(begin):
        columns = by_name(frame)
    if target not in columns:
        found = some(column if column == column.strip() else repr(column) for column in columns)
        raise DataError(f"{name}: no column {target!r} to predict; the columns are {found}")
    if not len(frame):
        raise DataError(f"{name}: the table has no row; at least two are needed, one for each part")
    with _errors_begin(begin):
        cells = read_cells(columns[target], target)
    gone = np.flatnonzero(cells.missing)
    if gone.size:
        rows = counted(gone.size, "such row")
        raise DataError(f"{name}: target {target} is missing at row {gone[0] + 1} ({rows}); remove them")
    return cells


def _require_columns(frame: "pd.DataFrame", ignore: Sequence[str], target: str, name: str) -> None:
    """Refuse to pass over what is not there, or all there is."""
    columns = list(by_name(frame))
    if unknown := [column for column in ignore if column not in columns]:
        raise DataError(f"{name}: no column {some(map(repr, unknown))} to ignore; the columns are {some(columns)}")
    if target in ignore:
        raise DataError(f"{name}: column {target} is the target and cannot be ignored")
    if ignore and not set(columns) - {target, *ignore}:
        raise DataError(f"{name}: no column is left to predict {target} from; ignore fewer")


def _is_classes(cells: Cells, target: str) -> bool:
    if kind_of(cells, target)[0] != "number":
        return True
    different = set(cells.numbers.tolist())
    return len(different) <= MOST_NUMBERED_CLASSES and all(number.is_integer() for number in different)


def _labels(
    targets: Sequence[Cells], known: Sequence[str], what: str, on_note: Callable[[str], None]
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """int32 labels and the classes of all parts: the known ones, or sorted as numbers where all are, else as text."""
    texts = [[str(text).strip() for text in as_kind(cells, "category", what)] for cells in targets]
    value_of = _value_of([*known, *(text for part in texts for text in part)])
    spellings: dict[Hashable, set[str]] = {}
    for text in known or sorted(set().union(*texts)):
        spellings.setdefault(value_of(text), set()).add(text)
    names = {value: min(found, key=lambda text: (len(text), text)) for value, found in spellings.items()}
    if known:
        classes = tuple(known)
        if unknown := sorted({text for part in texts for text in part if value_of(text) not in names}):
            raise DataError(f"{what}: class {some(unknown)} is none of the {len(known)} known ones: {some(known)}")
    else:
        _require_classes(names, len(texts[0]), what)
        numbers = {text: number_in(text) for text in names.values()}
        numbered = None not in numbers.values()
        classes = tuple(sorted(names.values(), key=lambda text: ((numbers[text] or 0.0) if numbered else 0.0, text)))
        for found in spellings.values():
            if len(found) > 1:
                on_note(f"{what}: {some(sorted(found))} are one class")
    place = {value_of(text): label for label, text in enumerate(classes)}
    return [np.array([place[value_of(text)] for text in part], np.int32) for part in texts], classes


def _value_of(texts: Iterable[str]) -> Callable[[str], Hashable]:
    """What a class is told from others by: the exact number or the truth value where all are ones, else the text."""
    different = set(texts)
    if all(number_in(text) is not None for text in different):
        return Decimal
    return TRUTH.__getitem__ if different <= TRUTH.keys() else str


def _require_classes(names: dict[Hashable, str], n: int, what: str) -> None:
    if len(names) > max(2, n // 2):
        raise DataError(
            f"{what} has {counted(len(names), 'different value')} in {counted(n, 'row')}; those are no classes"
        )
    if len(names) < 2:
        raise DataError(f"{what} is {min(names.values())} in every row; at least two classes are needed to tell apart")
    for text in names.values():
        check_class_name(text, what)


def _numbers(cells: Cells, what: str) -> np.ndarray:
    """float32 (n, 1); True is 1."""
    numbers = np.where(np.isnan(cells.numbers), cells.truth, cells.numbers)
    wrong = np.flatnonzero(~(np.abs(numbers) <= float(np.finfo(np.float32).max)))
    if wrong.size:
        row = wrong[0]
        raise DataError(f"{what} is {str(cells.raw[row])!r} at row {row + 1}, expected a finite number")
    return numbers.astype(np.float32)[:, np.newaxis]


def _drawn(y: np.ndarray, classes: tuple[str, ...], settings: Settings, name: str) -> np.ndarray:
    """Which rows are held out, bool (n,)."""
    names = [f"row {row}" for row in range(len(y))]
    if classes:
        return draw_test_rows(y, names, classes, settings.test_fraction, settings.seed, np.arange(len(y)), name)
    if len(y) < 2:
        raise DataError(f"{name}: the table has one row; at least two are needed, one for each part")
    held = max(1, min(round(settings.test_fraction * len(y)), len(y) - 1))
    in_test = np.zeros(len(y), bool)
    in_test[sorted(range(len(y)), key=lambda row: rank(names[row], settings.seed))[:held]] = True
    return in_test
