"""Rows of a table as a run that was trained on one takes them: by the transform of its training rows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.data.own import OwnData, kept_data
from jaxd2l.data.table import Table, apply_table
from jaxd2l.data.table.transform import by_name
from jaxd2l.run_folder import KeptRun
from jaxd2l.wording import counted, some

if TYPE_CHECKING:
    import pandas as pd


class TableRows(NamedTuple):
    """Rows as a network takes them.

    Attributes:
        x: float32 (n, d).
        unseen: how many values of each column no training row has had.
        passed_over: columns that play no part, the target among them.
        notes: what of it a user should know, a line each.
    """

    x: np.ndarray
    unseen: dict[str, int]
    passed_over: tuple[str, ...]
    notes: tuple[str, ...]


def keeps_table(config: Mapping[str, Any]) -> bool:
    """Whether a run's configuration holds the transform of a table.

    Raises:
        DataError: see `kept_data`.
    """
    kept = kept_data(config)
    return kept is not None and kept.table is not None


def kept_table(run: KeptRun) -> tuple[Table, OwnData]:
    """The transform of a run's training rows, and how they were read: target and columns that were ignored.

    Raises:
        ValueError: the run was trained on something else.
        DataError: see `kept_data`.
    """
    kept = kept_data(run.config)
    if kept is None or kept.table is None:
        raise ValueError(
            f"{run.folder} keeps no table's transform, as `jaxd2l train --data TABLE --target COLUMN` does; give "
            "arrays: of a table `apply_table(table, frame).x`"
        )
    return kept.table, kept.own


def table_rows(run: KeptRun, frame: "pd.DataFrame", name: str = "table") -> TableRows:
    """Transform rows as those of a run's training were.

    Args:
        run: trained by `jaxd2l train --data TABLE --target COLUMN`, whose folder holds the transform.
        frame: with the columns of the training table in any order; the target may be missing, as a column or in a row.
            Columns that the training table did not have are passed over.
        name: of the rows, for what is said of them.

    Raises:
        ValueError: the run was trained on something else.
        DataError: a column is missing, and what `apply_table` refuses.
        TypeError: `frame` is no pandas DataFrame.
    """
    table, own = kept_table(run)
    target = str(own.target)
    known = set(table.columns)
    columns = [column for column in by_name(frame) if column not in known]
    extra = [column for column in columns if column not in {target, *own.ignore}]
    complete = known <= set(map(str, frame.columns))  # else the extra ones are named too: one may be misspelled
    used = [str(column) in known or (not complete and str(column) in extra) for column in frame.columns]
    try:
        x, unseen = apply_table(table, frame.loc[:, used])
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    notes = []
    if target in columns:
        notes.append(f"{name}: column {target} is the target and plays no part; `jaxd2l evaluate --data` judges by it")
    if extra:
        notes.append(f"{name}: passed over, since the training table has no such column: {some(extra)}")
    if unseen:
        counts = some(f"{column} ({counted(n, 'row')})" for column, n in unseen.items())
        notes.append(f"{name}: categories that no training row has, taken as none of the known, in {counts}")
    return TableRows(x, unseen, tuple(columns), tuple(notes))
